"""What a plan warns of, and where its numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Items, Part, Row, Table, Words, part
from profiler.report.plan_words import nothing
from profiler.report.quantities import (
    NOTHING,
    percent,
    plural,
    printable,
    quantity,
    share_with_interval,
    value_with_interval,
    whole,
)

if TYPE_CHECKING:
    from profiler.planner.plan import Plan, Provenance


def warning_lines(plan: Plan) -> list[str]:
    """Return the plan's warnings, safe to show."""
    return [printable(text, 600) for text in plan.warnings]


def warnings(plan: Plan) -> Part:
    """Return what the plan warns of."""
    lines = warning_lines(plan)
    return part("Warnings", Items(tuple(lines)) if lines else Words("None."))


def sources(plan: Plan, command: str | None) -> Part:
    """Return the measured numbers behind the plan, its prices, its seed, how to make it again."""
    table = Table(
        ("used for", "metric", "value [95 % CI]", "observer", "coverage"),
        tuple(_row(found) for found in plan.provenance),
        frozenset({1, 3}),
    )
    return part("Where each number comes from", table, Items(tuple(_inputs(plan, command))))


def _row(found: Provenance) -> Row:
    coverage = nothing("not known") if found.coverage is None else percent(found.coverage)
    cells = (printable(found.metric, 80), _value(found), printable(found.source), coverage)
    return Row(printable(found.used_for, 120), cells)


def _value(found: Provenance) -> str:
    if found.unit == "s":
        return value_with_interval(found.value, found.ci95, "s")
    if found.unit == "share":
        return share_with_interval(found.value, found.ci95)
    text = quantity(found.value, "count")
    ends = "?" if found.ci95 is None else ", ".join(quantity(end, "count") for end in found.ci95)
    unit = "" if found.unit == "count" else f" {printable(found.unit, 24)}"
    return f"{text} [{ends}]{unit}"


def _inputs(plan: Plan, command: str | None) -> list[str]:
    profile, prices = plan.inputs.profile, plan.inputs.prices
    measured = f"{plural(profile.interactions, 'interaction')} in "
    measured += f"{plural(profile.sessions, 'session')}, started {printable(profile.started_at)}"
    dated = nothing("not known") if prices.models_date is None else printable(prices.models_date)
    of_profile = f"{printable(profile.id, 80)}, {measured}"
    of_models = f"{printable(prices.models, 120)}, data of {dated}, as at {printable(prices.at)}"
    draws = "the interval of 90 % of them: the demand's ranges, and the measured sessions anew"
    lines = [
        f"profile: {of_profile}; SHA-256 {printable(profile.digest, 80)}",
        f"prices of models: {of_models}",
        f"prices of infrastructure: {printable(prices.infrastructure, 120)}",
        f"seed {plan.inputs.seed}; {whole(plan.inputs.draws)} draws behind each (a to b), {draws}",
        "no (a to b): the draws do not move it, or it is not drawn",
        "[a, b]: 95 % interval of the measurement or of the simulation; [?]: too little for one",
        f"{NOTHING}: not known, and why",
        f"agent-profiler {printable(plan.tool_version)}",
    ]
    return lines if command is None else [*lines, f"again: {printable(command, 400)}"]
