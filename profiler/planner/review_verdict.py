"""Keep, update, or act now: what follows from a review, and why."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from profiler.planner.review import (
        InputReview,
        PriceReview,
        ScaleReview,
        TriggerReview,
        Verdict,
    )

_FULL = 1.0


def verdict_of(
    inputs: Sequence[InputReview],
    scales: Sequence[ScaleReview],
    triggers: Iterable[TriggerReview],
    prices: PriceReview,
    at: date,
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and its reasons, the gravest first.

    Act now: at the launch scale something that was planned to hold no longer does, a trigger has
    fired, or the next stage has to be begun. Update: the plan's inputs or prices are other ones.
    What chance may have made moves no verdict.
    """
    triggers = tuple(triggers)
    drifted = [item for item in inputs if item.status == "drifted"]
    acute = [*_broken(scales[0], is_certain=bool(drifted) or bool(prices.changes))]
    acute += [
        f"trigger fired: {each.title} ({each.why})" for each in triggers if each.state == "fired"
    ]
    acute += [
        f"begin stage {each.stage} now: forecast for {each.date}, and its lead time has begun"
        for each in triggers
        if each.start_by is not None and date.fromisoformat(each.start_by) <= at
    ]
    stale = [f"drifted: {_named(item)}" for item in drifted]
    stale += [
        f"price of {each.model} {each.kind}: {each.planned or 'none'} → {each.now or 'none'} USD "
        "per million tokens"
        for each in prices.changes
    ]
    stale += [f"near: {each.title} ({each.why})" for each in triggers if each.state == "near"]
    doubts = [f"unclear: {_named(item)}" for item in inputs if item.status == "unclear"]
    if acute:
        return "act_now", (*acute, *stale, *doubts)
    if stale:
        return "update", (*stale, *doubts)
    return "keep", (*(doubts or ["no input drifted, no price changed, no trigger is near"]),)


def _named(item: InputReview) -> str:
    change = "from nothing" if item.change is None else f"{item.change:+.0%}"
    return f"{item.title} {change}"


def _broken(launch: ScaleReview, *, is_certain: bool) -> Iterator[str]:
    """Yield what the plan kept at the launch scale and what is not kept any more."""
    if not is_certain:
        return
    at, planned, actual = f"at {launch.factor:g}x", launch.planned, launch.actual
    if actual.utilization is not None and actual.utilization > _FULL:
        was = planned.utilization
        if was is None or was <= _FULL or actual.utilization > was:
            yield (
                f"{at} the demand on {actual.binding} is {actual.utilization:.0%} of the limit"
                + ("" if was is None else f", planned {was:.0%}")
            )
    held = planned.users <= planned.users_on_planned_workers
    if held and actual.users_on_planned_workers < actual.users:
        yield (
            f"{at} the planned {planned.workers} workers carry "
            f"{actual.users_on_planned_workers:,} users, not {actual.users:,.0f}"
        )
    before, now = planned.margin, actual.margin
    if before is not None and now is not None and now < 0 <= before:
        yield f"{at} a month's margin is {_usd(now)}, planned {_usd(before)}"


def _usd(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.0f}"
