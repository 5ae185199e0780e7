"""The sentences behind `contexts=[adversarial]`, by source and part of speech.

`{other}` is what the concept is taken for, `{first}` and `{second}` are both of them, in an order that is the
same whichever of the two the sentence is about.
"""

from typing import Literal, get_args

Source = Literal["pair", "negation", "contrast", "homograph", "unmentioned", "mentioned"]
SOURCES: tuple[Source, ...] = get_args(Source)

_NOUNS: dict[Source, tuple[str, ...]] = {
    "pair": (
        "They had to choose between {a_first} and {a_second}, and they chose {a}.",
        "The story could have been about {a_first} or about {a_second}; it is about {a}.",
        "The list named both {a_first} and {a_second}; he crossed out everything but {x}.",
        "Of {first} and {second}, the one that the story is about is {x}.",
        "Was it {a_first} or {a_second}? It was {a}.",
        "The first drawer said {first}, the second {second}; the key fitted the one that said {x}.",
        "One child drew {a_first}, the other {a_second}; the picture that won was of {a}.",
        "Between {first} and {second} there was never any doubt: everybody voted for {x}.",
    ),
    "negation": (
        "It was not {a_other} but {a}.",
        "This is no story about {a_other}; it is about {a}.",
        "Nobody had asked for {a_other}, everybody wanted {a}.",
        "What she meant was never {a_other}, it was {a}.",
        "He would not call it {a_other}, for it was {a}.",
        "They had expected {a_other} and were shown {a}.",
    ),
    "contrast": (
        "Unlike {a_other}, {a} is what the question was about.",
        "{A_other} is one thing, and {a} is another.",
        "Do not take {a_other} for {a}.",
        "People who know {a_other} well may still know nothing of {a}.",
        "Where others saw {a_other}, she saw {a}.",
        "The book has one chapter on {a_other} and the next on {a}.",
    ),
    "homograph": (
        "The word can mean {other_gloss}, but here it means {gloss}: {x}.",
        "In this text {gloss} is meant, not {other_gloss}, when we read {x}.",
        "Not {other_gloss}, but {gloss}: that is the sense of {x} here.",
        "He had {gloss} in mind, and they understood {other_gloss}, since both are called {x}.",
    ),
    "mentioned": (
        "The printer had set the word {x} in italics.",
        "How many letters has the word {x}? It has {letters}.",
        "Someone had misspelled the word {x} on the sign.",
        "In the crossword the word {x} fits across but not down.",
        "Type the word {x} twice to set the password.",
        "A line of this poem should end in something that rhymes with the word {x}.",
        "He practised his handwriting with the word {x}.",
        "The word {x} begins with the letter {initial}.",
    ),
}
_VERBS: dict[Source, tuple[str, ...]] = {
    "pair": (
        "They had the choice to {first} or to {second}, and they chose to {x}.",
        "Asked whether to {first} or to {second}, she said that it is best to {x}.",
        "Both to {first} and to {second} was possible, but he wanted to {x}.",
        "Of the verbs {first} and {second}, the one that the story turns on is {x}.",
        "Would she {first} or {second}? She would {x}.",
        "The first card said {first}, the second {second}; he drew the one that said {x}.",
    ),
    "negation": (
        "They did not {other}, they wanted to {x}.",
        "It was not her plan to {other} but to {x}.",
        "What she meant was never to {other}, it was to {x}.",
        "Not to {other}, not at all: to {x}.",
    ),
    "contrast": (
        "To {other} is one thing, and to {x} is another.",
        "Do not take the verb {other} for the verb {x}.",
        "Those who {other} may still know nothing of how to {x}.",
        "While others began to {other}, she began to {x}.",
    ),
    "homograph": (
        "The verb can mean to {other_gloss}, but here it means to {gloss}: {x}.",
        "Not to {other_gloss}, but to {gloss}: that is the sense of the verb {x} here.",
        "Not to {other_gloss}, but to {gloss}: in this sense we read {x} here.",
    ),
    "mentioned": _NOUNS["mentioned"],
}
_WORDS: dict[Source, tuple[str, ...]] = {
    "pair": (
        "Asked whether {first} or {second} was the right word, she said that it was {x}.",
        "Of the words {first} and {second}, the one that fits here is {x}.",
        "One wrote {first}, the other {second}; the text should say {x}.",
        "Was the word {first} or {second}? It was {x}.",
        "The first card said {first}, the second {second}; he drew the one that said {x}.",
    ),
    "negation": (
        "Not {other}, not at all: {x}.",
        "What she meant was never {other}, it was {x}.",
        "Nobody had said {other}, everybody had said {x}.",
    ),
    "contrast": (
        "To say {other} is one thing, and to say {x} is another.",
        "Do not take the word {other} for the word {x}.",
        "Where others would say {other}, she said {x}.",
    ),
    "homograph": (
        "The word can mean this: {other_gloss}. Here it means something else: {gloss}. The word is {x}.",
        "Not {other_gloss}, but {gloss}: that is what is meant here by {x}.",
        "In this text {gloss} is meant, not {other_gloss}, when we read {x}.",
    ),
    "mentioned": _NOUNS["mentioned"],
}
SENTENCES = {"n": _NOUNS, "v": _VERBS, "a": _WORDS, "r": _WORDS}
"""By part of speech; what does not name the concept stands in `PERIPHRASES`."""

PERIPHRASES = {
    "n": (
        "Last night they talked about {gloss}",
        "She could not find the word for {gloss}",
        "What he had in mind was {gloss}",
        "The answer to the riddle is {gloss}",
        "On the next page there is something about {gloss}",
    ),
    "v": (
        "Last night they began to {gloss}",
        "She could not find the verb for this: to {gloss}",
        "What he had in mind was to {gloss}",
        "They had been told to {gloss}",
    ),
    "a": (
        "She could not find the adjective for this: {gloss}",
        "Asked what it was like, he answered: {gloss}",
        "In other words, it was {gloss}",
    ),
    "r": (
        "She could not find the adverb for this: {gloss}",
        "Asked how it was done, he answered: {gloss}",
        "In other words, it was done {gloss}",
    ),
}
"""Uses without mention: the gloss in the word's place, at the end, where a causal LM has read all of it."""

PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "non-", "anti")
"""What turns a word into its antonym, mostly: where it does not (age, image), a sentence that sets the two
against each other still holds."""

_PAIRS = (
    "man/woman boy/girl day/night life/death war/peace love/hate friend/enemy winter/summer morning/evening "
    "north/south east/west heaven/hell light/darkness truth/lie victory/defeat question/answer profit/loss "
    "strength/weakness beginning/end birth/death joy/sorrow master/servant buyer/seller teacher/student "
    "wealth/poverty heat/cold entrance/exit arrival/departure success/failure good/evil hope/despair "
    "give/take come/go open/close buy/sell push/pull win/lose laugh/cry begin/end rise/fall love/hate "
    "remember/forget accept/reject build/destroy ask/answer arrive/leave lend/borrow "
    "good/bad big/small large/small hot/cold old/young new/old rich/poor fast/slow high/low long/short "
    "strong/weak hard/soft light/dark wet/dry full/empty early/late true/false happy/sad clean/dirty "
    "quickly/slowly well/badly always/never often/seldom here/there up/down"
)
ANTONYMS: dict[str, set[str]] = {}
"""Name -> the names of its antonyms; everyday ones, for the many sources that record none."""
for _pair in _PAIRS.split():
    _one, _two = _pair.split("/")
    ANTONYMS.setdefault(_one, set()).add(_two)
    ANTONYMS.setdefault(_two, set()).add(_one)
