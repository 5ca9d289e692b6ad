"""A page is one file with all that a person asks for; nothing in it is not text or ours."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from profiler.profile.build import build_profile
from profiler.profile.timeline import run_timeline
from profiler.report.charts.waterfall import Span
from profiler.report.page.inside import gaps, typical, unusual
from profiler.report.page.plan_page import plan_page
from profiler.report.page.profile_page import profile_page
from profiler.report.page.render import page_html
from tests.profile.journals import S, interaction, run, write
from tests.report.page.pages import HOSTILE, TOOL, full_run
from tests.report.plans import plan

VOID = frozenset({"meta", "br", "img"})


class Reader(HTMLParser):
    """Collects elements and the text between them; fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text.replace("<wbr>", ""))  # only says where a name may break
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):  # of SVG
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and data.strip():
            self.texts.setdefault(self._open[-1], []).append(data.strip())


@pytest.fixture(scope="module")
def profile_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    journal = full_run(tmp_path_factory.mktemp("run"))
    profile = build_profile(journal)
    return page_html(profile_page(profile, run_timeline(profile, [journal])))


@pytest.fixture(scope="module")
def plan_text() -> str:
    return page_html(plan_page(plan(name=HOSTILE)))


def headings(text: str) -> list[str]:
    return Reader(text).texts["h2"]


def captions(text: str) -> list[str]:
    return Reader(text).texts["figcaption"]


def test_a_profile_has_verdict_and_figures_before_the_first_heading(profile_text: str):
    head = profile_text[: profile_text.index("<h2")]
    assert 'class="verdict good"' in head
    names = Reader(profile_text).texts["dt"]
    assert names[:5] == [
        "latency",
        "first token after",
        "LLM calls",
        "input tokens",
        "output tokens",
    ]
    # A third each of one, two and three calls.
    assert "<dt>LLM calls</dt><dd><b>2.00</b>" in head


def test_a_profile_shows_everything_that_was_measured(profile_text: str):
    assert headings(profile_text) == [
        "How it was measured",
        "Latency",
        "Where the time goes",
        "Tokens",
        "LLM calls and tools",
        "Rate limits",
        "The run over time",
        "All metrics",
        "Do the observers agree?",
        "How to run it again",
        "Notes",
    ]
    assert captions(profile_text) == [
        "One interaction",
        "One LLM call",
        "What the mean latency consists of",
        "An interaction like the mean",
        "A slow one, near the p95",
        "Input tokens of one interaction, by part",
        "Input tokens of one interaction, by turn",
        "LLM calls per interaction",
        "Tools by time per interaction",
        "Rate limits: most used at any time",
        "Latency over time",
        "Interactions started per second",
        "Share failed over time",
        "Failed interactions by kind",
        "Interactions in flight",
        "Harness: event loop lag",
        "Harness: share of one CPU",
    ]


def test_without_a_journal_the_page_says_what_is_missing(tmp_path: Path):
    text = page_html(profile_page(build_profile(full_run(tmp_path)), None))
    assert "are read from the journal, and none of this profile" in text
    assert "Latency over time" not in captions(text)
    names = Reader(text).texts["li"]
    assert "cached" in names
    assert "not cached" in names


def test_a_profile_of_next_to_nothing_is_a_page(tmp_path: Path):
    journal = write(tmp_path, interaction("a"))
    profile = build_profile(journal)
    text = page_html(profile_page(profile, run_timeline(profile, [journal])))
    assert 'class="verdict warn"' in text
    assert "Inconclusive" in text


def test_a_profile_in_which_all_failed_is_a_page(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a", outcome="timeout")))
    assert "timeout" in page_html(profile_page(profile, None))


def test_a_run_without_interactions_is_a_page(tmp_path: Path):
    profile = build_profile(write(tmp_path))
    text = page_html(profile_page(profile, None))
    assert "<h1>Profile of w</h1>" in text
    assert "<dt>failed</dt><dd><b>—</b>" in text


def test_a_plan_shows_what_binds_and_costs_before_its_report(plan_text: str):
    head = plan_text[: plan_text.index("<h2")]
    assert "does not fit" in head
    assert 'class="verdict bad"' in head
    assert captions(plan_text) == [
        "Demand at the peak against limits",
        "Cost of a month",
        "What moves the month's cost at 1x",
    ]
    assert {"Verdict", "Limits", "Warnings", "Where each number comes from"} <= set(
        headings(plan_text)
    )


def test_bars_of_characters_are_not_beside_the_chart_that_they_stand_for(plan_text: str):
    assert "▇" not in plan_text


@pytest.mark.parametrize("which", ["profile_text", "plan_text"])
def test_the_page_holds_one_script_and_one_style_that_its_policy_admits(which, request):
    text = request.getfixturevalue(which)
    found = Reader(text)
    assert found.tags.count("script") == found.tags.count("style") == 1
    policy = found_policy(text)
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]{44}'", policy["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/=]{44}'", policy["style-src"])


def found_policy(text: str) -> dict[str, str]:
    content = next(v for _, n, v in Reader(text).attributes if n == "content" and "src" in v)
    parts = (part.strip().partition(" ") for part in content.split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("which", ["profile_text", "plan_text"])
def test_nothing_is_loaded_from_anywhere_and_no_attribute_runs_or_styles(which, request):
    text = request.getfixturevalue(which)
    attributes = Reader(text).attributes
    assert not {n for _, n, _ in attributes if n in ("src", "href", "style", "srcset", "action")}
    assert not {n for _, n, _ in attributes if n.startswith("on")}
    assert not {t for t in Reader(text).tags if t in ("img", "iframe", "object", "link", "base")}
    assert "url(" not in text


@pytest.mark.parametrize("which", ["profile_text", "plan_text"])
def test_names_from_the_target_stay_text(which, request):
    text = request.getfixturevalue(which)
    assert HOSTILE not in text
    assert any(HOSTILE[:40] in said for said in Reader(text).texts["h1"])


def test_a_metrics_name_breaks_between_its_words(profile_text: str):
    assert ">interaction.<wbr>input_<wbr>tokens</td>" in profile_text


def test_a_tools_name_is_text_in_chart_and_table(profile_text: str):
    assert TOOL not in profile_text
    texts = Reader(profile_text).texts
    assert any(TOOL in said for said in texts["td"])
    assert any(TOOL in said for said in texts["title"])
    assert any(TOOL in said for said in texts["text"])


def test_the_same_profile_gives_the_same_page(tmp_path: Path):
    profile = build_profile(full_run(tmp_path))
    assert page_html(profile_page(profile, None)) == page_html(profile_page(profile, None))


@pytest.mark.long  # 12 of its 14 seconds go into making such a run
def test_a_page_of_ten_thousand_interactions_is_below_a_megabyte(tmp_path: Path):
    journal = full_run(tmp_path, interactions=10_000, per_session=10)
    profile = build_profile(journal)
    text = page_html(profile_page(profile, run_timeline(profile, [journal])))
    assert 50_000 < len(text.encode()) < 1_000_000


def test_the_interactions_that_are_shown_are_near_the_mean_and_the_p95(tmp_path: Path):
    """Latencies are 0.5, 0.9 and 1.3 s, as many of each: the mean is 0.9 and the p95 is 1.3 s."""
    profile = build_profile(full_run(tmp_path))
    like_mean, slow = typical(profile, None), unusual(profile, None)
    assert like_mean is not None
    assert slow is not None
    assert (like_mean.latency_s, like_mean.llm_calls) == (0.9, 2)
    assert (slow.latency_s, slow.llm_calls) == (1.3, 3)


def test_time_that_nothing_covers_is_what_is_left_between_and_around():
    spans = [Span("a", 1.0, 2.0, 0), Span("within", 1.5, 0.5, 1), Span("b", 4.0, 3.0, 0)]
    assert gaps(spans, 10.0) == [(0.0, 1.0), (3.0, 1.0), (7.0, 3.0)]
    assert gaps([], 2.0) == [(0.0, 2.0)]
    assert gaps([Span("all", 0.0, 5.0, 0)], 2.0) == []


def test_a_partial_run_says_so_at_the_top(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a"), end=None))
    text = page_html(profile_page(profile, None))
    assert "Partial: the run did not come to its end" in text[: text.index("<h2")]


def test_the_mock_is_named_at_the_top(tmp_path: Path):
    target = {"url": None, "mock": {"speed": 1.0}}
    profile = build_profile(write(tmp_path, interaction("a", end_ns=S), first=run(target=target)))
    text = page_html(profile_page(profile, None))
    assert "The agent measured was the mock" in text[: text.index("<h2")]
