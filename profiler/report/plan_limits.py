"""The limits of a plan by chance: three different numbers that are easily taken for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Items, Part, Row, Table, Words, part
from profiler.report.plan_words import (
    estimate,
    factor,
    limit_unit,
    number,
    range_of,
    share,
    spread,
    utilization,
    whole,
)
from profiler.report.quantities import NOTHING, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.planner.plan import LimitAtScale, Plan, RetriesAtScale, Scale

_EXCEEDED = (
    "How often a window of this length is asked for more than it admits. In a window that is "
    "exceeded, most of what is asked may still pass."
)
_REJECTED = (
    "Of all that is asked, the share that is over what its windows admit, before any retry. This "
    "is what clients get as errors."
)
_LIMITED = (
    "How much of the time a window's limit is used up already, so that whatever comes then is "
    "rejected."
)
_BY_WINDOW = (
    ("Probability that a window is exceeded", _EXCEEDED, "window_exceedance"),
    ("Share rejected", _REJECTED, "rejected_fraction"),
    ("Share of time limited", _LIMITED, "limited_time"),
)
"""Each number's name, what it means, and its field of a limit."""


def limits(plan: Plan) -> list[Part]:
    """Return the limits on average, by the three numbers, and what retries make of them."""
    if not any(scale.limits for scale in plan.scales):
        none = Words(
            "The demand names no limit of a model in use: whether one would bind is not known."
        )
        return [part("Limits", none)]
    means = Words(
        "Demand comes in bursts, so a limit rejects before it is full on average. How long the "
        "windows are in which a provider counts is mostly unknown: both are shown."
    )
    return [
        part("Limits", means, _table_of_means(plan), _counting(plan)),
        *(
            part(name, Words(what), _windows(plan, field), level=3)
            for name, what, field in _BY_WINDOW
        ),
        *_retries(plan),
    ]


def _table_of_means(plan: Plan) -> Table:
    header = ("limit", "scale", "demand", "allowed", "used", "over it", "users", "with headroom")
    rows = [
        Row(
            _name(limit),
            (
                factor(scale.factor),
                number(limit.demand) + range_of(limit, "demand", number),
                number(limit.allowed),
                utilization(limit.utilization) + range_of(limit, "utilization", utilization),
                number(limit.excess),
                _users(limit, "max_users"),
                _users(limit, "max_users_within_headroom"),
            ),
        )
        for scale, limit in _each(plan)
    ]
    return Table(header, tuple(sorted(rows, key=lambda row: row.label)))


def _users(limit: LimitAtScale, field: str) -> str:
    return spread(limit, field, whole)


def _each(plan: Plan) -> Iterable[tuple[Scale, LimitAtScale]]:
    return ((scale, limit) for scale in plan.scales for limit in scale.limits)


def _name(limit: LimitAtScale) -> str:
    return f"{printable(limit.model)} {limit_unit(printable(limit.limit))}"


def _counting(plan: Plan) -> Items:
    said = {
        f"{_name(limit)}: counted as by {printable(limit.counting)}" for _, limit in _each(plan)
    }
    return Items(tuple(sorted(said)))


def _windows(plan: Plan, field: str) -> Table:
    """Return one of the three numbers: limits as rows, scales and windows side by side."""
    by_column: dict[str, dict[str, str]] = {}
    for scale, limit in _each(plan):
        found: dict[str, float] = getattr(limit, field)
        for window, value in sorted(found.items(), key=lambda item: _seconds(item[0])):
            column = f"{factor(scale.factor)}, {_seconds(window):g} s"
            by_column.setdefault(column, {})[_name(limit)] = share(value)
    names = dict.fromkeys(_name(limit) for _, limit in _each(plan))
    rows = [
        Row(name, tuple(cells.get(name, NOTHING) for cells in by_column.values())) for name in names
    ]
    return Table(("", *by_column), tuple(rows))


def _seconds(window: str) -> float:
    """Read a window's name: `60`, `60s`."""
    return float(window.removesuffix("s"))


def _retries(plan: Plan) -> list[Part]:
    models = dict.fromkeys(found.model for scale in plan.scales for found in scale.retries)
    if not models:
        return []
    words = Words(
        "Simulated from the measured interactions: clients that are rejected come again, and load "
        "the limit once more. [a, b] is the 95 % interval of the simulation. The fixed point is "
        "the same without chance, where requests and rejections no longer change each other."
    )
    return [
        part("With retries", words, level=3),
        *(part(printable(model), *_retries_of(plan, model), level=4) for model in models),
    ]


def _closed_form(retries: RetriesAtScale) -> str:
    found = retries.closed_form_rejection
    return f"{NOTHING} (none)" if found is None else share(found)


def _retries_of(plan: Plan, model: str) -> tuple[Words, Table]:
    found = [
        (scale, retries)
        for scale in plan.scales
        for retries in scale.retries
        if retries.model == model
    ]
    how = "; ".join(dict.fromkeys(printable(each.enforcement, 200) for _, each in found))
    fields: tuple[tuple[str, Callable[[RetriesAtScale], str]], ...] = (
        ("attempts rejected", lambda each: estimate(each.rejected_attempts, "share")),
        ("attempts per call", lambda each: estimate(each.attempts_per_call, "count")),
        ("calls that fail after all retries", lambda each: estimate(each.failed_calls, "share")),
        ("time limited", lambda each: estimate(each.limited_time, "share")),
        (
            "attempts rejected, closed form, no retries",
            _closed_form,
        ),
        ("fixed point: attempts rejected", lambda each: share(each.fluid_rejection)),
        ("fixed point: attempts/min", lambda each: number(each.fluid_attempts_per_minute)),
    )
    table = Table(
        ("", *(f"{factor(scale.factor)}, {each.window_s:g} s" for scale, each in found)),
        tuple(Row(name, tuple(write(each) for _, each in found)) for name, write in fields),
    )
    return Words(f"Limits taken as enforced by: {how}."), table
