"""The page in a real browser, opened from disk."""

import re
from pathlib import Path

import pytest
from report_browser import Seen, browse
from worlds_report import CATEGORIES, concepts

pytestmark = pytest.mark.timeout(150)

# one start of Chromium costs a second or two, so one visit answers all questions
PROBE = """(() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const at = (element, kind, x, y) =>
    element.dispatchEvent(new PointerEvent(kind, {clientX: x, clientY: y, bubbles: true}));
  const shown = element => element.getClientRects().length > 0;
  const said = {ready: document.documentElement.dataset.ready};
  said.fetched = performance.getEntriesByType("resource").map(entry => entry.name);
  said.wide = document.documentElement.scrollWidth - innerWidth;
  said.empty = all("figure .canvas > svg").filter(svg => !svg.querySelector("polyline, path")).length;
  said.lines = all(".curves .line").length;
  said.dots = all(".map .dot").length;
  said.seeds = all(".dictionaries tr.one").filter(shown).length;
  all(".dictionaries .opener")[0].click();
  said.opened = all(".dictionaries tr.one").filter(shown).length;
  const input = document.querySelector(".map input");
  input.value = "animal 1.3";
  input.dispatchEvent(new Event("input"));
  said.tip = document.querySelector(".map .tip").textContent;
  said.links = all(".map .links line").length;
  const canvas = document.querySelector(".map .canvas"), frame = canvas.getBoundingClientRect();
  const point = JSON.parse(document.getElementById("map-0-points").textContent).at(-1);
  const [x, y] = [frame.left + point.x / 100 * frame.width, frame.bottom - point.y / 100 * frame.height];
  at(canvas, "pointermove", x, y);
  said.hovered = document.querySelector(".map .tip b").textContent;
  said.pointed = point.title;
  said.markup = all(".map .tip p b").length;
  at(canvas, "pointerleave", 0, 0);
  all(".map .legend button")[0].click();
  said.left = all(".map .dot").filter(dot => !dot.classList.contains("off")).length;
  said.panels = all("#latents .panel").filter(shown).length;
  all("#latents .tabs button")[1].click();
  said.panel = all("#latents .panel").findIndex(shown);
  const links = all("a[href^='#']");
  said.lost = links.filter(link => !document.getElementById(link.hash.slice(1))).length;
  return said;
})()"""


@pytest.fixture(scope="module")
def seen(page: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return browse(page, tmp_path_factory.mktemp("browser"), probe=PROBE)


@pytest.fixture(scope="module")
def told(seen: Seen) -> dict:
    return seen.told()


def test_it_opens_without_a_word_on_the_console(seen, told):
    assert seen.console == []
    assert told["ready"] == "yes"


def test_it_fetches_nothing(told, page):
    assert told["fetched"] == []
    assert not re.search(
        r"""(src|href)=["'](?!#|data:)|url\(|@import|\bimport\b.*from|fetch\(|XMLHttpRequest""", page
    )


def test_it_may_not_fetch_even_if_it_tried(page, tmp_path: Path):
    planted = page.replace("<header>", '<img src="http://localhost:9/pixel.png"><header>')
    assert "Content Security Policy" in "".join(browse(planted, tmp_path).console)


def test_it_is_no_wider_than_its_window(told):
    assert told["wide"] <= 0


def test_every_figure_is_drawn(told):
    assert told["empty"] == 0
    assert told["lines"] == 8
    assert told["dots"] == len(concepts())


def test_seeds_unfold_under_their_mean(told):
    assert told["seeds"] == 0
    assert told["opened"] == 2


def test_a_concept_that_is_typed_is_found_with_its_neighbours(told):
    assert told["tip"].startswith("animal 1.3animal · 12 contexts")
    assert "nearest: " in told["tip"]
    assert told["links"] == 5


def test_the_dot_under_the_pointer_tells_its_name(told):
    assert told["hovered"] == told["pointed"]
    assert told["markup"] == 0, "a gloss is text, whatever is in it"


def test_the_legend_hides_a_category(told):
    one = sum(row["name"].startswith(CATEGORIES[0]) for row in concepts())
    assert told["left"] == told["dots"] - one


def test_one_dictionary_s_latents_are_shown_at_a_time(told):
    assert told["panels"] == 1
    assert told["panel"] == 1


def test_every_link_inside_the_page_arrives(told):
    assert told["lost"] == 0


def test_a_page_of_nothing_opens_too(tmp_path: Path, empty_page: str):
    assert browse(empty_page, tmp_path).console == []
