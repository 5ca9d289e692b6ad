"""Marks stand where their values are, say them, and are text, whatever names are made of."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from profiler.report.charts.bars import Bar, bars
from profiler.report.charts.columns import Column, columns
from profiler.report.charts.percentiles import Curve, percentiles, place, shares
from profiler.report.charts.runs import Run, over_runs
from profiler.report.charts.schedule import Stage, schedule
from profiler.report.charts.series import Series, over_time
from profiler.report.charts.svg import WIDTH
from profiler.report.charts.tornado import Swing, tornado
from profiler.report.charts.waterfall import Span, waterfall
from tests.report.charts.drawn import parsed, points, rectangles, titles, words

HOSTILE = "</title></svg><script>alert(1)</script>\"'&"
ALL = {
    "bars": bars([Bar(HOSTILE, (1.0,), HOSTILE)], (HOSTILE,), "s", title=HOSTILE, says=HOSTILE),
    "columns": columns(
        [Column(HOSTILE, (1.0,), HOSTILE)], (HOSTILE,), "s", title=HOSTILE, says=HOSTILE
    ),
    "percentiles": percentiles([Curve(HOSTILE, ((0.5, 1.0),))], "s", title=HOSTILE, says=HOSTILE),
    "series": over_time([Series(HOSTILE, ((0.0, 1.0),))], "s", title=HOSTILE, says=HOSTILE),
    "schedule": schedule([Stage(HOSTILE, 0, 1, HOSTILE)], title=HOSTILE, says=HOSTILE),
    "tornado": tornado([Swing(HOSTILE, 1.0, 2.0)], 1.5, "s", title=HOSTILE, says=HOSTILE),
    "waterfall": waterfall([Span(HOSTILE, 0, 1, 0, HOSTILE)], title=HOSTILE, says=HOSTILE),
}


@pytest.mark.parametrize("kind", ALL)
def test_a_chart_is_one_element_with_title_text_alternative_and_marks_that_say_their_value(kind):
    svg = parsed(ALL[kind])
    assert svg.tag == "svg"
    assert svg.findtext("title") == svg.findtext("desc") == HOSTILE
    assert svg.get("aria-label") == f"{HOSTILE}. {HOSTILE}"
    assert not list(svg.iter("script"))
    assert titles(ALL[kind])
    assert all(titles(ALL[kind]))


EMPTY = (
    bars([], (), "s", title="t", says="s"),
    columns([], (), "s", title="t", says="s"),
    percentiles([], "s", title="t", says="s"),
    over_time([], "s", title="t", says="s"),
    schedule([], title="t", says="s"),
    tornado([], 1.0, "s", title="t", says="s"),
    waterfall([], title="t", says="s"),
)


def test_a_chart_of_nothing_is_a_chart_without_marks():
    for svg in EMPTY:
        assert not titles(svg)


def test_percentiles_stand_as_far_apart_as_hdrhistogram_has_it():
    """Each further nine takes the same room: 90 % at 1, 99 % at 2, 99.9 % at 3."""
    assert [place(share) for share in (0, 0.9, 0.99, 0.999)] == pytest.approx([0, 1, 2, 3])


def test_percentiles_of_n_values_end_at_the_one_that_one_value_lies_beyond():
    found = shares(1000)
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] == pytest.approx(0.999)
    assert {0.5, 0.9, 0.95, 0.99} <= set(found)
    assert shares(1)[-1] == 0.5  # two values at least: 1 - 1/1 has no place


def test_a_curve_is_where_its_percentiles_are():
    curve = Curve("latency", ((0.0, 0.0), (0.9, 1.0), (0.99, 2.0)))
    svg = percentiles([curve], "s", title="t", says="s")
    (x0, y0), (x1, y1), (x2, y2) = points(svg)
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.2)
    assert y2 - y1 == pytest.approx(y1 - y0, abs=0.2)
    assert titles(svg)[1] == "latency, p90: 1.00 s"


def test_a_bars_parts_follow_each_other_in_proportion():
    svg = bars([Bar("a", (1.0, 3.0), "4")], ("x", "y"), "s", title="t", says="s")
    first, second = rectangles(svg)
    assert second.x == pytest.approx(first.x + first.width, abs=0.2)
    assert second.width == pytest.approx(3 * first.width, rel=0.01)
    assert (first.says, second.says) == ("a, x: 1.00 s", "a, y: 3.00 s")


def test_columns_stand_on_zero_and_on_each_other():
    svg = columns(
        [Column("1", (10.0, 30.0)), Column("2", (0.0, 20.0))],
        ("system", "history"),
        "tokens",
        title="t",
        says="s",
    )
    system, history, other = rectangles(svg)  # a part of nothing has no mark
    assert history.height == pytest.approx(3 * system.height, rel=0.01)
    assert history.y + history.height == pytest.approx(system.y, abs=0.2)
    assert system.y + system.height == pytest.approx(other.y + other.height, abs=0.2)
    assert other.height == pytest.approx(2 * system.height, rel=0.01)


def test_a_gap_in_time_is_not_drawn_over():
    series = Series("p95", ((0.0, 1.0), (1.0, 2.0), (2.0, None), (3.0, 1.0), (4.0, 3.0)))
    svg = over_time([series], "s", title="t", says="s")
    assert len(list(parsed(svg).iter("polyline"))) == 2
    assert len(points(svg)) == 4


def test_a_value_between_two_gaps_is_seen_though_no_line_goes_through_it():
    series = Series("p95", ((0.0, 1.0), (1.0, 2.0), (2.0, None), (3.0, 1.0), (4.0, None)))
    dots = parsed(over_time([series], "s", title="t", says="s")).iter("circle")
    assert [dot.get("class", "").split()[1] for dot in dots] == ["p", "p", "o"]


def test_a_waterfall_puts_each_step_at_its_time():
    spans = [Span("LLM call 1", 0.0, 1.0, 0), Span("search", 1.0, 3.0, 1)]
    first, second = rectangles(waterfall(spans, title="t", says="s"))
    assert second.x == pytest.approx(first.x + first.width, abs=0.2)
    assert second.width == pytest.approx(3 * first.width, rel=0.01)
    assert second.says == "search: 3.00 s from 1.00 s on"


def test_of_very_many_steps_it_says_how_many_are_not_drawn():
    svg = waterfall([Span("s", i, 1, 0) for i in range(30)], title="t", says="s")
    assert len(rectangles(svg)) == 24
    assert "… 6 more" in words(svg)


def test_swings_meet_at_the_plans_own_value():
    low, high = rectangles(tornado([Swing("users", 80, 140)], 100, "usd", title="t", says="s"))
    assert low.x + low.width == pytest.approx(high.x, abs=0.2)
    assert high.width == pytest.approx(2 * low.width, rel=0.01)
    falling = rectangles(tornado([Swing("hours", 140, 80)], 100, "usd", title="t", says="s"))
    assert falling[0].x == pytest.approx(falling[1].x + falling[1].width, abs=0.2)


def test_stages_follow_each_other_in_time_with_the_interval_of_their_begin():
    stages = [Stage("one", 0, 6, "$1"), Stage("two", 6, 18, "$2", may_start=(4, 9))]
    svg = schedule(stages, title="t", says="s")
    first, second = rectangles(svg)
    assert second.x == pytest.approx(first.x + first.width, abs=0.2)
    assert second.width == pytest.approx(2 * first.width, rel=0.01)
    assert len(list(parsed(svg).iter("path"))) == 1


def every_number(svg: ET.Element) -> list[float]:
    names = {"x", "y", "cx", "cy", "width", "height", "x1", "x2", "y1", "y2"}
    return [float(v) for each in svg.iter() for k, v in each.attrib.items() if k in names]


@pytest.mark.parametrize("kind", ALL)
def test_all_that_is_drawn_has_a_place_on_the_chart(kind):
    numbers = every_number(parsed(ALL[kind]))
    assert all(math.isfinite(number) and 0 <= number <= WIDTH for number in numbers)


def of_runs(*values: float | None) -> list[Run]:
    return [Run(label=f"0{n}-01", name=f"r{n}", value=value) for n, value in enumerate(values)]


def test_runs_stand_evenly_apart_whatever_their_times():
    (x0, y0), (x1, y1), (x2, y2) = points(
        over_runs(of_runs(1.0, 2.0, 3.0), {}, "s", title="t", says="s")
    )
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert y1 < y0  # what is more stands higher


def test_a_change_is_marked_between_two_runs_and_said_by_the_first_of_the_new():
    svg = over_runs(of_runs(1.0, 1.0, 3.0), {2: "1.00 s → 3.00 s"}, "s", title="t", says="s")
    (mark,) = [each for each in parsed(svg).iter("line") if each.get("class") == "r"]
    _, (x1, _), (x2, _) = points(svg)
    assert float(mark.get("x1", "nan")) == pytest.approx((x1 + x2) / 2, abs=0.2)
    assert titles(svg) == ["r0: 1.00 s", "r1: 1.00 s", "r2: 3.00 s; 1.00 s → 3.00 s"]


def test_a_run_without_the_value_is_a_gap_and_not_a_zero():
    svg = over_runs(of_runs(1.0, 1.0, None, 1.0), {}, "s", title="t", says="s")
    assert len(points(svg)) == 3
    assert len(list(parsed(svg).iter("polyline"))) == 1


def test_a_runs_interval_is_drawn_and_said():
    run = Run(label="01-01", name="r", value=2.0, interval=(1.0, 3.0))
    svg = over_runs([run, run], {}, "s", title="t", says="s")
    assert titles(svg)[0] == "r: 2.00 s [1.00 s, 3.00 s]"
    first = next(each for each in parsed(svg).iter("line") if each.get("class") == "i")
    (_, y), _ = points(svg)
    low, high = float(first.get("y1", "nan")), float(first.get("y2", "nan"))
    assert low - y == pytest.approx(y - high, abs=0.2)
    assert low > high


def test_an_axis_of_counts_does_not_go_below_none():
    svg = over_runs(of_runs(0, 0), {}, "count", title="t", says="s")
    assert [word for word in words(svg) if word.startswith("-")] == []
