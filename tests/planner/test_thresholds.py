"""Every threshold of the sample's plan: where it is from, and that it is quiet at the baseline."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from profiler.planner import promql
from profiler.planner.baselines import baselines
from profiler.planner.demand import Demand
from profiler.planner.measured import measure
from profiler.planner.service_levels import service_levels
from profiler.planner.stage_triggers import prometheus_duration
from profiler.planner.thresholds import unwatched
from profiler.planner.triggers import Trigger
from profiler.profile.model import load_profile
from tests.planner.shortened import short_simulations
from tests.planner.test_rollout import plan
from tests.system.stores import program

PROFILE = load_profile(Path(__file__).parents[2] / "results" / "sample")


@pytest.fixture(scope="module")
def triggers() -> dict[str, Trigger]:
    models = {"gpt-4o": {"limits": {"requests_per_minute": 10_000, "window": "1s"}}}
    with short_simulations():  # no threshold that is looked at here is simulated
        found = plan(models=models, service_level={"answer_latency_p95": "2.5s"}).triggers
    named = {each.id: each for each in found}
    assert len(named) == len(found)
    return named


def test_a_tool_is_slow_from_half_above_its_p95_on(triggers: dict[str, Trigger]):
    found = triggers["baseline_tools_get_reservation_details_duration"]
    assert found.baseline == 0.393727  # p95 of results/sample/profile.json
    assert found.threshold == pytest.approx(0.5905905)
    assert found.least_samples == 100  # none of 93 was: binomial(100, 1/95) over 5 in 0.06 %


def test_little_traffic_is_looked_at_for_longer():
    """History tokens need 852 interactions: half an hour of 29 a minute, six of 3 and a bit."""
    windows = {}
    for per_minute in (30, 20, 3, 0.01):
        found = (each for each in baselines(measure(PROFILE), per_minute))
        windows[per_minute] = next(
            each.window
            for each in found
            if isinstance(each, Trigger) and each.id == "baseline_interaction_history_tokens"
        )
    assert windows == {30: "30m", 20: "1h", 3: "6h", 0.01: "1d"}


def test_no_threshold_lies_within_the_interval_of_what_was_measured(triggers: dict[str, Trigger]):
    """The mean of history tokens is 1,944 with an interval up to 2,575: 25 % above is 2,430."""
    history = PROFILE.interaction["history_tokens"]
    assert history.mean_ci95 is not None
    assert 1.25 * history.mean < history.mean_ci95[1]
    assert triggers["baseline_interaction_history_tokens"].threshold == history.mean_ci95[1]


def test_what_was_measured_too_seldom_is_named_and_not_watched(triggers: dict[str, Trigger]):
    """Of list_all_airports the sample has two calls."""
    assert not any("list_all_airports" in name for name in triggers)
    said = [text for text in unwatched(measure(PROFILE)) if "list_all_airports" in text]
    assert said[0].startswith("tools.list_all_airports.duration: 2 measured")


def test_a_p95_without_an_interval_gives_way_to_the_mean(triggers: dict[str, Trigger]):
    tool = PROFILE.tools["get_user_details"].duration
    assert tool is not None
    assert tool.p95 is not None
    assert tool.p95_ci95 is None
    assert triggers["baseline_tools_get_user_details_duration"].baseline == tool.mean


def test_nothing_fires_at_its_baseline(triggers: dict[str, Trigger]):
    known = [each for each in triggers.values() if each.baseline is not None]
    assert len(known) > 20
    for each in known:
        assert each.baseline is not None
        assert each.baseline < each.threshold


def test_sixty_observations_are_enough_for_a_p95():
    """All below the true p95 has a chance of 0.95^n: under 5 % from 59 on."""
    assert 0.95**59 < 0.05 < 0.95**58


def test_burn_rates_spend_what_the_workbook_says():
    """Of a budget for 30 days: 2 % in an hour, 5 % in six, 10 % in a day and in three."""
    demand = Demand.model_validate(
        {
            "users": {"peak_concurrent": 1, "interactions_per_minute": 1},
            "traffic": {"peak_to_average": 1},
            "service_level": {"rejected_share": "0.1%"},
        }
    )
    found = service_levels(demand, llm_calls=1.0, answer_p95_s=None)
    burning = [each for each in found if each.id.startswith("budget_")]
    hours = {"1h": 1, "6h": 6, "1d": 24, "3d": 72}
    spent = [each.threshold / 0.001 * hours[each.window] / 720 for each in burning]
    assert spent == pytest.approx([0.02, 0.05, 0.1, 0.1])
    assert all(each.short_expression for each in burning)


def test_a_budget_that_no_outage_can_burn_so_fast_has_no_such_alert():
    """14.4 x 10 % is more than every interaction; 6 x 10 % is not."""
    demand = Demand.model_validate(
        {
            "users": {"peak_concurrent": 1, "interactions_per_minute": 1},
            "traffic": {"peak_to_average": 1},
            "service_level": {"rejected_share": "10%"},
        }
    )
    names = {each.id for each in service_levels(demand, llm_calls=1.0, answer_p95_s=None)}
    assert "budget_failures_1h" not in names
    assert "budget_failures_6h" in names


def test_prometheus_reads_every_expression(triggers: dict[str, Trigger], tmp_path: Path):
    tool = 'a "tool"\\ {with}\nbraces'
    written: list[Any] = [promql.mean("agent_tool_duration_seconds", "5m", {"name": tool})]
    for each in triggers.values():
        written += [each.expression, each.short_expression, each.samples]
    rules = [
        {"record": f"job:number_{number}", "expr": text}
        for number, text in enumerate(filter(None, written))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    promtool = program("promtool")
    told = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert f"{len(rules)} rules found" in told.stdout


@pytest.mark.parametrize(
    ("seconds", "written"), [(90, "90s"), (600, "10m"), (5400, "90m"), (7200, "2h"), (172800, "2d")]
)
def test_a_window_is_written_in_the_largest_unit_that_fits(seconds: float, written: str):
    assert prometheus_duration(seconds) == written
