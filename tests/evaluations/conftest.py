import pytest
import torch
from toy_subject import CONTEXTS, TAXONOMY
from worlds import random_lm_folder, sentences
from worlds_store import harvested

from hsae.corpora import Document
from hsae.evaluations import Subject
from hsae.lm import load

SITE = "resid_post.1"


@pytest.fixture(scope="session")
def lm(tmp_path_factory):
    return load(str(random_lm_folder(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="session")
def store(lm, tmp_path_factory):
    """Activations of 300 documents, of which about 15 are held out."""
    documents = [Document(f"document {number}", text) for number, text in enumerate(sentences(300))]
    return harvested(lm, documents, tmp_path_factory.mktemp("store"), sites=[SITE], context=64)


@pytest.fixture(scope="session")
def subject(lm, store):
    """A maker of subjects: the dictionaries are the test's own, the rest is this world's."""

    def make(dictionaries, **changes):
        names = tuple(dictionaries)
        return Subject(
            **{
                "dictionaries": dictionaries,
                "studied": names[0],
                "nulls": names[-1:],
                "store": store,
                "site": SITE,
                "mean": store.rows(SITE, "train").mean(0),
                "lm": lm,
                "taxonomy": TAXONOMY,
                "contexts": CONTEXTS,
                "seed": 0,
                "tokens": 512,
                **changes,
            }
        )

    return make


@pytest.fixture
def held_out(store):
    return store.rows(SITE, "test")


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield
