"""The timeline tells every token's concepts to eyes, keyboard and a browser without scripts."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from report_browser import Seen, browse

from hsae.report.page import read
from hsae.report.timeline import MOST_SHADE, STRONGEST, Monitored, chance, shade, timeline

pytestmark = pytest.mark.timeout(150)


def concept(name: str, p: float, *above: str) -> dict:
    path = ["entity", *above[::-1], name]
    said = {"id": f"wn30:{name}.n.01", "name": name, "score": 0.41, "z": 7.25, "p": p, "path": path}
    folded = [{**said, "name": one, "id": f"wn30:{one}.n.01", "p": 1e-4} for one in above]
    return {**said, "above": folded}


def token(text: str, position: int, *concepts: dict, cut: bool = False) -> dict:
    return {"token": text, "position": position, "concepts": list(concepts), "cut": cut}


def dog_text() -> list[dict]:
    words = re.findall(r" [^ ]+", " The old dog barks at the mail carrier near the river , and <b> runs")
    tokens = [token(word, place) for place, word in enumerate(words)]
    tokens[1] = token(" old", 1, concept("age", 2e-3, "property"))
    tokens[2] = token(" dog", 2, concept("dog", 1e-9, "canine", "animal"), concept("pet", 3e-5), cut=True)
    tokens[3] = token(" barks", 3, concept("bark", 1e-6, "noise"), concept("dog", 4e-4))
    tokens[6] = token(" mail", 6, concept("postal service delivery of letters", 1e-5, "service"))
    tokens[7] = token(" carrier", 7, concept("<i>worker</i>", 1e-4))
    tokens[10] = token(" river", 10, concept("river", 2e-8, "stream", "body of water"), concept("bank", 9e-4))
    return [*tokens, token("\n", len(tokens))]


def monitored(tokens: list[dict]) -> Monitored:
    return Monitored(
        tokens=tokens, model="tiny", site="resid_post.2", tests=2000, fdr=0.05, null=8_000_000, rows=4000
    )


PAGE = timeline(monitored(dog_text()))

PROBE = """(() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const shown = element => element.getClientRects().length > 0;
  const chips = all(".timeline .chip");
  const said = {tokens: all(".timeline > li").length, chips: chips.length};
  said.fetched = performance.getEntriesByType("resource").map(entry => entry.name);
  said.wide = document.documentElement.scrollWidth - innerWidth;
  said.silent = all(".detail").filter(shown).length;
  said.stops = chips.filter(chip => chip.tabIndex === 0).length;
  chips[1].focus();
  said.focused = all(".detail").filter(shown).map(detail => detail.innerText);
  const frame = all(".detail").filter(shown)[0].getBoundingClientRect();
  said.inside = frame.left >= 0 && frame.right <= innerWidth && frame.bottom <= innerHeight;
  said.described = chips.every(chip => document.getElementById(chip.getAttribute("aria-describedby")));
  chips[1].blur();
  const colour = chip => getComputedStyle(chip).backgroundColor;
  said.colours = [chips[1], chips[0]].map(colour);
  said.same = colour(chips[1]) === colour(all(".scale .chip")[3]);
  said.planted = all(".timeline b b, .timeline .chip i").length;
  said.lost = all("a[href^='#']").filter(link => !document.getElementById(link.hash.slice(1))).length;
  return said;
})()"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return browse(PAGE, tmp_path_factory.mktemp("browser"), probe=PROBE)


@pytest.fixture(scope="module")
def told(seen: Seen) -> dict:
    return seen.told()


def test_it_opens_without_a_word_and_fetches_nothing(seen, told):
    assert seen.console == []
    assert told["fetched"] == []
    assert not re.search(r"""(src|href)=["'](?!#|data:)|url\(|@import|fetch\(""", PAGE)


def test_every_token_and_every_concept_stands_there(told):
    assert told["tokens"] == len(dog_text())
    assert told["chips"] == sum(len(one["concepts"]) for one in dog_text())
    assert told["wide"] <= 0


def test_the_keyboard_reaches_every_concept_and_opens_its_numbers(told):
    assert told["silent"] == 0
    assert told["stops"] == told["chips"]
    assert told["described"] and told["inside"]
    (detail,) = told["focused"]
    assert "entity › animal › canine › dog" in detail
    assert "score 0.410 · z 7.25 · p 10⁻⁹ · wn30:dog.n.01" in detail
    assert "significant too: canine" in detail


def test_rarer_scores_are_stronger_in_colour(told):
    assert told["colours"][0] != told["colours"][1]
    assert told["same"], "the scale shows the same shade for the same p"
    shades = [shade(p) for p in (1.0, 1e-2, 1e-5, 10**-STRONGEST, 1e-30)]
    assert shades == sorted(shades) and shades[0] == 0 and shades[-1] == shades[-2] == MOST_SHADE


def luminance(colour: Sequence[float]) -> float:
    """Of red, green and blue between 0 and 1 (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_letters_on_the_strongest_chip_have_contrast(theme):
    def named(name):
        digits = re.findall(rf"--{name}: #(\w{{6}})", read("page.css"))[theme]
        return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]

    share = MOST_SHADE / 100
    chip = [share * a + (1 - share) * b for a, b in zip(named("accent"), named("paper"), strict=True)]
    light, dark = sorted([luminance(chip), luminance(named("ink"))], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_chances_are_written_as_one_says_them():
    assert [chance(p) for p in (0.05, 0.0123, 1e-4, 2.04e-5, 1e-9, 1.25e-12)] == [
        *("0.05", "0.012", "10⁻⁴", "2.0·10⁻⁵", "10⁻⁹", "1.2·10⁻¹²")
    ]


def test_names_are_text_whatever_is_in_them(told):
    assert told["planted"] == 0
    assert "&lt;i&gt;worker&lt;/i&gt;" in PAGE and "&lt;b&gt;" in PAGE


def test_links_arrive(told):
    assert told["lost"] == 0


def test_it_reads_without_scripts():
    bare = re.sub(r"<script>.*?</script>", "", PAGE, flags=re.DOTALL)
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", bare, flags=re.DOTALL)
    for word in (
        "dog +2",
        "and more",
        "postal service delivery",
        "entity › animal › canine › dog",
        "8,000,000",
    ):
        assert word in text
    assert "onclick" not in PAGE and "↵" in PAGE


def test_a_text_without_concepts_says_so(tmp_path: Path):
    page = timeline(monitored([token("the", 0)]))
    assert "No concept is significant" in page
    assert "The text has no token." in timeline(monitored([]))
    assert browse(page, tmp_path).console == []
