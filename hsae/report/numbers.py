"""Numbers as a reader wants them: as many digits as the interval allows, thin words for large counts."""

from collections.abc import Sequence
from math import floor, isfinite, log10

Number = int | float

MINUS = "\N{MINUS SIGN}"


def number(value: Number | None, digits: int = 3) -> str:
    """`digits` significant digits without an exponent between 0.0001 and a million; a dash for a missing
    value.
    """
    if value is None:
        return "–"
    if not isfinite(value):
        return str(value).replace("inf", "∞").replace("-", MINUS)
    if value == 0:
        return "0"
    magnitude = floor(log10(abs(value)))
    if magnitude < -4 or magnitude >= 6:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return fixed(value, max(0, digits - 1 - magnitude))


def fixed(value: Number, decimals: int) -> str:
    """So many decimals, thousands apart, a true minus sign."""
    text = f"{value:,.{decimals}f}"
    return text.replace("-", MINUS) if any(digit in text for digit in "123456789") else text.lstrip("-")


def decimals_of(value: Number, low: Number | None, high: Number | None) -> int:
    """Decimals that show two digits of the interval's half width, and at most four of the value itself."""
    most = 6 if value == 0 else max(0, 3 - floor(log10(abs(value))))
    if low is None or high is None or not isfinite(high - low) or low == high:
        return min(3, most)
    return min(6, most, max(0, 1 - floor(log10(abs(high - low) / 2))))


def estimate(value: Number, low: Number | None, high: Number | None) -> tuple[str, str]:
    """The value and its interval in brackets (empty where there is none), in digits that suit it."""
    if low is None or high is None or not (isfinite(low) and isfinite(high)):
        return number(value), ""
    if low == high:
        return number(value), f"[{number(low)}, {number(high)}]"
    decimals = decimals_of(value, low, high)
    return fixed(value, decimals), f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"


def span(values: Sequence[Number], decimals: int) -> str:
    """The least and the greatest, or the one that all of them are."""
    least, greatest = fixed(min(values), decimals), fixed(max(values), decimals)
    return least if least == greatest else f"{least} – {greatest}"


def count(value: Number) -> str:
    """A whole number with its thousands apart."""
    return f"{round(value):,}"


def large(value: Number) -> str:
    """Three digits and a thousand's word: 3.15 M."""
    for word, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{number(value / (1e3 if word == 'k' else size))} {word}"
    return count(value) if value == round(value) else number(value)


def duration(seconds: Number) -> str:
    """Seconds in the largest two units that matter."""
    if seconds < 10:
        return f"{number(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plural(n: int, word: str, many: str | None = None) -> str:
    """`1 concept`, `2 concepts`."""
    return f"{count(n)} {word if n == 1 else many or word + 's'}"
