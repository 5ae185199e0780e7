"""Two interpreters that were judged on the same rows are compared row by row."""

import subprocess
import sys

import numpy as np
import pytest

from hsae.errors import UserError
from hsae.interpreters.judging.judged import Judged, load, matched, save


def judged(uids, correct):
    n = len(uids)
    numbers = lambda: np.arange(n, dtype=np.int32)
    x = np.linspace(0, 1, n, dtype=np.float32)
    return Judged(np.array(uids, np.uint64), numbers(), numbers(), numbers(), np.array(correct, bool), x, x)


def test_it_comes_back_as_it_was(tmp_path):
    said = judged([2**64 - 1, 5, 7], [1, 0, 1])
    save(said, tmp_path)
    found = load(tmp_path)
    for column, was in zip(found, said, strict=True):
        assert column.dtype == was.dtype and (column == was).all()


def test_rows_are_matched_by_their_context_and_not_by_their_place():
    one, other = judged([9, 4, 6, 1], [1, 0, 0, 1]), judged([4, 9, 8, 1], [1, 0, 1, 0])
    first, second = matched(one, other)
    assert first.uid.tolist() == second.uid.tolist() == [1, 4, 9]
    assert first.correct.tolist() == [True, False, True]
    assert second.correct.tolist() == [False, True, False]


def test_nothing_in_common_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError, match="job.judge=templates"):
        matched(judged([1], [1]), judged([2], [1]))


def test_a_folder_without_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="hsae job=interpret"):
        load(tmp_path)


def test_it_is_read_without_torch():
    code = "import sys, hsae.interpreters.judging.judged; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
