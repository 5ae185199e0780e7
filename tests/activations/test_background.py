"""A thread that works ahead changes when things happen, never what comes out."""

import subprocess
import sys
import threading
import time

import pytest

from hsae.activations.background import ahead


def test_the_items_are_the_same_in_the_same_order():
    assert list(ahead(iter(range(100)), depth=3)) == list(range(100))
    assert list(ahead([])) == []


def test_the_next_item_is_made_while_this_one_is_used():
    made = []

    def items():
        for number in range(3):
            made.append(number)
            yield number

    reading = ahead(items())
    next(reading)
    deadline = time.monotonic() + 5
    while len(made) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made[:2] == [0, 1]
    reading.close()


def test_no_more_than_depth_items_are_made_ahead():
    made = []
    reading = ahead((made.append(number) or number for number in range(100)), depth=2)
    next(reading)
    time.sleep(0.3)
    assert len(made) <= 1 + 2 + 1  # used, waiting, and the one in the maker's hand
    reading.close()


def test_what_goes_wrong_in_the_thread_is_raised_in_its_place():
    def items():
        yield 1
        raise ValueError("broken")

    reading = ahead(items())
    assert next(reading) == 1
    with pytest.raises(ValueError, match="broken"):
        next(reading)


def test_the_thread_ends_and_the_source_is_closed_when_nobody_reads_on():
    closed = threading.Event()

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    before = threading.active_count()
    reading = ahead(items())
    next(reading)
    reading.close()
    assert closed.is_set() and threading.active_count() == before


FORGOTTEN = """
from hsae.activations.background import ahead

def items():
    try:
        while True:
            yield "made"
    finally:
        print("ended")

found = ahead(items())
print(next(found))
"""


def test_a_program_that_forgets_it_ends_the_thread_before_the_interpreter_goes():
    done = subprocess.run([sys.executable, "-c", FORGOTTEN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["made", "ended"] and not done.stderr
