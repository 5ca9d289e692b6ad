"""A threshold is one number: in the trigger, in the alert, on the panel."""

from __future__ import annotations

import json
import re

import pytest

from profiler.planner.monitoring.dashboard import dashboard_json
from profiler.planner.monitoring.panels import panels
from profiler.planner.monitoring.rules import alert_name, alerting_rules, recording_rules
from tests.planner.monitoring.sample import sample_plan


def all_rules(content):
    return [rule for group in content["groups"] for rule in group["rules"]]


def alerts_by_trigger():
    rules = all_rules(alerting_rules(sample_plan()))
    return {rule["labels"]["trigger"]: rule for rule in rules if "trigger" in rule["labels"]}


def test_every_trigger_of_the_plan_has_an_alert_with_its_threshold_and_no_other_number():
    alerts = alerts_by_trigger()
    assert len(alerts) == len(sample_plan().triggers)
    for trigger in sample_plan().triggers:
        found = re.findall(r" [<>] (\S+)", alerts[trigger.id]["expr"])
        assert {float(number) for number in found} == {trigger.threshold}
        assert alerts[trigger.id]["for"] == trigger.hold


def test_the_rollouts_stages_wait_for_the_triggers_that_alert():
    stages = [stage for stage in sample_plan().rollout.stages if stage.trigger is not None]
    assert stages
    alerts = alerts_by_trigger()
    for stage in stages:
        alert = alerts[stage.trigger.id]
        assert f"> {stage.trigger.threshold:g}" in alert["expr"]
        assert alert["labels"]["stage"] == str(stage.trigger.stage)


def test_the_panel_of_a_trigger_draws_the_alerts_threshold():
    board = json.loads(dashboard_json(sample_plan()))
    drawn = {}
    for panel in board["panels"]:
        if panel["type"] == "timeseries":
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            for target in panel["targets"]:
                drawn[target["expr"]] = {step["value"] for step in steps}
    for trigger in sample_plan().triggers:
        assert trigger.threshold in drawn[f"agent_profiler:{trigger.id}"]


def test_what_is_recorded_has_a_name_of_its_own():
    plan = sample_plan()
    rules = all_rules(recording_rules(plan))
    names = [(rule["record"], rule.get("labels", {}).get("of")) for rule in rules]
    assert len(names) == len(set(names))
    assert len({alert_name(trigger) for trigger in plan.triggers}) == len(plan.triggers)


def test_alerts_compare_recorded_values_which_are_there():
    recorded = {rule["record"] for rule in all_rules(recording_rules(sample_plan()))}
    for alert in alerts_by_trigger().values():
        assert set(re.findall(r"agent_profiler:[\w:]+", alert["expr"])) <= recorded


def test_an_alert_needs_its_observations_and_its_short_window():
    plan, alerts = sample_plan(), alerts_by_trigger()
    counting = [trigger for trigger in plan.triggers if trigger.least_samples is not None]
    short = [trigger for trigger in plan.triggers if trigger.short_expression is not None]
    assert counting
    assert short
    for trigger in counting:
        assert f":samples >= {trigger.least_samples}" in alerts[trigger.id]["expr"]
    for trigger in short:
        assert f"agent_profiler:{trigger.id}:short > " in alerts[trigger.id]["expr"]


@pytest.mark.parametrize(
    "metric",
    [
        "agent_interaction_duration_seconds",
        "agent_time_to_first_token_seconds",
        "agent_interaction_llm_calls",
        "agent_interaction_tokens",
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_client_token_usage",
        "agent_tool_duration_seconds",
        "agent_state_operations_total",
        "agent_cost_usd_total",
    ],
)
def test_every_metric_of_the_profile_is_watched(metric):
    assert any(trigger.metric == metric for trigger in sample_plan().triggers)


def test_every_panel_has_a_baseline():
    assert [panel.id for panel in panels(sample_plan()) if panel.baseline is None] == []
