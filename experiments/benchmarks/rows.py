"""A row of the table: what was compared, how it came out, and what was asked for."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, final

from experiments.benchmarks.rounds import Ratio, median, ratio

HEAD = ("part", "model", "measured", "beside", "ratio", "interval", "asked for", "outcome")


@final
class Row(NamedTuple):
    """`ratio` is measured / beside; without `asked` it is told for what it is worth."""

    part: str
    model: str
    measured: str
    beside: str
    ratio: Ratio | None
    asked: float | None = None
    most: bool = False
    """Whether `asked` is the most that the ratio may be, not the least."""
    problem: str = ""

    @property
    def outcome(self) -> Literal["PASS", "FAIL", "ERROR", ""]:
        """By the median; the interval beside it says how sure that is."""
        if self.ratio is None:
            return "ERROR"
        if self.asked is None:
            return ""
        met = self.ratio.value <= self.asked if self.most else self.ratio.value >= self.asked
        return "PASS" if met else "FAIL"

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        asked = "" if self.asked is None else f"{'<=' if self.most else '>='} {self.asked:g}"
        if self.ratio is None:
            return (self.part, self.model, self.measured, self.beside, "", self.problem, asked, self.outcome)
        shown = f"{self.ratio.value:.3g}", f"[{self.ratio.low:.3g}, {self.ratio.high:.3g}]"
        return (self.part, self.model, self.measured, self.beside, *shown, asked, self.outcome)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        said = self._asdict() | {"outcome": self.outcome}
        return said | {"ratio": None if self.ratio is None else self.ratio._asdict()}


def speed(
    part: str,
    model: str,
    ours: tuple[str, Sequence[float]],
    theirs: tuple[str, Sequence[float]],
    asked: float | None = None,
    *,
    unit: str = "tokens/s",
) -> Row:
    """A row of two speeds, each with the median of its rounds."""
    said = [f"{name}: {median(rates):,.0f} {unit}" for name, rates in (ours, theirs)]
    return Row(part, model, said[0], said[1], ratio(ours[1], theirs[1]), asked)


def markdown(rows: Sequence[Row]) -> str:
    """The table as it is committed."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
