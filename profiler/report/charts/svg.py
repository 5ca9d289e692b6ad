"""Elements of SVG, escaped, and the outer element that every chart has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 480
"""Units of a chart's width: about its pixels in one of two columns, so that text keeps its size."""

SERIES = 8
"""How many colours there are; the next series begins again."""


def element(name: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """Write an element. `class_` is `class`, `_` in a name is `-`; None leaves an attribute out.

    Children that are not markup are escaped, as values of attributes are.
    """
    parts = [
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inside = Markup("").join(children)
    if not inside:
        return Markup(f"<{name}{''.join(parts)}/>")  # noqa: S704 - all that is in it is escaped
    return Markup(f"<{name}{''.join(parts)}>{inside}</{name}>")  # noqa: S704 - as above


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return str(escape(value))
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, *, kind: str = "", anchor: str | None = None) -> Markup:
    """Write text at its baseline; `anchor` is `middle` or `end`."""
    return element("text", words, x=x, y=y, class_=kind or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Draw a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def bar(x: float, y: float, width: float, height: float, *, series: int, says: str) -> Markup:
    """Draw a rectangle that is a mark, and says its value."""
    return element(
        "rect",
        element("title", says),
        x=x,
        y=y,
        width=max(0.0, width),
        height=max(0.0, height),
        class_=f"m {colour(series)}",
    )


def point(x: float, y: float, series: int, says: str, *, seen: bool = False) -> Markup:
    """Draw a dot that says its value; one that is not `seen` shows when it is pointed at."""
    kind = f"m {'o' if seen else 'p'} {colour(series)}"
    return element("circle", element("title", says), cx=x, cy=y, r=4, class_=kind)


def whisker(low: float, high: float, y: float) -> Markup:
    """Draw an interval that lies at the height `y`."""
    steps = f"M{low:.1f} {y - 4:.1f}v8M{low:.1f} {y:.1f}H{high:.1f}m0 -4v8"
    return element("path", d=steps, class_="i")


def path(points: Sequence[tuple[float, float]], series: int) -> Markup:
    """Draw a line through points."""
    steps = " ".join(f"{_value(x)},{_value(y)}" for x, y in points)
    return element("polyline", points=steps, class_=f"l {colour(series)}")


def colour(series: int) -> str:
    """Return the class of a series' colour."""
    return f"s{series % SERIES}"


def chart(title: str, says: str, height: float, marks: Iterable[Markup]) -> Markup:
    """Return a whole chart: its title, what it shows in words, and what is drawn."""
    return element(
        "svg",
        element("title", title),
        element("desc", says),
        *marks,
        viewBox=f"0 0 {WIDTH} {_value(height)}",
        role="img",
        aria_label=f"{title}. {says}",
        class_="chart",
    )
