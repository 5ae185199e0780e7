"""Result folders: where they lie, what they say of themselves, how they come to be at once or not at all.

An artifact lies at `<outputs>/<job>/<readable slug>-<fingerprint>/`. It is written in a hidden folder beside
that place, which outlives a killed run and is gone on with by the next, and gets its name when complete.
"""

import errno
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from hsae.errors import MissingInput, UserError

MANIFEST = "manifest.json"
HASHED_WHOLE = 64 * 2**20
"""Bytes up to which a file is read through before it is used; larger ones are held to their size."""


@dataclass(frozen=True)
class Need:
    """An input: the job that makes it, and the overrides in which its config differs from its reader's."""

    job: str
    overrides: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    """Keys of which what was typed, there or below, is the reader's own matter: `stage` means that
    `stage.rounds=2` is not asked of the stage before."""
    without: str = ""
    """What to type to do without it, where one can."""


@dataclass(frozen=True)
class Address:
    """Where the artifact of some choices lies, whether or not it is there yet."""

    job: str
    slug: str
    fingerprint: str
    outputs: Path
    kind: str | None = None
    format: int = 1
    choices: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, "Address"] = field(default_factory=dict)
    command: str = ""
    """What a person types to make it."""

    @property
    def name(self) -> str:
        return f"{self.slug}-{self.fingerprint}"

    @property
    def folder(self) -> Path:
        return self.outputs / self.job / self.name

    @property
    def partial(self) -> Path:
        """Where it is made: on the same disk as its place, so that taking the place is one rename."""
        return self.outputs / self.job / f".{self.name}.partial"

    @property
    def lock(self) -> Path:
        return self.outputs / ".locks" / f"{self.job}-{self.fingerprint}"


@dataclass(frozen=True)
class Artifact:
    """A finished result folder whose manifest was read and agrees with the files."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return self.manifest["kind"]

    @property
    def job(self) -> str:
        return self.manifest["job"]

    @property
    def fingerprint(self) -> str:
        return self.manifest["fingerprint"]

    @property
    def choices(self) -> dict[str, Any]:
        return self.manifest["choices"]

    @property
    def config(self) -> dict[str, Any]:
        return self.manifest["config"]

    @property
    def metrics(self) -> dict[str, int | float | str]:
        return self.manifest["metrics"]

    def path(self, name: str) -> Path:
        """A file of the artifact. Raises UserError where it is not one, or not what was written."""
        if name not in self.manifest["files"]:
            raise UserError(f"{self.folder} holds no {name}, only {', '.join(self.manifest['files'])}.")
        _check_file(self.folder, name, self.manifest, whole=True)
        return self.folder / name

    def verify(self) -> "Artifact":
        """Itself, once every file was found to be what was written. Raises UserError for one that is not."""
        for name in self.manifest["files"]:
            _check_file(self.folder, name, self.manifest, whole=True)
        return self


def plain(value: Any) -> Any:
    """The value in JSON's types, for a manifest or a fingerprint. Raises TypeError if it has no such form."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot stand in a manifest")


def fingerprint(job: str, form: int, choices: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Twelve hex digits for all choices behind an artifact: its job's, and through `inputs` all earlier ones.

    `form` is the job's FORMAT, raised when its algorithm or layout changes, so that an old artifact is not
    mistaken for what the code would write today.
    """
    said = {"job": job, "format": form, "choices": plain(choices), "inputs": dict(inputs)}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def read(folder: Path) -> Artifact:
    """Open a result folder. Raises UserError where it is missing, foreign, unfinished or damaged."""
    if folder.is_file():
        raise UserError(f"{folder} is a file, where a result folder was looked for.\nMove it away.")
    if not folder.is_dir():
        raise MissingInput(f"there is no artifact at {folder}.")
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"{folder} is not a result of hsae: it has no {MANIFEST}.\n"
            "Move it away, or type force=true to make it again."
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        inputs = {role: said["fingerprint"] for role, said in manifest["inputs"].items()}
        expected = fingerprint(manifest["job"], manifest["format"], manifest["choices"], inputs)
        files = {name: facts["bytes"] for name, facts in manifest["files"].items()}
        found = manifest["fingerprint"], manifest["kind"], manifest["metrics"], manifest["config"]
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise damaged(folder, f"its {MANIFEST} cannot be read ({type(error).__name__}: {error})") from None
    if found[0] != expected:
        raise damaged(folder, f"its {MANIFEST} was changed: the choices give {expected}, it says {found[0]}")
    for name in files:
        _check_file(folder, name, manifest, whole=False)
    return Artifact(folder, manifest)


def find(address: Address) -> Artifact | None:
    """The artifact of these choices if it is there. Raises UserError for anything else in its place."""
    if not address.folder.exists():
        return None
    artifact = read(address.folder)
    if artifact.fingerprint != address.fingerprint or artifact.job != address.job:
        raise UserError(
            f"{address.folder} was made by other choices: it holds {artifact.job} {artifact.fingerprint}.\n"
            f"Move it away, or type force=true to put the right one there."
        )
    return artifact


def require(address: Address, reader: str) -> Artifact:
    """An input of the job `reader`, verified. Raises MissingInput with the command that makes it."""
    artifact = find(address)
    if artifact is None:
        raise _missing([address], reader)
    return artifact.verify()


def require_all(reader: Address, without: Mapping[str, str]) -> dict[str, Artifact]:
    """All inputs, by their roles. Raises MissingInput with every command that is needed, in the order in
    which they run, and with what to type to do without, by role."""
    absent = {role: of for role, of in reader.inputs.items() if not of.folder.exists()}
    if absent:
        spared = dict.fromkeys(without[role] for role in absent)
        raise _missing(list(absent.values()), reader.job, "" if "" in spared else " ".join(spared))
    return {role: require(of, reader.job) for role, of in reader.inputs.items()}


def unmade(address: Address) -> Iterator[Address]:
    """This artifact and what it is made from, as far as they are not there: inputs before their readers."""
    if not address.folder.exists():
        for of in address.inputs.values():
            yield from unmade(of)
        yield address


def _missing(absent: Sequence[Address], reader: str, without: str = "") -> MissingInput:
    commands = list(dict.fromkeys(of.command for address in absent for of in unmade(address)))
    first = absent[0]
    how = "Make it with" if len(commands) == 1 else f"Type these {len(commands)}, one after another:"
    return MissingInput(
        f"{reader} reads what job={first.job} makes, and {first.folder} is not there.\n"
        + _others(first)
        + "\n  ".join((how, *commands))
        + (f"\nOr do without: {without}" if without else "")
    )


@contextmanager
def claimed(address: Address, *, afresh: bool) -> Iterator[Path]:
    """The folder to make an artifact in, locked against a second writer, with what a killed run left there.

    Raises UserError where another run holds it, or where nothing can be written.
    """
    with disk(address.outputs):
        make_folder(address.lock.parent)
        with _locked(address):
            owner = address.lock.with_suffix(".owner")
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            _settle(address, afresh=afresh)
            make_folder(address.partial)
            try:
                yield address.partial
            finally:
                owner.unlink(missing_ok=True)


@contextmanager
def _locked(address: Address) -> Iterator[None]:
    lock = FileLock(address.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another run is making {address.folder} ({_owner(address)}).\n"
            "Wait for it, or stop it; nothing was changed."
        ) from None
    try:
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Raises UserError where no folder can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from None


@contextmanager
def disk(outputs: Path) -> Iterator[None]:
    """What the disk refuses is the user's to mend, and says so; what was written stays for the next run."""
    try:
        yield
    except OSError as error:
        place = error.filename or outputs
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise UserError(
                f"the disk is full: {place} could not be written.\n"
                "Make room and type the same command, which goes on from here; or type outputs=FOLDER."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _refused(place, error) from error
        raise


def free(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(
        next(place for place in (folder, *folder.absolute().parents) if place.exists())
    ).free


HEADROOM = 1.1
"""How many times what is to be written must be free on the disk, before writing starts."""


def check_room(address: Address, estimate: Mapping[str, str | int]) -> None:
    """Raises UserError where the disk has no room for what the job still has to write, `bytes` of a result
    and `scratch` on the way to it, as far as it can tell."""
    wanted = sum(int(estimate.get(kind, 0)) for kind in ("bytes", "scratch"))
    there = sum(path.stat().st_size for path in address.partial.rglob("*") if path.is_file())
    room, left = free(address.outputs), max(0, wanted - there)
    if room < HEADROOM * left:
        raise UserError(
            f"{address.job} has {left / 1e9:.1f} GB to write, and {address.outputs} has {room / 1e9:.1f} GB "
            f"free: {HEADROOM} times as much as is written must be.\n"
            "Make room, type outputs=FOLDER on a larger disk, or ask for less; "
            "job=plan says how much of what."
        )


def _refused(place: Path | str, error: OSError) -> UserError:
    return UserError(
        f"{place} cannot be written ({error.strerror}).\nChoose another place with outputs=FOLDER."
    )


def publish(address: Address, manifest: Mapping[str, Any]) -> Artifact:
    """Give a finished artifact its name; one that was there is replaced only now."""
    files = {
        str(path.relative_to(address.partial)): _facts(path)
        for path in sorted(address.partial.rglob("*"))
        if path.is_file() and path != address.partial / MANIFEST
    }
    said = json.dumps({**plain(manifest), "files": files}, indent=1, ensure_ascii=False)
    draft = address.partial / f".{MANIFEST}"
    draft.write_text(said)
    draft.replace(address.partial / MANIFEST)
    old = _old(address)
    if address.folder.exists():
        address.folder.rename(old)
    address.partial.rename(address.folder)
    shutil.rmtree(old, ignore_errors=True)
    return read(address.folder)


REMADE = "Run the command that made it again with force=true, or delete it."
REPAIRED = (
    "Run the command that made it with job=verify job.repair=true, which harvests only what is damaged, "
    "or again with force=true."
)


def damaged(folder: Path, why: str, cure: str = REMADE) -> UserError:
    return UserError(f"{folder} is damaged: {why}.\n{cure}")


def _settle(address: Address, *, afresh: bool) -> None:
    """Mend what a kill in the middle of `publish` left: the old artifact under a hidden name."""
    old = _old(address)
    if old.exists() and not address.folder.exists():
        old.rename(address.folder)
    shutil.rmtree(old, ignore_errors=True)
    if afresh:
        shutil.rmtree(address.partial, ignore_errors=True)


def _old(address: Address) -> Path:
    return address.folder.with_name(f".{address.name}.old")


def _owner(address: Address) -> str:
    try:
        return address.lock.with_suffix(".owner").read_text()
    except OSError:
        return "its process is not known"


def _facts(path: Path) -> dict[str, int | str]:
    """What a file is held to later. One that nobody would read through is not read through here either."""
    size = path.stat().st_size
    return {"bytes": size} | ({"sha256": _hash(path)} if size <= HASHED_WHOLE else {})


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _check_file(folder: Path, name: str, manifest: Mapping[str, Any], *, whole: bool) -> None:
    path, facts = folder / name, manifest["files"][name]
    again = f"Make it again:\n  {manifest['command']} force=true" if manifest.get("command") else REMADE
    cure = REPAIRED if manifest["kind"] == "store" and path.suffix == ".h5" else again
    if not path.is_file():
        raise damaged(folder, f"{name} is missing", cure)
    if path.stat().st_size != facts["bytes"]:
        why = f"{name} has {path.stat().st_size:,} bytes and was written with {facts['bytes']:,}"
        raise damaged(folder, why, cure)
    if whole and "sha256" in facts and _hash(path) != facts["sha256"]:
        raise damaged(folder, f"the content of {name} is not what was written", cure)


def _others(address: Address) -> str:
    """A line about the artifact of the same job that differs least from the wanted one."""
    near: list[tuple[int, str, str]] = []
    for folder in sorted(address.folder.parent.glob("*/")) if address.folder.parent.is_dir() else []:
        try:
            choices = read(folder).choices
        except UserError:
            continue
        wanted, had = _flat(address.choices), _flat(choices)
        differing = [key for key in {**wanted, **had} if wanted.get(key) != had.get(key)]
        # what both of them say says most: another stage's makers of contexts follow from the stage
        told = [key for key in differing if key in wanted and key in had] or differing
        listed = ", ".join(f"{key}={had.get(key)} where {wanted.get(key)} is asked" for key in told[:3])
        near.append((len(differing), folder.name, listed or "other inputs"))
    if not near:
        return ""
    _, name, listed = min(near)
    return f"There is {name}, made by other choices: {listed}.\n"


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {prefix.rstrip("."): node}
    return {
        key: value for name, item in node.items() for key, value in _flat(item, f"{prefix}{name}.").items()
    }
