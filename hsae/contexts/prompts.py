"""What a language model is asked to write for `contexts=[generated]`.

The models that write continue texts and follow no instructions, so a prompt is the beginning of a text. Of
these, `ask` is read by the model and thrown away; `lead` opens the text that is kept, what the model writes
goes on from it, and `tail` ends it. Where the tail has the gap for the concept the model must not name it (a
definition without the word), else it has to. The model, and whoever reads the context later, must not find
the word at the head of the text: there it would mean the same in all contexts.
"""

from typing import Literal, NamedTuple, get_args

Kind = Literal["definition", "usage", "dialogue", "question", "instruction", "contrast"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Wording(NamedTuple):
    """`ask`, `lead` and `tail` with the gaps of `sentence.Sentence`."""

    ask: str
    lead: str = ""
    tail: str = ""

    @property
    def text(self) -> str:
        """The whole, with `[...]` where the model writes."""
        return f"{self.ask} | {self.lead} [...]{self.tail}"


# the genres of `usage`: news, fiction, encyclopedia, letter, manual, review; then some of these again
NOUNS: dict[Kind, tuple[Wording, ...]] = {
    "definition": (
        Wording("What is {a}? {Gloss}. In other words, {a} is", "", ": this is what we call {a}."),
        Wording("{A} is {a_parent}: {gloss}. A {parent} is called {x} if it is", "If it is", ", it is {a}."),
        Wording("Dictionary. {x}: {gloss}. To a child one would say that {a} is", "", ", in a word: {a}."),
        Wording("{A} is {gloss}. Another way to describe {a} is to say that it is", "", "; this is {a}."),
    ),
    "usage": (
        Wording("A newspaper reports on {a}, {gloss}:", "Yesterday"),
        Wording("A story about {a}, {gloss}.", "One day,"),
        Wording("An encyclopedia has an entry on {a}, {gloss}. {A} is {a_parent}.", "It is known that"),
        Wording("She wrote him a letter about {a}, {gloss}:", "Dear friend,"),
        Wording("A manual says how to deal with {a}, {gloss}:", "Before you begin with"),
        Wording("A critic wrote about {a}, {gloss}:", "What I liked best about"),
        Wording("The news of today is {a}, {gloss}. Our reporter says:", "In the city,"),
        Wording("This is a tale of {a}, {gloss}.", "Once upon a time, there was"),
        Wording("A story about {a}, a kind of {parent}.", "It was a day on which"),
        Wording("{A} is a kind of {parent}. She told her sister about {a}:", "I must tell you that"),
    ),
    "dialogue": (
        Wording('Two friends talk about {a}, {gloss}. He said: "', "I have never seen"),
        Wording('The teacher told the class about {a}, {gloss}. She said: "', "Listen,"),
        Wording('They spoke of {a}, {gloss}. "What is {a}?" he asked. "', "Well,"),
    ),
    "question": (
        Wording("{A} is {gloss}. Ask for it without the word.", "Question: what is", "? Answer: {a}."),
        Wording("The answer to a riddle is {a}, {gloss}.", "Here is the riddle: it is", ". It is {a}."),
        Wording("A quiz on {parent} asks for {a}, {gloss}.", "Name", ". The answer is {a}."),
    ),
    "instruction": (
        Wording("How to explain {a}, {gloss}, to a child:", "First say that"),
        Wording("What to do with {a}, {gloss}:", "First,"),
        Wording("How to draw {a}, {gloss}:", "Begin with"),
    ),
    "contrast": (
        Wording("{A} is {gloss}. {A_other} is not {a}, but both are kinds of {parent}.", "Unlike {a_other},"),
        Wording("{A_other} is not {a}, for {a} is {gloss}.", "Not {a_other}, but", ": {a}."),
        Wording("{A} and {a_other} are both kinds of {parent}.", "{A_other} is not", ", but {a} is."),
    ),
}
WORDS: dict[Kind, tuple[Wording, ...]] = {
    "definition": (
        Wording("The word {x} means: {gloss}. In other words, it means", "", ": this is what {x} means."),
        Wording("Dictionary. {x}: {gloss}. It can also be said to mean", "", ", in a word: {x}."),
        Wording("The meaning of {x} is {gloss}, or in other words", "", "; the word for this is {x}."),
    ),
    "usage": (
        Wording("A newspaper uses the word {x}, that is, {gloss}:", "Yesterday"),
        Wording("A story with the word {x}, which means {gloss}.", "One day,"),
        Wording("An encyclopedia uses the word {x} for this: {gloss}.", "It is known that"),
        Wording("She wrote him a letter with the word {x}, {gloss}:", "Dear friend,"),
        Wording("A manual uses the word {x}, {gloss}:", "Before you begin,"),
        Wording("A critic used the word {x}, {gloss}:", "What I liked best was"),
        Wording("Here is a sentence with the word {x}.", "In the end"),
        Wording("The word {x} is used in a story.", "It was a day on which"),
    ),
    "dialogue": (
        Wording('Two friends use the word {x}, {gloss}. He said: "', "I have never"),
        Wording('The teacher spoke the word {x}, {gloss}. She said: "', "Listen,"),
    ),
    "question": (
        Wording("The word {x} means {gloss}. Ask for it.", "Which word means", "? Answer: {x}."),
        Wording("The answer to a riddle is {x}, {gloss}.", "It means", ". The answer is {x}."),
    ),
    "instruction": (
        Wording("How to explain the word {x}, {gloss}, to a child:", "First say that"),
        Wording("How to use the word {x}, {gloss}:", "First,"),
    ),
    "contrast": (
        Wording("The word {x} means {gloss}. The word {other} is not the same.", "Unlike the word {other},"),
        Wording("The word {x} does not mean {other} but {gloss}.", "Not {other}, but", ": {x}."),
    ),
}
PROMPTS = {"n": NOUNS, "v": WORDS, "a": WORDS, "r": WORDS}
"""By part of speech: the prompts speak of verbs, adjectives and adverbs as words, so none is inflected."""
