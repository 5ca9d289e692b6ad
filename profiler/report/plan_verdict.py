"""The head of a plan: whether to trust it, what binds at which scale, and the answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Items, Part, Table, by_scale, part
from profiler.report.plan_stated import headroom_words
from profiler.report.plan_words import (
    between,
    estimate,
    exact,
    factor,
    limit_unit,
    money,
    nothing,
    number,
    range_of,
    seconds,
    spread,
    utilization,
    whole,
)
from profiler.report.quantities import NOTHING, plural, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.planner.plan import Binding, Plan, Scale, WorkersAtScale
    from profiler.report.plan_words import Ranged

NO_LIMIT = nothing("the demand names no limit of a model in use")
NO_USERS = nothing("users.monthly_active is not given")
NO_VALUE = nothing("value and users.monthly_active are not both given")


def doubts(plan: Plan) -> list[str]:
    """Return what speaks against staking anything on the plan; nothing where nothing does."""
    profile = plan.inputs.profile
    found = []
    if profile.verdict != "trusted":
        reasons = "; ".join(profile.reasons) or "no reason is given"
        verdict = profile.verdict.replace("_", " ")
        found.append(
            f"The profile is not trusted, and so this plan is not: {verdict} ({reasons}). "
            "Measure again before a budget hangs on it."
        )
    if profile.mock:
        found.append(
            "The agent measured was the mock: its calls, tokens and times are a script's, and no "
            "real agent's. The plan shows how to plan; its figures are no one's budget."
        )
    return [printable(text, 600) for text in found]


def verdict(plan: Plan) -> Part:
    """Return what binds and when, and what to provide, a line a scale; then the table."""
    lines = [line for scale in plan.scales for line in verdict_lines(plan, scale)]
    if plan.warnings:
        lines.append(f"{plural(len(plan.warnings), 'warning')}: see below, under Warnings.")
    return part("Verdict", Items(tuple(lines)), answers(plan))


def verdict_lines(plan: Plan, scale: Scale) -> list[str]:
    """Say of one scale what binds, and whether its workers meet what was promised."""
    lines = [f"{_at(scale)}: {_binding_words(plan, scale)}"]
    if not scale.workers.meets_targets:
        lines.append(
            f"{_at(scale)}: no number of workers meets the promised answer latency: the agent "
            "itself takes longer, without any wait."
        )
    return lines


def _at(scale: Scale) -> str:
    return f"{factor(scale.factor)}, {exact(scale.demand.users)} users"


def _binding_words(plan: Plan, scale: Scale) -> str:
    found = scale.binding
    if found is None:
        return "no limit is known to bind: the demand names none of a model in use."
    users = scale.demand.users
    if found.utilization > 1:
        fits = "does not fit"
    elif users > found.max_users_within_headroom:
        fits = "fits, but not within the headroom"
    else:
        fits = "fits"
    binds = f"{binding_name(found)} binds at {utilization(found.utilization)}"
    return f"{fits}. {binds}: {_users_that_fit(found, plan)}."


def binding_name(found: Binding) -> str:
    """Write whose and which limit it is: `gpt-4o requests/min`."""
    return f"{printable(found.model)} {limit_unit(printable(found.limit))}"


def _users_that_fit(found: Binding, plan: Plan) -> str:
    most = plural(found.max_users, "user")
    return f"{most} at most ({found.max_users_within_headroom:,} {headroom_words(plan)})"


def answers(plan: Plan) -> Table:
    """Return the numbers that people ask for first, the scales as columns."""
    return by_scale(
        plan,
        (
            ("interactions/min at the peak", _of_demand("interactions_per_minute")),
            ("LLM calls/min at the peak", _of_demand("llm_calls_per_minute")),
            ("what binds", _with_binding(binding_name)),
            ("used of it", _with_binding(lambda found: utilization(found.utilization))),
            ("users that fit", _with_binding(lambda found: f"{found.max_users:,}")),
            (
                f"users that fit {headroom_words(plan)}",
                _with_binding(lambda found: f"{found.max_users_within_headroom:,}"),
            ),
            ("workers", lambda scale: workers_text(scale.workers)),
            ("answer p95", lambda scale: answer_text(scale.workers)),
            ("API, per month", _of_cost("api")),
            ("infrastructure, per month", _of_cost("infrastructure")),
            ("operations, per month", _of_cost("operations")),
            ("total, per month", _of_cost("total")),
            ("per active user and month", per_user_text),
            ("per interaction", _of_cost("per_interaction")),
            ("margin per user and month", margin_text),
        ),
    )


def short_answers(plan: Plan) -> Table:
    """Return the same in columns of a terminal: ranges in rows of their own."""
    return by_scale(
        plan,
        (
            ("interactions/min", lambda scale: number(scale.demand.interactions_per_minute)),
            ("LLM calls/min", lambda scale: number(scale.demand.llm_calls_per_minute)),
            ("what binds", _with_binding(binding_name, NOTHING)),
            ("used of it", _with_binding(lambda found: utilization(found.utilization), NOTHING)),
            ("users (headroom)", _with_binding(_both_users, NOTHING)),
            ("workers", lambda scale: f"{scale.workers.count:,}{_missed(scale.workers)}"),
            ("  90 % of draws", lambda scale: _interval(scale.workers, "count", whole)),
            ("answer p95", lambda scale: seconds(scale.workers.answer_latency_p95_s.value)),
            ("API, per month", lambda scale: money(scale.cost.api)),
            ("infrastructure", lambda scale: money(scale.cost.infrastructure)),
            ("operations", lambda scale: money(scale.cost.operations)),
            ("total, per month", lambda scale: money(scale.cost.total)),
            ("  90 % of draws", lambda scale: _interval(scale.cost, "total", money)),
            ("per active user", lambda scale: _or_dash(scale.cost.per_user)),
            ("per interaction", lambda scale: money(scale.cost.per_interaction)),
            ("margin per user", lambda scale: _or_dash(scale.cost.margin_per_user)),
        ),
    )


def _both_users(found: Binding) -> str:
    return f"{found.max_users:,} ({found.max_users_within_headroom:,})"


def _or_dash(usd: float | None) -> str:
    return NOTHING if usd is None else money(usd)


def _interval(block: Ranged, field: str, write: Callable[[float], str]) -> str:
    interval = block.ranges90.get(field)
    return NOTHING if interval is None else between(interval, write)


def _of_demand(field: str) -> Callable[[Scale], str]:
    return lambda scale: spread(scale.demand, field)


def _of_cost(field: str) -> Callable[[Scale], str]:
    return lambda scale: spread(scale.cost, field, money)


def _with_binding(
    write: Callable[[Binding], str], without: str = NO_LIMIT
) -> Callable[[Scale], str]:
    return lambda scale: without if scale.binding is None else write(scale.binding)


def workers_text(workers: WorkersAtScale) -> str:
    """Write how many workers: `12 (10 to 15)`, with their slots where they have several."""
    text = f"{workers.count:,}{range_of(workers, 'count', whole)}"
    if workers.slots > 1:
        text += f", {workers.slots} slots each"
    return text + _missed(workers)


def _missed(workers: WorkersAtScale) -> str:
    return "" if workers.meets_targets else "; target missed"


def answer_text(workers: WorkersAtScale) -> str:
    """Write the p95 of wait and service together."""
    text = estimate(workers.answer_latency_p95_s, "s")
    return text + range_of(workers, "answer_latency_p95_s", seconds)


def per_user_text(scale: Scale) -> str:
    """Write what an active user costs in a month."""
    cost = scale.cost
    return NO_USERS if cost.per_user is None else spread(cost, "per_user", money)


def margin_text(scale: Scale) -> str:
    """Write what is left of an active user's value in a month."""
    cost = scale.cost
    return NO_VALUE if cost.margin_per_user is None else spread(cost, "margin_per_user", money)
