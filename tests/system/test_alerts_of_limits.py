"""The alert that calls for a plan's third stage, when a provider's limit refuses calls."""

from __future__ import annotations

import pytest

from profiler.planner import metric_names as names
from tests.system.alerting import assert_called_for_by_overload_and_not_before

pytestmark = [pytest.mark.system, pytest.mark.waiting]


def test_stage_3_is_called_for_by_overload_and_not_before():
    cause = f"rate({names.LLM_RATE_LIMITED}[5s])"
    assert_called_for_by_overload_and_not_before(3, cause)
