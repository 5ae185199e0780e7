"""The contexts behind raw rows are theirs, row for row; a control that reads them again reads the same."""

import numpy as np
import pytest
import torch
from worlds import toy_contexts, toy_taxonomy

from hsae.encyclopedia import Encyclopedia
from hsae.encyclopedia.contexts_table import uid
from hsae.encyclopedia.gather import gather
from hsae.encyclopedia.rereading import EMBED, EMBEDDING, UNTRAINED, Rereading, reread
from hsae.encyclopedia.sampled import sampled_of
from hsae.encyclopedia.writer import Reading, Stage, write
from hsae.errors import UserError

SITES = ["resid_post.0", "mlp_out.2"]
TAXONOMY = toy_taxonomy(10)


def make(folder, lm, *, templates=slice(None)):
    folder.mkdir()
    reading = Reading(sites=SITES, poolings=("last", "span"), sample=2, batch_tokens=120)
    contexts = list(toy_contexts(TAXONOMY))[templates]
    for _ in write(lm, TAXONOMY, contexts, folder, reading=reading, stage=Stage("templates", 1), block=4):
        pass
    return Encyclopedia(folder)


@pytest.fixture(scope="module")
def book(tmp_path_factory, lm):
    return make(tmp_path_factory.mktemp("encyclopedia") / "one", lm)


@pytest.fixture(scope="module")
def again(tmp_path_factory, lm, book):
    """The same model at the same sites, as the one, and its token embeddings, as the other reader."""
    folder = tmp_path_factory.mktemp("again")
    for reader, sites in ((UNTRAINED, SITES), (EMBEDDING, [EMBED])):
        assert list(reread(lm, book, folder, reader=reader, sites=sites, batch_tokens=90)) == [0, 1, 2]
    return Rereading(folder, book)


@pytest.mark.parametrize("role", ["fit", "tune", "test", "all"])
def test_the_contexts_behind_raw_rows_give_these_rows(book, lm, role):
    rows, of = book.rows(SITES[0], role=role), sampled_of(book, role)
    x = gather(lm, of.contexts, SITES, batch_tokens=200, poolings=("last",)).vectors[SITES[0], "last"]
    np.testing.assert_allclose(x, rows.x, rtol=2e-3, atol=2e-3)
    ids = [concept.id for concept in book.taxonomy]
    assert [context.concept for context in of.contexts] == [ids[row] for row in rows.concept]
    assert [context.template for context in of.contexts] == [book.templates[row] for row in rows.template]
    assert of.uid.tolist() == [uid(context) for context in of.contexts]


@pytest.mark.parametrize("role", ["fit", "tune", "test"])
def test_the_same_model_reads_the_same_rows_again(book, again, role):
    for site in SITES:
        np.testing.assert_allclose(
            again.rows(UNTRAINED, site, role=role), book.rows(site, role=role).x, rtol=2e-3, atol=2e-3
        )


def test_token_embeddings_know_neither_places_nor_neighbours(book, again, lm):
    """The embedding of the span's last token, looked up by hand."""
    contexts = sampled_of(book, "fit").contexts
    tokens = lm.tokenize([context.text for context in contexts])
    inside = tokens.within([(context.start, context.end) for context in contexts])
    last = torch.stack([ids[span][-1] for ids, span in zip(tokens.ids, inside, strict=True)])
    found = again.rows(EMBEDDING, EMBED, role="fit")
    np.testing.assert_allclose(found, lm.embedding[last].numpy(), rtol=2e-3, atol=2e-3)


def test_what_is_there_is_not_read_again(book, again, lm, monkeypatch):
    monkeypatch.setattr("hsae.encyclopedia.rereading.gather", lambda *_, **__: pytest.fail("it was read"))
    list(reread(lm, book, again.folder, reader=UNTRAINED, sites=SITES, batch_tokens=90))
    (again.folder / "embedding-00001.h5").unlink()
    with pytest.raises(pytest.fail.Exception, match="it was read"):
        list(reread(lm, book, again.folder, reader=EMBEDDING, sites=[EMBED], batch_tokens=90))
    monkeypatch.undo()
    list(reread(lm, book, again.folder, reader=EMBEDDING, sites=[EMBED], batch_tokens=90))


def test_a_reading_of_other_contexts_is_refused(tmp_path, again, lm):
    other = make(tmp_path / "other", lm, templates=slice(0, None, 2))
    with pytest.raises(UserError, match="other contexts"):
        Rereading(again.folder, other).rows(UNTRAINED, SITES[0], role="fit")


def test_a_reader_that_was_not_there_is_known_to_be_missing(tmp_path, book):
    assert not Rereading(tmp_path, book).has(EMBEDDING)
