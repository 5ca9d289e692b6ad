"""Tests of the rules for `promtool test rules`: each alert fires, none does at the baseline.

Beside that, what watches a number of observations stays silent where there are too few of them,
however far beyond the threshold they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from profiler.planner import metric_names as names
from profiler.planner.monitoring.buckets import boundary_text
from profiler.planner.monitoring.instruments import INSTRUMENTS
from profiler.planner.monitoring.rules import (
    BLIND_ALERT,
    SILENT_ALERT,
    alert_name,
    alerting_rules,
    number,
    promised_latency_s,
    recording_rules,
)
from profiler.planner.monitoring.scenes import Series, Stage, Way
from profiler.workload.units import duration_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from profiler.planner.plan import Plan
    from profiler.planner.triggers import Trigger
    from profiler.profile.model import WorkloadProfile

Test = dict[str, Any]

_SETTLE_MINUTES = 35
"""Beyond `hold`: more than the half hour that most values are taken over."""
_PLENTY = 100.0
"""Interactions a minute for each observation that is asked for: tools are used now and then."""
_SCARCE = 0.05
_BASELINE_MINUTES = 60
_EVALUATED_MINUTES = 5
"""Between rounds: production is the same all the time, and seldom is quick."""


def rule_tests(plan: Plan, profile: WorkloadProfile, rule_files: Iterable[str]) -> dict[str, Any]:
    """Return the file of tests. `rule_files` are the rules, relative to it."""
    stage = Stage(plan, profile)
    tests = [_at_baseline(stage, plan.triggers), _silent(stage)]
    promised = promised_latency_s(plan)
    if promised is not None:
        tests.append(_blind(stage, promised))
    tests += _fire(stage, plan.triggers)
    counting = [trigger for trigger in plan.triggers if trigger.least_samples is not None]
    if counting:
        tests.append(_too_few(stage, counting))
    return {
        "rule_files": list(rule_files),
        "evaluation_interval": f"{_EVALUATED_MINUTES}m",
        # Alerts read what is recorded in the same round, so they come after it.
        "group_eval_order": [
            group["name"]
            for rules in (recording_rules(plan), alerting_rules(plan))
            for group in rules["groups"]
        ],
        "tests": tests,
    }


def _at_baseline(stage: Stage, triggers: Iterable[Trigger]) -> Test:
    alerts = [*map(alert_name, triggers), SILENT_ALERT, BLIND_ALERT]
    return _test(
        "at the baseline, nothing fires",
        stage.series(stage.planned_per_minute),
        _BASELINE_MINUTES,
        alert_rule_test=[_is_silent(alert, _BASELINE_MINUTES) for alert in alerts],
    )


def _silent(stage: Stage) -> Test:
    some = (each for each in stage.series(1.0) if not each.name.startswith(names.INTERACTIONS))
    return _test(
        f"{SILENT_ALERT} fires when interactions are no longer told",
        some,
        _SETTLE_MINUTES,
        promql_expr_test=[_is_firing(SILENT_ALERT, _SETTLE_MINUTES)],
    )


def _blind(stage: Stage, promised_s: float) -> Test:
    end = f'le="{boundary_text(promised_s)}"'
    some = (each for each in stage.series(1.0) if end not in each.name)
    return _test(
        f"{BLIND_ALERT} fires when no bucket ends at what was promised",
        (each for each in some if each.name.startswith(names.INTERACTION_DURATION)),
        _SETTLE_MINUTES,
        promql_expr_test=[_is_firing(BLIND_ALERT, _SETTLE_MINUTES)],
    )


def _fire(stage: Stage, triggers: Iterable[Trigger]) -> Iterator[Test]:
    """Yield a test for each metric and way in which it may go: all that watches it fires."""
    watching: dict[tuple[str, Way, str], list[Trigger]] = {}
    for trigger in triggers:
        key = trigger.metric, _way(trigger), trigger.hold
        watching.setdefault(key, []).append(trigger)
    for (metric, way, _), of_metric in watching.items():
        enough = max(trigger.least_samples or 1 for trigger in of_metric)
        minutes = _minutes(of_metric)
        series = stage.series(max(stage.planned_per_minute, _PLENTY * enough), {metric: way})
        yield _test(
            f"{metric} goes {way}: what watches it fires",
            _read_by(of_metric, series),
            minutes,
            promql_expr_test=[_is_firing(alert_name(each), minutes) for each in of_metric],
        )


def _too_few(stage: Stage, triggers: list[Trigger]) -> Test:
    minutes = _minutes(triggers)
    least = min(trigger.least_samples or 1 for trigger in triggers)
    broken = {trigger.metric: _way(trigger) for trigger in triggers}
    return _test(
        "everything is broken, seen by too few to tell: silence",
        _read_by(triggers, stage.series(_SCARCE * least / minutes, broken)),
        minutes,
        alert_rule_test=[_is_silent(alert_name(each), minutes) for each in triggers],
    )


def _way(trigger: Trigger) -> Way:
    return "up" if trigger.comparison == ">" else "down"


def _minutes(triggers: Iterable[Trigger]) -> int:
    hold_s = max(duration_s(each.hold) for each in triggers)
    rounds = math.ceil(hold_s / 60 / _EVALUATED_MINUTES)
    return _SETTLE_MINUTES + rounds * _EVALUATED_MINUTES


def _read_by(triggers: Iterable[Trigger], series: Iterable[Series]) -> list[Series]:
    """Leave out what the triggers do not read: the file stays small enough to look at."""
    parts = [
        part
        for each in triggers
        for part in (each.expression, each.short_expression, each.samples)
        if part is not None
    ]
    read = tuple(name for name in INSTRUMENTS if any(name in part for part in parts))
    return [each for each in series if each.name.startswith(read)]


def _is_silent(alert: str, minutes: int) -> dict[str, Any]:
    return {"eval_time": f"{minutes}m", "alertname": alert}  # no `exp_alerts`: none


def _is_firing(alert: str, minutes: int) -> dict[str, Any]:
    # Alerts are compared with all their annotations elsewhere; what counts here is that it fires.
    return {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }


def _test(name: str, series: Iterable[Series], minutes: int, **expected: Any) -> Test:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": each.name, "values": _values(each, minutes)} for each in series
        ],
        **expected,
    }


def _values(series: Series, minutes: int) -> str:
    if series.per_minute is not None:
        return f"0+{_short(series.per_minute)}x{minutes}"
    return f"{_short(series.value or 0.0)}+0x{minutes}"


def _short(value: float) -> str:
    return number(float(f"{value:.6g}"))
