"""Charts of tokens: what an interaction's input consists of, and how it grows with the turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.profile.metrics import TOKEN_PARTS
from profiler.report.charts.bars import Bar, bars
from profiler.report.charts.columns import Column, columns
from profiler.report.page.model import Chart
from profiler.report.quantities import plural, quantity

if TYPE_CHECKING:
    from profiler.profile.model import WorkloadProfile
    from profiler.profile.timeline import RunTimeline

_NAMES = {
    "system_tokens": "system",
    "tool_schema_tokens": "tool schemas",
    "history_tokens": "history",
    "user_tokens": "user",
    "tool_result_tokens": "tool results",
    "overhead_tokens": "chat format",
}
_MOST_TURNS = 24
_BY_TURN = "Input tokens of one interaction, by turn"


def token_charts(profile: WorkloadProfile, timeline: RunTimeline | None) -> tuple[Chart, ...]:
    """Return tokens by part, on average and by turn number (the journal's), where observed.

    Without a journal, the turns' input tokens by whether they were cached: `joint` has no parts.
    """
    by_turn = _parts_by_turn(timeline)
    return (*_parts(profile), *(by_turn or _cached_by_turn(profile)))


def _parts(profile: WorkloadProfile) -> tuple[Chart, ...]:
    metrics = profile.interaction
    found = {name: metrics[name] for name in TOKEN_PARTS if name in metrics}
    whole = metrics.get("counted_input_tokens")
    if whole is None or not found:
        return ()
    title = "Input tokens of one interaction, by part"
    rows = [
        Bar(_NAMES[name], (each.mean,), quantity(each.mean, "tokens"), each.mean_ci95)
        for name, each in sorted(found.items(), key=lambda item: -item[1].mean)
    ]
    says = ", ".join(f"{row.name} {row.words}" for row in rows)
    svg = bars(rows, ("mean",), "tokens", title=title, says=says)
    note = (
        f"Counted; {quantity(whole.mean, 'tokens')} together. Lines are 95 % intervals of the mean."
    )
    return (Chart(title, svg, note=note),)


def _parts_by_turn(timeline: RunTimeline | None) -> tuple[Chart, ...]:
    turns = () if timeline is None else timeline.turns
    if not turns:
        return ()
    found = [
        Column(
            f"{each.turn + 1}",
            tuple(each.parts[name] for name in TOKEN_PARTS),
            f" (of {plural(each.interactions, 'interaction')})",
        )
        for each in turns[:_MOST_TURNS]
    ]
    return (_chart(found, tuple(_NAMES[name] for name in TOKEN_PARTS), len(turns)),)


def _cached_by_turn(profile: WorkloadProfile) -> tuple[Chart, ...]:
    columns_of = profile.joint.columns
    turn, tokens, cached = (
        columns_of.index(name) for name in ("turn", "input_tokens", "cached_input_tokens")
    )
    sums: dict[int, list[int]] = {}
    for row in profile.joint.rows:
        if row[tokens] is not None:
            found = sums.setdefault(row[turn], [0, 0, 0])
            found[0] += 1
            found[1] += row[tokens] - (row[cached] or 0)
            found[2] += row[cached] or 0
    stacks = [
        Column(f"{number + 1}", (c / n, fresh / n), f" (of {plural(n, 'interaction')})")
        for number, (n, fresh, c) in sorted(sums.items())[:_MOST_TURNS]
    ]
    return (_chart(stacks, ("cached", "not cached"), len(sums)),) if stacks else ()


def _chart(found: list[Column], names: tuple[str, ...], turns: int) -> Chart:
    first, last = found[0], found[-1]
    says = " to ".join(
        f"{quantity(sum(each.parts), 'tokens')} in turn {each.label}" for each in (first, last)
    )
    svg = columns(found, names, "tokens", title=_BY_TURN, says=says, x_name="turn of the session")
    left = f" Turns beyond {last.label} are left out." if turns > len(found) else ""
    note = f"Means; {says}. Late turns are of few sessions.{left}"
    return Chart(_BY_TURN, svg, names, note)
