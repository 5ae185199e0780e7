from importlib import import_module

import pytest

from hsae.build import compose

module = import_module("hsae.build.compose")  # the package's name for it is the function


@pytest.mark.parametrize(
    "overrides",
    [
        ("job=interpret", "interpreter=mlp", "interpreter.depth=1", "seed=3", "job.judge=templates"),
        ("policy=random", "job=bootstrap", "stage=race", "interpreter=lda"),
        ("experiment=encyclopedia", "policy=entropy", "seed=1", "job=interpret", "interpreter=linear"),
        # its file sets keys of its job: the halves depend on each other
        ("experiment=quickstart", "job=pipeline"),
    ],
    ids=lambda overrides: overrides[0],
)
def test_what_is_composed_in_parts_is_what_hydra_composes_at_once(overrides):
    assert compose(overrides).model_dump() == module._whole(module.conf_dir(), overrides).model_dump()
