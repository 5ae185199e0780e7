"""ConceptNet's English nodes: weighed by all that is said of them, each under what it most is."""

import gzip

import pytest

from hsae.concepts import conceptnet
from hsae.errors import UserError


def line(relation, start, end, weight=1.0):
    return f'/a/[]\t/r/{relation}\t/c/{start}\t/c/{end}\t{{"dataset": "/d/x", "weight": {weight}}}\n'


SMALL = "".join(
    [
        line("IsA", "en/dog/n", "en/animal/n", 3.0),
        line("IsA", "en/dog/n", "en/pet/n", 4.0),
        line("IsA", "en/pet/n", "en/animal/n", 2.0),
        line("IsA", "en/animal/n", "en/dog/n", 1.0),  # closes a circle
        line("HasA", "en/dog/n/wn/animal", "en/fore_paw", 0.5),
        line("Synonym", "en/dog/n", "fr/chien/n", 50.0),
        line("ExternalURL", "en/dog", "en/dog", 7.0),
        "/a/[]\t/r/ExternalURL\t/c/en/dog\thttp://example.org/c/en/dog\t{}\n",
        line("RelatedTo", "en/small/a/wn", "en/tiny/s/wn", 1.0),
    ]
)


@pytest.fixture
def load(tmp_path):
    def load(text=SMALL, *, pack=False, **changed):
        file = tmp_path / "assertions.csv"
        file.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
        said = {"name": "conceptnet", "path": str(file), "n": None, "senses": True, "parents": None} | changed
        return conceptnet.load(conceptnet.Settings(**said), seed=0)

    return load


def test_weights_of_english_assertions_add_up_and_other_languages_do_not_count(load):
    net = load()
    assert net["conceptnet:dog/n"].frequency == 3 + 4 + 1
    assert net["conceptnet:dog"].frequency == 7, "said of itself, counted once"
    assert not any("chien" in concept.id for concept in net)


def test_senses_have_keys_of_their_own_and_names_are_plain_words(load):
    net = load()
    assert net["conceptnet:dog/n/wn/animal"].name == net["conceptnet:dog"].name == "dog"
    assert net["conceptnet:fore_paw"].name == "fore paw"
    assert [net[f"conceptnet:{node}/wn"].pos for node in ("small/a", "tiny/s")] == ["a", "a"]


def test_without_senses_a_term_is_one_concept(load):
    net = load(senses=False)
    assert {concept.id for concept in net} == {
        f"conceptnet:{term}" for term in ("dog", "animal", "pet", "fore_paw", "small", "tiny")
    }
    assert net["conceptnet:dog"].frequency == 3 + 4 + 1 + 0.5 + 7


def test_the_heaviest_kind_is_the_main_parent_and_a_circle_loses_its_lightest_edge(load, capsys):
    net = load()
    assert net["conceptnet:dog/n"].parents == ("conceptnet:pet/n", "conceptnet:animal/n")
    assert net["conceptnet:animal/n"].parents == () and net["conceptnet:dog/n"].depth == 2
    assert "1 of 4 IsA edges close a circle" in capsys.readouterr().out
    assert load(parents=1)["conceptnet:dog/n"].parents == ("conceptnet:pet/n",)


def test_the_most_connected_come_first_and_bring_their_ancestors(load):
    assert [concept.name for concept in load(n=3)] == ["animal", "pet", "dog"]


def test_the_file_may_be_compressed(load):
    assert load(pack=True).concepts == load().concepts


def test_a_damaged_download_and_a_wrong_line_are_named(load, tmp_path):
    with pytest.raises(UserError, match="line 2: not an assertion"):
        load(SMALL[: SMALL.index("\n") + 1] + "\t/c/en/a\t/c/en/b\n")
    with pytest.raises(UserError, match="line 1: not an assertion"):
        load('/a\t/r/IsA\t/c/en/a\t/c/en/b\t{"weight": null}\n')
    with pytest.raises(UserError, match="no English assertions"):
        load(line("IsA", "fr/chien", "fr/animal"))
    file = tmp_path / "half.gz"
    file.write_bytes(gzip.compress(SMALL.encode())[:-20])
    settings = conceptnet.Settings(name="conceptnet", path=str(file), n=None, senses=True, parents=1)
    with pytest.raises(UserError, match="damaged after line"):
        conceptnet.load(settings, seed=0)
