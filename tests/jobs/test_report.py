"""The job around the page: what it asks for, what it writes."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from hsae import build
from hsae.errors import ConfigError
from hsae.execute import Job
from hsae.jobs import report
from hsae.loggers import Log

sys.path.append(str(Path(__file__).resolve().parents[1] / "report"))
from worlds_report import whole  # noqa: E402  planted results lie beside the tests of the page

DATA = ("concepts=wordnet", "corpus=wordnet")


def config(*overrides: str):
    return build.compose(["job=report", *DATA, *overrides])


def test_a_line_may_be_a_sweep():
    needs = report.needs(config(build.quoted("job.of", ["job=evaluate sae=topk,hierarchical seed=0,1"])))
    assert [need.job for need in needs.values()] == ["evaluate"] * 4
    assert {need.overrides for need in needs.values()} == {
        (f"sae={sae}", f"seed={seed}") for sae in ("topk", "hierarchical") for seed in (0, 1)
    }


@pytest.mark.parametrize("of", [[], ["sae=topk"]])
def test_a_report_of_nothing_is_refused_with_what_to_type(of):
    with pytest.raises(ConfigError, match="job="):
        report.needs(config(build.quoted("job.of", of)))


def test_the_title_names_the_folder():
    assert report.slug(config("job.title='Do teachers help?'")) == "do-teachers-help"
    assert report.slug(config("name=quickstart")) == "quickstart"
    assert report.slug(config("job.title='!!!'")) == "report"


def test_page_and_tables_are_written(tmp_path: Path):
    inputs = {one.fingerprint: one for one in whole(tmp_path / "outputs").made}
    out = tmp_path / "out"
    out.mkdir()
    metrics = report.run(Job(config("job.title='Do teachers help?'"), out, inputs, log=MagicMock(spec=Log)))
    assert metrics["results"] == len(inputs)
    assert metrics["passed"] == "9 of 34 claims", "a trivial claim has not passed"
    assert metrics["bytes"] == (out / "report.html").stat().st_size
    assert "<h1>Do teachers help?</h1>" in (out / "report.html").read_text()
    assert {path.name for path in out.iterdir()} == {
        *("report.html", "latents.csv", "scores.csv", "scores.json", "verdicts.csv", "verdicts.json"),
    }


def test_a_report_needs_no_torch():
    every = "markup numbers plot page sections read summary tables projection"
    line = f"import hsae.jobs.report, {', '.join(f'hsae.report.{name}' for name in every.split())}, sys"
    subprocess.run([sys.executable, "-c", f"{line}; assert 'torch' not in sys.modules"], check=True)
