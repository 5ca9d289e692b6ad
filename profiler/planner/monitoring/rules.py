"""Prometheus' recording and alerting rules: a pure function of a plan.

Every expression is recorded once, under a name of its own, which alerts and panels both read. What
is normal is recorded too, as a constant, for the lines on the panels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.planner import metric_names as names
from profiler.planner.monitoring.instruments import INSTRUMENTS
from profiler.planner.monitoring.panels import Panel, panels, record_name, row_of
from profiler.planner.promql import bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from profiler.planner.plan import Plan
    from profiler.planner.triggers import Trigger

BASELINE = "agent_profiler:baseline"
"""Recorded constants; their label `of` is the id of the panel or trigger."""
ANSWERS_TRIGGER = "service_level_answer_latency_p95"
SILENT_ALERT = "AgentSendsNothing"
BLIND_ALERT = "AgentHasNoBucketAtThePromise"
_SILENT_FOR = "10m"

Rule = dict[str, Any]


def recording_rules(plan: Plan) -> dict[str, Any]:
    """Return the file of recording rules: values, what they are made of, and what is normal."""
    shown = panels(plan)
    groups = [
        {
            "name": f"agent_profiler_{row}",
            "rules": [rule for panel in of_row for rule in _recorded(panel)],
        }
        for row, of_row in _by_row(shown)
    ]
    groups.append({"name": "agent_profiler_constants", "rules": list(_constants(shown))})
    return {"groups": groups}


def alerting_rules(plan: Plan) -> dict[str, Any]:
    """Return the file of alerting rules: one for each trigger, and what watches the watching."""
    rules = [_alert(trigger, plan.name) for trigger in plan.triggers]
    rules.append(_silent(plan.name))
    promised = promised_latency_s(plan)
    if promised is not None:
        rules.append(_blind(plan.name, promised))
    return {"groups": [{"name": "agent_profiler_alerts", "rules": rules}]}


def promised_latency_s(plan: Plan) -> float | None:
    """Return the bound of the error budget of slow answers; None where nothing is promised."""
    found = (t.threshold for t in plan.triggers if t.id == ANSWERS_TRIGGER)
    return next(found, None)


def alert_name(trigger: Trigger) -> str:
    """Return the alert of a trigger: its id in the form that alerts have."""
    return "Agent" + "".join(part.capitalize() for part in trigger.id.split("_"))


def _by_row(shown: Iterable[Panel]) -> Iterator[tuple[str, list[Panel]]]:
    rows: dict[str, list[Panel]] = {}
    for panel in shown:
        rows.setdefault(panel.row, []).append(panel)
    yield from rows.items()


def _recorded(panel: Panel) -> Iterator[Rule]:
    yield {"record": panel.record, "expr": panel.expression}
    trigger = panel.trigger
    if trigger is None:
        return
    if trigger.short_expression is not None:
        yield {"record": f"{panel.record}:short", "expr": trigger.short_expression}
    if trigger.samples is not None:
        yield {"record": f"{panel.record}:samples", "expr": trigger.samples}


def _constants(shown: Iterable[Panel]) -> Iterator[Rule]:
    for panel in shown:
        if panel.baseline is not None:
            yield {
                "record": BASELINE,
                "expr": f"vector({number(panel.baseline)})",
                "labels": {"of": panel.id},
            }


def _alert(trigger: Trigger, plan_name: str) -> Rule:
    value, bound = record_name(trigger.id), f"{trigger.comparison} {number(trigger.threshold)}"
    conditions = [f"{value} {bound}"]
    if trigger.short_expression is not None:
        conditions.append(f"{value}:short {bound}")
    if trigger.samples is not None and trigger.least_samples is not None:
        conditions.append(f"{value}:samples >= {trigger.least_samples}")
    labels = {"severity": trigger.severity, "plan": plan_name, "trigger": trigger.id}
    if trigger.stage is not None:
        labels["stage"] = str(trigger.stage)
    return {
        "alert": alert_name(trigger),
        "expr": " and ".join(conditions),
        "for": trigger.hold,
        "labels": {name: literal(text) for name, text in labels.items()},
        "annotations": told(trigger),
    }


def told(trigger: Trigger) -> Mapping[str, str]:
    """Return what the alert says to whom it wakes."""
    than = "above" if trigger.comparison == ">" else "below"
    unit = {"count": "", "share": " (share)", "ratio": ""}.get(trigger.unit, f" {trigger.unit}")
    normal = "" if trigger.baseline is None else f", normally {trigger.baseline:.4g}{unit}"
    move = "" if trigger.stage is None else f" Moves to stage {trigger.stage} of the rollout."
    return {
        "summary": literal(trigger.title),
        "description": (
            "It is {{ $value | humanize }}, "
            + literal(f"{than} {trigger.threshold:.4g}{unit}{normal}, over {trigger.window}.{move}")
        ),
        "threshold_from": literal(trigger.source),
        "dashboard_row": row_of(trigger),
    }


def _silent(plan_name: str) -> Rule:
    otel = INSTRUMENTS[names.INTERACTIONS].otel_name
    return {
        "alert": SILENT_ALERT,
        "expr": f"absent({names.INTERACTIONS})",
        "for": _SILENT_FOR,
        "labels": {"severity": "page", "plan": literal(plan_name)},
        "annotations": {
            "summary": "no metric of the agent arrives: every other alert is blind",
            "description": f"Nobody has sent {otel} for {_SILENT_FOR}: is the agent up, the "
            "collector, the scrape? See opentelemetry/metrics.md.",
        },
    }


def _blind(plan_name: str, promised_s: float) -> Rule:
    metric = names.INTERACTION_DURATION
    return {
        "alert": BLIND_ALERT,
        "expr": f"absent({bucket(metric, promised_s)}) and on () sum({metric}_count) > 0",
        "for": _SILENT_FOR,
        "labels": {"severity": "ticket", "plan": literal(plan_name)},
        "annotations": {
            "summary": "how many answers are too late cannot be told",
            "description": f"No bucket of {metric} ends at {promised_s:.12g} s, so the alerts on "
            "its error budget cannot fire. See opentelemetry/metrics.md.",
        },
    }


def literal(text: str) -> str:
    """Return a text as Prometheus' templates leave it: it may hold braces of a tool's name."""
    return text.replace("{{", '{{"{{"}}') if "{{" in text else text


def number(value: float) -> str:
    """Return a number as PromQL reads it back, exactly."""
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))  # noqa: PLR2004
