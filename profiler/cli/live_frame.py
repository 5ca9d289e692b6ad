"""One picture of the live view: a line for each question that somebody who waits has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from profiler.cli.standing_text import (
    BAR_WIDTH,
    bar,
    calls,
    clock_time,
    errors,
    health,
    is_strained,
    phase_name,
    rates,
    sparkline,
)
from profiler.report.quantities import quantity, whole

if TYPE_CHECKING:
    from profiler.cli.standing import Seen, Standing

_NAME_WIDTH = 9
_LEAST_BAR = 6


def frame(standing: Standing, columns: int) -> Text:
    """Draw how far a run is, so many columns wide. A line that is too long ends in an ellipsis.

    The time left is what people wait for: the bar, then the time gone make room for it.
    """
    picture = Text(no_wrap=True, overflow="ellipsis")
    name = f"{phase_name(standing)} "
    head = _head(standing)
    if len(name) + _LEAST_BAR + len(head) > columns:
        head = _head(standing, with_elapsed=False)
    room = min(BAR_WIDTH, columns - len(name) - len(head))
    picture.append(name, style="bold")
    if room >= _LEAST_BAR:
        picture.append(bar(standing.share, room), style="cyan")
    picture.append(head)
    _line(picture, "load", _load(standing))
    seen = standing.seen
    if seen is not None:
        if seen.p50_s is not None:
            _line(picture, "latency", _latency(seen))
        if seen.calls is not None:
            _line(picture, "agent", calls(seen.calls))
    if standing.failed:
        kinds = "" if seen is None or not seen.errors else f": {errors(seen)}"
        _line(picture, "errors", f"{whole(standing.failed)} failed{kinds}", style="red")
    else:
        _line(picture, "errors", "none")
    if standing.harness is not None:
        strained = is_strained(standing.harness)
        text = health(standing.harness) + (", too much to be trusted" if strained else "")
        _line(picture, "harness", text, style="yellow" if strained else "")
    return picture


def _line(picture: Text, name: str, text: str, *, style: str = "") -> None:
    picture.append(f"\n  {name:<{_NAME_WIDTH}}", style="dim")
    picture.append(text, style=style)


def _head(standing: Standing, *, with_elapsed: bool = True) -> str:
    share = "" if standing.share is None else f" {standing.share:.0%} "
    of = "" if standing.total is None else f"/{whole(standing.total)}"
    text = f"{share} {whole(standing.ended)}{of} interactions"
    if standing.elapsed_s and with_elapsed:
        text += f", {clock_time(standing.elapsed_s)} gone"
    if standing.left_s is not None:
        text += f", {clock_time(standing.left_s)} left"
    return text


def _load(standing: Standing) -> str:
    flying = f"{whole(standing.in_flight)} in flight"
    return ", ".join(part for part in (rates(standing), flying) if part)


def _latency(seen: Seen) -> str:
    text = f"p50 {quantity(seen.p50_s, 's')}, p95 {quantity(seen.p95_s, 's')}"
    if len(seen.course_s) > 1:
        each = quantity(seen.course_width_s, "s")
        text += f"  {sparkline(seen.course_s)} median of each {each}"
    return text
