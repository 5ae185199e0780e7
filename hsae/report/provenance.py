"""Where each number comes from: the artifacts with their commands, and links to them from everywhere else."""

from collections.abc import Iterator, Mapping, Sequence

from hsae.artifact import Artifact
from hsae.report.markup import Markup, join, tag
from hsae.report.numbers import Number, count, duration, number


def link(artifact: Artifact) -> Markup:
    """To the artifact's entry at the end of the page."""
    return tag(
        "a",
        artifact.fingerprint[:8],
        href=f"#{anchor(artifact.fingerprint)}",
        title=artifact.manifest["command"],
    )


def anchor(fingerprint: str) -> str:
    return f"made-{fingerprint}"


def entries(artifacts: Sequence[Artifact]) -> Markup:
    """One line an artifact, opening on what is known of how it was made."""
    here = {artifact.fingerprint for artifact in artifacts}
    return tag("div", [_entry(artifact, here) for artifact in artifacts])


def _entry(artifact: Artifact, here: set[str]) -> Markup:
    manifest = artifact.manifest
    summary = tag(
        "summary",
        tag("span", artifact.job),
        tag("code", manifest["slug"]),
        tag("span", duration(manifest["seconds"])),
        tag("code", artifact.fingerprint[:8]),
    )
    facts = {
        "fingerprint": tag("code", artifact.fingerprint),
        "seed": manifest["seed"],
        "code": _code(manifest["code"]),
        "made": f"{manifest['made']}, in {duration(manifest['seconds'])}",
        "on": ", ".join(f"{key} {value}" for key, value in manifest["hardware"].items()),
        "with": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        "from": [_input(role, of, here) for role, of in manifest["inputs"].items()] or "nothing earlier",
        "choices": tag("code", "  ".join(f"{key}={value}" for key, value in flat(artifact.choices))),
        "numbers": ", ".join(f"{name} {_metric(value)}" for name, value in artifact.metrics.items())
        or "none",
    }
    rows = [(tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    command = tag("pre", manifest["command"])
    return tag("details", summary, command, tag("dl", rows), cls="made", id=anchor(artifact.fingerprint))


def _input(role: str, of: Mapping[str, str], here: set[str]) -> Markup:
    name = f"{role}: {of['slug']} {of['fingerprint'][:8]}"
    known = of["fingerprint"] in here
    return tag("div", tag("a", name, href=f"#{anchor(of['fingerprint'])}") if known else name)


def _code(code: Mapping[str, object]) -> str:
    words = [f"hsae {code['version']}" if code.get("version") else "hsae"]
    if code.get("revision"):
        words.append(
            f"revision {str(code['revision'])[:12]}"
            + (" with uncommitted changes" if code.get("dirty") else "")
        )
    return ", ".join(words)


def _metric(value: Number | str) -> str:
    if isinstance(value, str):
        return value
    return count(value) if float(value).is_integer() else number(value)


def flat(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of nested choices."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from flat(value, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), node


def made_by(artifacts: Sequence[Artifact]) -> Markup:
    """The commands that give the numbers, by links to where they are written out."""
    links = [(", " if row else "", link(one)) for row, one in enumerate(artifacts)]
    return join("Made by ", tag("code", f"hsae job={artifacts[0].job}"), ": ", links, ".")
