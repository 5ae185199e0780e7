"""Everything on the shelf: each option composes, says its own name, and has no key that nothing reads."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import hsae
from hsae import build, config
from hsae.build.plugins import GROUPS, MANY
from hsae.config import Part
from hsae.jobs import pipeline

CONF = build.conf_dir()
PACKAGE = Path(config.__file__).parent
OVER = ("experiment", "sweep", "hydra", "local")
"""Folders whose files choose among options, rather than being one."""

EMPTY_ROOMS = {"dimension"}
"""Groups that hold nothing but `none` yet."""

OPTIONS = [
    (folder.name, file.stem)
    for folder in sorted(CONF.iterdir())
    if folder.is_dir() and folder.name not in OVER
    for file in sorted(folder.glob("*.yaml"))
]
PLUGINS = [(group, name) for group, name in OPTIONS if group in GROUPS and name != "none"]


def chosen(group: str, name: str) -> str:
    return f"{group}=[{name}]" if group == "evaluations" else f"{group}={name}"


@pytest.mark.parametrize(("group", "name"), [option for option in OPTIONS if option[0] != "contexts"])
def test_every_option_composes_and_validates(group: str, name: str):
    part = getattr(build.compose([chosen(group, name)]), group)
    assert isinstance(part[name] if group in MANY else part, Part)


@pytest.mark.parametrize("name", [name for group, name in OPTIONS if group == "contexts"])
def test_every_context_maker_composes_in_a_stage_of_its_own(name: str):
    assert set(build.compose([f"contexts=[{name}]", f"stage.contexts=[{name}]"]).contexts) == {name}


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_file_says_its_own_name(group: str, name: str):
    said = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    if group in MANY:
        assert list(said) == [name]
    else:
        assert said["name"] == name


@pytest.mark.parametrize(("group", "name"), PLUGINS)
def test_the_settings_read_from_a_file_are_those_of_the_imported_module(group: str, name: str):
    imported = import_module(f"hsae.{GROUPS[group]}.{name}").Settings
    assert build.settings(group, name).model_json_schema() == imported.model_json_schema()
    part = getattr(build.compose([chosen(group, name)] if group != "contexts" else []), group)
    if group not in MANY or name in part:
        module, settings = build.plugin(group, part[name] if group in MANY else part, name=name)
        assert type(settings) is module.Settings


def test_every_file_with_settings_is_on_offer():
    offered = {(GROUPS[group], name) for group, name in PLUGINS}
    for package in sorted(set(GROUPS.values())):
        for file in sorted((PACKAGE / package).glob("*.py")):
            if re.search(r"^class Settings\(", file.read_text(), re.MULTILINE):
                assert (package, file.stem) in offered, f"no YAML offers {file}"


@pytest.mark.parametrize("job", [name for group, name in OPTIONS if group == "job"])
def test_every_job_keeps_the_protocol(job: str):
    module = import_module(f"hsae.jobs.{job}")
    assert callable(module.run) and callable(module.needs)
    if module.WRITES is None:
        assert callable(module.steps)
        return
    looks_back = ['job.of=["job=extract"]'] if "of" in build.settings("job", job).model_fields else []
    composed = build.compose([f"job={job}", *looks_back])
    address = build.address(composed)
    assert re.fullmatch(r"[\w.=,+-]+", address.slug), "a slug is a folder's name on any system"
    assert len(address.name) < 200
    assert isinstance(module.FORMAT, int)
    assert address.command.startswith(f"hsae job={job}")
    for size in module.estimate(composed).values():
        assert isinstance(size, int | str)


@pytest.mark.parametrize(("kind", "home"), sorted(hsae._HOLDS.items()))
def test_every_kind_of_artifact_has_a_module_that_opens_it(kind: str, home: str):
    assert callable(import_module(home).load)


def test_every_artifact_can_be_opened_in_python():
    jobs = [import_module(f"hsae.jobs.{name}") for group, name in OPTIONS if group == "job"]
    assert {job.WRITES for job in jobs} - {None, "report"} == set(hsae._HOLDS)


@cache
def source() -> str:
    return "\n".join(file.read_text() for file in sorted(PACKAGE.rglob("*.py")))


@pytest.mark.parametrize(
    "part",
    [
        getattr(config, name)
        for name in ("Model", "Layers", "Stage", "Kept", "Stop", "Train", "Hardware", "Fallback", "Config")
    ],
)
def test_every_key_of_the_frame_is_read_by_something(part: type[Part]):
    for key in set(part.model_fields) - {"name", "overrides"} - EMPTY_ROOMS:
        assert re.search(rf"\.{key}\b", source()), f"nothing reads {part.__name__}.{key}"


@pytest.mark.parametrize(("group", "name"), PLUGINS)
def test_every_key_of_a_plugin_is_read_by_something(group: str, name: str):
    for key in build.settings(group, name).model_fields:
        assert re.search(rf"\.{key}\b", source()), f"nothing reads {group}.{key} of {name}"


@pytest.mark.parametrize("file", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_experiment_names_its_command_and_all_its_steps_can_run(file: Path):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith(f"# hsae experiment={file.stem}")
    composed = build.compose([f"experiment={file.stem}"])
    assert composed.name == file.stem
    steps = pipeline.steps(composed)
    made = set[str]()
    for step in steps:
        address = build.address(step)
        unmade = [needed.command for needed in address.inputs.values() if needed.fingerprint not in made]
        assert not unmade, f"job={address.job} reads what no step before it makes: {unmade}"
        made.add(address.fingerprint)


@pytest.mark.parametrize("file", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_experiment_that_can_fall_back_can_run_when_it_does(file: Path):
    composed = build.compose([f"experiment={file.stem}"])
    settled, notice = build.settle(composed, {"wordnet": lambda: False})
    assert (notice is None) == (composed.fallback is None)
    assert pipeline.steps(settled)


@pytest.mark.parametrize("file", sorted((CONF / "sweep").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_sweep_names_its_command_and_composes(file: Path):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert f"{file.stem}" in lines[1] and lines[1].startswith("# hsae job=")
    launcher = re.search(r"override /hydra/launcher: (\w+)", file.read_text())
    plugin = {"joblib": "hydra_joblib_launcher", "submitit_slurm": "hydra_submitit_launcher"}
    if launcher:
        pytest.importorskip(f"hydra_plugins.{plugin[launcher[1]]}", reason="an extra is not installed")
    assert build.compose(["job=train_sae", f"sweep={file.stem}"]).job.name == "train_sae"
    axes = yaml.safe_load(file.read_text())["hydra"].get("sweeper", {}).get("params", {})
    for overrides in build.expand([f"{key}={value}" for key, value in axes.items()]):
        build.compose(["job=train_sae", *overrides])


def test_the_tiny_model_is_the_default_and_its_size_comes_from_its_own_files():
    composed = build.compose(["layers=all"])
    facts = composed.model.facts()
    if facts is None:
        pytest.skip("the embedded model has not been trained yet")
    assert composed.layers.resolve(facts.layers) == [f"resid_post.{layer}" for layer in range(facts.layers)]
