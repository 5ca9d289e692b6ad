"""A trend's page: a chart for each number, its changes marked, every value in a table."""

from __future__ import annotations

import pytest

from profiler.comparison.trend import Point, Series, Trend
from profiler.report.page.model import Charts, Grid, Page
from profiler.report.page.render import page_html
from profiler.report.page.trend_page import trend_page
from tests.report.charts.drawn import parsed, titles
from tests.report.page.pages import HOSTILE

BEFORE, AFTER = (1.5, 1.6, 1.4), (2.4, 2.6)


def point(value: float) -> Point:
    return Point(
        value=value, variance=0.01, count=100, sessions=30, ci95=(value - 0.2, value + 0.2)
    )


def trend(*changes: int, days: tuple[str, ...] = ("01", "02", "03", "04", "05")) -> Trend:
    calls = Series(
        metric="interaction.llm_calls",
        statistic="mean",
        unit="count",
        points=tuple(point(value) for value in (*BEFORE, *AFTER)),
        changes=changes,
    )
    latency = Series(
        metric="interaction.latency",
        statistic="p95",
        unit="s",
        points=(point(1.0), None, point(1.0), point(1.0), point(1.0)),
        changes=(),
    )
    return Trend(
        workload=HOSTILE,
        runs=tuple((f"run-{day}", f"2026-11-{day}T10:3{n}:00Z") for n, day in enumerate(days)),
        series=(calls, latency),
        differs=("run run-02: seed 2, not 1",),
    )


@pytest.fixture(scope="module")
def changed() -> Page:
    return trend_page(trend(3))


def blocks(page: Page) -> list[object]:
    return [block for section in page.sections for block in section.blocks]


def test_each_number_has_a_chart_whose_marks_are_its_runs(changed):
    (found,) = [block for block in blocks(changed) if isinstance(block, Charts)]
    calls, latency = found.charts
    assert (len(titles(calls.svg)), len(titles(latency.svg))) == (5, 4)
    assert titles(calls.svg)[0] == "run-01, 2026-11-01 10:30: 1.50 [1.30, 1.70]"
    # (1.5 + 1.6 + 1.4) / 3 = 1.5, (2.4 + 2.6) / 2 = 2.5: two thirds more.
    assert titles(calls.svg)[3].endswith("; 1.50 → 2.50 (+67 %) from run-04 on (2026-11-04)")
    assert calls.note == "1.50 → 2.50 (+67 %) from run-04 on (2026-11-04)"
    assert "From 1.50 in the first run to 2.60 in the last" in str(calls.svg)
    assert latency.note == "no change beyond chance"


def test_what_changed_and_what_differs_come_before_the_charts(changed):
    assert (changed.verdict, changed.tone) == ("1 of 2 numbers changed by more than chance", "warn")
    assert changed.doubts == ("Measured differently: run run-02: seed 2, not 1",)
    assert changed.figures[0].value == "2.60"
    assert changed.figures[0].detail == "1.50 in the first run, +73 %"


def test_nothing_changed_is_said():
    page = trend_page(trend())
    assert (page.verdict, page.tone) == ("None of 2 numbers changed by more than chance", "good")


def test_every_value_stands_in_a_table_and_a_missing_one_is_no_zero(changed):
    runs = [block for block in blocks(changed) if isinstance(block, Grid)][-1]
    assert runs.header == (
        "run",
        "started",
        "LLM calls per interaction",
        "latency p95 per interaction",
    )
    assert [cell.text for cell in runs.rows[1]] == ["run-02", "2026-11-02 10:31", "1.60", "—"]
    assert runs.rows[3][2].text == "2.40 (+71 %)"  # against the run before, 1.4


@pytest.mark.parametrize(
    ("days", "label"), [(("01", "02", "03", "04", "05"), "11-01"), (("01",) * 5, "10:30")]
)
def test_runs_of_one_day_are_told_apart_by_the_time(days, label):
    page = trend_page(trend(days=days))
    (found,) = [block for block in blocks(page) if isinstance(block, Charts)]
    texts = ["".join(each.itertext()) for each in parsed(found.charts[0].svg).iter("text")]
    assert label in texts


def test_a_hostile_name_stays_text(changed):
    text = page_html(changed)
    assert HOSTILE not in text
    assert text.count("<script>") == 1
