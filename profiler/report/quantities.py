"""Numbers with their units, as people read them. Three significant digits, no false precision."""

from __future__ import annotations

from dataclasses import dataclass, replace

NOTHING = "—"
TIMES = "\N{MULTIPLICATION SIGN}"

_DURATIONS = (
    (0.9995e-3, 1e6, " µs"),
    (0.9995, 1e3, " ms"),
    (120.0, 1.0, " s"),
    (7200.0, 1 / 60, " min"),
)
_HOURS = (1 / 3600, " h")
_LARGE = ((1e4, 1.0, ""), (1e6, 1e-3, "k"), (1e9, 1e-6, "M"))
_HUGE = (1e-9, "G")


@dataclass(frozen=True, slots=True)
class Scale:
    """How to write numbers of one size: multiplied by `factor`, with `decimals`, then `suffix`."""

    factor: float
    decimals: int
    suffix: str

    def number(self, value: float) -> str:
        """Write a value without its suffix; one that would vanish in rounding as `<0.01`."""
        scaled = value * self.factor
        smallest = 10**-self.decimals
        if scaled and abs(scaled) < smallest / 2:
            return f"<{smallest:.{self.decimals}f}"
        return f"{scaled:,.{self.decimals}f}"


def scale_for(value: float, unit: str) -> Scale:
    """Choose how to write numbers about as large as `value`, which is in a `Distribution`'s unit.

    Seconds become µs, ms, s, min or h; tokens and counts from 10,000 on k, M or G.
    """
    size = abs(value)
    if unit == "s":
        factor, suffix = next(((f, s) for below, f, s in _DURATIONS if size < below), _HOURS)
    else:
        factor, suffix = next(((f, s) for below, f, s in _LARGE if size < below), _HUGE)
        suffix += "/s" if unit == "tokens/s" else ""
    scaled = size * factor
    decimals = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2  # noqa: PLR2004 - 3 digits
    if not scaled:
        decimals, suffix = 0, "" if unit == "s" else suffix
    return Scale(factor, decimals, suffix)


def quantity(value: float | None, unit: str) -> str:
    """Write one value with its unit: `1.24 s`, `812 ms`, `12.3k`; a dash for None."""
    if value is None:
        return NOTHING
    scale = scale_for(value, unit)
    return scale.number(value) + scale.suffix


def mean_with_interval(mean: float, interval: tuple[float, float] | None, unit: str) -> str:
    """Write `1.24 s ±0.06`; `±?` where there is no interval."""
    scale = scale_for(mean, unit)
    text = scale.number(mean) + scale.suffix
    if interval is None:
        return f"{text} ±?"
    half = (interval[1] - interval[0]) / 2
    return f"{text} ±{scale.number(half) if half else '0'}"


def observed(value: float | None, unit: str) -> str:
    """Write a value that was seen as it is, a count of it whole: `2`, `1.24 s`."""
    if value is None:
        return NOTHING
    scale = _scale_of_observed(value, unit)
    return scale.number(value) + scale.suffix


def _scale_of_observed(value: float, unit: str) -> Scale:
    scale = scale_for(value, unit)
    is_whole = unit in ("tokens", "count") and scale.factor == 1
    return replace(scale, decimals=0) if is_whole else scale


def value_with_interval(
    value: float | None, interval: tuple[float, float] | None, unit: str
) -> str:
    """Write `3.10 s [2.80, 3.60]`; `[?]` where there is no interval, a dash without a value."""
    if value is None:
        return NOTHING
    text, scale = observed(value, unit), _scale_of_observed(value, unit)
    if interval is None:
        return f"{text} [?]"
    return f"{text} [{scale.number(interval[0])}, {scale.number(interval[1])}]"


def percent(share: float) -> str:
    """Write a share (0 to 1): `96 %`, `0.8 %`; never `0 %` or `100 %` for what is only near it."""
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if share < 0.001:  # noqa: PLR2004 - a tenth of a percent
        return "<0.1 %"
    if share > 0.999:  # noqa: PLR2004 - as above
        return ">99.9 %"
    near_an_end = share < 0.095 or share > 0.985  # noqa: PLR2004 - where one digit more tells
    return f"{share * 100:.{1 if near_an_end else 0}f} %"


def share_with_interval(share: float, interval: tuple[float, float] | None) -> str:
    """Write `93 % [90 %, 95 %]`; `[?]` where there is no interval."""
    if interval is None:
        return f"{percent(share)} [?]"
    return f"{percent(share)} [{percent(interval[0])}, {percent(interval[1])}]"


def whole(number: int) -> str:
    """Write a count in full, with separators: `12,345`."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Write `1 session`, `50 sessions`."""
    return f"{whole(number)} {noun}{'' if number == 1 else 's'}"


def printable(text: str, limit: int = 60) -> str:
    """Make text from outside safe to show: no control or direction characters, not endless."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"
