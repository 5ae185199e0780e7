"""Sentences that people wrote: only those where the word is there and means the concept."""

import re
import time
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import Context, Role, Wanted, natural, role_of
from hsae.contexts.finder import Finder
from hsae.contexts.forms import forms
from hsae.contexts.senses import Senses, content_words
from hsae.contexts.sentences import sentences
from hsae.errors import UserError

SHORE = Concept(
    "x:bank.1", "bank", gloss="sloping land beside a river", examples=("they sat on the bank and fished",)
)
MONEY = Concept("x:bank.2", "bank", gloss="an institution that lends money and keeps deposits")
TOWN = Taxonomy(
    [
        SHORE,
        MONEY,
        Concept("x:owl", "owl", gloss="a bird of the night", examples=("wise as an owl", "it hooted")),
        Concept("x:lend", "lend", pos="v", gloss="give for a time"),
        Concept("x:hot_dog", "hot dog", gloss="a sausage in a roll"),
        Concept("x:dog", "dog", gloss="it barks"),
        Concept("x:rose", "rose", gloss="a flower with thorns"),
        Concept("x:Rose", "Rose", gloss="a name of women"),
    ]
)


def written(folder: Path, **files: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return str(folder)


def settings(path: str | None, **changed) -> natural.Settings:
    said = {"examples": False, "corpus": "text", "words": (1, 50), "margin": 2, "per_concept": None}
    said["most"] = 1000
    return natural.Settings.model_validate({**said, "path": path, **changed})


def made(path: str | None, *, wanted: Wanted | None = None, seed: int = 0, **changed) -> natural.Natural:
    return natural.make(TOWN, settings(path, **changed), seed=seed, wanted=wanted)


def spans(contexts) -> list[tuple[str, str]]:
    return [(context.concept, context.text[context.start : context.end]) for context in contexts]


def test_examples_come_with_their_sense_and_need_no_judge():
    found = made(None, examples=True)
    assert list(found) == [
        Context(
            "x:bank.1", "they sat on the bank and fished", 16, 20, *_from("they sat on the bank and fished")
        ),
        Context("x:owl", "wise as an owl", 11, 14, *_from("wise as an owl")),
    ]
    assert found.passed == {"examples without the word": 1}


def _from(example: str) -> tuple[str, Role, str]:
    name = next(c.template for c in made(None, examples=True) if c.text == example)
    assert re.fullmatch(r"examples/[0-9a-f]{12}", name)
    return name, role_of(example), "examples"


def test_inflected_forms_and_capitals_count_and_the_span_is_the_form(tmp_path):
    text = 'Owls hunt at night. "Lending is easy." He lent it to the owl\'s keeper.'
    found = made(written(tmp_path / "t", a=text))
    assert sorted(spans(found)) == [
        ("x:lend", "Lending"),
        ("x:lend", "lent"),
        ("x:owl", "Owls"),
        ("x:owl", "owl"),
    ]


def test_only_whole_words_count_and_the_longest_name_wins(tmp_path):
    text = "A howl and an owl-like cry. She ate two hot dogs. The dog slept."
    assert sorted(spans(made(written(tmp_path / "t", a=text)))) == [
        ("x:dog", "dog"),
        ("x:hot_dog", "hot dogs"),
    ]


def test_a_capital_inside_a_sentence_is_a_name(tmp_path):
    text = "She gave Rose a rose. They met Owl there."
    assert sorted(spans(made(written(tmp_path / "t", a=text)))) == [("x:Rose", "Rose"), ("x:rose", "rose")]


def test_a_word_of_two_senses_counts_only_where_the_other_words_decide(tmp_path):
    text = (
        "The bank lends money to those who have deposits. They walked along the bank of the river, on "
        "sloping land. She passed the bank."
    )
    found = made(written(tmp_path / "t", a=text))
    assert {(c.concept, c.text.split()[1]) for c in found if "bank" in c.concept} == {
        ("x:bank.2", "bank"),
        ("x:bank.1", "walked"),
    }
    assert found.passed["words of undecided sense"] == 1


def test_a_larger_margin_decides_less(tmp_path):
    path = written(tmp_path / "t", a="The bank keeps money. The bank lends money and keeps deposits.")
    counts = [sum("bank" in c.concept for c in made(path, margin=margin)) for margin in (1, 2, 3, 4, 5)]
    assert counts == [2, 2, 1, 1, 0]


def test_the_role_is_that_of_the_document_and_a_repeated_sentence_counts_once(tmp_path):
    files = {f"n{number}": f"An owl came. The owl number {number} left." for number in range(30)}
    found = made(written(tmp_path / "t", **files))
    contexts = list(found)
    assert all(context.role == role_of(context.template) for context in contexts)
    assert {context.role for context in contexts} == {"fit", "tune", "test"}
    assert len({context.text for context in contexts}) == len(contexts) == 31
    assert found.passed["sentences that came before"] == 29
    assert Counter(context.role for context in contexts[:4]) == {"fit": 2, "tune": 1, "test": 1}


def test_one_file_is_cut_into_documents_so_that_all_roles_are_there(tmp_path):
    text = "\n\n".join(f"The owl of page {page} said: {'hoot ' * 300}." for page in range(60))
    path = written(tmp_path / "t", book=text) + "/book.txt"
    contexts = list(made(path, words=(1, 1000)))
    assert {context.role for context in contexts} == {"fit", "tune", "test"}
    assert {context.template.split("#")[0] for context in contexts} == {"book.txt"}


def test_the_choice_of_a_cap_is_the_beginning_of_the_whole_order(tmp_path):
    files = {f"n{number}": f"The owl number {number} left." for number in range(40)}
    path = written(tmp_path / "t", **files)
    whole = list(made(path))
    assert list(made(path, per_concept=7)) == whole[:7]
    assert list(made(path, wanted=Wanted([2], [7], 6))) == whole[7:13]
    assert [c.text for c in made(path, seed=1)] != [c.text for c in whole]
    assert {c.text for c in made(path, seed=1)} == {c.text for c in whole}


def test_what_a_concept_gets_does_not_depend_on_who_else_is_asked_for(tmp_path):
    text = "The owl and the dog sat on a rose. The bank lends money and keeps deposits. Lend me the owl."
    path = written(tmp_path / "t", a=text)
    everyone = list(made(path))
    for row, concept in enumerate(TOWN):
        alone = list(made(path, wanted=Wanted([row], [0], None)))
        assert alone == [context for context in everyone if context.concept == concept.id]


def test_sentences_too_short_or_too_long_are_passed_over_and_counted(tmp_path):
    found = made(
        written(tmp_path / "t", a="Owl! The owl sat there. The owl " + "very " * 20 + "late."), words=(3, 9)
    )
    assert [context.text for context in found] == ["The owl sat there."]
    assert found.passed == {"sentences too short or too long": 2}


def test_files_that_are_no_text_are_counted(tmp_path):
    path = written(tmp_path / "t", a="The owl sat there.", empty=" ")
    (tmp_path / "t" / "latin.txt").write_bytes(b"caf\xe9 owl")
    found = made(path)
    assert len(list(found)) == 1
    assert found.passed == {"files that are not UTF-8 text": 1, "files that are empty or binary": 1}


def test_a_missing_path_or_nothing_to_read_is_refused_with_what_to_type(tmp_path):
    with pytest.raises(UserError, match=r"contexts\.natural\.path=.*no such file"):
        list(made(str(tmp_path / "nowhere")))
    with pytest.raises(UserError, match="no .txt or .md file"):
        list(made(str(tmp_path)))
    with pytest.raises(UserError, match=r"Type contexts\.natural\.path="):
        natural.make(Taxonomy([Concept("x:a", "owl")]), settings(None, examples=True), seed=0)
    for wrong in ({"examples": False}, {"words": (9, 3)}, {"corpus": "wordnet"}):
        with pytest.raises(ValidationError):
            settings(None, **{"examples": True, **wrong})


def brown(tmp_path, *more):
    """Two samples as NLTK has them."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "ca01").write_text("The/at owl/nn sat/vbd on/in the/at rose/nn ./.\n")
    (shelf / "cb02").write_text("The/at bank/nn lends/vbz money/nn and/cc keeps/vbz deposits/nns ./.\n")
    for name, text in more:
        (shelf / name).write_text(text)
    return str(shelf)


def test_brown_gives_sentences_whose_sense_is_judged_and_whose_documents_are_its_samples(tmp_path):
    found = made(brown(tmp_path), corpus="brown")
    contexts = {context.concept: context for context in found}
    assert set(contexts) == {"x:owl", "x:rose", "x:bank.2", "x:lend"}
    owl = contexts["x:owl"]
    assert owl.text == "The owl sat on the rose." and (owl.template, owl.source) == ("brown/ca01", "brown")
    assert owl.role == role_of("brown/ca01")


def test_what_a_corpus_skips_is_counted_by_reason_and_all_of_it_is_said(tmp_path, capsys):
    found = made(brown(tmp_path, ("cc03", "no tags\n")), corpus="brown", words=(1, 6))
    assert len(list(found)) == 2
    assert found.passed["sentences too short or too long"] == 1
    assert [why for why in found.passed if why.startswith("documents: not a tagged text")]
    said = capsys.readouterr().out
    assert "1 sentences too short or too long" in said and "not a tagged text" in said


def test_no_more_documents_than_asked_are_read(tmp_path):
    path = brown(tmp_path)
    assert {c.template for c in made(path, corpus="brown", most=1)} == {"brown/ca01"}
    plain = written(tmp_path / "t", a="An owl.", b="An owl came.")
    assert [c.text for c in made(plain, most=1)] == ["An owl."]


def test_brown_that_is_not_here_says_what_to_install_and_an_unknown_corpus_what_there_is(tmp_path):
    (tmp_path / "empty").mkdir()
    for read in (lambda s: list(natural.make(TOWN, s, seed=0)), natural.fingerprint):
        with pytest.raises(UserError, match=r"nltk\.downloader brown[\s\S]*contexts\.natural\.path"):
            read(settings(str(tmp_path / "empty"), corpus="brown"))
    with pytest.raises(UserError, match=r"corpus=bown: there is no such corpus[\s\S]*corpus=brown"):
        made(None, corpus="bown", examples=True)


def test_the_fingerprint_of_a_corpus_follows_its_files(tmp_path):
    path = brown(tmp_path)
    first = natural.fingerprint(settings(path, corpus="brown"))
    assert first == natural.fingerprint(settings(path, corpus="brown"))
    (tmp_path / "shelf" / "ca01").write_text("An/at owl/nn ./.\n")
    assert first != natural.fingerprint(settings(path, corpus="brown"))


def test_the_fingerprint_follows_the_words_in_the_files(tmp_path):
    path = written(tmp_path / "t", a="The owl.")
    first = natural.fingerprint(settings(path))
    written(tmp_path / "t", a="The own.")
    assert first != natural.fingerprint(settings(path))
    assert natural.fingerprint(settings(None, examples=True)) is None


def test_ten_thousand_names_cost_little_more_than_ten(tmp_path):
    words = [f"w{number}x" for number in range(10_000)]
    line = " ".join(f"The {words[(7 * n) % 10_000]} of it stood there." for n in range(2_000))
    few, many = (Finder((n, word, "n") for n, word in enumerate(words[:size])) for size in (10, 10_000))
    start = time.perf_counter()
    for sentence in sentences(line):
        list(few.find(sentence))
    middle = time.perf_counter()
    assert sum(len(list(many.find(sentence))) for sentence in sentences(line)) == 2_000
    assert time.perf_counter() - middle < 5 * (middle - start) + 0.05


def test_the_finder_agrees_with_one_pattern_for_each_name():
    names = ["owl", "barn owl", "Owl Creek", "story", "creek", "bird's nest", "T-shirt", "box"]
    text = (
        "Barn owls and an owl's story. The Owl Creek is a creek. Two boxes, bird's nests, T-shirts and "
        "stories; owl-like, a howl, story-telling, Boxes."
    )
    finder = Finder((number, name, "n") for number, name in enumerate(names))
    slow = []
    for number, name in enumerate(names):
        for form in forms(name, "n"):
            pattern = rf"(?<![\w-]){re.escape(form)}(?!\w)(?!-\w)"
            slow += [(m.start(), m.end(), number) for m in re.finditer(pattern, text)]
    slow.append((0, len("Barn owls"), 1))  # a capital at the head
    kept = [a for a in slow if not any(b != a and b[0] <= a[0] and a[1] <= b[1] for b in slow)]
    assert [(w.start, w.end, *w.senses) for w in finder.find(text)] == sorted(kept)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met J. P. Jones in St. Louis.", ["Dr. Smith met J. P. Jones in St. Louis."]),
        ('"Go." He went. (Yes.) No.', ['"Go."', "He went.", "(Yes.)", "No."]),
        (
            "It cost 3.5 dollars, e.g. more. Then I. He too.",
            ["It cost 3.5 dollars, e.g. more.", "Then I.", "He too."],
        ),
        ("A title\n\nA line that\ngoes on", ["A title", "A line that goes on"]),
        ("  \n\n ", []),
    ],
)
def test_text_is_split_where_sentences_end(text, split):
    assert list(sentences(text)) == split


@pytest.mark.parametrize(
    ("name", "pos", "others"),
    [
        ("dog", "n", {"dogs"}),
        ("story", "n", {"stories"}),
        ("day", "n", {"days"}),
        ("box", "n", {"boxes"}),
        ("woman", "n", {"women"}),
        ("analysis", "n", {"analyses"}),
        ("head of state", "n", {"heads of state"}),
        ("mother-in-law", "n", {"mothers-in-law"}),
        ("run", "v", {"runs", "ran", "running"}),
        ("stop", "v", {"stops", "stopped", "stopping"}),
        ("try", "v", {"tries", "tried", "trying"}),
        ("lie", "v", {"lies", "lay", "lain", "lying"}),
        ("agree", "v", {"agrees", "agreed", "agreeing"}),
        ("give up", "v", {"gives up", "gave up", "given up", "giving up"}),
        ("red", "a", set()),
        ("soon", "r", set()),
    ],
)
def test_a_words_forms(name, pos, others):
    assert forms(name, pos)[0] == name
    assert set(forms(name, pos)) == {name} | others


def test_relatives_speak_for_a_sense_and_function_words_for_none():
    kinds = [Concept("x:snag", "willow shore", parents=("x:bank.1",)), MONEY]
    senses = Senses(Taxonomy([SHORE, *kinds]))
    assert senses.choose((0, 2), content_words("a willow at the shore of it"), margin=2) == 0
    assert senses.choose((0, 2), content_words("they were not on the very same"), margin=1) is None
    assert senses.choose((2,), content_words("nothing at all"), margin=9) == 2
