"""Every source in conf/concepts gives a taxonomy: a new one is tested by existing.

One that reads a file is tested on the small one that stands for it in FILES.
"""

import importlib
import re

import pytest
import yaml

from hsae import build
from hsae.concepts import hatcat, wordnet
from hsae.errors import UserError

FOLDER = build.conf_dir() / "concepts"
SOURCES = sorted(file.stem for file in FOLDER.glob("*.yaml"))

FILES = {
    "table": (
        "zoo.csv",
        "id,name,gloss,parents\nz:dog,dog,it barks,z:animal\nz:animal,animal,,\nz:cat,cat,,z:animal\n",
    ),
    "conceptnet": (
        "assertions.csv",
        "".join(
            f'/a/[]\t/r/{relation}\t/c/en/{start}\t/c/en/{end}\t{{"weight": {weight}}}\n'
            for relation, start, end, weight in [
                ("IsA", "dog/n", "animal/n", 2.0),
                ("IsA", "guide_dog", "dog/n", 1.0),
                ("HasA", "dog/n", "tail", 1.5),
                ("IsA", "animal/n", "guide_dog", 0.5),
            ]
        ),
    ),
    "wikipedia": ("titles.txt", "page_title\nDog\nMercury_(planet)\nMercury_(element)\nNew_York\n1984\n"),
    "sumo": (
        "zoo.kif",
        "(subclass Dog Animal) ; a comment\n(subclass GuideDog Dog)\n(subrelation son child)\n"
        '(documentation Dog EnglishLanguage "It barks.")\n(instance Rex Dog)\n',
    ),
    "skos": (
        "birds.ttl",
        """
        @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
        @prefix : <http://example.org/birds/> .
        :bird a skos:Concept ; skos:prefLabel "bird"@en .
        :owl a skos:Concept ; skos:prefLabel "owl"@en ; skos:broader :bird .
        :hen a skos:Concept ; skos:prefLabel "hen"@en ; skos:broader :bird .
        """,
    ),
}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads a source by name, with keys changed."""

    def load(name, **changed):
        if name == "wordnet" and not wordnet.found():
            pytest.skip("WordNet is not on this machine: make wordnet")
        if name in FILES:
            file, text = FILES[name]
            (tmp_path_factory.getbasetemp() / file).write_text(text)
            changed["path"] = str(tmp_path_factory.getbasetemp() / file)
        asked = build.settings("concepts", name).model_validate(said(name) | changed)
        module, settings = build.plugin("concepts", asked)
        return module.load(settings, seed=0)

    return load


def said(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", SOURCES)
def test_every_key_is_explained_behind_it(name):
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert [line for line in lines if "#" not in line and not line.startswith("name:")] == []


@pytest.mark.parametrize("name", [name for name in SOURCES if "path" in said(name)])
def test_without_a_file_it_says_what_to_get_and_a_file_is_told_by_its_content(name, load, tmp_path):
    module = importlib.import_module(f"hsae.concepts.{name}")
    for path, words in ((None, r"needs a file[\s\S]*concepts.path=<"), (tmp_path / "no", "no such file")):
        settings = module.Settings(**said(name) | {"path": path and str(path)})
        with pytest.raises(UserError, match=words):
            module.load(settings, seed=0)
    prints = []
    for folder, more in (("a", ""), ("b", ""), ("c", "\n")):
        file = tmp_path / folder / FILES[name][0]
        file.parent.mkdir()
        file.write_text(FILES[name][1] + more)
        prints.append(module.fingerprint(module.Settings(**said(name) | {"path": str(file)})))
    assert prints[0] == prints[1] != prints[2]


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
        assert "_" not in concept.name or hatcat.is_placeholder(concept.id)


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
