import pytest
from worlds import FAMILIES, random_lm_folder

from hsae.lm.loading import load


@pytest.fixture(scope="session")
def families(tmp_path_factory):
    """One random LM per row of the site table, loaded by the real loader."""
    folder = tmp_path_factory.mktemp("models")
    return {family: load(str(random_lm_folder(folder, family))) for family in FAMILIES}


@pytest.fixture(scope="session")
def lm(families):
    return families["llama"]
