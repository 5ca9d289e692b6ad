"""A comparison's page says what moved, draws both runs over each other, and trusts no name."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.comparison.compare import compare
from profiler.comparison.gates import DEFAULT_GATES
from profiler.comparison.model import Comparison
from profiler.profile.build import build_profile
from profiler.report.page.comparison_page import comparison_page
from profiler.report.page.model import Charts, Page
from profiler.report.page.render import page_html
from tests.comparison.runs import profile_of
from tests.report.charts.drawn import parsed, titles
from tests.report.page.pages import HOSTILE, full_run


def compared(tmp_path: Path, more_calls: int) -> Comparison:
    before = build_profile(full_run(tmp_path))
    after = build_profile(full_run(tmp_path, more_calls=more_calls))
    return compare(before, after, gates=DEFAULT_GATES)


@pytest.fixture(scope="module")
def one_more(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Two calls on average before, three after."""
    return comparison_page(compared(tmp_path_factory.mktemp("runs"), 1))


def charts(page: Page) -> dict[str, str]:
    blocks = [block for section in page.sections for block in section.blocks]
    return {
        chart.title: str(chart.svg)
        for block in blocks
        if isinstance(block, Charts)
        for chart in block.charts
    }


def test_the_verdict_and_the_key_changes_come_first(one_more: Page):
    assert one_more.tone == "bad"
    assert one_more.verdict.startswith("fail")
    figures = {figure.name: figure for figure in one_more.figures}
    assert figures["LLM calls"].value == "+50 %"
    assert figures["LLM calls"].detail == "2.00 → 3.00, real"
    text = page_html(one_more)
    assert text.index("verdict bad") < text.index("+50 %") < text.index("<h2")


def test_errors_move_in_points_also_from_none():
    before, after = profile_of([[1]] * 40), profile_of([[1]] * 40, failed=8, run_id="r2")
    page = comparison_page(compare(before, after, gates=DEFAULT_GATES))
    errors = next(figure for figure in page.figures if figure.name == "errors")
    assert (errors.value, errors.detail) == ("+20.0 pp", "0 % → 20 %, real")


def test_both_runs_curves_lie_over_each_other(one_more: Page):
    svg = charts(one_more)["latency per interaction: percentiles"]
    assert len(list(parsed(svg).iter("polyline"))) == 2
    said = titles(svg)
    # Half of the interactions take 0.9 s at most; with one call more, 1.3 s.
    assert "baseline, p50: 900 ms" in said
    assert "candidate, p50: 1.30 s" in said


def test_changes_that_are_real_are_told_apart_from_those_that_may_be_chance(one_more: Page):
    svg = charts(one_more)["Changes against the baseline"]
    assert "LLM calls per interaction: 50 %" in titles(svg)
    of_calls = next(
        dot for dot in parsed(svg).iter("circle") if "LLM calls" in dot.findtext("title", "")
    )
    assert "s1" in of_calls.get("class", "")


def test_two_alike_runs_pass_and_draw_no_change_as_real(tmp_path: Path):
    page = comparison_page(compared(tmp_path, 0))
    assert page.tone != "bad"
    svg = charts(page)["Changes against the baseline"]
    assert not [dot for dot in parsed(svg).iter("circle") if "s1" in dot.get("class", "")]


def test_names_from_the_target_stay_text(one_more: Page):
    text = page_html(one_more)
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert text.count("<script>") == 1
