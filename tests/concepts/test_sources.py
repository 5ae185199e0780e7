"""Every source in conf/concepts gives a taxonomy: a new one is tested by existing."""

import re

import pytest
import yaml

from hsae import build
from hsae.concepts import wordnet
from hsae.errors import UserError

FOLDER = build.conf_dir() / "concepts"
SOURCES = sorted(file.stem for file in FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads a source by name, with keys changed; the table gets a file to read."""

    def load(name, **changed):
        if name == "wordnet" and not wordnet.found():
            pytest.skip("WordNet is not on this machine: make wordnet")
        if name == "table":
            table = tmp_path_factory.getbasetemp() / "zoo.csv"
            table.write_text(
                "id,name,gloss,parents\nz:dog,dog,it barks,z:animal\nz:animal,animal,,\nz:cat,cat,,z:animal\n"
            )
            changed["path"] = str(table)
        said = yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) | changed
        module, settings = build.plugin("concepts", build.settings("concepts", name).model_validate(said))
        return module.load(settings, seed=0)

    return load


@pytest.fixture(scope="module", params=SOURCES)
def everything(request, load):
    """All that a source has, loaded once."""
    return request.param, load(request.param, n=None)


def test_ids_are_unique_and_every_parent_stands_before_its_children(everything):
    _, taxonomy = everything
    seen = set()
    for concept in taxonomy:
        assert concept.id not in seen and seen.issuperset(concept.parents)
        seen.add(concept.id)
    assert len(seen) == len(taxonomy) > 2


def test_depth_counts_the_steps_to_a_root(everything):
    _, taxonomy = everything
    for row, concept in enumerate(taxonomy):
        assert concept.depth == (
            0 if taxonomy.parents[row] < 0 else taxonomy.concepts[taxonomy.parents[row]].depth + 1
        )


def test_every_concept_has_an_id_of_its_source_and_a_name_among_its_lemmas(everything):
    for concept in everything[1]:
        assert re.fullmatch(r"\w+:\S+", concept.id)
        assert concept.name == concept.name.strip() != "" and concept.lemmas[0] == concept.name
        assert "_" not in concept.name


def test_the_same_choice_gives_the_same_concepts(everything, load):
    name, taxonomy = everything
    n = min(40, len(taxonomy))
    assert load(name, n=n).concepts == load(name, n=n).concepts


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_n_concepts_are_exactly_n_and_closed_under_parents(everything, load, n):
    name, taxonomy = everything
    n = min(n, len(taxonomy))
    chosen = load(name, n=n)  # a Taxonomy refuses a concept without its parents
    assert len(chosen) == n
    assert all(taxonomy[concept.id] == concept for concept in chosen)


def test_a_source_is_never_padded(everything, load):
    name, taxonomy = everything
    with pytest.raises(UserError, match=f"{len(taxonomy)} concepts"):
        load(name, n=len(taxonomy) + 1)
