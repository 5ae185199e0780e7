"""The benchmark of monitoring compares the same rows, and tells both ratios."""

from experiments.benchmarks.encyclopedia import monitor
from experiments.benchmarks.harvest import worlds


def test_both_sides_do_the_same_rows_and_both_ratios_are_told():
    world = worlds.random("toy", rows=300, batch_tokens=512)
    beside, share = monitor.measure(world, 1, concepts=500)
    assert (beside.asked, beside.most) == (0.7, False) and beside.outcome in ("PASS", "FAIL")
    assert "top 10 of 500" in beside.measured and "bare product" in beside.beside
    assert share.ratio is not None and share.ratio.value > 0 and "us/token" in share.beside
    (alone,) = monitor.of_width(16, 1, concepts=500, rows=64)
    assert alone.asked == 0.7
