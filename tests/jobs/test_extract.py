"""job=extract as a person meets it: a store by address, made once, whatever happens meanwhile."""

import json
import shutil

import pytest
from kills import contents, killed_and_whole
from worlds import random_lm_folder, sentences

from hsae import build
from hsae.activations import Store, writer
from hsae.activations.writer import finished
from hsae.build import address
from hsae.errors import ConfigError, UserError
from hsae.execute import execute, plan


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_lm_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number, text in enumerate(sentences(80)):
        (folder / f"{number:03d}.txt").write_text(text)
    return folder


@pytest.fixture
def compose(tmp_path, model, corpus):
    common = [
        "job=extract",
        f"model.path={model}",
        "corpus=text",
        f"corpus.path={corpus}",
        "corpus.tokens=500",
    ]
    common += ["capture.context=32", "layers=all", f"outputs={tmp_path}", "hardware=cpu", "concepts=builtin"]
    common += ["evaluations=[]"]  # none of it enters a store
    return lambda *overrides: build.compose([*common, *overrides])


def test_a_store_of_all_chosen_sites_is_made_and_then_found(compose):
    made = execute(compose())
    assert made.state == "made"
    store = Store(made.folder)
    assert store.sites == ["resid_post.0", "resid_post.1", "resid_post.2"]
    assert store.count() == made.metrics["rows"] == 500
    assert made.metrics["skipped"] == 0 and made.metrics["tokens_per_second"] > 0
    assert execute(compose()).state == "there"


def test_what_decides_the_content_decides_the_address_and_nothing_else(compose, corpus, tmp_path, model):
    where = lambda *overrides: address(compose(*overrides)).fingerprint
    same = (
        ["hardware.batch_tokens=7", "hardware.processes=3"],
        ["seed=5"],
        ["layers.sites=[resid_post.0,resid_post.1,resid_post.2]"],
    )
    other = (["capture.context=31"], ["layers=last"], ["corpus.tokens=501"], ["model.path=tiny"])
    other += (["capture.packing=concatenated"], ["capture.dtype=int8"], ["capture.outliers=10"])
    for overrides in same:
        assert where(*overrides) == where(), overrides
    for overrides in other:
        assert where(*overrides) != where(), overrides
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in (corpus, model)]
    assert where(f"model.path={copies[1]}") == where()
    before = where(f"corpus.path={copies[0]}")
    (copies[0] / "000.txt").write_text("another text")
    assert where(f"corpus.path={copies[0]}") != before


def test_the_plan_says_how_large_the_store_will_be(compose):
    sizes = plan([compose()])[0].sizes
    folder = execute(compose()).folder
    written = sum(file.stat().st_size for file in folder.glob("*.h5"))
    assert sizes["rows"] == 500
    assert sizes["bytes"] == pytest.approx(written, rel=0.2)


def test_a_corpus_that_is_too_short_says_so_and_gives_what_it_has(compose, capsys):
    made = execute(compose("corpus.tokens=100000"))
    assert 500 < made.metrics["rows"] < 100_000
    assert f"the corpus ended after {made.metrics['rows']:,} of 100,000 rows" in capsys.readouterr().out


def test_mistakes_are_answered_before_or_instead_of_a_store(compose, tmp_path):
    with pytest.raises(UserError, match="no layer 7"):
        execute(compose("layers.indices=[7]"))
    for tried in (execute, lambda config: plan([config])):
        with pytest.raises(ConfigError, match="capture.context=64 or less"):
            tried(compose("capture.context=100"))
    with pytest.raises(UserError, match="not a directory"):
        execute(compose(f"model.path={tmp_path / 'none'}"))
    assert not list(tmp_path.glob("extract/[!.]*"))


def test_a_killed_extraction_goes_on_and_ends_with_the_same_bytes(tmp_path, model, corpus):
    killed, whole = killed_and_whole(
        tmp_path,
        imports="""
            from hsae import build
            from hsae.activations import sizes
            from hsae.execute import execute
            sizes.SHARD_ROWS = 1
        """,
        work=f"""
            execute(build.compose(["job=extract", "model.path={model}", "corpus=text", "corpus.path={corpus}",
                                   "corpus.tokens=3500", "capture.context=32", "hardware=cpu",
                                   "evaluations=[]", f"outputs={{out}}"]))
        """,
    )
    data = lambda files: {name: hash for name, hash in files.items() if name.endswith((".h5", "store.json"))}
    assert data(killed) == data(whole) and len(data(whole)) > 3


def test_several_processes_write_the_same_store(compose, monkeypatch):
    one = execute(compose("corpus.tokens=3500", "hardware.threads=1"))
    data = lambda of: {name: it for name, it in contents(of).items() if name.endswith((".h5", "store.json"))}
    before, seen = data(one.folder), set()

    def looked_at(folder):
        seen.update(file.name for file in folder.iterdir() if file.suffix != ".part")
        return finished(folder)

    monkeypatch.setattr(writer, "finished", looked_at)
    two = execute(compose("corpus.tokens=3500", "hardware.threads=1", "hardware.processes=2", "force=true"))
    assert two.state == "made" and data(two.folder) == before
    # nor was there a file before that, which a kill would leave for another run to publish
    assert "log.jsonl" in seen and not [name for name in seen if name.startswith(".")]


def test_what_fails_in_a_process_is_told_as_if_it_had_failed_here(compose):
    with pytest.raises(UserError, match=r"(?s)one of 2 processes.*no module 'model.nothing'"):
        execute(compose("layers.sites=[out:model.nothing]", "hardware.processes=2"))


def test_a_file_that_cannot_be_read_is_named_and_counted(compose, corpus, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(corpus, mixed)
    (mixed / "999.txt").write_bytes(b"\0\1\2 binary")
    outcome = execute(compose(f"corpus.path={mixed}", "corpus.tokens=300000"))
    assert outcome.metrics["skipped"] == 1
    assert "999.txt" in (outcome.folder / "skipped.jsonl").read_text()


def test_reasons_for_passing_over_are_told_in_a_few_lines_however_many_there_are(compose, tmp_path, capsys):
    rows = [{"text": text} for text in sentences(40)] + [{f"key{n}": n} for n in range(30)]
    rows += [{"text": ""}, {"text": " "}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["corpus=jsonl", f"corpus.path={tmp_path / 'rows.jsonl'}", "corpus.column=text", "corpus.id=null"]
    made = execute(compose(*words, "corpus.tokens=300000"))
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if "passed over" in line]
    assert len(told) == 6 and told[-1].endswith("other reasons; skipped.jsonl has them all")
    assert "passed over: 2, such as rows.jsonl#71: it is empty" in told
    assert len((made.folder / "skipped.jsonl").read_text().splitlines()) == made.metrics["skipped"]
