"""Every maker in conf/contexts puts the word where it says: a new one is tested by existing."""

from itertools import groupby

import pytest
import yaml

from hsae import build
from hsae.concepts import Concept, Taxonomy, builtin, wordnet
from hsae.contexts import SHARES, Context

FOLDER = build.conf_dir() / "contexts"
MAKERS = sorted(file.stem for file in FOLDER.glob("*.yaml"))


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
    settings = wordnet.Settings(name="wordnet", n=150, pos=pos, order="frequency", instances=False)
    return wordnet.load(settings, seed=0)


WORLDS = {
    "odd": odd,
    "builtin": lambda: builtin.load(builtin.Settings(name="builtin", n=150), seed=0),
    "nouns of wordnet": lambda: from_wordnet("n"),
    "verbs of wordnet": lambda: from_wordnet("v"),
}


@pytest.fixture(scope="module", params=WORLDS)
def taxonomy(request) -> Taxonomy:
    return WORLDS[request.param]()


def made(name: str, taxonomy: Taxonomy, seed: int = 0, **changed) -> list[Context]:
    said = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())[name] | changed
    module, settings = build.plugin(
        "contexts", build.settings("contexts", name).model_validate(said), name=name
    )
    return list(module.make(taxonomy, settings, seed=seed))


@pytest.mark.parametrize("name", MAKERS)
def test_the_span_is_the_word(taxonomy, name):
    for context in made(name, taxonomy):
        word = taxonomy[context.concept].name
        assert context.text[context.start : context.end].lower() == word.lower()
        assert context.text[context.start + 1 : context.end] == word[1:]


@pytest.mark.parametrize("name", MAKERS)
def test_concepts_come_in_the_taxonomys_order_each_with_contexts(taxonomy, name):
    assert [id for id, _ in groupby(made(name, taxonomy), key=lambda c: c.concept)] == [
        c.id for c in taxonomy
    ]


@pytest.mark.parametrize("name", MAKERS)
def test_no_concept_gets_a_template_twice(taxonomy, name):
    contexts = made(name, taxonomy)
    assert len({(context.concept, context.template) for context in contexts}) == len(contexts)


@pytest.mark.parametrize("name", MAKERS)
def test_a_template_has_one_role(taxonomy, name):
    roles = {(context.template, context.role) for context in made(name, taxonomy)}
    assert len(roles) == len({template for template, _ in roles})
    assert {role for _, role in roles} <= set(SHARES)


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_contexts(taxonomy, name):
    assert made(name, taxonomy, seed=3) == made(name, taxonomy, seed=3)


@pytest.mark.parametrize("name", MAKERS)
def test_no_gap_is_left_open_and_none_is_said_twice(taxonomy, name):
    for context in made(name, taxonomy):
        around = context.text[: context.start] + context.text[context.end :]
        assert "  " not in context.text and context.text == context.text.strip()
        if "{" not in "".join(f"{c.name}{c.gloss}" for c in taxonomy):
            assert "{" not in around and "}" not in around
