"""The head of a plan: whether to trust it, what binds at which scale, and the answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Items, Part, Table, by_scale, part
from profiler.report.plan_stated import headroom_words
from profiler.report.plan_words import (
    estimate,
    exact,
    factor,
    limit_unit,
    money,
    nothing,
    range_of,
    seconds,
    spread,
    utilization,
)
from profiler.report.quantities import plural, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.planner.plan import Binding, Plan, Scale, WorkersAtScale

NO_LIMIT = nothing("the demand names no limit")
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
        return "no limit is known to bind, since the demand names none."
    users = scale.demand.users
    if found.utilization > 1:
        fits = "does not fit"
    elif users > found.max_users_within_headroom:
        fits = "fits, but not within the headroom"
    else:
        fits = "fits"
    binds = f"{binding_name(found)} binds, {utilization(found.utilization)} used"
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
            ("answer latency p95", lambda scale: answer_text(scale.workers)),
            ("API, per month", _of_cost("api")),
            ("infrastructure, per month", _of_cost("infrastructure")),
            ("operations, per month", _of_cost("operations")),
            ("total, per month", _of_cost("total")),
            ("per active user and month", per_user_text),
            ("per interaction", _of_cost("per_interaction")),
            ("margin per user and month", margin_text),
        ),
    )


def _of_demand(field: str) -> Callable[[Scale], str]:
    return lambda scale: spread(scale.demand, field)


def _of_cost(field: str) -> Callable[[Scale], str]:
    return lambda scale: spread(scale.cost, field, money)


def _with_binding(write: Callable[[Binding], str]) -> Callable[[Scale], str]:
    return lambda scale: NO_LIMIT if scale.binding is None else write(scale.binding)


def workers_text(workers: WorkersAtScale) -> str:
    """Write how many workers: `12 (10 to 15)`, with their slots where they have several."""
    text = f"{workers.count:,}{range_of(workers, 'count', lambda value: f'{value:,.0f}')}"
    if workers.slots > 1:
        text += f", {workers.slots} slots each"
    return text if workers.meets_targets else f"{text}; target missed"


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
