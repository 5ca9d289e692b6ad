"""What a comparison says, in words that a person and a CI system read."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from profiler.comparison.compare import compare
from profiler.comparison.model import (
    Difference,
    GateResult,
    MetricComparison,
    PlanMeaning,
    ScaleMeaning,
)
from profiler.comparison.trend import trend_of
from profiler.report.comparison import comparison_report
from profiler.report.comparison_markdown import comparison_markdown
from profiler.report.comparison_words import (
    change_lines,
    facts,
    gate_reason,
    gate_rule,
    meaning_lines,
    moved,
    signed_percent,
)
from profiler.report.junit import junit_xml
from profiler.report.trend import sparkline, trend_markdown, trend_report
from tests.comparison.runs import profile_of

SESSIONS = [[1, 2], [2, 1], [1, 1], [3, 1], [2, 2], [1, 2], [1, 1], [2, 1], [1, 3], [2, 2]]
ONE_MORE = [[calls + 1 for calls in turns] for turns in SESSIONS]
HOSTILE = "<script>|x\x00`"


def metric(name: str, unit: str, baseline: float, candidate: float, statistic: str = "mean"):
    found = Difference(
        statistic=statistic,
        baseline=baseline,
        candidate=candidate,
        difference=candidate - baseline,
        difference_ci95=None,
        relative=candidate / baseline - 1 if baseline else None,
        relative_ci95=None,
        p_value=0.0,
        p_adjusted=0.0,
        real=True,
        method="sessions",
        reason=None,
    )
    return MetricComparison(metric=name, unit=unit, counts=(9, 9), differences=(found,), curve=None)


@pytest.mark.parametrize(
    ("moving", "said"),
    [
        (
            ("interaction.llm_calls", "count", 1.75, 2.65),
            "0.90 more LLM calls per interaction (+51 %)",
        ),
        (
            ("session.interactions", "count", 4.0, 3.0),
            "1.00 fewer interactions per session (-25 %)",
        ),
        (
            ("interaction.history_tokens", "tokens", 1000.0, 1380.0),
            "history tokens per interaction +38 % (1,000 → 1,380)",
        ),
        (
            ("interaction.latency", "s", 1.0, 1.5, "p95"),
            "latency p95 per interaction +50 % (1.00 s → 1.50 s)",
        ),
        (
            ("tools.search.duration", "s", 0.2, 0.1),
            "duration of tool `search` -50 % (200 ms → 100 ms)",
        ),
        (("error_rate", "share", 0.0, 0.03, "share"), "errors 0 % → 3.0 %"),
        (
            ("interaction.state_reads", "count", 0.0, 2.0),
            "2.00 more state reads per interaction",
        ),
    ],
)
def test_a_change_is_said_in_words(moving, said):
    found = metric(*moving)
    assert moved(found, found.differences[0]) == said


def test_two_mock_runs_say_that_latency_is_not_judged():
    real = compare(profile_of(SESSIONS), profile_of(ONE_MORE, run_id="r2"))
    assert "not judged" not in dict(facts(real))
    mock = {"target": {"url": None, "mock": {"speed": 1.0}}}
    made = compare(profile_of(SESSIONS, **mock), profile_of(ONE_MORE, run_id="r2", **mock))
    assert dict(facts(made))["not judged"].startswith("latency: the mock agent's")


def test_changes_of_the_shape_come_with_what_appeared():
    before = profile_of(SESSIONS, tools=["book"])
    after = profile_of(ONE_MORE, run_id="r2", tools=["book", "search"])
    lines = change_lines(compare(before, after))
    assert lines[0] == "new tool `search`"
    assert "1.00 more LLM calls per interaction (+62 %)" in lines  # 1.6 to 2.6
    assert change_lines(compare(before, before)) == ["nothing that is more than chance"]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "±0 %"),
        (0.004, "+0.4 %"),
        (0.382, "+38 %"),
        (-0.5, "-50 %"),
        (11.0, "12-fold"),
        (None, "—"),
    ],
)
def test_a_change_as_a_share(share, said):
    assert signed_percent(share) == said


def gate(**changes: Any) -> GateResult:
    usual: dict[str, Any] = {
        "metric": "interaction.llm_calls",
        "statistic": "mean",
        "unit": "count",
        "rule": "max_increase",
        "bound": 0.1,
        "relative": True,
        "default": False,
        "verdict": "inconclusive",
        "baseline": 2.0,
        "candidate": 2.1,
        "ci90": (-0.05, 0.15),
        "p_adjusted": 0.8,
        "interactions_needed": 1234,
        "reason": None,
    }
    return GateResult(**usual | changes)


def test_a_gate_says_its_rule_and_what_was_seen():
    assert gate_rule(gate()) == "increase of at most 10 %"
    said = "+5.0 % [-5.0 %, +15 %]; about 1,300 interactions would decide it"
    assert gate_reason(gate()) == said
    assert gate_reason(gate(verdict="pass")) == "+5.0 % [-5.0 %, +15 %]"
    never = gate_reason(gate(interactions_needed=None))
    assert never.endswith("no sample of a size that can be had would decide it")
    assert (
        gate_reason(gate(reason="not observed in the baseline")) == "not observed in the baseline"
    )
    at_most = gate(rule="max", unit="s", bound=4.0, relative=False, candidate=3.0, ci90=(2.5, 3.5))
    assert gate_rule(at_most) == "at most 4.00 s"
    assert gate_reason(at_most).startswith("3.00 s [2.50 s, 3.50 s]")


def test_junit_counts_failures_and_calls_inconclusive_an_error():
    found = compare(profile_of(SESSIONS), profile_of(ONE_MORE, run_id="r2"))
    suite = ET.fromstring(junit_xml(found))
    verdicts = [each.verdict for each in found.gates]
    assert suite.get("tests") == str(len(verdicts))
    assert suite.get("failures") == str(verdicts.count("fail"))
    assert suite.get("errors") == "0"
    assert [case.get("name") for case in suite if case.find("failure") is not None] == [
        "interaction.llm_calls.mean",
        "interaction.input_tokens.mean",
        "interaction.output_tokens.mean",
    ]
    few = compare(profile_of(SESSIONS[:3]), profile_of(ONE_MORE[:3], run_id="r2"))
    assert ET.fromstring(junit_xml(few)).get("errors") == str(len(few.gates))


def test_names_from_outside_stay_text():
    before = profile_of(SESSIONS, tools=["book"], workload=HOSTILE)
    after = profile_of(SESSIONS, run_id="r2", tools=["book", HOSTILE], workload=HOSTILE)
    found = compare(before, after)
    text = comparison_markdown(found)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    ET.fromstring(junit_xml(found))  # a NUL would be no XML
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(comparison_report(found))
    assert "\x00" not in captured.get()
    assert "<script>|x" in captured.get()


def test_a_plan_is_said_in_users_and_dollars():
    scale = ScaleMeaning(
        factor=3.0,
        users=1500.0,
        max_users=(1600, 1210),
        workers=(10, 12),
        cost_usd_per_month=(1000.0, 1380.4),
        api_usd_per_month=(800.0, 1180.4),
    )
    plan = PlanMeaning(name="launch", prices_at="2026-11-22", scales=(scale,))
    users = "limits carry 1,600 → 1,210 users of 1,500"
    said = f"at 3x: $1,000 → $1,380 a month (+380); {users}; 10 → 12 workers"
    assert list(meaning_lines(plan)) == [said]


def test_a_sparkline_goes_from_the_lowest_to_the_highest_and_marks_changes():
    assert sparkline([1.0, 2.0, 3.0, 8.0]) == "▁▂▃█"
    assert sparkline([1.0, None, 2.0], changes=[2]) == "▁ ╎█"
    assert sparkline([3.0, 3.0]) == "▅▅"
    assert sparkline([None]) == ""


def test_a_trend_says_where_it_changed():
    runs = [
        profile_of(
            [[c + (i >= 5) for c in turns] for turns in SESSIONS],
            run_id=f"r{i}",
            seed=i,
            started_wall_ns=(1_700_000_000 + i) * 10**9,
        )
        for i in range(10)
    ]
    text = trend_markdown(trend_of(runs))
    line = "LLM calls per interaction: 1.60 → 2.60 (+62 %) from r5 on (2023-11-14)"
    assert line in text
    assert "▁▁▁▁▁╎█████" in text
    console = Console(width=100)
    with console.capture() as captured:
        console.print(trend_report(trend_of(runs)))
    assert line in captured.get()
