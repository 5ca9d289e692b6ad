"""The names of a plan's rules in a real Prometheus: mock agent and harness serve every one.

Windows are a hundredth of the plan's: 10 minutes are 6 seconds.
"""

from __future__ import annotations

import json

import pytest
import yaml

from benchmarks.monitoring.servers import load, mock_agent, prometheus
from profiler.planner import metric_names as names
from profiler.planner.monitoring.instruments import INSTRUMENTS
from tests.planner.monitoring.sample import sample_profile
from tests.system.cli import AIRLINE, EXAMPLE
from tests.system.processes import wait_until
from tests.system.stores import free_port, program

pytestmark = pytest.mark.system

SCALE = 0.01
LOOK_S = 0.5
"""Dozens of queries are asked each time: Prometheus computes them anew."""
MONITORING = EXAMPLE / "monitoring"
RULES = MONITORING / "prometheus"
WORKLOAD = "{name: tools, scenarios: [{name: recorded, conversations: recorded.jsonl}]}"


def sessions_with_every_tool() -> list[bytes]:
    """Return recorded conversations that together call every tool; few, to be done with soon."""
    lines, missing, kept = AIRLINE.read_bytes().splitlines(), {*sample_profile().tools}, []
    while missing:
        best = max(lines, key=lambda line: len(missing & tools_of(line)))
        assert missing & tools_of(best)
        missing -= tools_of(best)
        kept.append(best)
    return kept


def tools_of(line: bytes) -> set[str]:
    calls = (message.get("tool_calls") or () for message in json.loads(line)["messages"])
    return {call["function"]["name"] for each in calls for call in each}


@pytest.fixture(scope="module")
def under_load(tmp_path_factory):
    """Look at recorded sessions with the plan's buckets, until every tool has been called."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "recorded.jsonl").write_bytes(b"\n".join(sessions_with_every_tool()) + b"\n")
    (folder / "w.yaml").write_text(WORKLOAD)
    with (
        mock_agent(
            *("--workers", 5, "--worker-slots", 8, "--speed", 20, "--recordings", AIRLINE),
            *("--buckets", MONITORING / "opentelemetry" / "buckets.json"),
        ) as url,
        prometheus([url], RULES, window_scale=SCALE) as watching,
        load(url, "--users", 4, "--sessions", 1_000_000, workload=str(folder / "w.yaml")),
    ):
        tools = sample_profile().tools
        counted = f"count({names.TOOL_DURATION}_count >= 2)"
        wait_until(
            lambda: [s for s in watching.query(counted) if int(s["value"][1]) >= len(tools)],
            "every tool of the profile has been called",
            every_s=LOOK_S,
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


def test_every_recorded_series_has_a_value_under_load(under_load):
    """Every one that the dashboard shows, and every threshold and baseline beside it."""
    rules = yaml.safe_load((RULES / "recording.rules.yml").read_text())
    records = {rule["record"] for group in rules["groups"] for rule in group["rules"]}
    assert len(records) > 20
    missing = set(records)

    def seen() -> bool:
        missing.difference_update([name for name in missing if under_load.query(name)])
        return not missing

    try:
        wait_until(seen, "every recorded series has had a value", every_s=LOOK_S)
    finally:
        assert missing == set()


def test_every_query_of_the_dashboard_returns_series_under_load(under_load):
    board = json.loads((MONITORING / "grafana" / "dashboard.json").read_text())
    missing = set(queries_of(board))
    assert len(missing) > 50

    def seen() -> bool:
        missing.difference_update([query for query in missing if under_load.query(query)])
        return not missing

    try:
        wait_until(seen, "every query of the dashboard has had a value", every_s=LOOK_S)
    finally:
        assert missing == set()


def queries_of(board):
    for panel in board.get("panels", []):
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from queries_of(panel)


def test_a_run_shows_under_the_names_that_production_has():
    """What the harness sees, scraped while it runs: all but what only the agent knows."""
    program("prometheus")
    address = f"127.0.0.1:{free_port()}"
    own = {names.QUEUE_DEPTH, names.QUEUE_OLDEST, names.WORKERS, names.SLOTS_BUSY}
    options = ("--users", 4, "--sessions", 1_000_000, "--prometheus", address)
    with (
        mock_agent("--speed", 20, "--recordings", AIRLINE) as url,
        prometheus(
            [f"http://{address}"], MONITORING / "prometheus", window_scale=SCALE
        ) as watching,
        load(url, *options, workload="airline"),
    ):
        counted = f"sum(increase({names.TOOL_DURATION}_count[5s])) > 0"
        wait_until(lambda: watching.query(counted), "tools are counted", every_s=LOOK_S)
        shown = {each["metric"]["__name__"] for each in watching.query('{job="agent"}')}
    found = {name.removesuffix("_count") for name in shown}
    assert own.isdisjoint(found)
    assert {*INSTRUMENTS} - own <= found
