"""What an evaluation gives back: scores, verdicts, tables. Read and written without torch."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from hsae.errors import UserError
from hsae.journal import whole
from hsae.stats import Interval, Verdict

SCORES, VERDICTS = "scores.json", "verdicts.json"


@final
@dataclass(frozen=True, slots=True)
class Score:
    """One number about one dictionary, with its interval over `n` units and what chance would give."""

    dictionary: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    chance: float | None = None

    @classmethod
    def of(
        cls, dictionary: str, metric: str, interval: Interval, unit: str, chance: float | None = None
    ) -> "Score":
        """From an interval. Raises `ValueError` for a number that is none: missing is an error."""
        if not math.isfinite(interval.value):
            raise ValueError(f"{metric} of {dictionary} is {interval.value}, over {interval.n} {unit}")
        value, low, high = map(float, interval[:3])
        return cls(dictionary, metric, value, low, high, interval.n, unit, chance)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, which has no infinity: an unknown end of the interval is None."""
        known = lambda v: None if isinstance(v, float) and not math.isfinite(v) else v
        return {key: known(value) for key, value in asdict(self).items()}


@final
@dataclass(frozen=True)
class Findings:
    """What was found. A table is a list of rows, column -> JSON value; `notes` are for the person."""

    scores: list[Score] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Take in another question's findings. Of the table `latents`, rows of the same latent become one."""
        self.scores.extend(other.scores)
        self.verdicts.extend(other.verdicts)
        self.notes.extend(other.notes)
        for name, rows in other.tables.items():
            mine = self.tables.setdefault(name, [])
            known = {row["latent"]: row for row in mine} if name == "latents" else {}
            for row in rows:
                if (found := known.get(row.get("latent"))) is not None:
                    found.update(row)
                else:
                    mine.append(row)

    def save(self, folder: Path) -> None:
        """<name>.jsonl for every table, verdicts.json, and last scores.json, as a sign that all is there."""
        for name, rows in self.tables.items():
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            _write(folder / f"{name}.jsonl", "".join(lines))
        for name, items in ((VERDICTS, self.verdicts), (SCORES, self.scores)):
            _write(folder / name, json.dumps([item.to_dict() for item in items], indent=1) + "\n")


def load(folder: Path | str) -> Findings:
    """What `save` wrote. Raises `UserError` where there is nothing of the kind."""
    folder = Path(folder)
    if not (folder / SCORES).is_file():
        raise UserError(
            f"there is no evaluation in {folder}: it has no {SCORES}.\nMake one with hsae job=evaluate"
        )
    read = lambda name: json.loads((folder / name).read_text())
    known = lambda row: {**row, "low": _known(row["low"], -math.inf), "high": _known(row["high"], math.inf)}
    return Findings(
        scores=[Score(**known(row)) for row in read(SCORES)],
        verdicts=[Verdict(**known(row)) for row in read(VERDICTS)],
        tables={
            path.stem: [json.loads(line) for line in path.read_text().splitlines()]
            for path in sorted(folder.glob("*.jsonl"))
            if path.name != "log.jsonl"
        },
    )


def _known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _write(path: Path, text: str) -> None:
    with whole(path) as draft:
        draft.write_text(text)
