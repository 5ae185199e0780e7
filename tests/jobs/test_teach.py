"""job=teach as a person meets it: vectors and verdicts from the encyclopedia or the unembedding."""

import json

import pytest
import torch

import hsae
from hsae import build
from hsae.build import address
from hsae.errors import ConfigError, UserError
from hsae.execute import execute
from hsae.jobs import teach

SITE = "resid_post.1"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def book(outputs):
    """The encyclopedia that a teacher is made from, of the LM inside the package."""
    config = composed(outputs)
    for stage in ("raw", "templates"):
        execute(build.compose([*without_job(config), "job=bootstrap", f"stage={stage}"]))
    return outputs


def composed(outputs, *overrides):
    common = ["job=teach", "teacher=encyclopedia", "model=tiny", f"layers.sites=[{SITE}]", "concepts=builtin"]
    common += ["concepts.n=60", "contexts.templates.families=[scene]", f"outputs={outputs}", "hardware=cpu"]
    return build.compose([*common, "evaluations=[]", *overrides])


def without_job(config):
    return [line for line in config.overrides if not line.startswith("job=")]


def test_it_teaches_what_the_encyclopedia_knows(book):
    made = execute(composed(book))
    patterns = hsae.load(made.folder)
    encyclopedia = hsae.load(next((book / "bootstrap").glob("*templates*")))
    assert made.metrics["concepts"] == len(patterns.names) == len(encyclopedia.taxonomy)
    assert list(patterns.names) == [concept.id for concept in encyclopedia.taxonomy]
    assert patterns.parents.tolist() == encyclopedia.taxonomy.parents
    torch.testing.assert_close(patterns.write, encyclopedia.vectors(SITE), rtol=1e-4, atol=1e-4)
    verdicts = json.loads((made.folder / "verdicts.json").read_text())
    assert len(verdicts) == 4 and {"claim", "value", "null", "threshold", "outcome", "trivial"} <= set(
        verdicts[0]
    )
    said = json.loads((made.folder / "teacher.json").read_text())
    assert said["site"] == SITE and said["shrinkage"] == 0.1 and said["metric_condition"] > 1
    assert execute(composed(book)).state == "there"


def test_one_of_the_sites_of_an_encyclopedia_teaches(book):
    layers = "layers.sites=[resid_post.0,resid_post.1]"
    for stage in ("raw", "templates"):
        execute(build.compose([*without_job(composed(book, layers)), "job=bootstrap", f"stage={stage}"]))
    for site in ("resid_post.0", "resid_post.1"):
        made = execute(composed(book, layers, f"site={site}"))
        assert json.loads((made.folder / "teacher.json").read_text())["site"] == site
    with pytest.raises(ConfigError, match="site=resid_post.1"):
        teach.needs(composed(book, layers))


def test_a_control_is_another_artifact_with_other_vectors(book):
    plain, rotated = (
        hsae.load(execute(composed(book, f"teacher.control={c}")).folder) for c in ("none", "rotated")
    )
    assert plain.names == rotated.names and not torch.allclose(plain.write, rotated.write)


def test_the_unembedding_teaches_at_the_final_norm(outputs):
    made = execute(composed(outputs, "teacher=unembedding", "layers.sites=[final_norm]", "concepts.n=300"))
    patterns = hsae.load(made.folder)
    assert patterns.center is None and 3 < len(patterns.names) < 300
    assert sum(patterns.left_out.values()) + len(patterns.names) == 300
    assert ((patterns.read * patterns.write).sum(1) > 0).all()


def test_the_unembedding_knows_no_other_site(outputs):
    with pytest.raises(UserError, match="final_norm"):
        execute(composed(outputs, "teacher=unembedding"))


def test_nobody_teaches_nothing(outputs):
    with pytest.raises(UserError, match="teacher=encyclopedia"):
        execute(composed(outputs, "teacher=none"))


def test_only_the_encyclopedia_is_an_input_and_no_seed_changes_the_address(outputs):
    assert set(teach.needs(composed(outputs))) == {"encyclopedia"}
    assert not teach.needs(composed(outputs, "teacher=unembedding", "layers.sites=[final_norm]"))
    with pytest.raises(ConfigError, match="final_norm alone"):
        teach.needs(composed(outputs, "teacher=unembedding"))
    where = lambda *overrides: address(composed(outputs, *overrides)).fingerprint
    assert where("seed=3") == where()
    others = (["teacher.control=shuffled"], ["teacher.shrinkage=0.2"], ["teacher.claims.nearer=0.7"])
    assert len({where(), *(where(*other) for other in others)}) == 4
