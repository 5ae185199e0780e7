"""An ontology in SUO-KIF: what stands above what, names and glosses; what is broken is named by its line."""

import gzip

import pytest

from hsae.concepts import sumo
from hsae.errors import UserError

ZOO = r"""
;; (subclass Comment Nothing)
(subclass Animal Object) ; behind a form (subclass Other Nothing)
(subclass GuideDog Dog)
(subclass GuideDog
   ContentBearingObject)
(subclass Dog Animal)
(documentation Dog EnglishLanguage "A \"pet\"; it (mostly) barks, e.g. at
&%GuideDogs.  The &%Dog is an &%Animal.")
(documentation Dog ChineseLanguage "狗。")
(documentation GuideDog EnglishLanguage "<b>It</b> leads.")
(termFormat EnglishLanguage Dog "dog")
(termFormat EnglishLanguage Dog "domestic_dog")
(termFormat EnglishLanguage Dog "dog")
(termFormat ChineseLanguage Dog "狗")
(subrelation properPart part)
(instance part BinaryRelation)
(instance Rex Dog)
(=> (instance ?X Dog) (subclass Rule Nothing))
(subclass ?X Nothing)
(subclass (ExtensionFn Red) Nothing)
(subclass "a string" Nothing)
"""


@pytest.fixture
def load(tmp_path):
    def load(text=ZOO, *, n=None, instances=False, name="zoo.kif"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return sumo.load(sumo.Settings(name="sumo", path=str(file), n=n, instances=instances), seed=0)

    return load


def test_terms_stand_under_all_of_their_parents_in_the_files_order(load):
    zoo = load()
    assert set(zoo.index) == {
        f"sumo:{term}"
        for term in (
            *("Object", "Animal", "Dog", "GuideDog", "ContentBearingObject"),
            *("part", "properPart"),
        )
    }
    assert zoo["sumo:GuideDog"].parents == ("sumo:Dog", "sumo:ContentBearingObject")
    assert zoo["sumo:GuideDog"].depth == 3 and zoo["sumo:properPart"].parents == ("sumo:part",)


def test_comments_rules_and_functions_say_nothing_and_what_is_left_out_is_said(load, capsys):
    assert not {"sumo:Nothing", "sumo:Comment", "sumo:Rule", "sumo:Other"} & set(load().index)
    assert "3 statements are not about terms alone" in capsys.readouterr().out


def test_individuals_come_only_where_they_are_asked_for(load):
    assert "sumo:Rex" not in load().index
    zoo = load(instances=True)
    assert zoo["sumo:Rex"].parents == ("sumo:Dog",) and zoo["sumo:part"].parents == ("sumo:BinaryRelation",)


def test_names_are_the_english_ones_or_the_term_in_words(load):
    zoo = load()
    assert zoo["sumo:Dog"].lemmas == ("dog", "domestic dog")
    assert zoo["sumo:ContentBearingObject"].lemmas == ("content bearing object",)
    assert [sumo.spelled(term) for term in ("properPart", "Year2000", "TVShow")] == [
        *("proper part", "year 2000", "TV show"),
    ]


def test_the_gloss_is_the_first_english_sentence_with_escaped_quotes_and_links_as_words(load):
    zoo = load()
    assert zoo["sumo:Dog"].gloss == 'A "pet"; it (mostly) barks, e.g. at guide dogs'
    assert zoo["sumo:GuideDog"].gloss == "It leads" and zoo["sumo:Animal"].gloss == ""


def test_a_circle_is_broken_at_the_edge_that_closes_it(load, capsys):
    zoo = load("(subclass A B)\n(subclass B C)\n(subclass C A)\n")
    assert [concept.id for concept in zoo] == ["sumo:C", "sumo:B", "sumo:A"]
    assert "1 edges close a circle" in capsys.readouterr().out


def test_those_nearest_to_the_roots_come_first(load):
    assert max(concept.depth for concept in load(n=5)) == 1


def test_a_compressed_file_is_the_same(load):
    assert load(gzip.compress(ZOO.encode()), name="zoo.kif.gz").concepts == load().concepts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(subclass A B)\n(subclass C\n  (D)\n", "line 2: the expression that begins here is never closed"),
        ("(subclass A B)\n\n(subclass C D))\n", "line 3: this parenthesis closes nothing"),
        ('(subclass A B)\n(documentation A EnglishLanguage "it\n\\")', "line 2: a string begins here"),
        ("(subclass A B)\nsubclass C D\n", "line 2: subclass stands outside of any"),
        ("(part A B)\n", "no .subclass X Y"),
    ],
)
def test_a_broken_file_is_named_with_its_line(load, text, says):
    with pytest.raises(UserError, match=says):
        load(text)
