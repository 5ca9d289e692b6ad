"""Stages stand on the time line where their dates are, and one without a date is not put there."""

from __future__ import annotations

import pytest

from profiler.report.page.stage_chart import stage_chart
from tests.report.charts.drawn import parsed, rectangles
from tests.report.test_plan_rollout import FORECAST, planned, stage

CAPACITY = {
    "users": 2000,
    "interactions_per_minute": 4000.0,
    "binds": "gpt-4o requests/min",
    "reached_on": "2028-02-06",
}


def test_a_stage_begins_on_its_likely_date_and_ends_where_the_next_begins_or_it_is_full():
    """2026-12-01 to 2027-07-05 are 216 days, to 2028-02-06 twice as many."""
    stages = (stage(1, "one"), stage(2, "two", forecast=FORECAST, capacity=CAPACITY))
    (chart,) = stage_chart(planned(stages=stages))
    first, second = rectangles(chart.svg)
    assert second.x == pytest.approx(first.x + first.width, abs=0.2)
    assert second.width == pytest.approx(first.width, rel=0.01)
    assert first.says == "1 one: month 0 to 7.1, $600"
    assert second.says == "2 two: month 7.1 to 14.2, $600"
    assert len(list(parsed(chart.svg).iter("path"))) == 1  # early known, late open


def test_a_stage_without_a_date_is_named_and_not_drawn():
    unknown = {**FORECAST, "likely": None, "early": None, "late": None, "start_by": None}
    stages = (stage(1, "one"), stage(2, "two", forecast=unknown))
    (chart,) = stage_chart(planned(stages=stages))
    assert len(rectangles(chart.svg)) == 1
    assert "No date can be forecast of 1 more." in chart.note


def test_without_growth_there_is_no_time_line():
    assert stage_chart(planned(growth_per_month=None)) == ()
