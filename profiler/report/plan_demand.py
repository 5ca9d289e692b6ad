"""The demand arithmetic of a plan, as sums that a person can follow with a pencil."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Part, Sums, Table, Words, by_scale, part
from profiler.report.plan_stated import demand_of, headroom_words
from profiler.report.plan_words import (
    exact,
    factor,
    factor_of,
    limit_unit,
    nothing,
    number,
    seconds,
    spread,
    utilization,
)
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.plan import DemandAtScale, LimitAtScale, Plan, Provenance, Scale

_CLOSE = 2e-3
"""How far a product of factors that are shown may be from what the plan holds, to be shown."""


def arithmetic(plan: Plan) -> Part:
    """Return the sums of every scale, and the demand with its ranges."""
    words = Words(
        "Means of the busiest minute, and the month. Numbers are rounded to be read; the plan "
        "multiplies with all their digits."
    )
    return part("Demand, step by step", words, *_sums(plan), _demand_table(plan))


def _sums(plan: Plan) -> Iterator[Sums]:
    for scale in plan.scales:
        title = f"At {factor(scale.factor)}:"
        limits = _limit_lines(plan, scale)
        yield Sums((title, "", *demand_lines(plan, scale), *limits, *_month_lines(plan, scale)))


def demand_lines(plan: Plan, scale: Scale) -> list[str]:
    """Return users, interactions, LLM calls, requests and tokens, a sum a line."""
    demand = scale.demand
    calls = demand.llm_calls_per_interaction
    minute = demand.interactions_per_minute
    each = factor_of(demand.users, demand.interactions_per_user_minute, minute)
    pace = f"{exact(demand.users)} users x {each}"
    pace += f" interactions/min = {exact(minute)} interactions/min"
    called = f"x {factor_of(minute, calls, demand.llm_calls_per_minute)} LLM calls per interaction"
    called += _measured(plan, "llm_calls", calls)
    called += f" = {exact(demand.llm_calls_per_minute)} calls/min"
    return [
        pace + _pace(plan),
        called,
        _requests(plan, demand),
        _product(plan, demand, "input_tokens", demand.input_tokens_per_minute, "input tokens"),
        _product(plan, demand, "output_tokens", demand.output_tokens_per_minute, "output tokens"),
        f"input and output together = {exact(demand.tokens_per_minute)} tokens/min",
        *(_model_line(name, scale) for name in demand.models if len(demand.models) > 1),
    ]


def _pace(plan: Plan) -> str:
    """Say how a closed loop's pace comes about."""
    demand = demand_of(plan)
    if demand is None or demand.users.think_time is None:
        return ""
    thinking = seconds(demand.users.think_time.likely)
    return f" (each 60 s / (the answer's latency + {thinking} to think))"


def _requests(plan: Plan, demand: DemandAtScale) -> str:
    if demand.attempts_per_minute == demand.llm_calls_per_minute:
        return f"one request per call = {exact(demand.attempts_per_minute)} requests/min"
    return _product(plan, demand, "attempts", demand.attempts_per_minute, "requests")


def _product(plan: Plan, demand: DemandAtScale, metric: str, result: float, noun: str) -> str:
    """Write what interactions come to, by the measured mean where that is the plan's own factor.

    It is not where the demand gives calls to other models, or where attempts carry no tokens.
    """
    total = f"{exact(result)} {noun}/min"
    figure = _figure(plan, metric)
    per_minute = demand.interactions_per_minute
    if figure is None or not math.isclose(per_minute * figure.value, result, rel_tol=_CLOSE):
        return f"in all {total}"
    measured = _measured(plan, metric, figure.value)
    each = f"{exact(per_minute)} interactions/min x "
    each += f"{factor_of(per_minute, figure.value, result)} {noun}"
    return f"{each}{measured} = {total}"


def _figure(plan: Plan, metric: str, of: str = "interaction") -> Provenance | None:
    path = f"{of}.{metric}"
    names = (path, f"{path}.mean")
    return next((found for found in plan.provenance if found.metric in names), None)


def _measured(plan: Plan, metric: str, value: float) -> str:
    """Write ` (measured, 1.53 to 1.97)` where it is the measured mean that is multiplied with."""
    figure = _figure(plan, metric)
    if figure is None or not math.isclose(figure.value, value, rel_tol=_CLOSE):
        return ""
    if figure.ci95 is None:
        return " (measured, no interval)"
    low, high = figure.ci95
    return f" (measured, {number(low)} to {number(high)})"


def _model_line(name: str, scale: Scale) -> str:
    load = scale.demand.models[name]
    return (
        f"  of them {printable(name)}: {exact(load.calls_per_minute)} calls, "
        f"{exact(load.attempts_per_minute)} requests, "
        f"{exact(load.input_tokens_per_minute)} input tokens "
        f"({exact(load.cached_input_tokens_per_minute)} cached), "
        f"{exact(load.output_tokens_per_minute)} output tokens"
    )


def _limit_lines(plan: Plan, scale: Scale) -> Iterator[str]:
    for limit in scale.limits:
        yield ""
        yield f"{printable(limit.model)}, {limit_unit(printable(limit.limit))}:"
        yield f"  {limit_sum(plan, limit)}"


def limit_sum(plan: Plan, limit: LimitAtScale) -> str:
    """Write a limit's sum, how many users and how many calls fit."""
    filled = f"{exact(limit.demand)} / {exact(limit.allowed)} = {utilization(limit.utilization)}"
    users = f"{limit.max_users:,} users at most"
    users += f" ({limit.max_users_within_headroom:,} {headroom_words(plan)})"
    calls = exact(limit.calls_that_fit)
    calls += " call per interaction" if calls == "1" else " calls per interaction"
    if limit.excess > 0:
        return f"{filled}: {exact(limit.excess)} too many; {users}; would fit with {calls}"
    return f"{filled}: fits; {users}; up to {calls} would fit"


def _demand_table(plan: Plan) -> Table:
    fields = (
        ("concurrent users", "users"),
        ("interactions/min of a user", "interactions_per_user_minute"),
        ("interactions/min", "interactions_per_minute"),
        ("LLM calls per interaction", "llm_calls_per_interaction"),
        ("LLM calls/min", "llm_calls_per_minute"),
        ("requests/min, retries as measured", "attempts_per_minute"),
        ("input tokens/min", "input_tokens_per_minute"),
        ("output tokens/min", "output_tokens_per_minute"),
        ("tokens/min", "tokens_per_minute"),
        ("interactions/month", "interactions_per_month"),
        ("sessions/month", "sessions_per_month"),
    )
    rows = [
        (label, lambda scale, field=field: spread(scale.demand, field)) for label, field in fields
    ]
    return by_scale(plan, [*rows, ("active users/month", _active)])


def _active(scale: Scale) -> str:
    if scale.demand.monthly_active_users is None:
        return nothing("users.monthly_active is not given")
    return spread(scale.demand, "monthly_active_users")


def _month_lines(plan: Plan, scale: Scale) -> Iterator[str]:
    """Yield how the month comes of the day, or of the peak; nothing where it does not."""
    demand, month = scale.demand, scale.demand.interactions_per_month
    asked = demand_of(plan)
    if asked is None:
        return
    traffic = asked.traffic
    days = traffic.days_per_month.likely
    if traffic.interactions_per_day is not None:
        per_day = traffic.interactions_per_day.likely
        product = per_day * scale.factor * days
        day = f"{exact(per_day)} interactions/day x {scale.factor:g} (growth)"
    elif traffic.peak_to_average is not None:
        peak, hours = traffic.peak_to_average.likely, traffic.hours_per_day.likely
        product = demand.interactions_per_minute / peak * 60 * hours * days
        day = f"{exact(demand.interactions_per_minute)} interactions/min / {exact(peak)} "
        day += f"(peak to average) x 60 min x {exact(hours)} h"
    else:
        return
    if not math.isclose(product, month, rel_tol=_CLOSE):
        return
    yield ""
    yield f"{day} x {exact(days)} days = {exact(month)} interactions/month"
    yield from _session_lines(plan, scale)


def _session_lines(plan: Plan, scale: Scale) -> Iterator[str]:
    month, sessions = scale.demand.interactions_per_month, scale.demand.sessions_per_month
    asked, figure = demand_of(plan), _figure(plan, "interactions", of="session")
    if asked is not None and asked.users.session_interactions is not None:
        each, said = asked.users.session_interactions.likely, ""
    elif figure is not None:
        each, said = figure.value, " (measured)"
    else:
        return
    if math.isclose(month / each, sessions, rel_tol=_CLOSE):
        length = f"{exact(each)} interactions per session{said}"
        yield f"{exact(month)} interactions/month / {length} = {exact(sessions)} sessions/month"
