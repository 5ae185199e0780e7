"""What to call an SAE: by what it is, who taught it, and whatever else tells it from the others on the
page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hsae.artifact import Artifact
from hsae.report.provenance import flat

TELLING = ("model", "corpus", "concepts", "stage", "teacher", "sae", "train")
"""Parts of the configuration that can make two SAEs of one kind different; the seed is a repetition, not a
difference.
"""


@dataclass(frozen=True)
class Identity:
    """Name, teacher and site; SAEs that share them differ in their seed alone."""

    name: str
    teacher: str
    site: str
    seed: int

    @property
    def group(self) -> str:
        return f"{self.name} · {self.teacher}"


def identify(saes: Sequence[Artifact], sites: Mapping[str, str]) -> dict[str, Identity]:
    """Fingerprint -> identity. `sites` gives each SAE's site by its fingerprint."""
    telling = {sae.fingerprint: dict(flat({part: sae.config[part] for part in TELLING})) for sae in saes}
    kin: dict[tuple[str, str], list[str]] = {}
    for sae in saes:
        kin.setdefault((_name(sae), _teacher(sae)), []).append(sae.fingerprint)
    found = {}
    for sae in saes:
        name, teacher = _name(sae), _teacher(sae)
        others = [telling[other] for other in kin[name, teacher]]
        own = telling[sae.fingerprint]
        differing = [key for key in own if any(other.get(key) != own[key] for other in others)]
        note = " ".join(f"{key}={own[key]}" for key in differing)
        found[sae.fingerprint] = Identity(
            f"{name} {note}".strip(), teacher, sites[sae.fingerprint], sae.config["seed"]
        )
    return found


def _name(sae: Artifact) -> str:
    return sae.config["sae"]["name"]


def _teacher(sae: Artifact) -> str:
    """A control is a teacher whose vectors lost their meaning, and says so."""
    teacher = sae.config["teacher"]
    if teacher["name"] == "none":
        return "blank"
    control = "" if teacher.get("control", "none") == "none" else f"{teacher['control']} "
    return f"taught by {control}{teacher['name'].replace('_', ' ')}"
