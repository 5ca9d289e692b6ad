"""One look at traffic tells calls, failures, tokens, latency, and how near the limits it came."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from profiler.measure.records import RateLimit
from profiler.profile.traffic import Traffic
from profiler.profile.traffic_fold import build_traffic
from profiler.report.traffic import traffic_markdown, traffic_report
from tests.profile.journals import S, write
from tests.profile.traffic_journal import (
    ZERO_NS,
    attempt,
    call,
    traffic_records,
    traffic_run,
    usage,
)

HOSTILE = "[red]x[/red]|<script>\x1b[31m"


def traffic_of(tmp_path: Path, *records, **changes) -> Traffic:
    return build_traffic(write(tmp_path, *records, first=traffic_run(), **changes))


def printed(traffic: Traffic, width: int = 110) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(traffic_report(traffic))
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def row(text: str, label: str) -> str:
    return words(next(line for line in text.splitlines() if line.strip().startswith(label)))


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    return traffic_of(tmp_path, *traffic_records())


def test_the_facts_are_the_first_thing(traffic: Traffic):
    text = printed(traffic)
    assert row(text, "upstream") == "upstream https://llm.example/v1"
    assert row(text, "calls") == "calls 5 in 81.0 s, 3.70 a minute"
    assert row(text, "failed") == "failed 1 of 5 (20 %): http_429 1"
    assert row(text, "requests") == "requests 6: 1 call took more than one"
    assert row(text, "429s") == "429s m 2 of 5 requests (asked to wait up to 2.00 s)"
    assert row(text, "tokens") == "tokens 1,000 in (50 cached), 100 out"
    assert row(text, "traces") == "traces 2; 1 call without one"
    assert "partial" not in text


def test_a_metric_has_mean_median_and_p95(tmp_path: Path):
    calls = (call(f"t{i}", i, i + 2, usage=usage(12_000, 40)) for i in range(100))
    text = printed(traffic_of(tmp_path, *calls))
    assert row(text, "latency") == "latency 2.00 s ±0 2.00 s 2.00 s [2.00, 2.00]"
    assert row(text, "input tokens") == "input tokens 12.0k ±0 12.0k 12.0k [12.0, 12.0]"
    assert row(text, "output tokens per s") == (
        "output tokens per s 20.0/s ±0 20.0/s 20.0/s [20.0, 20.0]"
    )


def test_peaks_are_beside_the_limits_of_their_model(traffic: Traffic):
    lines = printed(traffic).split("Per minute", 1)[1].splitlines()
    table = [words(line) for line in lines if line.strip()]
    assert table[0] == "mean busiest limit used"
    # 5 requests in 81 s; three of them from 70 to 80. 1,000 tokens less n's 300 and its 30.
    assert table[2:7] == [
        "m",
        "requests 3.70 3 60 5.0 %",
        "input tokens 519 400",
        "output tokens 51.9 40",
        "tokens, both 570 440 9,000 4.9 %",
    ]
    assert table[7:9] == ["n", "requests 0.74 1"]
    assert table[12] == "all models"


def test_more_than_a_limit_is_told_as_it_is(tmp_path: Path):
    limit = RateLimit(limit_requests=2)
    attempts = [attempt("a", i, rate_limit=limit) for i in range(3)]
    text = printed(traffic_of(tmp_path, *attempts, call("a", 0, 61)))
    assert row(text.split("Per minute", 1)[1], "requests") == "requests 2.95 3 2 150 %"


def test_what_limits_what_was_seen_is_said(tmp_path: Path, traffic: Traffic):
    text = words(printed(traffic))
    assert "other_path (6 times): passed through and not recorded" in text
    lost = words(printed(traffic_of(tmp_path, call("a", 0, 1), end=None)))
    assert "1 call that succeeded came without usage" in lost
    assert "partial the journal has no end" in lost


def test_an_agent_without_traces_is_told_so(tmp_path: Path):
    text = words(printed(traffic_of(tmp_path, call("", 0, 1))))
    assert "traces none: the agent passes no trace on" in text


def test_nothing_is_nothing(tmp_path: Path):
    empty = traffic_of(tmp_path)
    assert row(printed(empty), "calls") == "calls none passed"
    assert "Per minute" not in printed(empty)
    assert "none passed" in traffic_markdown(empty)


def test_markdown_has_the_same_and_names_are_only_text(tmp_path: Path, traffic: Traffic):
    text = traffic_markdown(traffic)
    assert text.startswith("# LLM traffic through the gateway\n")
    assert "| &emsp;requests | 3.70 | 3 | 60 | 5.0 % |" in text
    assert "- **failed**: 1 of 5 (20 %): http\\_429 1" in text
    hostile = traffic_of(tmp_path, call("a", 0, 1, model=HOSTILE))
    assert "<script>" not in traffic_markdown(hostile)
    assert "[red]x[/red]|<script>\N{REPLACEMENT CHARACTER}[31m" in printed(hostile)
    assert "\x1b" not in printed(hostile)


def test_very_many_models_are_not_all_shown(tmp_path: Path):
    calls = (call("a", 0, 1, model=f"m{i:02}", end_ns=ZERO_NS + S) for i in range(15))
    text = words(printed(traffic_of(tmp_path, *calls)))
    assert "… 3 more in traffic.json" in text
    assert "m11" in text
    assert "m12" not in text
