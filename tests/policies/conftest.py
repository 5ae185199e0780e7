import pytest
from worlds import random_lm_folder

from hsae.lm import load


@pytest.fixture(scope="session")
def lm(tmp_path_factory):
    return load(str(random_lm_folder(tmp_path_factory.mktemp("model"))))
