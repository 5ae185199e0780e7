"""Every token of every document becomes one row at every site, exactly as the model computes it there."""

from itertools import islice

import pytest
import torch
from kills import contents
from worlds import sentences

from hsae.activations import Store
from hsae.activations import harvest as harvests
from hsae.activations.harvest import Reading, again, harvest, outlier_limits
from hsae.activations.shard import SPLITS, write
from hsae.activations.windows import Cursor, Window
from hsae.activations.writer import StoreWriter
from hsae.corpora import Document, split
from hsae.errors import UserError

SITES = ["resid_post.0", "attn_out.1", "final_norm"]
DOCUMENTS = [Document(f"doc {number}", text) for number, text in enumerate(sentences(40))]


def reading_of(**options):
    chosen = {"sites": SITES, "tokens": None, "context": 32, "batch_tokens": 256} | options
    return Reading(**chosen)


def steps(folder, lm, documents=DOCUMENTS, *, process=0, processes=1, **options):
    """The passes of a harvest, which ends with the index where one process does it all."""
    folder.mkdir(exist_ok=True)
    reading, read = reading_of(**options), lambda: documents
    limits = outlier_limits(lm, read, reading)
    writer = StoreWriter(folder, process=process)
    shares = {"process": process, "processes": processes}
    behind = yield from harvest(lm, read, writer, reading, limits=limits, rows=300, **shares)
    if processes == 1:
        finish(folder, lm, reading, limits, behind)


def finish(folder, lm, reading, limits, behind=()):
    harvests.finish(StoreWriter(folder), lm, reading, limits=limits, skipped=behind)


def make(folder, lm, documents=DOCUMENTS, **options):
    list(steps(folder, lm, documents, **options))
    return Store(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory, lm):
    return make(tmp_path_factory.mktemp("harvest") / "store", lm)


def test_rows_are_the_documents_tokens_in_order_without_gap(store, lm):
    texts = dict(enumerate(lm.reader.ids([document.text for document in DOCUMENTS])))
    seen = {}
    for name in SPLITS:
        rows = zip(store.documents(name), store.positions(name), store.tokens(name), strict=True)
        for document, position, token in (map(int, row) for row in rows):
            assert split(DOCUMENTS[document].id) == name
            assert len(seen.setdefault(document, [])) == position
            seen[document].append(token)
    assert seen == texts
    assert store.document_ids() == {number: document.id for number, document in enumerate(DOCUMENTS)}


def test_activations_are_those_of_each_window_read_alone(store, lm):
    documents, positions = store.documents("train"), store.positions("train")
    for item in list(reading_of().windows(lm, DOCUMENTS))[:25]:
        assert isinstance(item, Window)
        if item.split != "train":
            continue
        ids, mask = lm.reader.pad([item.ids.tolist()])
        first, last = int(item.position[0]), int(item.position[-1])
        rows = (documents == int(item.document[0])) & (positions >= first) & (positions <= last)
        for site, alone in lm.capture(ids, mask, SITES).items():
            torch.testing.assert_close(store.rows(site, "train")[rows], alone[0, 1:], rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("wanted", [1, 299, 300, 301, 777])
def test_the_budget_is_met_exactly(tmp_path, lm, store, wanted):
    cut = make(tmp_path / "store", lm, tokens=wanted)
    assert cut.count() == wanted == sum(cut.count(name) for name in SPLITS)
    for name in SPLITS:
        rows = cut.rows(SITES[0], name)
        torch.testing.assert_close(rows, store.rows(SITES[0], name)[: len(rows)], rtol=2e-3, atol=1e-3)


def test_a_corpus_that_ends_early_gives_what_it_has(tmp_path, lm, store):
    assert make(tmp_path / "store", lm, tokens=10**6).count() == store.count()


def test_batch_size_changes_no_row(tmp_path, lm, store):
    other = make(tmp_path / "store", lm, batch_tokens=31)
    for site in SITES:
        torch.testing.assert_close(other.rows(site, "train"), store.rows(site, "train"), rtol=2e-3, atol=1e-3)


def test_special_tokens_that_a_text_spells_give_no_rows(tmp_path, lm):
    text = "a dog<|endoftext|> a dog"
    rows = make(tmp_path / "store", lm, [Document("one", text)])
    name = split("one")
    assert 0 not in rows.tokens(name)
    assert rows.count() == len(lm.reader.ids([text])[0]) - 1
    assert rows.positions(name).tolist() == [n for n, id in enumerate(lm.reader.ids([text])[0]) if id != 0]


def test_broken_documents_are_named_skipped_and_counted(tmp_path, lm):
    broken = [
        Document("empty", "  \n"),
        Document("binary", "PK\0\1"),
        Document("half a character", "dog \ud800"),
        Document("number", 7),  # type: ignore[arg-type]
    ]
    mixed = [broken[0], *DOCUMENTS[:20], *broken[1:3], *DOCUMENTS[20:], broken[3]]
    found = make(tmp_path / "store", lm, mixed)
    assert [id for id, _ in found.skipped()] == ["empty", "binary", "half a character", "number"]
    assert found.count() == sum(len(ids) for ids in lm.reader.ids([document.text for document in DOCUMENTS]))


def test_a_document_that_was_skipped_before_the_budget_was_met_is_counted_once(tmp_path, lm):
    found = make(tmp_path / "store", lm, [DOCUMENTS[0], Document("blank", ""), *DOCUMENTS[1:]], tokens=60)
    assert found.count() == 60
    assert list(found.skipped()) == [("blank", "it is empty")]


def test_a_corpus_without_any_text_is_a_user_error(tmp_path, lm):
    with pytest.raises(UserError, match="no rows: 0 documents"):
        make(tmp_path / "none", lm, [])
    with pytest.raises(UserError, match=r"no rows: 1 documents(.|\n)*blank: it is empty"):
        make(tmp_path / "blank", lm, [Document("blank", "")])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 70000.0])
def test_a_number_that_cannot_be_stored_is_named_with_its_row_site_and_document(tmp_path, lm, wrong):
    target = lm.reader.ids([DOCUMENTS[3].text])[0][0]  # "3": the only document that starts so
    capture = lm.capture

    def spoil(ids, mask, sites, keep):
        found = capture(ids, mask, sites, keep=keep)
        there = (ids == target)[keep]
        return found | {"attn_out.1": torch.where(there[:, None], wrong, found["attn_out.1"])}

    row = sum(len(ids) for ids in lm.reader.ids([document.text for document in DOCUMENTS[:3]]))
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(UserError, match="attn_out.1, token 0 .*'doc 3'") as said,
    ):
        patch.setattr(type(lm), "capture", staticmethod(spoil))
        make(tmp_path / "store", lm, DOCUMENTS[:20])
    assert f"row {row} " in str(said.value)


@pytest.mark.parametrize(("context", "cure"), [(65, "64 or less"), (1, "2 or more")])
def test_a_context_that_the_model_does_not_have_is_a_user_error(tmp_path, lm, context, cure):
    with pytest.raises(UserError, match=f"capture.context={cure}"):
        make(tmp_path / "store", lm, context=context)


@pytest.mark.parametrize("packing", ["documents", "concatenated"])
@pytest.mark.parametrize("passes", [1, 2, 5])
def test_stopped_after_any_pass_and_run_again_it_is_the_same_to_the_byte(tmp_path, lm, passes, packing):
    documents = [*DOCUMENTS[:25], Document("blank", ""), *DOCUMENTS[25:]]
    whole = make(tmp_path / "whole", lm, documents, tokens=1000, packing=packing)
    for _ in range(4):
        going = steps(tmp_path / "stopped", lm, documents, tokens=1000, packing=packing)
        list(islice(going, passes))
        going.close()
    make(tmp_path / "stopped", lm, documents, tokens=1000, packing=packing)
    assert contents(tmp_path / "stopped") == contents(whole.folder)
    assert list(whole.skipped()) == [("blank", "it is empty")] and whole.reasons == {"it is empty": 1}


@pytest.mark.parametrize("processes", [2, 3])
def test_shared_by_several_processes_it_is_the_same_store(tmp_path, lm, store, processes):
    folder = tmp_path / "shared"
    for process in reversed(range(processes)):
        list(steps(folder, lm, process=process, processes=processes))
    finish(folder, lm, reading_of(), {})
    data = lambda of: {name: it for name, it in contents(of).items() if not name.startswith("journal")}
    assert data(folder) == data(store.folder)


def test_work_left_by_two_processes_is_gone_on_with_by_three(tmp_path, lm, store):
    folder = tmp_path / "shared"
    list(steps(folder, lm, process=1, processes=2))
    for process in range(3):
        list(steps(folder, lm, process=process, processes=3))
    finish(folder, lm, reading_of(), {})
    assert (folder / "store.json").read_bytes() == (store.folder / "store.json").read_bytes()


def test_a_shard_can_be_made_again_from_where_it_starts_and_ends_to_the_same_bytes(tmp_path, lm, store):
    lines = list(StoreWriter(store.folder).finished.values())
    for line in (lines[0], lines[2], lines[-1]):
        start, stop = Cursor(*line["start"]), Cursor(*line["next"])
        found = again(lm, lambda: DOCUMENTS, reading_of(), start=start, stop=stop, limits={})
        assert write(tmp_path / "again.h5", found) == line["checksum"]


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_the_dtype_changes_how_finely_rows_are_kept_and_nothing_else(tmp_path, lm, store, dtype):
    found = make(tmp_path / "store", lm, dtype=dtype)
    for site in SITES:
        exact, rows = store.rows(site, "train"), found.rows(site, "train")
        bound = exact.abs().amax(1, keepdim=True) / (127 if dtype == "int8" else 256)
        assert ((rows - exact).abs() <= bound + 1e-3).all()
        assert not torch.equal(rows, exact)
    assert torch.equal(found.tokens("train"), store.tokens("train"))


def test_outliers_are_dropped_at_all_sites_and_counted(tmp_path, lm, store):
    sample = {site: store.rows(site, "train").norm(dim=1) for site in SITES}
    factor = max(float(norm.max() / norm.median()) for norm in sample.values()) * 0.8
    found = make(tmp_path / "store", lm, outliers=factor)
    assert 0 < found.dropped < store.count() / 2
    assert found.count() + found.dropped == store.count()
    limits = outlier_limits(lm, lambda: DOCUMENTS, reading_of(outliers=factor))
    for name in SPLITS:
        stays = torch.ones(store.count(name), dtype=torch.bool)
        for site, limit in limits.items():
            stays &= store.rows(site, name).norm(dim=1) <= limit * (1 + 1e-3)
        assert abs(int(stays.sum()) - found.count(name)) <= 2  # float16 rounds a few across the limit
    assert set(limits) == set(SITES)


def test_what_an_outlier_is_follows_from_the_split_train_alone(lm):
    limits = lambda documents: outlier_limits(lm, lambda: documents, reading_of(outliers=2.0))
    train = [document for document in DOCUMENTS if split(document.id) == "train"]
    held_out = [document for document in DOCUMENTS if split(document.id) != "train"]
    assert limits([*held_out, *train]) == limits(train)
    with pytest.raises(UserError, match="no row of the split train"):
        limits(held_out)


def test_the_budget_counts_rows_before_outliers_are_dropped(tmp_path, lm):
    found = make(tmp_path / "store", lm, tokens=500, outliers=1.05)
    assert found.dropped > 0 and found.count() + found.dropped == 500


def test_a_store_s_rows_follow_from_the_windows_that_were_concatenated(tmp_path, lm):
    reading = reading_of(packing="concatenated")
    found = make(tmp_path / "store", lm, packing="concatenated")
    window = next(item for item in reading.windows(lm, DOCUMENTS) if isinstance(item, Window))
    assert len(window.names) > 1
    ids, mask = lm.reader.pad([window.ids.tolist()])
    kept = torch.from_numpy(window.kept)
    for site, alone in lm.capture(ids, mask, SITES).items():
        rows = found.rows(site, window.split)[: window.rows]
        torch.testing.assert_close(rows, alone[0, 1:][kept], rtol=2e-3, atol=1e-3)
