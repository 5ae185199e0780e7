"""What a model writes becomes a context only where it passes; a made-up model writes what is to be judged."""

from collections import Counter
from functools import partial
from typing import NamedTuple

import pytest
from pydantic import ValidationError

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import Attempt, Context, Wanted, filters, generated
from hsae.contexts.prompts import KINDS, PROMPTS
from hsae.errors import UserError
from hsae.lm.loading import load
from hsae.lm.sampling import sample
from hsae.seeding import unit_interval

PETS = Taxonomy(
    [
        Concept("x:pet", "pet", gloss="an animal kept at home"),
        Concept("x:dog", "dog", gloss="it barks", parents=("x:pet",), lemmas=("dog", "hound")),
        Concept("x:cat", "cat", gloss="it purrs", parents=("x:pet",)),
        Concept("x:bare", "bare", parents=("x:pet",)),
    ]
)
DOG = PETS["x:dog"]
SAID = {
    "model": None,
    "kinds": KINDS,
    "prompts": 96,
    "patience": 16,
    "tokens": 40,
    "temperatures": (0.5, 1.0),
    "top_p": 0.95,
    "words": (3, 40),
    "ngram": 4,
    "alike": 0.8,
}


class Written(NamedTuple):
    text: str
    stop: str


def fluent(prompts, *, tokens, temperature, top_p, seed):
    """Every prompt gets words of its own; three in four name all pets, which only some may."""

    def one(prompt):
        numbers = [int(1e6 * unit_interval(f"{prompt}{seed}", salt=str(salt))) for salt in range(6)]
        named = " before the dog, the cat, the bare and the pet came" if numbers[0] % 4 else ""
        return Written(f" w{numbers[1]} w{numbers[2]} w{numbers[3]} w{numbers[4]}{named}. And so", "length")

    return [one(prompt) for prompt in prompts]


def made(sampler=fluent, *, rows=(0, 1, 2, 3), have=0, each=6, seed=0, **changed):
    wanted = Wanted(list(rows), [have] * len(rows), each, sample=sampler)
    settings = generated.Settings.model_validate(SAID | changed)
    return list(generated.make(PETS, settings, seed=seed, wanted=wanted))


def contexts(items):
    return [item for item in items if isinstance(item, Context)]


def verdicts(text, stop="length", **more):
    items = made(lambda prompts, **how: [Written(text, stop)] * len(prompts), rows=[1], **more)
    return {item.refused for item in items if isinstance(item, Attempt)}


def test_every_concept_gets_what_is_asked_for_and_the_span_is_its_word():
    found = contexts(made())
    assert Counter(context.concept for context in found) == dict.fromkeys(PETS.index, 6)
    for context in found:
        word = PETS[context.concept].name
        assert context.text[context.start : context.end] == word
        assert context.text[:1].isupper() and "  " not in context.text and "{" not in context.text


def test_the_prompt_is_no_part_of_the_context_and_the_word_never_opens_it():
    for context in contexts(made(each=20)):
        assert context.start > 10 and "A newspaper reports" not in context.text


def test_every_prompt_is_reported_before_what_came_of_it():
    items = made()
    for before, item in zip([None, *items], items, strict=False):
        if isinstance(item, Context):
            assert isinstance(before, Attempt) and before.refused is None
            assert (before.concept, before.template) == (item.concept, item.template)
    attempts = [item for item in items if isinstance(item, Attempt)]
    assert sum(attempt.refused is None for attempt in attempts) == len(contexts(items))
    assert {attempt.temperature for attempt in attempts} == {0.5, 1.0}
    assert len({(a.prompt, a.seed) for a in attempts}) == len(attempts)


def test_two_and_then_four_more_are_the_same_as_six_also_alone():
    six = made(rows=[1])
    assert six == made(rows=[1], each=2) + made(rows=[1], have=2, each=4)
    assert six == [item for item in made() if item.concept == "x:dog"]
    assert contexts(made(seed=1)) != contexts(made())


def test_roles_follow_the_kind_and_number_of_the_prompt_and_take_turns():
    found = contexts(made(rows=[1], each=40))
    assert len({(c.template, c.role) for c in found}) == len({c.template for c in found})
    for pos in PROMPTS:
        roles = Counter(template.role for template in generated.templates(pos, KINDS))
        assert set(roles) == {"fit", "tune", "test"}
    assert {context.role for context in found[:8]} == {"fit", "tune", "test"}


def test_without_a_gloss_or_a_sibling_the_prompts_that_need_one_are_left_out():
    for item in made(rows=[3], each=None):
        assert "loss}" not in item.template
    assert not [item for item in made(rows=[0], each=None) if "other}" in item.template]


def test_what_a_model_must_not_write_is_refused_by_name():
    usage = {"kinds": ("usage",)}
    assert verdicts(" it was a cold day.", **usage) == {"does not name it"}
    assert verdicts(" a dog.", **usage) == {"too short"}
    assert verdicts(f" dog {'x ' * 60}.", **usage) == {"too long"}
    assert verdicts(" the dog saw it and the dog saw it go.", **usage) == {"repeats itself"}
    assert verdicts(" the dog saw it and", **usage) == {"unfinished"}
    assert verdicts(" the dog saw it", stop="eos", **usage) == {None, "like an earlier one"}
    assert verdicts("", stop="not finite", **usage) == {"not finite"}
    assert verdicts("", stop="context", **usage) == {"no room in the model's context"}
    assert verdicts("\n", stop="eos", **usage) == {"empty"}
    assert verdicts("s the dog saw it.", **usage) == {"half a word"}
    assert verdicts(" a very old hound.", kinds=("definition",)) == {"names it"}


def test_refusals_in_a_row_end_a_series_and_the_number_of_prompts_does():
    refused = made(lambda prompts, **how: [Written(" no.", "eos")] * len(prompts), rows=[1], patience=5)
    assert len(refused) == 5
    attempts = [item for item in made(rows=[1], each=None, prompts=30) if isinstance(item, Attempt)]
    assert len(attempts) == 30


def test_names_are_found_whole_and_last():
    assert filters.mention("a dog and a dog-house", "dog") == (12, 15)
    assert filters.mention("hotdog dogs", "dog") is None
    assert filters.mention("Dog", "dog") == (0, 3) and filters.mention("DOG", "dog") is None
    assert filters.names("two Hounds", DOG) and not filters.names("dogma", DOG)


def test_near_duplicates_are_measured_by_their_words():
    earlier = [filters.words_of("one two three four")]
    assert filters.alike("four three two one five", earlier, 0.8)
    assert not filters.alike("four three two six five", earlier, 0.8)
    assert not filters.alike("anything", [], 0.8)


def test_a_real_model_writes_contexts_the_same_whatever_else_it_writes():
    lm = load("tiny")
    how = {"kinds": ("definition",), "patience": 4, "tokens": 16}
    items = made(partial(sample, lm), rows=[1, 2], each=2, **how)
    assert contexts(items) and items == made(partial(sample, lm), rows=[1, 2], each=2, **how)
    assert [item for item in items if item.concept == "x:cat"] == made(
        partial(sample, lm), rows=[2], each=2, **how
    )


def test_without_a_model_the_reason_is_told():
    settings = generated.Settings.model_validate(SAID)
    with pytest.raises(UserError, match="needs a language model that writes"):
        next(generated.make(PETS, settings, seed=0))


@pytest.mark.parametrize("wrong", [{"words": (9, 3)}, {"kinds": ()}, {"temperatures": ()}, {"top_p": 1.5}])
def test_impossible_choices_are_refused(wrong):
    with pytest.raises(ValidationError):
        generated.Settings.model_validate(SAID | wrong)
