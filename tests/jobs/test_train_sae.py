"""job=train_sae as a person meets it: by address, blank or taught, the same bytes whatever kills it."""

import json

import h5py
import pytest
import torch
from kills import killed_and_whole
from worlds import sentences
from worlds_sae import LOUD, VARIANTS, toy_store, world

import hsae
from hsae import build
from hsae.activations import Store
from hsae.artifact import Artifact
from hsae.build import address
from hsae.errors import ConfigError, UserError
from hsae.execute import Job, execute, plan
from hsae.geometry import Patterns
from hsae.jobs import train_sae
from hsae.loggers import Fan
from hsae.metrics import explained_variance
from hsae.sae import files

SITE = "resid_post.1"
WORLD = world()
SMALL = ("sae.latents=48", "sae.k=4", "sae.lr=3e-3", "sae.taught=1.0")
SMALL += ("train.tokens=6000", "train.batch=100", "train.log_every=2000")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return toy_store(tmp_path_factory.mktemp("store"), SITE)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    taught = WORLD.teacher()
    patterns = Patterns(
        LOUD * taught.write,
        torch.eye(taught.d),
        parents=taught.parents,
        names=taught.names,
        center=LOUD * taught.center,
    )
    patterns.save(folder, site=SITE)
    return folder


def composed(*overrides):
    family = ["sae.children=3", "sae.subspace=3"] if "sae=hierarchical" in overrides else []
    common = ["job=train_sae", f"layers.sites=[{SITE}]", "hardware=cpu", "evaluations=[]"]
    return build.compose([*common, *SMALL, *family, *overrides])


class Said(Fan):
    """A log that remembers."""

    def __init__(self):
        super().__init__(())
        self.lines = []

    def scalars(self, values, *, tokens):
        self.lines.append({"tokens": tokens, **values})


def run(out, *overrides, log=None, **inputs):
    out.mkdir(exist_ok=True)
    found = {role: Artifact(folder, {}) for role, folder in inputs.items()}
    return train_sae.run(Job(composed(*overrides), out, found, log or Said()))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_it_writes_works_on_activations_as_they_are(variant, store, tmp_path):
    headline = run(tmp_path, f"sae={variant}", store=store)
    sae = files.load(tmp_path)
    x = Store(store).rows(SITE, "valid")
    assert headline["explained_variance"] == pytest.approx(explained_variance(x, sae(x)), abs=1e-4)
    assert 0.5 < headline["explained_variance"] < 1 and 0 < headline["l0"] <= 4
    assert headline["silent"] == int((sae.encode(x).sum(0) == 0).sum())
    assert headline["held_out_rows"] == len(x)
    assert {path.name for path in tmp_path.iterdir()} == {"sae.json", "sae.safetensors"}
    assert files.card(tmp_path)["site"] == SITE


def test_the_log_follows_the_tokens_and_ends_with_the_last(store, tmp_path):
    said = Said()
    run(tmp_path, store=store, log=said)
    assert [line["tokens"] for line in said.lines] == [2000, 4000, 6000]
    expected = {"loss/fvu", "held_out/explained_variance", "held_out/l0", "train/dead"}
    assert all(expected <= set(line) for line in said.lines)
    explained = [line["held_out/explained_variance"] for line in said.lines]
    assert explained == sorted(explained)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_taught_sae_names_its_latents(variant, store, teacher, tmp_path, capsys):
    taught = run(tmp_path, f"sae={variant}", "teacher=encyclopedia", store=store, teacher=teacher)
    assert taught["taught"] == len(WORLD.patterns)
    said = files.card(tmp_path)["taught"]
    assert len(said) == len(WORLD.patterns) and set(said.values()) == set(WORLD.teacher().names)
    assert "24 of 48 latents are taught" in capsys.readouterr().out
    assert files.load(tmp_path).placement.names == tuple(said.values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_taught_latent_knows_the_units_of_the_activations(variant, store, teacher, tmp_path):
    """After a step that moves nothing, what it says of its concept writes the concept's own length."""
    still = ("train.tokens=100", "sae.lr=1e-9")
    run(tmp_path, f"sae={variant}", "teacher=encyclopedia", *still, store=store, teacher=teacher)
    sae = files.load(tmp_path)
    concepts = LOUD * (WORLD.center + WORLD.patterns)
    for latent, name in zip(sae.placement.latents.tolist(), sae.placement.names, strict=True):
        row = int(name.split()[1])
        pattern = LOUD * WORLD.patterns[row]
        if sae.parents[latent] >= 0:
            pattern = pattern - LOUD * WORLD.patterns[WORLD.parents[row]]
        answer = (concepts[row] - sae.b_dec) @ sae.W_enc[:, latent] + sae.b_enc[latent]
        written = answer * sae.vectors[latent].norm()
        assert written.item() == pytest.approx(pattern.norm().item(), rel=0.02)


def test_a_teacher_of_another_site_is_refused(store, teacher, tmp_path):
    with pytest.raises(UserError, match="resid_post.0"):
        run(
            tmp_path / "out",
            "teacher=encyclopedia",
            "layers.sites=[resid_post.0]",
            store=toy_store(tmp_path, "resid_post.0"),
            teacher=teacher,
        )


def test_killed_at_any_moment_it_ends_with_the_bytes_of_an_undisturbed_run(store, tmp_path):
    overrides = list(composed("sae=hierarchical", "train.save_every=500").overrides)
    killed, whole = killed_and_whole(
        tmp_path,
        imports=f"""
            from hsae.artifact import Artifact
            from hsae.execute import Job
            from hsae.jobs import train_sae
            from hsae.loggers import Fan
            from hsae import build
            config = build.compose({overrides!r})
            inputs = {{"store": Artifact(Path({str(store)!r}), {{}})}}
        """,
        work="train_sae.run(Job(config, out, inputs, Fan(())))",
        moments=(("fsync", 1), ("replace", 1), ("fsync", 4), ("replace", 3)),
    )
    assert killed == whole and set(whole) == {"sae.json", "sae.safetensors"}


def test_what_decides_the_weights_decides_the_address_and_nothing_else():
    where = lambda *overrides: address(composed(*overrides)).fingerprint
    assert where("hardware.threads=2", "train.save_every=7", "name=x", "outputs=elsewhere") == where()
    others = (["seed=1"], ["sae.k=5"], ["train.tokens=7000"], ["corpus.tokens=99"], ["teacher=encyclopedia"])
    others += (["teacher=encyclopedia", "teacher.control=shuffled"],)
    assert len({where(), *(where(*other) for other in others)}) == 7


def test_it_needs_a_teacher_only_if_there_is_one():
    assert set(train_sae.needs(composed())) == {"store"}
    assert set(train_sae.needs(composed("teacher=encyclopedia"))) == {"store", "teacher"}


def test_seeds_share_their_inputs():
    inputs = [address(composed("teacher=encyclopedia", f"seed={seed}")).inputs for seed in (0, 1)]
    assert {role: of.fingerprint for role, of in inputs[0].items()} == {
        role: of.fingerprint for role, of in inputs[1].items()
    }


def test_the_plan_says_how_large_it_will_be(store, tmp_path):
    sizes = next(one.sizes for one in plan([composed()]) if one.address.job == "train_sae")
    assert sizes["steps"] == 60 and sizes["latents"] == 48
    assert sizes["bytes"] == pytest.approx(4 * 48 * 2 * 193, rel=0.1)


def test_several_sites_are_refused_before_anything_is_read_and_what_is_said_then_works():
    both = "layers.sites=[resid_post.0,resid_post.1]"
    with pytest.raises(ConfigError, match=r"(?s)one site.*site=resid_post.0,resid_post.1 -m"):
        address(composed(both))
    assert address(composed(both, "site=resid_post.0"))


def test_the_saes_of_many_sites_read_one_store(tmp_path, corpus):
    read = ["train.source=store", "train.tokens=500", f"outputs={tmp_path}", "layers.sites=[resid_post.0..3]"]
    every = streamed(corpus, *read, "site=resid_post.0")
    sites = ("site=resid_post.0", "site=resid_post.-1")
    (store,) = {address(streamed(corpus, *read, site)).inputs["store"].folder for site in sites}
    execute(build.neighbour(every, train_sae.needs(every)["store"]))
    first = execute(every)
    last = execute(streamed(corpus, *read, "site=resid_post.-1"))
    assert list(store.parent.glob("[!.]*")) == [store]
    assert [files.card(made.folder)["site"] for made in (first, last)] == ["resid_post.0", "resid_post.3"]
    assert "resid_post.3" in last.folder.name
    x = Store(store).rows("resid_post.3", "valid")
    found = explained_variance(x, files.load(last.folder)(x))
    assert found == pytest.approx(last.metrics["explained_variance"], abs=1e-3)


def test_one_site_out_of_many_is_streamed_as_if_it_were_alone(tmp_path, corpus):
    """Not one of the others is computed or kept."""
    alone = address(streamed(corpus, f"layers.sites=[{SITE}]"))
    among = address(streamed(corpus, "layers.sites=[resid_post.0..2]", f"site={SITE}"))
    assert among.folder == alone.folder


def test_a_site_that_layers_does_not_choose_is_refused():
    with pytest.raises(ConfigError, match=r"site: resid_post.2 is not one of .* resid_post.0, resid_post.1"):
        composed(
            "model=tiny",
            "layers.sites=[resid_post.0,resid_post.1]",
            "site=resid_post.-2",
            "site=resid_post.2",
        )
    with pytest.raises(ConfigError, match="site: resid_post.0..1 is 2 sites"):
        composed("model=tiny", "site=resid_post.0..1")


def test_fewer_tokens_than_a_batch_are_refused(store, tmp_path):
    with pytest.raises(UserError, match="train.batch=100"):
        run(tmp_path, "train.tokens=99", store=store)


def test_a_store_without_held_out_rows_is_refused(tmp_path):
    bare = toy_store(tmp_path, SITE, splits=(1000, 0, 0))
    with pytest.raises(UserError, match="corpus.tokens"):
        run(tmp_path / "out", store=bare)


def test_activations_that_are_no_numbers_are_refused(tmp_path):
    broken = toy_store(tmp_path, SITE)
    with h5py.File(broken / "shard-00000.h5", "r+") as file:
        file[f"sites/{SITE}"][::50] = float("nan")
    with pytest.raises(UserError, match="job=extract"):
        run(tmp_path / "out", store=broken)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for number, text in enumerate(sentences(80)):
        (folder / f"{number:03d}.txt").write_text(text)
    return folder


def streamed(corpus, *overrides):
    read = ["model=tiny", "corpus=text", f"corpus.path={corpus}", "corpus.tokens=900", "train.source=stream"]
    return composed(*read, "train.tokens=1500", "train.batch=50", "train.pool=200", *overrides)


def test_straight_from_the_lm_it_needs_no_store_and_learns_as_from_one(tmp_path, corpus):
    config = streamed(corpus, f"outputs={tmp_path}")
    assert train_sae.needs(config) == {}
    made = execute(config)
    stored = streamed(corpus, f"outputs={tmp_path}", "train.source=store")
    execute(build.neighbour(stored, train_sae.needs(stored)["store"]))
    other = execute(stored)
    assert made.folder != other.folder
    found = [outcome.metrics["explained_variance"] for outcome in (made, other)]
    assert found[0] == pytest.approx(found[1], abs=0.05) and found[0] > 0.3


def test_a_killed_training_on_a_stream_ends_with_the_same_bytes(tmp_path, corpus):
    overrides = list(streamed(corpus, "train.save_every=300").overrides)
    killed, whole = killed_and_whole(
        tmp_path,
        imports=f"""
            from hsae.execute import Job
            from hsae.jobs import train_sae
            from hsae.loggers import Fan
            from hsae import build
            config = build.compose({overrides!r})
        """,
        work="train_sae.run(Job(config, out, {}, Fan(())))",
        moments=(("replace", 1), ("fsync", 3)),
    )
    assert killed == whole and set(whole) == {"sae.json", "sae.safetensors"}


def test_what_a_stream_reads_decides_its_address(corpus):
    where = lambda *overrides: address(streamed(corpus, *overrides)).fingerprint
    others = (["train.source=store"], ["train.pool=400"], ["capture.context=64"], ["corpus.tokens=901"])
    assert len({where(), *(where(*other) for other in others)}) == 5
    assert where("hardware.batch_tokens=99") == where()


def test_a_real_model_s_activations_become_an_sae_that_hsae_loads(tmp_path, corpus):
    config = composed(
        "model=tiny",
        "corpus=text",
        f"corpus.path={corpus}",
        "corpus.tokens=900",
        f"outputs={tmp_path / 'outputs'}",
        "train.tokens=500",
        "train.batch=50",
    )
    execute(build.neighbour(config, train_sae.needs(config)["store"]))
    made = execute(config)
    assert made.state == "made" and execute(config).state == "there"
    sae = hsae.load(made.folder)
    assert (sae.d, sae.latents) == (192, 48)
    assert json.loads((made.folder / "manifest.json").read_text())["kind"] == "sae"
