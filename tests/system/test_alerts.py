"""A plan's rules in a real Prometheus, which looks at the mock agent: silent, and then not.

Windows and holds are a hundredth of the plan's: 10 minutes are 6 seconds.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from benchmarks.monitoring.demo import AGENT, CALM, OVERLOAD
from benchmarks.monitoring.rules import scaled
from benchmarks.monitoring.servers import load, mock_agent, prometheus
from profiler.planner import metric_names as names
from profiler.planner.monitoring.files import monitoring_files
from profiler.planner.monitoring.instruments import INSTRUMENTS
from profiler.planner.monitoring.panels import record_name
from tests.planner.monitoring.sample import sample_plan, sample_profile
from tests.system.cli import AIRLINE
from tests.system.processes import wait_until
from tests.system.stores import free_port, program

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.monitoring.servers import Prometheus
    from profiler.planner.triggers import Trigger

pytestmark = pytest.mark.system

SCALE = 0.01
CALM_S = 16
"""Longer than any window and hold of a stage, scaled: 6 and 9 seconds."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    """Write the `monitoring/` of the sample's plan."""
    program("prometheus")
    folder: Path = tmp_path_factory.mktemp("plan")
    for name, content in monitoring_files(sample_plan(), sample_profile()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def trigger_of(stage: int) -> Trigger:
    (trigger,) = [each for each in sample_plan().triggers if each.stage == stage]
    return trigger


def value_of(watching: Prometheus, stage: int) -> float:
    """Return what the alert compares: silence is not for want of a value."""
    (series,) = watching.query(record_name(trigger_of(stage).id))
    return float(series["value"][1])


def called_for(watching: Prometheus, stage: int) -> bool:
    return any(labels.get("stage") == str(stage) for labels in watching.firing().values())


@pytest.mark.parametrize(
    ("stage", "cause"),
    [(2, names.QUEUE_DEPTH), (3, f"rate({names.LLM_RATE_LIMITED}[5s])")],
)
def test_a_stage_is_called_for_by_overload_and_not_before(plan, stage, cause):
    rules = plan / "prometheus"
    with (
        mock_agent(*AGENT[stage]) as url,
        prometheus([url], rules, window_scale=SCALE) as watching,
    ):
        with load(url, *CALM[stage]):
            wait_until(lambda: watching.query(f"{names.INTERACTIONS} > 0"), "answers are counted")
            until_s = time.monotonic() + CALM_S
            while time.monotonic() < until_s:
                assert not called_for(watching, stage), watching.firing()
                time.sleep(0.5)
            assert value_of(watching, stage) < 0.5 * trigger_of(stage).threshold
        with load(url, *OVERLOAD[stage]):
            wait_until(lambda: called_for(watching, stage), f"stage {stage} is called for")
        assert watching.query(f"{cause} > 0")


@pytest.fixture(scope="module")
def under_load(plan):
    """Look at recorded sessions with the plan's buckets, until every tool has been called."""
    with (
        mock_agent(
            *("--workers", 5, "--worker-slots", 8, "--speed", 20, "--recordings", AIRLINE),
            *("--buckets", plan / "opentelemetry" / "buckets.json"),
        ) as url,
        prometheus([url], plan / "prometheus", window_scale=SCALE) as watching,
        load(url, "--users", 8, "--sessions", 1_000_000, workload="airline"),
    ):
        tools = sample_profile().tools
        counted = f"count({names.TOOL_DURATION}_count >= 2)"
        wait_until(
            lambda: [s for s in watching.query(counted) if int(s["value"][1]) >= len(tools)],
            "every tool of the profile has been called",
        )
        yield watching


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_metric_of_production_comes_from_the_mock_agent(under_load, name):
    suffix = "_count" if INSTRUMENTS[name].kind == "histogram" else ""
    series = under_load.query(f"{name}{suffix}")
    assert series
    labels = {label for each in series for label in each["metric"]}
    assert labels - {"__name__", "instance", "job"} <= {*INSTRUMENTS[name].labels}


def test_every_rule_is_evaluated_without_a_complaint(under_load):
    wait_until(
        lambda: all(rule["health"] != "unknown" for rule in under_load.rules()), "rules have run"
    )
    assert [rule["lastError"] for rule in under_load.rules() if rule["health"] != "ok"] == []


def test_every_recorded_series_has_a_value_under_load(under_load, plan):
    """Every one that the dashboard shows, and every threshold and baseline beside it."""
    rules = yaml.safe_load((plan / "prometheus" / "recording.rules.yml").read_text())
    records = {rule["record"] for group in rules["groups"] for rule in group["rules"]}
    assert len(records) > 20
    missing = set(records)

    def seen() -> bool:
        missing.difference_update([name for name in missing if under_load.query(name)])
        return not missing

    try:
        wait_until(seen, "every recorded series has had a value")
    finally:
        assert missing == set()


def test_every_query_of_the_dashboard_returns_series_under_load(under_load, plan):
    board = json.loads((plan / "grafana" / "dashboard.json").read_text())
    missing = set(queries_of(board))
    assert len(missing) > 50

    def seen() -> bool:
        missing.difference_update([query for query in missing if under_load.query(query)])
        return not missing

    try:
        wait_until(seen, "every query of the dashboard has had a value")
    finally:
        assert missing == set()


def queries_of(board):
    for panel in board.get("panels", []):
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from queries_of(panel)


def test_a_run_shows_under_the_names_that_production_has(plan):
    """What the harness sees, scraped while it runs: all but what only the agent knows."""
    address = f"127.0.0.1:{free_port()}"
    own = {names.QUEUE_DEPTH, names.QUEUE_OLDEST, names.WORKERS, names.SLOTS_BUSY}
    options = ("--users", 4, "--sessions", 1_000_000, "--prometheus", address)
    with (
        mock_agent("--speed", 20, "--recordings", AIRLINE) as url,
        prometheus([f"http://{address}"], plan / "prometheus", window_scale=SCALE) as watching,
        load(url, *options, workload="airline"),
    ):
        counted = f"sum(increase({names.TOOL_DURATION}_count[5s])) > 0"
        wait_until(lambda: watching.query(counted), "tools are counted")
        shown = {each["metric"]["__name__"] for each in watching.query('{job="agent"}')}
    found = {name.removesuffix("_count") for name in shown}
    assert own.isdisjoint(found)
    assert {*INSTRUMENTS} - own <= found


def test_windows_shrink_and_thresholds_do_not():
    rule = {"alert": "A", "expr": "sum(rate(x[30m])) / sum(rate(x[5s])) > 300", "for": "15m"}
    content = {"groups": [{"name": "g", "interval": "1m", "rules": [rule]}]}
    assert scaled(content, 0.01) == {
        "groups": [
            {
                "name": "g",
                "rules": [
                    {
                        "alert": "A",
                        "expr": "sum(rate(x[18s])) / sum(rate(x[5s])) > 300",
                        "for": "9s",
                    }
                ],
            }
        ]
    }
