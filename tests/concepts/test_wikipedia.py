"""Titles become concepts, one each; what is no concept of its own is held back and counted."""

import gzip

import pytest

from hsae.concepts import wikipedia
from hsae.errors import UserError


@pytest.fixture
def load(tmp_path):
    def load(text, *, seed=0, pack=False, **changed):
        file = tmp_path / "titles"
        file.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
        said = {"name": "wikipedia", "path": str(file), "n": None, "shortest": 2, "longest": 20} | changed
        return wikipedia.load(wikipedia.Settings(**said), seed=seed)

    return load


def test_a_title_is_the_key_and_its_brackets_are_the_gloss(load):
    titles = load("page_title\nMercury_(planet)\nMercury_(element)\nNew_York_City\n")
    planet, element, city = titles
    assert (planet.id, planet.name, planet.gloss) == ("wiki:Mercury_(planet)", "Mercury", "planet")
    assert (element.id, element.name) == ("wiki:Mercury_(element)", "Mercury")
    assert (city.id, city.name, city.gloss, city.parents) == ("wiki:New_York_City", "New York City", "", ())


def test_what_is_no_concept_is_left_out_and_said(load, capsys):
    text = "Dog\nDog_(disambiguation)\nList_of_dogs\nLists_of_cats\nQ\n1984\n" + "Very_" * 10 + "long\n"
    assert [concept.name for concept in load(text)] == ["Dog"]
    said = capsys.readouterr().out
    for words in (
        "1 that tell articles apart",
        "2 of lists",
        "1 without a letter",
        "2 too short or too long",
    ):
        assert words in said


def test_the_most_counted_come_first(load):
    text = "Ant\t3\nBee\t10\nCat\t7.5\n"
    assert [concept.name for concept in load(text, n=2)] == ["Bee", "Cat"]
    assert load(text)["wiki:Cat"].frequency == 7.5


def test_without_counts_the_seed_draws_and_the_order_of_the_file_does_not_matter(load):
    names = [f"Title_{number}" for number in range(200)]
    one, again, other = (
        {concept.id for concept in load("\n".join(lines), n=50, seed=seed)}
        for lines, seed in ((names, 1), (names[::-1], 1), (names, 2))
    )
    assert one == again != other


def test_the_dump_may_be_compressed(load):
    assert load("Dog\nCat\n", pack=True).concepts == load("Dog\nCat\n").concepts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0\tDog\n", "line 1: behind the tab must stand a count from 0, found 'Dog'"),
        ("Ant\t1\nBee\tnan\n", "line 2: behind the tab"),
        ("List_of_ants\n", "holds no titles that pass"),
        ("Ant\nBee\nAnt\n", "stand twice"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(load, text, said):
    with pytest.raises(UserError, match=said):
        load(text)


def test_too_few_is_refused_with_how_many_pass(load):
    with pytest.raises(UserError, match=r"concepts\.n=3: .* has 2 concepts"):
        load("Ant\nBee\n1984\n", n=3)
