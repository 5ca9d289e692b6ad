"""Demand files: strict, ranges everywhere, and each mistake one line that says what to do."""

from __future__ import annotations

import pytest

from profiler.errors import PlanError
from profiler.planner.demand_file import load_demand
from profiler.planner.inputs import OneAt, numbers_of, ranges_of
from profiler.planner.ranges import Range

LEAST = """\
users: {peak_concurrent: 500, interactions_per_minute: 2}
traffic: {peak_to_average: 3}
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "demand.yaml"
        path.write_text(text)
        return path

    return write


def test_the_least_demand_has_defaults_for_the_rest(written):
    demand = load_demand(written(LEAST)).demand
    assert demand.growth == (1.0, 3.0, 10.0)
    assert demand.headroom.likely == 0.8


def test_every_number_may_be_a_range(written):
    text = LEAST.replace("500", "{low: 400, likely: 500, high: 800}")
    assert load_demand(written(text)).demand.users.peak_concurrent == Range(400.0, 500.0, 800.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("headroom: 80", "headroom: 80 is not a share between 0 and 1. Write 0.8 or 80%"),
        ("headroom: 0", "headroom: the share is zero. Write more than 0: 0.8 or 80%"),
        ("headroom: 8000", "headroom: 8000 is not a share between 0 and 1. Write 0 to 1"),
        ("growth: [0, 1]", "growth[0]: 0 is no factor: a scale is more than zero."),
        ("growth: [-1]", "growth[0]: -1 is no factor: a scale is more than zero."),
        ("growth: [3, 1]", "growth: the factors are not in rising order."),
        ("growth: []", "growth: growth is not a list of factors."),
        ("currency: EUR", "currency: EUR is not the currency of the prices of models"),
        (
            "operations: {rate_per_hour: 90 EUR}",
            "operations.rate_per_hour: 90 EUR is in another currency",
        ),
        ("operations: {rate_per_hour: -4}", "operations.rate_per_hour: -4 is below zero"),
        (
            "models: {m: {limits: {requests_per_minute: 0}}}",
            "models.m.limits.requests_per_minute: the value is zero.",
        ),
        (
            "models: {m: {limits: {requests_per_minut: 9}}}",
            "unknown key 'requests_per_minut' under models.m.limits. Did you mean",
        ),
        ("models: {m: {limits: {}}}", "models.m.limits: no limit is given."),
        (
            "models: {m: {limits: {tokens_per_minute: 9, output_counted: max_tokens}}}",
            "models.m.limits.output_counted: output is debited by max_tokens",
        ),
        ("models: {m: {fallback: n}}", "models.m.fallback: the fallback 'n' is not under models."),
        (
            "models: {m: {fallback: n}, n: {fallback: m}}",
            "models.m.fallback: the fallbacks of 'm' lead back to 'm'.",
        ),
        (
            "models: {a: {replaces: {m: 0.6}}, b: {replaces: {m: 0.5}}}",
            "models.b: more than all calls of 'm' are replaced.",
        ),
        (
            "workers: {memory_per_session: {low: 2 MB, likely: 1 MB, high: 3 MB}}",
            "workers.memory_per_session: the range is not in order",
        ),
        ("workers: {memory: {low: 1}}", "workers.memory: the range has no 'likely'."),
        ("workers: {memory: lots}", "workers.memory: 'lots' is not a size."),
        ("value: {}", "value: value is given twice or not at all."),
        ("service_level: {worker_wait_p95: 0}", "worker_wait_p95: the duration is zero."),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_remedy(written, line, said):
    path = written(f"{LEAST}{line}\n")
    with pytest.raises(PlanError) as raised:
        load_demand(path)
    assert str(raised.value).startswith(f"{path}:3: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the demand is empty"),
        ("- 1\n", "a demand is a mapping of keys"),
        ("users: {peak_concurrent: 5}\n", "the pace of a user is given nowhere"),
        (
            LEAST.replace("traffic: {peak_to_average: 3}", "traffic: {}"),
            "how many interactions a month",
        ),
    ],
)
def test_what_cannot_be_left_out_is_asked_for(written, text, said):
    with pytest.raises(PlanError, match=said):
        load_demand(written(text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PlanError, match="cannot read the demand"):
        load_demand(tmp_path / "none.yaml")


def test_a_triangle_has_its_quantiles_where_geometry_puts_them():
    """Legs 2 and 6 of a base of 8: a quarter of the area lies left of the top."""
    triangle = Range(2.0, 4.0, 10.0)
    assert triangle.at(0.0) == 2.0
    assert triangle.at(0.25) == pytest.approx(4.0)
    assert triangle.at(0.5) == pytest.approx(10 - 24**0.5)
    assert triangle.at(1.0) == 10.0


def test_one_input_moves_and_the_others_stay(written):
    ranges = ranges_of(load_demand(written(LEAST)).demand)
    numbers = numbers_of(ranges, OneAt(path="users.peak_concurrent", value=900.0))
    assert numbers["users.peak_concurrent"] == 900
    assert numbers["users.interactions_per_minute"] == 2
    assert numbers.get("users.think_time") is None


def test_a_trace_tells_how_bursty_arrivals_are(written, tmp_path):
    """Minutes of 2 and 6 in turn: mean 4, variance 4 x 12 / 11 of twelve; the last is not over."""
    counts = [2, 6] * 6
    times = [60 * minute + place for minute, count in enumerate(counts) for place in range(count)]
    (tmp_path / "trace.csv").write_text("".join(f"{time}\n" for time in [*times, 720]))
    text = LEAST.replace("3}", "3, burstiness: {trace: trace.csv}}")
    found = load_demand(written(text)).demand.traffic.burstiness
    assert found == Range(*[pytest.approx(12 / 11)] * 3)


def test_a_trace_of_a_few_minutes_tells_nothing(written, tmp_path):
    (tmp_path / "trace.csv").write_text("0\n70\n140\n")
    text = LEAST.replace("3}", "3, burstiness: {trace: trace.csv}}")
    with pytest.raises(PlanError, match="2 whole windows, 10 are needed"):
        load_demand(written(text))
