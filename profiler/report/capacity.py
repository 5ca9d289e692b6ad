"""A capacity curve as people read it: a line a step, a chart of text, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report.markdown import escape
from profiler.report.quantities import (
    NOTHING,
    percent,
    printable,
    quantity,
    share_with_interval,
    value_with_interval,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from profiler.profile.capacity import CapacityCurve, CapacityResult, CapacityStep, Number

_STYLES = {"met": "green", "missed": "red", "undecided": "yellow", "driver_limited": "red"}
_WIDTH = 40
_BOUND_AT = 24
"""Columns of the chart, and the one where the bound is: what is far beyond it does not matter."""


def rate_text(rate_per_s: float) -> str:
    """Write a rate: `8.00/s`, `45.3/s`, `1,024/s`."""
    return f"{quantity(rate_per_s, 'count')}/s"


def number_text(number: Number) -> str:
    """Write a number with its interval: `1.42 s [1.31, 1.60]`, `0 % [0 %, 1.8 %]`."""
    if number.value is None:
        return NOTHING
    if number.unit == "share":
        return share_with_interval(number.value, number.ci95)
    return value_with_interval(number.value, number.ci95, number.unit)


def step_line(step: CapacityStep) -> str:
    """Write what one step has shown: `step 3: 8.00/s  latency.p95 1.42 s [1.31, 1.60]  met`."""
    numbers = [f"{judged.name} {number_text(judged)}" for judged in step.judged]
    verdict = step.verdict.replace("_", " ")
    return "  ".join([f"step {step.number}: {rate_text(step.rate_per_s)}", *numbers, verdict])


def answer_of(
    result: CapacityResult, steps: Sequence[CapacityStep], objective: str, resolution: float
) -> str:
    """Say in a sentence what was found, with its bracket and what stands above it."""
    lower, upper = result.lower_per_s, result.upper_per_s
    if lower is None:
        return _without_lower(result, steps, objective)
    answer = f"{objective}: met up to {rate_text(lower)}"
    if upper is None:
        answer += "; nothing above it was shown to miss, so the limit is above that"
    else:
        answer += f", {_above(result, steps)}"
    match result.end:
        case "driver_limited":
            answer += ". Then the harness was the limit, not the target"
        case "most_steps":
            answer += f". The steps were used up before the two were within {percent(resolution)}"
        case "target_unusable":
            answer += ". Then the target did not answer any more"
        case "interrupted":
            answer += ". It was interrupted"
    return answer + "."


def _above(result: CapacityResult, steps: Sequence[CapacityStep]) -> str:
    assert result.upper_per_s is not None  # noqa: S101 - the caller has looked
    verb = "missed" if result.upper_verdict == "missed" else "not decided"
    text = f"{verb} at {rate_text(result.upper_per_s)}"
    why = _why(_at(steps, result.upper_per_s))
    text += f" ({why})" if why else ""
    missed = result.missed_per_s
    if missed is not None and missed != result.upper_per_s:
        text += f", missed at {rate_text(missed)}"
    return text


def _at(steps: Sequence[CapacityStep], rate_per_s: float) -> CapacityStep | None:
    return next((step for step in reversed(steps) if step.rate_per_s == rate_per_s), None)


def _why(step: CapacityStep | None) -> str:
    """Name the objectives that were not met, with what they showed; else what fell behind."""
    if step is None:
        return ""
    not_met = [judged for judged in step.judged if judged.verdict == step.verdict]
    if not not_met:
        return step.reasons[0] if step.reasons else ""
    return "; ".join(f"{judged.name} {number_text(judged)}" for judged in not_met)


def _without_lower(result: CapacityResult, steps: Sequence[CapacityStep], objective: str) -> str:
    match result.end:
        case "driver_limited":
            return f"{objective}: not known. The harness was the limit at every rate tried."
        case "target_unusable":
            return f"{objective}: not known. The target did not answer."
        case "interrupted":
            return f"{objective}: not known. It was interrupted."
    if not steps or result.upper_per_s is None:
        return f"{objective}: not known yet."
    lowest = rate_text(result.upper_per_s)
    why = _why(_at(steps, result.upper_per_s))
    if result.upper_verdict == "missed":
        return f"{objective}: missed at every rate tried, the lowest being {lowest} ({why})."
    return f"{objective}: met at no rate; the lowest tried, {lowest}, is undecided ({why})."


def chart(curve: CapacityCurve) -> list[str]:
    """Draw the first objective's number against the rate, a bar a step; `|` is the bound.

    What is beyond the right edge ends in `>`. Empty where there is nothing to draw.
    """
    drawn = [
        (step, judged)
        for step in sorted(curve.steps, key=lambda step: step.rate_per_s)
        for judged in step.judged[:1]
        if judged.value is not None
    ]
    if not drawn:
        return []
    bound = drawn[0][1].bound
    width = max(len(rate_text(step.rate_per_s)) for step, _ in drawn)
    lines = [f"{drawn[0][1].name} against rate; | is the objective, {drawn[0][1].objective}"]
    for step, judged in drawn:
        bar = _bar(judged.value or 0.0, bound)
        rate, verdict = rate_text(step.rate_per_s), step.verdict.replace("_", " ")
        lines.append(f"{rate:>{width}} {bar} {number_text(judged)}  {verdict}")
    return lines


def _bar(value: float, bound: float) -> str:
    length = _WIDTH if not bound else round(value / bound * _BOUND_AT)
    cells = ["▇" if place < length else " " for place in range(_WIDTH)]
    cells[_BOUND_AT] = "|"
    if length > _WIDTH:
        cells[-1] = ">"
    return "".join(cells)


def curve_report(curve: CapacityCurve) -> RenderableType:
    """Return title, table, chart and answer, for any rich console."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in _header(curve):
        table.add_column(name, justify="left" if name == "verdict" else "right", overflow="fold")
    for step in sorted(curve.steps, key=lambda step: step.rate_per_s):
        *cells, verdict = _cells(step)
        table.add_row(*cells, Text(verdict, style=_STYLES[step.verdict]))
    lines = chart(curve)
    return Group(
        Text(f"Capacity of {printable(curve.workload)}", style="bold"),
        table,
        *(Text(line) for line in lines),
        Text(("\n" if lines else "") + curve.result.answer, style="bold"),
        *(Text(note, style="dim") for note in _notes(curve)),
    )


def _header(curve: CapacityCurve) -> list[str]:
    judged = curve.steps[0].judged if curve.steps else ()
    return ["rate", "achieved", "interactions", *(item.name for item in judged), "verdict"]


def _cells(step: CapacityStep) -> list[str]:
    achieved = NOTHING if step.achieved_per_s is None else rate_text(step.achieved_per_s)
    numbers = [number_text(judged) for judged in step.judged]
    verdict = step.verdict.replace("_", " ")
    return [rate_text(step.rate_per_s), achieved, whole(step.interactions), *numbers, verdict]


def _notes(curve: CapacityCurve) -> list[str]:
    rates = f"Rates are interactions per second ({curve.arrivals} arrivals)"
    notes = [
        f"{rates}; latency counts from the intended start.",
        "Met: the whole 95 % interval is on the good side of the bound.",
    ]
    if curve.implied is not None:
        notes.append(f"In addition to what was asked: {curve.implied}.")
    return notes


def curve_markdown(curve: CapacityCurve) -> str:
    """Return the same content as Markdown, with what kept each step from being met."""
    header = _header(curve)
    lines = [f"| {' | '.join(escape(name) for name in header)} |"]
    lines.append(f"|{'|'.join(['--:'] * (len(header) - 1))}|---|")
    steps = sorted(curve.steps, key=lambda step: step.rate_per_s)
    lines += [f"| {' | '.join(escape(cell) for cell in _cells(step))} |" for step in steps]
    blocks = [
        f"# Capacity of {escape(printable(curve.workload))}",
        escape(curve.result.answer),
        "\n".join(lines),
    ]
    drawn = chart(curve)
    if drawn:
        blocks.append("\n".join(["```text", *drawn, "```"]))
    reasons = [
        f"- {rate_text(step.rate_per_s)}: {escape('; '.join(step.reasons))}"
        for step in steps
        if step.reasons
    ]
    if reasons:
        blocks.append("\n".join(reasons))
    blocks.append("\n".join(f"- {escape(note)}" for note in _notes(curve)))
    return "\n\n".join(blocks) + "\n"
