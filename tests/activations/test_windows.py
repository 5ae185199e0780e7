"""Every token of a corpus stands in exactly one window, and portions of windows can start anywhere."""

import pytest
from worlds import sentences

from hsae.activations.windows import START, Cursor, Window, chunks, windows
from hsae.corpora import Document, Skipped, split

DOCUMENTS = [Document(f"doc {number}", text) for number, text in enumerate(sentences(40))]
BLANK = Document("blank", " ")
PACKINGS = ("documents", "concatenated")


@pytest.fixture(scope="module")
def reader(lm):
    return lm.reader


def rows(found):
    """(document, position, token) of every row, in order."""
    return [
        (int(document), int(position), int(token))
        for window in found
        for document, position, token, kept in zip(
            window.document, window.position, window.ids, window.kept, strict=True
        )
        if kept
    ]


def whole(reader, documents=DOCUMENTS):
    texts = reader.ids([document.text for document in documents])
    return [(number, place, id) for number, ids in enumerate(texts) for place, id in enumerate(ids)]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("room", [1, 7, 15, 1000])
def test_windows_cover_the_corpus_in_order_without_gap_or_overlap(reader, packing, room):
    found = list(windows(reader, DOCUMENTS, room=room, packing=packing))
    assert rows(found) == whole(reader)
    assert all(0 < len(window.ids) <= room for window in found)


def test_a_window_of_the_packing_documents_holds_one_document(reader):
    found = list(windows(reader, DOCUMENTS, room=15))
    assert all(len(set(window.document.tolist())) == 1 == len(window.names) for window in found)


def test_concatenated_windows_are_full_but_where_the_split_changes_or_the_corpus_ends(reader):
    room = 40
    found = list(windows(reader, DOCUMENTS, room=room, packing="concatenated"))
    for window, after in zip(found, found[1:], strict=False):
        assert len(window.ids) + len(reader.prefix) >= room or window.split != after.split
    mixed = [window for window in found if len(window.names) > 1]
    assert len(mixed) > 5


def test_no_window_mixes_splits(reader):
    for window in windows(reader, DOCUMENTS, room=200, packing="concatenated"):
        assert {split(name) for name in window.names.values()} == {window.split}


def test_documents_in_one_window_are_set_apart_by_the_prefix_which_gives_no_row(reader):
    window = next(windows(reader, DOCUMENTS, room=200, packing="concatenated"))
    turns = [at for at in range(1, len(window.ids)) if window.document[at] != window.document[at - 1]]
    assert turns
    for at in turns:
        assert window.ids[at : at + 1].tolist() == reader.prefix and not window.kept[at]


@pytest.mark.parametrize("packing", PACKINGS)
def test_reading_goes_on_behind_any_window(reader, packing):
    found = list(windows(reader, DOCUMENTS[:9], room=16, packing=packing))
    for number in range(1, len(found)):
        rest = windows(reader, DOCUMENTS[:9], room=16, packing=packing, start=found[number - 1].next)
        for one, other in zip(rest, found[number:], strict=True):
            assert all((a == b).all() for a, b in zip(one[:4], other[:4], strict=True))


def portions(reader, documents=DOCUMENTS, **options):
    chosen = {"rows": 100, "most": None} | options
    return list(chunks(windows(reader, documents, room=16), **chosen))


def test_a_chunk_starts_where_the_one_before_it_ends_and_holds_enough_rows(reader):
    found = portions(reader)
    assert found[0].start == START and [chunk.number for chunk in found] == list(range(len(found)))
    assert all(before.next == after.start for before, after in zip(found, found[1:], strict=False))
    assert all(100 <= chunk.rows < 116 for chunk in found[:-1])
    assert rows(window for chunk in found for window in chunk.windows) == whole(reader)


@pytest.mark.parametrize("most", [1, 99, 100, 101, 333])
def test_the_budget_is_met_to_the_row(reader, most):
    found = portions(reader, most=most)
    assert rows(window for chunk in found for window in chunk.windows) == whole(reader)[:most]


def test_chunks_of_exact_size_leave_no_row_out(reader):
    found = portions(reader, exactly=True)
    assert [chunk.rows for chunk in found[:-1]] == [100] * (len(found) - 1)
    assert rows(window for chunk in found for window in chunk.windows) == whole(reader)
    cut = portions(reader, exactly=True, most=333)
    assert rows(window for chunk in cut for window in chunk.windows) == whole(reader)[:333]


def test_chunks_of_one_split_hold_its_rows_alone_and_the_budget_counts_all(reader):
    of = {number: split(document.id) for number, document in enumerate(DOCUMENTS)}
    for name in ("train", "valid"):
        found = portions(reader, only=name, most=700, exactly=True, rows=50)
        expected = [row for row in whole(reader)[:700] if of[row[0]] == name]
        assert rows(window for chunk in found for window in chunk.windows) == expected


def test_later_chunks_are_the_same_when_read_from_their_start(reader):
    found = portions(reader)
    for number in (1, 3):
        start = found[number].start
        rest = list(
            chunks(
                windows(reader, DOCUMENTS, room=16, start=start),
                rows=100,
                most=None,
                number=number,
                start=start,
            )
        )
        assert [chunk.start for chunk in rest] == [chunk.start for chunk in found[number:]]
        assert rows(rest[0].windows) == rows(found[number].windows)


def test_skipped_documents_are_told_once_with_the_chunk_that_follows_them(reader):
    mixed = [BLANK, *DOCUMENTS[:20], BLANK._replace(id="second"), *DOCUMENTS[20:], BLANK._replace(id="last")]
    found = portions(reader, mixed)
    said = [skipped.id for chunk in found for skipped in chunk.skipped]
    assert said == ["blank", "second", "last"]
    assert found[0].skipped == [Skipped("blank", "it is empty")]
    alone = portions(reader, [BLANK])
    assert [chunk.windows for chunk in alone] == [[]] and alone[0].skipped[0].id == "blank"


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("enough", [1, 30, 100])
def test_reading_goes_on_behind_any_chunk_and_meets_each_skipped_document_once(reader, packing, enough):
    blanks = [Document(f"blank {number}", " ") for number in range(40)]
    mixed = [document for pair in zip(DOCUMENTS, blanks, strict=True) for document in pair]

    def read(start, number):
        found = windows(reader, mixed, room=40, packing=packing, start=start)
        return list(chunks(found, rows=enough, most=None, number=number, start=start))

    found = read(START, 0)
    told = [[skipped.id for skipped in chunk.skipped] for chunk in found]
    assert sum(told, []) == [document.id for document in blanks]
    for number, chunk in enumerate(found[:-1], start=1):
        rest = read(chunk.next, number)
        assert [[skipped.id for skipped in after.skipped] for after in rest] == told[number:]
        assert [after.next for after in rest] == [after.next for after in found[number:]]


def test_documents_skipped_behind_the_last_row_come_without_windows(reader):
    last = portions(reader, [*DOCUMENTS, BLANK], rows=10_000)
    assert [len(chunk.skipped) for chunk in last] == [0, 1] and not last[1].windows
    assert last[0].next == last[1].start == last[1].next


def test_a_window_knows_the_place_behind_it(reader):
    found = [item for item in windows(reader, DOCUMENTS[:2], room=7) if isinstance(item, Window)]
    last = found[-1]
    assert last.next == Cursor(1, len(reader.ids([DOCUMENTS[1].text])[0]))
