"""A thesaurus arrives with its names, glosses and hierarchy, in Turtle as in RDF/XML."""

import gzip

import pytest
from rdflib import Graph

from hsae.concepts import skos
from hsae.errors import UserError

BIRDS = """
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix : <http://example.org/> .
:bird a skos:Concept ; skos:prefLabel "bird"@en, "Vogel"@de ; skos:narrower :hen .
:owl a skos:Concept ; skos:prefLabel "owl"@en-GB ; skos:altLabel "hooter"@en, "Kauz"@de ;
    skos:definition [ rdf:value "it hunts at night"@en ] ; skos:broader :bird, :hunter .
:hen a skos:Concept ; skos:prefLabel "hen" ; skos:definition "it lays eggs" ; skos:example "a hen clucked" .
:hunter a skos:Concept ; skos:prefLabel "hunter"@en .
:nameless a skos:Concept ; skos:prefLabel "Huhn"@de ; skos:broader :bird .
[] a skos:Concept ; skos:prefLabel "no URI"@en .
"""


@pytest.fixture
def load(tmp_path):
    def load(text=BIRDS, name="birds.ttl", **changed):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        said = {"name": "skos", "path": str(file), "n": None, "language": "en"} | changed
        return skos.load(skos.Settings(**said), seed=0)

    return load


def test_names_glosses_and_examples_are_those_of_the_language(load):
    birds = load()
    owl, hen = birds["http://example.org/owl"], birds["http://example.org/hen"]
    assert owl.lemmas == ("owl", "hooter") and owl.gloss == "it hunts at night"
    assert hen.name == "hen" and hen.gloss == "it lays eggs" and hen.examples == ("a hen clucked",)


def test_what_stands_above_is_told_from_either_end(load):
    birds = load()
    assert birds["http://example.org/hen"].parents == ("http://example.org/bird",)
    assert birds["http://example.org/owl"].parents == ("http://example.org/bird", "http://example.org/hunter")
    assert [concept.depth for concept in birds] == [0, 0, 1, 1]


def test_concepts_without_a_name_or_a_uri_are_left_out_and_said(load, capsys):
    assert len(load()) == 4
    said = capsys.readouterr().out
    assert "2 concepts have no name" in said and "1 edges lead to what is not there" in said


def test_another_language_gives_other_names(load):
    names = {concept.name for concept in load(language="de")}
    assert names == {"Vogel", "Huhn", "hen"}, "what has no language stands in where there is no German"
    with pytest.raises(UserError, match="none has a skos:prefLabel in fr"):
        load(BIRDS.replace('"hen" ;', '"hen"@en ;'), language="fr")


def test_rdf_xml_n_triples_and_compressed_files_say_the_same(load):
    graph = Graph().parse(data=BIRDS, format="turtle")
    expected = load().concepts
    for name, form in (("birds.rdf", "pretty-xml"), ("birds.xml", "xml"), ("birds.nt", "nt")):
        assert load(graph.serialize(format=form), name).concepts == expected
    assert load(gzip.compress(BIRDS.encode()), "birds.ttl.gz").concepts == expected


def test_a_circle_is_broken_and_said(load, capsys):
    more = BIRDS + ":bird skos:broader :owl .\n"
    assert len(load(more)) == 4
    assert "1 edges close a circle" in capsys.readouterr().out


def test_the_upper_concepts_come_first(load):
    assert {concept.name for concept in load(n=2)} == {"bird", "hunter"}


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("<a", "birds.ttl", "this is not turtle"),
        ("<a", "birds.rdf", "this is not xml"),
        ("a b c", "birds.nt", "this is not nt"),
        ("", "birds.ttl", "of 0 concepts none has"),
        ("", "birds.owl", "a thesaurus is a file such as"),
    ],
)
def test_a_file_that_is_no_thesaurus_is_named(load, text, name, said):
    with pytest.raises(UserError, match=said):
        load(text, name)
