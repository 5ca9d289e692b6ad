"""A capacity curve says in one sentence what was found, with its bracket, and shows each step."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from profiler.profile.capacity import (
    CapacityCurve,
    CapacityResult,
    CapacityStep,
    Judged,
    dump_curve,
)
from profiler.profile.schema import json_schema
from profiler.report.capacity import answer_of, chart, curve_markdown, curve_report, step_line


def judged(value: float | None, verdict: Any, ci95=None) -> Judged:
    return Judged(
        unit="s",
        value=value,
        ci95=ci95,
        objective="latency.p95<2s",
        name="latency.p95",
        metric="scheduled_latency",
        bound=2.0,
        is_upper=True,
        implied=False,
        verdict=verdict if verdict != "driver_limited" else "missed",
        reason=None,
    )


def step(number: int, rate: float, value: float | None, verdict: str, **changes: Any):
    ci95 = None if value is None else (value * 0.9, value * 1.1)
    fields = {
        "number": number,
        "rate_per_s": rate,
        "achieved_per_s": rate,
        "interactions": 1200,
        "sessions": 200,
        "failed": {},
        "dropped": None,
        "duration_s": 25.0,
        "numbers": {},
        "latency_growth_per_s": None,
        "latency_growth_ci95": None,
        "judged": (judged(value, verdict, ci95),),
        "verdict": verdict,
        "reasons": () if verdict == "met" else ("too slow",),
        "runs": ("steps/01-8",),
        "profile": "steps/01-8/profile.json",
        **changes,
    }
    return CapacityStep(**fields)


STEPS = (step(1, 8, 1.42, "met"), step(2, 16, 5.0, "missed"), step(3, 8.4, 2.31, "missed"))


def result(**changes: Any) -> CapacityResult:
    return CapacityResult(
        **{
            "end": "found",
            "lower_per_s": 8.0,
            "upper_per_s": 8.4,
            "upper_verdict": "missed",
            "missed_per_s": 8.4,
            "answer": "The answer.",
            **changes,
        }
    )


def curve(**changes: Any) -> CapacityCurve:
    fields = {
        "schema_version": 1,
        "kind": "capacity_curve",
        "tool_version": "0.1.0",
        "started_at": "2026-01-01T00:00:00+00:00",
        "argv": ("agent-profiler",),
        "workload": "w|\x1b[31m`",
        "digests": {},
        "target": {},
        "objective": "latency.p95<2s",
        "implied": "error_rate<1%",
        "goodput": None,
        "arrivals": "poisson",
        "resolution": 0.05,
        "steps": STEPS,
        "result": result(),
        **changes,
    }
    return CapacityCurve(**fields)


def answer(steps=STEPS, **changes: Any) -> str:
    return answer_of(result(**changes), steps, "latency.p95<2s", 0.05)


def test_the_line_of_a_step_has_its_rate_numbers_and_verdict():
    line = step_line(step(3, 8, 1.42, "met"))
    assert line == "step 3: 8.00/s  latency.p95 1.42 s [1.28, 1.56]  met"
    assert step_line(step(1, 8, None, "undecided")).endswith("latency.p95 —  undecided")


def test_the_answer_has_the_bracket_and_what_stands_above_it():
    assert answer() == (
        "latency.p95<2s: met up to 8.00/s, missed at 8.40/s (latency.p95 2.31 s [2.08, 2.54])."
    )


def test_an_undecided_end_of_the_bracket_is_said_with_the_next_that_was_missed():
    steps = (STEPS[0], STEPS[1], step(3, 8.4, 2.0, "undecided"))
    said = answer(steps, upper_verdict="undecided", missed_per_s=16.0)
    assert "met up to 8.00/s, not decided at 8.40/s (latency.p95 2.00 s [1.80, 2.20])" in said
    assert said.endswith(", missed at 16.0/s.")


def test_what_kept_a_step_from_being_met_is_said_where_no_objective_did():
    behind = step(3, 8.4, 1.0, "undecided", judged=(judged(1.0, "met"),), reasons=("falls behind",))
    assert "not decided at 8.40/s (falls behind)" in answer((behind,), upper_verdict="undecided")
    plain = step(3, 8.4, 1.0, "undecided", judged=(judged(1.0, "met"),), reasons=())
    assert "missed at 8.40/s." in answer((plain,))
    assert "missed at 8.40/s." in answer(())


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("driver_limited", "Then the harness was the limit, not the target."),
        ("most_steps", "The steps were used up before the two were within 5.0 %."),
        ("target_unusable", "Then the target did not answer any more."),
        ("interrupted", "It was interrupted."),
    ],
)
def test_a_search_that_ended_early_says_why(end: str, said: str):
    assert answer(end=end).endswith(said)
    open_above = answer(end=end, upper_per_s=None, upper_verdict=None, missed_per_s=None)
    assert "so the limit is above that" in open_above


def test_a_limit_that_was_not_reached_is_said_to_be_above():
    said = answer(end="never_missed", upper_per_s=None, upper_verdict=None, missed_per_s=None)
    assert said == (
        "latency.p95<2s: met up to 8.00/s; nothing above it was shown to miss, "
        "so the limit is above that."
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("driver_limited", "The harness was the limit at every rate tried."),
        ("target_unusable", "The target did not answer."),
        ("interrupted", "It was interrupted."),
    ],
)
def test_where_nothing_was_met_and_nothing_shown_it_is_not_known(end: str, said: str):
    assert answer(end=end, lower_per_s=None) == f"latency.p95<2s: not known. {said}"


def test_where_even_the_lowest_rate_misses_that_is_the_answer():
    said = answer(end="never_met", lower_per_s=None)
    assert "missed at every rate tried, the lowest being 8.40/s (latency.p95 2.31 s" in said
    undecided = answer(end="never_decided", lower_per_s=None, upper_verdict="undecided")
    assert "met at no rate; the lowest tried, 8.40/s, is undecided" in undecided
    assert answer((), end=None, lower_per_s=None, upper_per_s=None).endswith("not known yet.")


def test_the_chart_has_a_bar_a_rate_and_a_mark_where_the_objective_is():
    title, *lines = chart(curve())
    assert title == "latency.p95 against rate; | is the objective, latency.p95<2s"
    # The mark is at 24 columns: 1.42 s of 2 s are 17 bars, 2.31 s are 28, 5 s end beyond the edge.
    assert lines[0] == f"8.00/s {'▇' * 17}{' ' * 7}|{' ' * 15} 1.42 s [1.28, 1.56]  met"
    assert lines[1].startswith(f"8.40/s {'▇' * 24}|{'▇' * 3}{' ' * 12} 2.31 s")
    assert lines[2].startswith(f"16.0/s {'▇' * 24}|{'▇' * 14}> 5.00 s")


def test_a_chart_of_nothing_is_empty():
    assert chart(curve(steps=())) == []
    assert chart(curve(steps=(step(1, 8, None, "undecided"),))) == []


def test_a_bound_of_zero_is_drawn_as_full():
    zero = judged(3.0, "missed").model_copy(update={"bound": 0.0})
    assert "▇" * 24 in chart(curve(steps=(step(1, 8, 3.0, "missed", judged=(zero,)),)))[1]


def printed(found: CapacityCurve) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(curve_report(found))
    return out.getvalue()


def test_the_terminal_has_table_chart_answer_and_notes():
    text = printed(curve())
    assert "\x1b" not in text
    assert [line.split()[0] for line in text.splitlines() if "1,200" in line] == [
        *("8.00/s", "8.40/s", "16.0/s"),
    ]
    assert "The answer." in text
    assert "(poisson arrivals); latency counts from the intended start" in text
    assert "In addition to what was asked: error_rate<1%." in text


def test_a_search_without_a_step_can_be_shown():
    nothing = curve(steps=(), implied=None)
    assert "The answer." in printed(nothing)
    assert "In addition" not in curve_markdown(nothing)
    assert "```" not in curve_markdown(nothing)


def test_markdown_has_the_same_and_escapes_names():
    text = curve_markdown(curve())
    assert text.startswith("# Capacity of w\\|\N{REPLACEMENT CHARACTER}\\[31m\\`\n\nThe answer.\n")
    assert "| 8.00/s | 8.00/s | 1,200 | 1.42 s \\[1.28, 1.56\\] | met |" in text
    assert "- 8.40/s: too slow" in text
    limited = step(1, 8, 2.1, "driver_limited", achieved_per_s=None)
    assert "| 8.00/s | — | 1,200 |" in curve_markdown(curve(steps=(limited,)))


def test_a_share_is_written_as_a_percentage():
    share = judged(0.015, "missed", (0.01, 0.02)).model_copy(update={"unit": "share"})
    line = step_line(step(1, 8, 1.0, "missed", judged=(share,)))
    assert "1.5 % [1.0 %, 2.0 %]" in line


def test_the_file_follows_its_schema_and_is_read_back():
    found = curve()
    assert CapacityCurve.model_validate_json(dump_curve(found)) == found
    schema = json_schema("capacity")
    assert schema["title"] == "Capacity curve"
    assert set(schema["required"]) == set(CapacityCurve.model_fields)
    for model in (schema, *schema["$defs"].values()):
        assert model["additionalProperties"] is True  # a later version may add fields
        assert all("description" in field for field in model["properties"].values())
