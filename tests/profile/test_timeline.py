"""What a report reads from the journal: slices of time, turns, and tools within interactions."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import (
    DriverSample,
    Observer,
    Outcome,
    Phase,
    Record,
    Timeline,
    TokenParts,
)
from profiler.profile.build import build_profile
from profiler.profile.joint import row_key
from profiler.profile.timeline import (
    RunTimeline,
    ToolSpan,
    nearest_rank_s,
    run_timeline,
    slice_seconds,
)
from tests.profile.journals import MS, S, interaction, llm_call, run, tool_call, write


def timeline_of(tmp_path: Path, *records: Record, **kwargs) -> RunTimeline:
    journal = write(tmp_path, *records, **kwargs)
    found = run_timeline(build_profile(journal), [journal])
    assert found is not None
    return found


def test_slices_count_from_the_first_send_and_know_failures_apart(tmp_path: Path):
    records = [
        *(interaction(f"a{i}", send_ns=S, end_ns=S + (i + 1) * 10 * MS) for i in range(80)),
        interaction("late", send_ns=3 * S, end_ns=5 * S),
        interaction("bad", send_ns=3 * S + 1, end_ns=9 * S, outcome=Outcome.TIMEOUT),
        interaction("warm", send_ns=0, end_ns=S, phase=Phase.WARMUP),
    ]
    found = timeline_of(tmp_path, *records)
    first, empty, last = found.slices
    assert (found.slice_s, first.at_s, empty.at_s, last.at_s) == (1, 0.5, 1.5, 2.5)
    # The 40th and the 76th of 80 values.
    assert (first.ended, first.failed) == (80, 0)
    assert (first.latency_p50_s, first.latency_p95_s) == (0.4, 0.76)
    assert (empty.ended, empty.latency_p50_s) == (0, None)
    assert (last.ended, last.failed, last.latency_p95_s) == (2, 1, None)


def test_parts_of_the_prompt_are_means_over_the_interactions_of_a_turn(tmp_path: Path):
    records: list[Record] = []
    for trace, turn, history in (("a", 0, 0), ("b", 0, 10), ("c", 1, 300)):
        parts = TokenParts(system=100, history=history, user=5)
        records += [
            llm_call(trace, tokens=parts),
            llm_call(trace, tokens=parts),
            interaction(trace, turn=turn),
        ]
    first, second = timeline_of(tmp_path, *records).turns
    assert (first.turn, first.interactions, second.turn, second.interactions) == (0, 2, 1, 1)
    assert (first.parts["system_tokens"], first.parts["history_tokens"]) == (200, 10)
    assert (second.parts["history_tokens"], second.parts["tool_result_tokens"]) == (600, 0)


def test_tools_count_from_their_interactions_start_whosever_clock_timed_them(tmp_path: Path):
    records: list[Record] = [
        tool_call("a", "search", start_ns=200 * MS, end_ns=500 * MS),
        tool_call("a", "untimed"),
        interaction("a", send_ns=7 * S, end_ns=8 * S),
        interaction("b", send_ns=7 * S, end_ns=8 * S),
        tool_call(
            "b", "late", start_ns=7 * S + 100 * MS, end_ns=7 * S + 400 * MS, clock=Timeline.HARNESS
        ),
    ]
    tools = timeline_of(tmp_path, *records).tools
    assert tools[row_key("r1", "a")] == (ToolSpan(name="search", start_s=0.2, duration_s=0.3),)
    assert tools[row_key("r1", "b")] == (ToolSpan(name="late", start_s=0.1, duration_s=0.3),)


def test_one_observer_is_believed_as_in_the_profile(tmp_path: Path):
    seen = {"tokens": TokenParts(system=100), "start_ns": 0, "end_ns": S}
    records: list[Record] = [
        llm_call("a", observer=Observer.GATEWAY, **seen),
        llm_call("a", observer=Observer.RESPONSE, **seen),
        interaction("a"),
    ]
    observers = ("client", "gateway", "response")
    found = timeline_of(tmp_path, *records, first=run(observers=observers))
    assert found.turns[0].parts["system_tokens"] == 100


def test_the_harness_is_seen_from_the_first_send_on(tmp_path: Path):
    def sample(at_ns: int) -> DriverSample:
        return DriverSample(
            at_ns=at_ns, in_flight=3, sent=1, ended=0, dropped=0, loop_lag_max_ns=20 * MS,
            cpu_share=0.25,
        )  # fmt: skip

    records: list[Record] = [
        sample(S),
        sample(4 * S),
        interaction("a", send_ns=2 * S, end_ns=3 * S),
    ]
    (point,) = timeline_of(tmp_path, *records).harness
    assert (point.at_s, point.in_flight, point.loop_lag_s, point.cpu_share) == (2, 3, 0.02, 0.25)


def test_shards_lie_side_by_side_on_the_wall_clock(tmp_path: Path):
    one = write(tmp_path, interaction("a", send_ns=0, end_ns=S))
    started = {"started_wall_ns": run().started_wall_ns + 5 * S, "started_monotonic_ns": 100 * S}
    two = write(tmp_path, interaction("b", send_ns=100 * S, end_ns=101 * S), first=run(**started))
    found = run_timeline(build_profile(one), [one, two])
    assert found is not None
    assert [(each.at_s, each.ended) for each in found.slices] == [(2.5, 1), (7.5, 1)]


def test_another_runs_journal_is_not_taken_for_the_profiles(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a")))
    other = write(tmp_path, interaction("a"), first=run(run_id="r2"))
    assert run_timeline(profile, [other]) is None
    assert run_timeline(profile, []) is None


@pytest.mark.parametrize(
    ("count", "slice_s"), [(10, 60), (50, 30), (250, 10), (1500, 1), (100_000, 1)]
)
def test_slices_hold_enough_interactions_for_a_p95(count, slice_s):
    assert slice_seconds(60, count) == slice_s


@pytest.mark.parametrize(
    ("span_s", "slice_s"), [(0.1, 1), (60, 1), (61, 2), (3600, 60), (3601, 120)]
)
def test_sixty_slices_hold_a_run(span_s, slice_s):
    assert slice_seconds(span_s, 1_000_000) == slice_s


def test_a_percentile_needs_as_many_values_as_make_it_up():
    assert nearest_rank_s([S], 50) is None
    assert nearest_rank_s([S, 3 * S], 50) == 1
    assert nearest_rank_s([S] * 19, 95) is None
    assert nearest_rank_s([*[S] * 19, 2 * S], 95) == 1
