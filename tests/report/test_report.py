"""What a person reads says what was measured, how sure it is, and what was not observed."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from profiler import load_profile
from profiler.measure.records import (
    ClientTokens,
    DriverSample,
    Observer,
    Outcome,
    Phase,
    Record,
    StateKind,
    Timeline,
    TokenParts,
    Usage,
)
from profiler.profile.build import build_profile
from profiler.profile.model import WorkloadProfile
from profiler.report.markdown import escape, profile_markdown
from profiler.report.quantities import TIMES
from profiler.report.terminal import print_profile
from tests.profile.journals import (
    MS,
    S,
    interaction,
    llm_call,
    run,
    state_op,
    tool_call,
    write,
)

HOSTILE = "[red]x[/red]|<script>alert(1)</script>\x1b[31m`*_\n# big"
PARTS = TokenParts(system=900, tool_schemas=0, history=60, user=30, tool_results=0, overhead=10)


def observed(index: int, **changes) -> list[Record]:
    trace = f"t{index}"
    return [
        llm_call(
            trace,
            start_ns=0,
            first_token_ns=100 * MS,
            end_ns=500 * MS,
            usage=Usage(input_tokens=12_345, output_tokens=40, cached_input_tokens=0),
            tokens=PARTS,
        ),
        tool_call(trace, "search", start_ns=0, end_ns=200 * MS),
        state_op(trace, StateKind.READ, 2),
        interaction(
            trace,
            end_ns=1240 * MS,
            first_token_ns=300 * MS,
            counted=ClientTokens(output=40),
            **changes,
        ),
    ]


def profile_of(tmp_path: Path, *records: Record, **kwargs) -> WorkloadProfile:
    return build_profile(write(tmp_path, *records, **kwargs))


@pytest.fixture
def steady(tmp_path: Path) -> WorkloadProfile:
    """100 interactions, all alike."""
    return profile_of(tmp_path, *(record for i in range(100) for record in observed(i)))


def printed(profile: WorkloadProfile, width: int = 100, paths: list[Path] | None = None) -> str:
    out = io.StringIO()
    print_profile(Console(file=out, width=width), profile, paths or [])
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def row(text: str, label: str) -> str:
    line = next(line for line in text.splitlines() if line.strip().startswith(label))
    return words(line)


def test_one_row_has_mean_p95_their_intervals_and_the_source(steady: WorkloadProfile):
    text = printed(steady)
    assert row(text, "latency") == "latency 1.24 s ±0 1.24 s [1.24, 1.24] client"
    assert row(text, "LLM calls") == "LLM calls 1.00 ±0 1 [1, 1] response"
    assert row(text, "input tokens ") == "input tokens 12.3k ±0 12.3k [12.3, 12.3] response"
    assert row(text, "system") == "system 900 ±0 900 [900, 900] response"
    assert row(text, "state reads") == "state reads (redis) 2.00 ±0 2 [2, 2] response"
    assert row(text, "search") == f"search {TIMES}1.00 200 ms ±0 200 ms [200, 200] response"
    assert (
        row(text, "output tokens per s")
        == "output tokens per s 80.0/s ±0 80.0/s [80.0, 80.0] response"
    )


def test_the_header_says_what_was_measured(steady: WorkloadProfile):
    text = words(printed(steady))
    assert "Profile of w" in text
    assert "target http://agent/ · openai-chat · model m" in text
    assert "measured 100 interactions in 100 sessions over 1.24 s" in text
    assert "load closed loop, 2 users, 80.6 interactions/s achieved" in text
    assert "errors none verdict trusted" in text


def test_stable_numbers_bear_no_mark(steady: WorkloadProfile):
    assert "≈" not in printed(steady)


def test_what_was_not_observed_is_said_with_what_would_show_it(tmp_path: Path):
    text = words(printed(profile_of(tmp_path, interaction("a"))))
    assert "not observed: time to first token. Would show it: stream: true" in text
    assert "not observed: LLM calls, reported tokens. Would show it: --gateway" in text
    assert "not observed: tool calls. Would show it: --otlp" in text
    assert "not observed: state reads, state writes" in text
    assert "tool calls 0" not in text


def test_rough_numbers_are_marked_and_the_legend_says_how_many_more_it_takes(tmp_path: Path):
    records = [interaction(f"t{i}", end_ns=(1 + 2 * (i % 2)) * S) for i in range(100)]
    text = words(printed(profile_of(tmp_path, *records)))
    # By hand in tests/profile/test_stability.py: four times as many.
    assert "latency ≈ 2.00 s ±0.20" in text
    assert "About 400 interactions would settle latency, LLM calls and input tokens" in text
    assert "--requests 400, or --until-stable" in text


def test_where_there_is_no_telling_how_many_it_says_more(tmp_path: Path):
    text = words(printed(profile_of(tmp_path, interaction("a"))))
    assert "latency ≈ 1.00 s ±? — client" in text
    assert "More interactions help: --requests N, or --until-stable." in text
    assert "[?], ±? or —: too few values" in text


def test_rare_things_may_be_rough_while_the_key_numbers_are_stable(tmp_path: Path):
    records = [record for i in range(100) for record in observed(i)]
    records += [tool_call(f"t{i}", "rare", start_ns=0, end_ns=i * MS) for i in (1, 9)]
    text = words(printed(profile_of(tmp_path, *records)))
    assert "The key numbers (latency, LLM calls and input tokens) are stable" in text
    assert f"rare {TIMES}0.02 ≈ 5.00 ms" in text


def test_errors_are_shown_by_kind_the_most_frequent_first(tmp_path: Path):
    records = [
        interaction(f"t{kind}{i}", outcome=Outcome.AGENT_ERROR, error_kind=f"kind{kind}")
        for kind in range(7)
        for i in range(1 + kind)
    ]
    text = words(printed(profile_of(tmp_path, interaction("ok"), *records), width=200))
    assert "28 of 29 (97 %): agent_error/kind6 7, agent_error/kind5 6" in text
    assert "agent_error/kind2 3, 2 more kinds" in text


def test_a_run_in_which_all_failed_has_a_header_and_no_table_rows(tmp_path: Path):
    text = printed(profile_of(tmp_path, interaction("a", outcome=Outcome.TIMEOUT), end=None))
    assert "1 of 1 (100 %): timeout 1" in text
    assert "inconclusive: only 0 succeeded, at least 30 are needed" in text
    assert "the journal has no end" in text
    assert "not observed" not in text


def test_an_empty_run_can_be_shown(tmp_path: Path):
    text = words(printed(profile_of(tmp_path)))
    assert "0 interactions in 0 sessions" in text
    assert "# Profile of w" in profile_markdown(profile_of(tmp_path))


def test_open_loop_shows_rate_and_arrivals_and_what_was_dropped(tmp_path: Path):
    sample = DriverSample(
        at_ns=1, in_flight=0, sent=0, ended=0, dropped=4, loop_lag_max_ns=0, cpu_share=0
    )
    profile = profile_of(
        tmp_path,
        interaction("w", phase=Phase.WARMUP),
        *(interaction(f"t{i}", intended_start_ns=0, send_ns=S, end_ns=2 * S) for i in range(2)),
        sample,
        first=run(
            load={"mode": "open", "rate_per_s": 5.0, "arrivals": "poisson"}, target={"url": None}
        ),
    )
    text = words(printed(profile))
    assert (
        "open loop, 5 starts/s offered (poisson), 2 interactions/s achieved, 4 starts dropped"
        in text
    )
    assert "after 1 of warm-up" in text
    assert "target the mock agent" in text
    assert "latency from intended start" in text
    assert "driver limited: interactions were sent late: p99 1000.0 ms" in text


def test_loads_that_were_not_described_are_not_invented(tmp_path: Path):
    closed = words(printed(profile_of(tmp_path, first=run(load={"mode": "closed"}))))
    assert "load closed loop errors" in closed
    opened = words(printed(profile_of(tmp_path, first=run(load={"mode": "open"}))))
    assert "load open loop errors" in opened


def test_several_models_and_stores_are_told_apart(tmp_path: Path):
    records = [record for i in range(3) for record in observed(i)]
    records += [llm_call("t1", model="small", start_ns=0, end_ns=MS)]
    records += [state_op("t1", StateKind.WRITE, 1, store="pg")]
    text = printed(profile_of(tmp_path, *records))
    assert row(text, "small").startswith("small ≈ 1.00 ms")
    assert row(text, "pg writes").startswith("pg writes ≈ 1.00")
    assert "redis reads" in text
    assert "pg reads" not in text


def test_a_share_that_was_observed_stands_beside_the_source(tmp_path: Path):
    text = printed(profile_of(tmp_path, *observed(1), interaction("unseen")))
    assert row(text, "LLM calls").endswith("response (50 %)")


def test_cached_tokens_are_shown_if_there_are_any(tmp_path: Path, steady: WorkloadProfile):
    usage = Usage(input_tokens=5, cached_input_tokens=4)
    text = printed(profile_of(tmp_path, llm_call("a", usage=usage), interaction("a")))
    assert "of them cached" in text
    assert "of them cached" not in printed(steady)


def test_the_clients_own_count_is_shown_where_no_usage_was_reported(tmp_path: Path):
    records = [interaction("a", counted=ClientTokens(output=4))]
    assert row(printed(profile_of(tmp_path, *records)), "reply text").startswith(
        "reply text, tokens"
    )


def test_tools_beyond_a_dozen_are_counted_and_untimed_ones_say_so(tmp_path: Path):
    records: list[Record] = [tool_call("a", f"tool{i:02}") for i in range(14)]
    text = words(printed(profile_of(tmp_path, *records, interaction("a"))))
    assert f"tool00 {TIMES}1.00 time not observed response" in text
    assert "… 2 more in profile.json" in text
    assert "tool13" not in text


def test_tools_that_failed_are_named_with_their_share(tmp_path: Path):
    records: list[Record] = [
        tool_call("a", f"tool{i}", outcome=Outcome.AGENT_ERROR) for i in range(6)
    ]
    text = words(printed(profile_of(tmp_path, *records, tool_call("a", "fine"), interaction("a"))))
    assert "tool calls that failed, in no tool time: tool0 100 %, tool1 100 %" in text
    assert "tool4 100 %, 1 more." in text


def test_disagreeing_observers_are_named(tmp_path: Path):
    gateway = llm_call("t1", observer=Observer.GATEWAY, clock=Timeline.HARNESS)
    text = words(printed(profile_of(tmp_path, *observed(1), gateway, gateway), width=200))
    assert "gateway minus response: llm_calls +1.00 (1 of 1)." in text


@pytest.mark.parametrize("width", [72, 60])
def test_a_narrow_terminal_leaves_columns_out_before_it_breaks_names(width: int):
    sample = load_profile(Path("results/sample"))
    wide, narrow = printed(sample), printed(sample, width)
    for name in ("latency", "time to first token", "tool results", "get_user_details"):
        assert row(wide, name).startswith(row(narrow, name))
    assert ("Wider terminals" in wide, "Wider terminals" in narrow) == (False, True)
    assert max(len(line) for line in narrow.splitlines()) <= width


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_longer_than_the_terminal_and_no_number_is_cut(
    steady: WorkloadProfile, width: int
):
    text = printed(steady, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "1.24 s [1.24, 1.24]" in text


def test_the_files_are_named_unbroken(steady: WorkloadProfile):
    path = Path("results") / ("x" * 120) / "profile.json"
    assert str(path) in printed(steady, paths=[path]).splitlines()


def test_hostile_names_are_text_and_nothing_else(tmp_path: Path):
    records: list[Record] = [
        tool_call("a", HOSTILE, start_ns=0, end_ns=MS),
        interaction("a", outcome=Outcome.AGENT_ERROR, error_kind=HOSTILE),
    ]
    profile = profile_of(tmp_path, *records, first=run(workload=HOSTILE))
    text = printed(profile)
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    markdown = profile_markdown(profile)
    assert "<script" not in markdown
    assert "\x1b" not in markdown
    assert not [line for line in markdown.splitlines() if line.startswith("# big")]
    for line in markdown.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_markdown_has_the_same_content_as_tables(steady: WorkloadProfile):
    markdown = profile_markdown(steady)
    assert markdown.startswith("# Profile of w\n")
    assert "| latency | 1.24 s ±0 | 1.24 s \\[1.24, 1.24\\] | client |" in markdown
    assert "| &emsp;system | 900 ±0 | 900 \\[900, 900\\] | response |" in markdown
    assert "## Tools" in markdown
    assert "- **verdict**: trusted" in markdown
    assert markdown.endswith("`profile.json`.\n")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain, words (1.5 %)", "plain, words (1.5 %)"),
        ("a|b", "a\\|b"),
        ("<b> & 'c'", "&lt;b&gt; &amp; 'c'"),
        ("*_`[]!#~\\", "\\*\\_\\`\\[\\]\\!\\#\\~\\\\"),
        ("http://x www.y.z", "http:/\\/x www\\.y.z"),
        ("a\n\n b", "a b"),
    ],
)
def test_escaping(text: str, escaped: str):
    assert escape(text) == escaped
