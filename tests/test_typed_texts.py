"""A text that is typed as a value is taken as it stands, whatever Hydra's grammar makes of its signs."""

import shlex

import pytest

from hsae import build
from hsae.build.lines import expand, literal

TEXTS = [
    "a loud [[animal]]",
    "It's raining (a lot), isn't it?",
    'He said "no", and left.',
    "Is 3 = 4? {a: 1}",
    "42",
    "true",
    "'Tis the season",
    "C:\\x \\",
    "${seed} costs $5",
    "'",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_arrives_as_it_was_typed(text: str):
    config = build.compose(["job=monitor", f"job.text={text}"])
    assert config.job.text == text
    # and once more from the command that is printed for whoever wants the same again
    again = build.compose(shlex.split(build.address(config).command)[1:])
    assert again.job.text == text


def test_texts_in_quotes_of_their_own_are_a_sweep():
    assert [words[1] for words in expand(["job=monitor", "job.text='one','two, three'"])] == [
        "job.text='one'",
        "job.text='two, three'",
    ]


def test_no_text_stays_none_and_other_keys_are_left_alone():
    assert build.compose(["job=monitor", "job.text=null"]).job.text is None
    for typed in ("sae.k=8,16", "layers.indices=[0,-1]", "job.text=", "~train"):
        assert literal(typed) == typed


def test_of_what_is_typed_twice_the_command_names_what_counts():
    config = build.compose(["job=bootstrap", "stage=raw", "concepts.n=5", "model=tiny", "concepts.n=7"])
    assert build.address(config).command == "hsae job=bootstrap stage=raw model=tiny concepts.n=7"
