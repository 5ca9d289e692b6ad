"""The alert for a plan's second stage, in a real Prometheus; and how rules are shortened.

Each stage is a file of its own: they wait for most of their time, and may do so side by side.
"""

from __future__ import annotations

import pytest

from benchmarks.monitoring.rules import scaled
from profiler.planner import metric_names as names
from tests.system.alerting import assert_called_for_by_overload_and_not_before

pytestmark = [pytest.mark.system, pytest.mark.waiting]


def test_stage_2_is_called_for_by_overload_and_not_before():
    assert_called_for_by_overload_and_not_before(2, names.QUEUE_DEPTH)


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
