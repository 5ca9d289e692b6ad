"""The generated rules, held to Prometheus' own tools: they are valid, fire, and stay silent."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

from profiler.planner.build import build_plan
from profiler.planner.demand_file import load_demand
from profiler.planner.monitoring.files import ALERTS, RECORDING, monitoring_files
from profiler.planner.monitoring.rule_tests import rule_tests
from profiler.planner.monitoring.rules import alert_name
from profiler.planner.plan import load_plan
from profiler.planner.samples import sample_demand
from profiler.profile.model import load_profile
from tests.system.cli import EXAMPLE
from tests.system.stores import program

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
ODD_NAME = 'look "up" {{ $value }} in\\the|book'


@pytest.fixture(scope="module")
def promtool():
    return program("promtool")


@pytest.fixture(scope="module")
def profile():
    return load_profile(ROOT / "results" / "sample")


@pytest.fixture(scope="module")
def plan():
    return load_plan(EXAMPLE)


def planned(profile, folder, demand):
    path = folder / "demand.yaml"
    path.write_text(demand)
    return build_plan(profile, load_demand(path), at=date(2026, 11, 22), draws=0)


def deployed(folder, plan, profile):
    for name, content in monitoring_files(plan, profile).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def asked(promtool, *words, folder):
    return subprocess.run(
        [promtool, *words], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )


def outcome(promtool, folder):
    return asked(promtool, "test", "rules", "prometheus/tests/rules_test.yml", folder=folder)


def few(plan, *ids):
    """A plan with some of its triggers only: tests of tests need not take long."""
    kept = tuple(trigger for trigger in plan.triggers if trigger.id in ids)
    assert len(kept) == len(ids)
    return plan.model_copy(update={"triggers": kept})


def test_rules_and_configuration_are_valid(promtool, plan, profile, tmp_path):
    folder = deployed(tmp_path, plan, profile)
    for file in (RECORDING, ALERTS):
        run = asked(promtool, "check", "rules", "--lint-fatal", f"prometheus/{file}", folder=folder)
        assert run.returncode == 0, run.stdout + run.stderr
    run = asked(promtool, "check", "config", "prometheus.yml", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 rule files found" in run.stdout


def test_each_alert_fires_and_none_does_at_the_baseline(promtool, plan, profile, tmp_path):
    folder = deployed(tmp_path, plan, profile)
    tests = yaml.safe_load((folder / "prometheus/tests/rules_test.yml").read_text())["tests"]
    fired = {
        each["expr"].split('"')[1] for test in tests for each in test.get("promql_expr_test", ())
    }
    assert fired >= {alert_name(trigger) for trigger in plan.triggers}
    run = outcome(promtool, folder)
    assert run.returncode == 0, run.stdout + run.stderr


def test_an_alert_that_cannot_fire_is_noticed(promtool, plan, profile, tmp_path):
    some = few(plan, "stage_2_queue_depth_per_worker", "baseline_interaction_latency")
    folder = deployed(tmp_path, some, profile)
    rules = folder / "prometheus" / ALERTS
    for trigger in some.triggers:
        text = rules.read_text()
        rules.write_text(text.replace(f"{trigger.id} > ", f"{trigger.id} > 1e9 * "))
    run = outcome(promtool, folder)
    assert run.returncode != 0
    assert all(alert_name(trigger) in run.stderr + run.stdout for trigger in some.triggers)


def test_an_alert_that_fires_at_the_baseline_is_noticed(promtool, plan, profile, tmp_path):
    some = few(plan, "baseline_interaction_latency")
    folder = deployed(tmp_path, some, profile)
    rules = folder / "prometheus" / ALERTS
    rules.write_text(rules.read_text().replace("latency > ", "latency > 0.01 * "))
    run = outcome(promtool, folder)
    assert run.returncode != 0
    assert "nothing fires" in run.stderr + run.stdout


def test_every_query_of_the_dashboard_has_data_at_the_baseline(promtool, plan, profile, tmp_path):
    folder = deployed(tmp_path, plan, profile)
    board = json.loads((folder / "grafana/dashboard.json").read_text())
    queries = {target["expr"] for panel in board["panels"] for target in panel.get("targets", ())}
    assert len(queries) > 2 * len(plan.triggers)
    content = rule_tests(plan, profile, [RECORDING, ALERTS])
    baseline = content["tests"][0] | {
        "promql_expr_test": [
            {
                "expr": f"count({query}) > bool 0",
                "eval_time": "60m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for query in sorted(queries)
        ]
    }
    (folder / "prometheus" / "queries.yml").write_text(
        yaml.safe_dump(content | {"tests": [baseline]})
    )
    run = asked(promtool, "test", "rules", "queries.yml", folder=folder / "prometheus")
    assert run.returncode == 0, run.stdout + run.stderr


def test_what_the_alert_says_is_what_the_plan_says(promtool, plan, profile, tmp_path):
    """Also of a tool with a name that would be a template, a label's end or a table's cell."""
    trigger = next(each for each in plan.triggers if each.stage == 2)
    odd = trigger.model_copy(update={"title": f"slow: {ODD_NAME}"})
    folder = deployed(tmp_path, plan.model_copy(update={"triggers": (odd,)}), profile)
    alert = {
        "eval_time": "40m",
        "alertname": alert_name(trigger),
        "exp_alerts": [
            {
                "exp_labels": {
                    "severity": "ticket",
                    "plan": "airline-launch",
                    "trigger": trigger.id,
                    "stage": "2",
                },
                "exp_annotations": {
                    "summary": f"slow: {ODD_NAME}",
                    "description": "It is 100, above 25, normally 0, over 10m. "
                    "Moves to stage 2 of the rollout.",
                    "threshold_from": trigger.source,
                    "dashboard_row": "rollout",
                },
            }
        ],
    }
    series = [{"series": "agent_queue_depth", "values": "100+0x40"}]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [alert]}
    (folder / "prometheus" / "said.yml").write_text(
        yaml.safe_dump({"rule_files": [RECORDING, ALERTS], "tests": [test]})
    )
    run = asked(promtool, "test", "rules", "said.yml", folder=folder / "prometheus")
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_promise_that_the_measured_agent_breaks_has_rules_that_are_right(
    promtool, plan, profile, tmp_path
):
    """The sample's p95 is 2.4 s: of 1 s it can keep nothing, and the rules' tests still hold.

    Of the triggers that it changes; the others are tested above as they are.
    """
    demand = sample_demand().replace("answer_latency_p95: 5s", "answer_latency_p95: 1s")
    strict = planned(profile, tmp_path, demand)
    changed = [trigger.id for trigger in strict.triggers if trigger not in plan.triggers]
    assert changed
    folder = deployed(tmp_path / "out", few(strict, *changed), profile)
    run = outcome(promtool, folder)
    assert run.returncode == 0, run.stdout + run.stderr
