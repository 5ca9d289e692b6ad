"""Objectives are read strictly: what is meant is certain, or it is refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.profile.objectives import (
    RATES,
    STATISTICS,
    Comparator,
    Objective,
    objectives_text,
    parse_goodput,
    parse_objectives,
)


def refusal(text: str, parse=parse_objectives) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_the_example_of_the_documentation_is_read():
    objectives = parse_objectives(
        "latency.p95<2s, error_rate<1%, time_to_first_token.p99<=800ms, latency.mean<1s"
    )
    assert [(o.metric, o.statistic, o.comparator.value, o.bound, o.unit) for o in objectives] == [
        ("latency", "p95", "<", 2.0, "s"),
        ("error_rate", None, "<", 0.01, "share"),
        ("time_to_first_token", "p99", "<=", 0.8, "s"),
        ("latency", "mean", "<", 1.0, "s"),
    ]


def test_bounds_have_the_unit_of_their_metric():
    def bound(text: str) -> float:
        return parse_objectives(text)[0].bound

    assert bound("latency.p95 < 1500 ms") == 1.5
    assert bound("latency.p95<2min") == 120
    assert bound("error_rate<0.02") == 0.02
    assert bound("error_rate < 2 %") == 0.02
    assert bound("output_tokens.mean>=12.5") == 12.5
    assert bound("goodput>95%") == 0.95


def test_the_text_of_an_objective_is_read_back_as_the_same():
    text = "latency.p95<2s, time_to_first_token.p99<=800ms, error_rate<1%, output_tokens.mean>10"
    assert objectives_text(parse_objectives(text)) == text
    assert str(parse_objectives("latency.p95  <  1500ms")[0]) == "latency.p95<1.5s"
    assert str(parse_objectives("error_rate<0.07")[0]) == "error_rate<7%"


@given(
    st.sampled_from(["latency", "input_tokens", "llm_calls", *RATES]),
    st.sampled_from(sorted(STATISTICS)),
    st.sampled_from(list(Comparator)),
    st.integers(1, 999),
)
def test_writing_and_reading_are_inverse(metric, statistic, comparator, thousandths):
    unit = {"latency": "s", "input_tokens": "tokens", "llm_calls": "count"}.get(metric, "share")
    objective = Objective(
        metric=metric,
        statistic=None if unit == "share" else statistic,
        comparator=comparator,
        bound=thousandths / 1000,
        unit=unit,
    )
    read = parse_objectives(str(objective))[0]
    assert read.bound == pytest.approx(objective.bound, rel=1e-12)
    assert (read.name, read.comparator, read.unit) == (objective.name, comparator, unit)


def test_unknown_names_are_told_with_the_nearest_known():
    assert "no metric 'latencey'. Did you mean 'latency'?" in refusal("latencey.p95<2s")
    assert "Did you mean 'error_rate'?" in refusal("eror_rate<1%")
    assert "no statistic" in refusal("latency.max<2s")
    assert "Known here: mean, p50, p90, p95, p99" in refusal("latency.q<2s")


def test_what_is_not_said_is_asked_for():
    assert "latency needs a statistic. Write latency.p95<2s" in refusal("latency<2s")
    assert "error_rate has no statistic" in refusal("error_rate.p95<1%")
    assert "Give a duration with its unit, like 2s or 800ms" in refusal("latency.p95<800")
    assert "Give a percentage like 1%" in refusal("error_rate<1s")
    assert "Give a percentage like 1%" in refusal("error_rate<2")
    assert "Give a number (tokens)" in refusal("input_tokens.mean<2s")
    assert "'2lightyears' is no bound of latency" in refusal("latency.p95<2lightyears")


@pytest.mark.parametrize("text", ["", " , ", "latency.p95<2s,", "latency.p95=2s", "p95", "<2s"])
def test_what_is_no_objective_is_refused_with_an_example(text: str):
    assert "Write it like latency.p95<2s, error_rate<1%" in refusal(text)


def test_an_objective_given_twice_is_refused():
    assert "bounded twice" in refusal("latency.p95<2s, latency.p95<=3s")
    assert parse_objectives("latency.p95<2s, latency.p50<1s")


@pytest.mark.parametrize(
    "text",
    [
        "latency.p95<2s, latency.p95>3s",
        "latency.p95>2s, latency.p95<2s",
        "latency.p95>=2s, latency.p95<2s",
        "latency.p50>2s, latency.p95<1s",
        "error_rate>2%, error_rate<1%",
    ],
)
def test_objectives_that_nothing_can_meet_together_are_refused(text: str):
    assert "contradict each other" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "latency.p95>1s, latency.p95<2s",
        "latency.p95>=2s, latency.p95<=2s",
        "latency.p95>2s, latency.p50<1s",
        "latency.mean>2s, latency.p50<1s",
    ],
)
def test_bounds_from_both_sides_are_no_contradiction(text: str):
    assert len(parse_objectives(text)) == 2


def test_what_no_sample_can_show_is_refused():
    assert "nothing can be shown" in refusal("error_rate<=0%")
    assert "nothing can be shown" in refusal("latency.p95<0s")
    assert "nothing can be shown" in refusal("goodput>=100%")


def test_goodput_asks_each_interaction():
    objectives = parse_goodput("latency<2s, time_to_first_token<500ms")
    assert [o.name for o in objectives] == ["latency", "time_to_first_token"]
    assert objectives_text(objectives) == "latency<2s, time_to_first_token<500ms"


def test_goodput_has_no_statistics_and_no_rates():
    assert "one interaction has no p95" in refusal("latency.p95<2s", parse_goodput)
    assert "Give it to --objective" in refusal("error_rate<1%", parse_goodput)
    assert "no metric 'latency_failed'" in refusal("latency_failed<2s", parse_goodput)
    assert "Write it like latency<2s" in refusal("fast", parse_goodput)
