"""A plan's rules in a real Prometheus, which looks at the mock agent: silent, and then not.

Windows and holds are a hundredth of the plan's and less: 10 minutes are 6 seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.monitoring.demo import AGENT, CALM, OVERLOAD
from benchmarks.monitoring.servers import load, mock_agent, prometheus
from profiler.planner import metric_names as names
from profiler.planner.monitoring.panels import record_name
from profiler.planner.plan import load_plan
from tests.system.cli import EXAMPLE
from tests.system.processes import wait_until
from tests.system.stores import program

if TYPE_CHECKING:
    from benchmarks.monitoring.servers import Prometheus
    from profiler.planner.plan import Plan
    from profiler.planner.triggers import Trigger

SCALE = {2: 0.005, 3: 0.01}
"""What is left of windows and holds, by stage: stage 3 needs the calls of a longer window."""
CALM_S = {2: 11, 3: 16}
"""Longer than a window of 10 minutes and a hold of 15, scaled: 5 and 4 seconds, 6 and 9."""


def trigger_of(plan: Plan, stage: int) -> Trigger:
    (trigger,) = [each for each in plan.triggers if each.stage == stage]
    return trigger


def value_of(watching: Prometheus, trigger: Trigger) -> float:
    """Return what the alert compares: silence is not for want of a value."""
    (series,) = watching.query(record_name(trigger.id))
    return float(series["value"][1])


def called_for(watching: Prometheus, stage: int) -> bool:
    return any(labels.get("stage") == str(stage) for labels in watching.firing().values())


def assert_called_for_by_overload_and_not_before(stage: int, cause: str) -> None:
    program("prometheus")
    plan, rules = load_plan(EXAMPLE), EXAMPLE / "monitoring" / "prometheus"
    with (
        mock_agent(*AGENT[stage]) as url,
        prometheus([url], rules, window_scale=SCALE[stage]) as watching,
    ):
        with load(url, *CALM[stage]):
            wait_until(lambda: watching.query(f"{names.INTERACTIONS} > 0"), "answers are counted")
            until_s = time.monotonic() + CALM_S[stage]
            while time.monotonic() < until_s:
                assert not called_for(watching, stage), watching.firing()
                time.sleep(0.5)
            trigger = trigger_of(plan, stage)
            assert value_of(watching, trigger) < 0.5 * trigger.threshold
        with load(url, *OVERLOAD[stage]):
            wait_until(
                lambda: called_for(watching, stage), f"stage {stage} is called for", every_s=0.2
            )
        assert watching.query(f"{cause} > 0")
