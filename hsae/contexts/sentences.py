"""Running text -> sentences, by simple rules for English.

A sentence ends at a point, question mark or exclamation mark (with the quotes and brackets that close behind
it) before a space and a capital, digit or opening quote, and at an empty line. A point behind a title, a
common abbreviation or a single capital ("J. Smith") ends none: two sentences taken for one do less harm than
half a sentence.
"""

import re
from collections.abc import Iterator

ABBREVIATIONS = frozenset(
    """
    mr mrs ms messrs dr prof rev st sr jr gen col capt lt sgt maj gov sen rep hon pres supt mt ft no nos vol
    fig figs ed eds pp vs etc al cf viz e.g i.e inc ltd co corp dept est approx jan feb mar apr aug sept oct
    nov dec
    """.split()  # noqa: SIM905  a list literal would take eighty lines
)
END = re.compile(r"[.!?]+[\"'”’)\]]*(?= [\"'“‘(\[]*[A-Z0-9])")
LAST_WORD = re.compile(r"[\w.]*$")


def sentences(text: str) -> Iterator[str]:
    """The sentences in their order, runs of whitespace as one space."""
    for paragraph in re.split(r"\n\s*\n", text):
        line, start = " ".join(paragraph.split()), 0
        for end in END.finditer(line):
            if end[0] == "." and _abbreviated(line[start : end.start()]):
                continue
            yield line[start : end.end()]
            start = end.end() + 1
        if line[start:]:
            yield line[start:]


def _abbreviated(ahead: str) -> bool:
    """Whether the point behind this belongs to its last word."""
    found = LAST_WORD.search(ahead)
    word = found[0] if found else ""
    return word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I")
