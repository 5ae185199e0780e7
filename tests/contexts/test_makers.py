"""Every maker in conf/contexts puts the word where it says: a new one is tested by existing."""

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from hsae import build
from hsae.concepts import Concept, Taxonomy, builtin, wordnet
from hsae.contexts import SHARES, Context, Wanted
from hsae.contexts.forms import forms

FOLDER = build.conf_dir() / "contexts"
MAKERS = sorted({file.stem for file in FOLDER.glob("*.yaml")} - {"generated"})
"""All but the one that writes with a language model, whose own tests make these promises."""


def odd() -> Taxonomy:
    """Names that are easily lost in a sentence: inside the gloss, with braces, without a gloss."""
    return Taxonomy(
        [
            Concept("x:a", "a", gloss="a letter that stands before any other; always"),
            Concept("x:the", "the", parents=("x:a",)),
            Concept("x:braces", "{gloss} {x}", gloss="braces {parent}", parents=("x:a",)),
            Concept("x:Eire", "Éire", gloss="Éire is Éire.", parents=("x:the", "x:a")),
        ]
    )


def from_wordnet(pos: str) -> Taxonomy:
    if not wordnet.found():
        pytest.skip("WordNet is not on this machine: make wordnet")
    said = yaml.safe_load((build.conf_dir() / "concepts/wordnet.yaml").read_text())
    return wordnet.load(wordnet.Settings.model_validate(said | {"n": 150, "pos": pos}), seed=0)


WORLDS = {
    "odd": odd,
    "builtin": lambda: builtin.load(builtin.Settings(name="builtin", n=150), seed=0),
    "nouns of wordnet": lambda: from_wordnet("n"),
    "verbs of wordnet": lambda: from_wordnet("v"),
    "adjectives of wordnet": lambda: from_wordnet("a"),
    "adverbs of wordnet": lambda: from_wordnet("r"),
}


class World(NamedTuple):
    """Concepts, and a file with sentences about them for the makers that read text."""

    taxonomy: Taxonomy
    text: Path


@pytest.fixture(scope="module", params=WORLDS)
def world(request, tmp_path_factory) -> World:
    taxonomy = WORLDS[request.param]()
    file = tmp_path_factory.mktemp("text") / "letters.txt"
    lines = (f"In letter {n} somebody wrote of {c.name} again." for n in range(7) for c in taxonomy)
    file.write_text("\n\n".join(lines))
    return World(taxonomy, file)


def made(name: str, world: World, seed: int = 0, wanted: Wanted | None = None) -> list[Context]:
    said = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())[name]
    if "path" in said:
        said["path"] = str(world.text)
    module, settings = build.plugin(
        "contexts", build.settings("contexts", name).model_validate(said), name=name
    )
    items = module.make(world.taxonomy, settings, seed=seed, wanted=wanted)
    return [item for item in items if isinstance(item, Context)]


@cache
def all_made(name: str, world: World) -> list[Context]:
    """What the tests look at, made once."""
    return made(name, world)


def asked(taxonomy: Taxonomy, rows: range, *, have: int, each: int | None) -> Wanted:
    """Every concept is taken for the two that stand behind it."""
    n = len(taxonomy)
    confusers = {row: [(row + 1) % n, (row + 2) % n] for row in range(n)}
    return Wanted(rows, [have] * len(rows), each, confusers=confusers)


@pytest.mark.parametrize("name", MAKERS)
def test_the_span_is_a_form_of_the_word(world, name):
    for context in all_made(name, world):
        concept = world.taxonomy[context.concept]
        span = context.text[context.start : context.end]
        if context.source == "unmentioned":  # use without mention: the word may not be there
            assert span.strip() == span != ""
            continue
        assert span.lower() in {form.lower() for form in forms(concept.name, concept.pos)}
        assert any(span[1:] == form[1:] for form in forms(concept.name, concept.pos))


@pytest.mark.parametrize("name", MAKERS)
def test_concepts_come_in_the_taxonomys_order(world, name):
    rows = [world.taxonomy.index[id] for id, _ in groupby(all_made(name, world), key=lambda c: c.concept)]
    assert rows == sorted(set(rows)) and rows


@pytest.mark.parametrize("name", ["raw", "templates", "historical"])
def test_sentences_with_a_gap_leave_no_concept_out(world, name):
    assert {context.concept for context in all_made(name, world)} == set(world.taxonomy.index)


@pytest.mark.parametrize("name", MAKERS)
def test_no_concept_gets_the_same_place_in_a_text_twice(world, name):
    contexts = all_made(name, world)
    assert len({(context.concept, *context[1:4]) for context in contexts}) == len(contexts)


@pytest.mark.parametrize("name", MAKERS)
def test_asking_two_and_then_three_more_gives_what_asking_five_gives(world, name):
    rows = range(0, len(world.taxonomy), 3)

    def by_concept(have: int, each: int | None) -> dict[str, list[Context]]:
        made_now = made(name, world, wanted=asked(world.taxonomy, rows, have=have, each=each))
        return {id: list(some) for id, some in groupby(made_now, key=lambda c: c.concept)}

    two, more, five, all_of_them = by_concept(0, 2), by_concept(2, 3), by_concept(0, 5), by_concept(0, None)
    assert five and all(len(some) <= 5 for some in five.values())
    for id in {*five, *all_of_them}:
        assert two.get(id, []) + more.get(id, []) == five[id] == all_of_them[id][:5]
    assert set(five) <= {world.taxonomy.concepts[row].id for row in rows}


@pytest.mark.parametrize("name", MAKERS)
def test_a_template_has_one_role(world, name):
    roles = {(context.template, context.role) for context in all_made(name, world)}
    assert len(roles) == len({template for template, _ in roles})
    assert {role for _, role in roles} <= set(SHARES)


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_contexts(world, name):
    assert made(name, world, seed=3) == made(name, world, seed=3)


@pytest.mark.parametrize("name", MAKERS)
def test_no_gap_is_left_open_and_none_is_said_twice(world, name):
    for context in all_made(name, world):
        around = context.text[: context.start] + context.text[context.end :]
        assert "  " not in context.text and context.text == context.text.strip()
        if "{" not in "".join(f"{c.name}{c.gloss}" for c in world.taxonomy):
            assert "{" not in around and "}" not in around
