"""Every token of every document becomes one row at every site, exactly as the model computes it there."""

from itertools import islice

import pytest
import torch
from kills import contents
from worlds import sentences

from hsae.activations.harvest import Skipped, harvest, windows
from hsae.activations.store import SPLITS, Cursor, Store, StoreWriter
from hsae.corpora import Document, split
from hsae.errors import UserError

SITES = ["resid_post.0", "attn_out.1", "final_norm"]
DOCUMENTS = [Document(f"doc {number}", text) for number, text in enumerate(sentences(40))]


def make(folder, lm, documents=DOCUMENTS, **options):
    chosen = {"sites": SITES, "tokens": None, "context": 32, "batch_tokens": 256, "shard_rows": 300} | options
    folder.mkdir(exist_ok=True)
    list(harvest(lm, documents, StoreWriter(folder), **chosen))
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
    for item in list(windows(lm, DOCUMENTS, context=32))[:25]:
        if split(item.id) != "train":
            continue
        ids, mask = lm.reader.pad([item.ids])
        rows = (
            (documents == item.document)
            & (positions >= item.position)
            & (positions < item.position + len(item.ids))
        )
        for site, alone in lm.capture(ids, mask, SITES).items():
            torch.testing.assert_close(store.rows(site, "train")[rows], alone[0, 1:], rtol=2e-3, atol=1e-3)


def test_windows_cover_a_long_document_without_overlap(lm):
    found = list(windows(lm, DOCUMENTS[:3], context=16))
    for number, ids in enumerate(lm.reader.ids([document.text for document in DOCUMENTS[:3]])):
        mine = [window for window in found if window.document == number]
        assert [id for window in mine for id in window.ids] == ids
        assert [window.position for window in mine] == list(range(0, len(ids), 15))


def test_reading_goes_on_in_the_middle_of_a_document(lm):
    found = list(windows(lm, DOCUMENTS[:6], context=16))
    for number in range(1, len(found)):
        before = found[number - 1]
        start = Cursor(before.document, before.position + len(before.ids))
        assert list(windows(lm, DOCUMENTS[:6], context=16, start=start)) == found[number:]


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
    assert [id for id, _ in found.skipped] == ["empty", "binary", "half a character", "number"]
    assert found.count() == sum(len(ids) for ids in lm.reader.ids([document.text for document in DOCUMENTS]))


def test_a_document_that_was_skipped_before_the_budget_was_met_is_counted_once(tmp_path, lm):
    found = make(tmp_path / "store", lm, [DOCUMENTS[0], Document("blank", ""), *DOCUMENTS[1:]], tokens=60)
    assert found.count() == 60
    assert found.skipped == [("blank", "it is empty")]


def test_a_corpus_without_any_text_is_a_user_error(tmp_path, lm):
    with pytest.raises(UserError, match="no rows: 0 documents"):
        make(tmp_path / "none", lm, [])
    with pytest.raises(UserError, match=r"no rows: 1 documents(.|\n)*blank: it is empty"):
        make(tmp_path / "blank", lm, [Document("blank", "")])


def test_a_skipped_document_is_said_once_in_its_place(lm):
    found = list(windows(lm, [DOCUMENTS[0], Document("blank", ""), DOCUMENTS[1]], context=64))
    assert [type(item) is Skipped for item in found] == [False, True, False]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 70000.0])
def test_a_number_that_cannot_be_stored_is_named_with_its_row_site_and_document(tmp_path, lm, wrong):
    target = lm.reader.ids([DOCUMENTS[3].text])[0][0]  # "3": the only document that starts so

    def spoil(x):
        return torch.where((ids == target)[..., None], wrong, x)

    capture, ids = lm.capture, None

    def spy(now, mask, sites):
        nonlocal ids
        ids = now
        return {
            site: spoil(x) if site == "attn_out.1" else x for site, x in capture(now, mask, sites).items()
        }

    row = sum(len(ids) for ids in lm.reader.ids([document.text for document in DOCUMENTS[:3]]))
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(UserError, match="attn_out.1, token 0 .*'doc 3'") as said,
    ):
        patch.setattr(type(lm), "capture", staticmethod(spy))
        make(tmp_path / "store", lm, DOCUMENTS[:20])
    assert f"row {row} " in str(said.value)


def test_a_context_that_the_model_does_not_have_is_a_user_error(tmp_path, lm):
    with pytest.raises(UserError, match="job.context=64 or less"):
        make(tmp_path / "store", lm, context=65)


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_stopped_after_any_pass_and_run_again_it_is_the_same_to_the_byte(tmp_path, lm, passes):
    documents = [*DOCUMENTS[:25], Document("blank", ""), *DOCUMENTS[25:]]
    whole = make(tmp_path / "whole", lm, documents, tokens=1000)
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    chosen = {"sites": SITES, "tokens": 1000, "context": 32, "batch_tokens": 256, "shard_rows": 300}
    for _ in range(4):
        steps = harvest(lm, documents, StoreWriter(stopped), **chosen)
        list(islice(steps, passes))
        steps.close()
    make(stopped, lm, documents, tokens=1000)
    assert contents(stopped) == contents(whole.folder)
    assert whole.skipped == [("blank", "it is empty")]
