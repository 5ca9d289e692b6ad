"""Two observers of one thing are compared where both saw it, and whole runs as wholes."""

from __future__ import annotations

from pathlib import Path

from profiler.measure.records import (
    NO_TRACE,
    Observer,
    Phase,
    Record,
    StateDelta,
    StateKind,
    TokenParts,
    Usage,
)
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from profiler.profile.model import Reconciliation, WorkloadProfile
from tests.profile.journals import MS, interaction, llm_call, run, state_op, tool_call, write

GATEWAY, OTEL = Observer.GATEWAY, Observer.OTEL


def profile_of(tmp_path: Path, *records: Record, run_id: str = "r") -> WorkloadProfile:
    return build_profile(write(tmp_path, *records, first=run(run_id=run_id)))


def rows_of(profile: WorkloadProfile, metric: str) -> dict[tuple[str, str], Reconciliation]:
    return {(r.observer_a, r.observer_b): r for r in profile.reconciliation if r.metric == metric}


def calls(trace: str, gateway: list[int], otel: list[int]) -> list[Record]:
    """An interaction whose calls have so many input tokens, as each observer has it."""
    return [
        *(llm_call(trace, observer=GATEWAY, usage=Usage(input_tokens=n)) for n in gateway),
        *(llm_call(trace, observer=OTEL, usage=Usage(input_tokens=n)) for n in otel),
        interaction(trace),
    ]


def test_sums_directions_doubles_and_an_example_are_told(tmp_path: Path):
    profile = profile_of(
        tmp_path,
        *calls("d", [10], [10]),
        *calls("c", [10], [20]),
        *calls("b", [30], [25]),
        *calls("a", [5], [6]),
    )
    row = rows_of(profile, "input_tokens")["gateway", "otel"]
    assert (row.compared, row.differing, row.a_larger, row.doubled) == (4, 3, 1, 1)
    assert (row.sum_a, row.sum_b, row.sum_difference) == (55, 61, -6)
    assert row.mean_difference == -1.5
    assert row.example_trace_id == "a"
    assert row.cause is None
    same = rows_of(profile, "llm_calls")["gateway", "otel"]
    assert (same.differing, same.example_trace_id) == (0, None)


def test_the_preferred_observer_is_a_whatever_its_name(tmp_path: Path):
    tools = [
        tool_call("t", "x", observer=OTEL),
        *(tool_call("t", "x", observer=Observer.RESPONSE) for _ in range(2)),
    ]
    usage = Usage(input_tokens=3)
    call = llm_call("t", observer=OTEL, usage=Usage(input_tokens=5))
    profile = profile_of(tmp_path, *tools, call, interaction("t", usage=usage))
    row = rows_of(profile, "tool_calls")["otel", "response"]
    assert (row.sum_a, row.sum_b, row.a_larger) == (1, 2, 0)
    swapped = rows_of(profile, "input_tokens")["otel", "client"]
    assert (swapped.sum_a, swapped.sum_b, swapped.a_larger) == (5, 3, 1)


def test_durations_may_differ_by_a_millisecond(tmp_path: Path):
    records: list[Record] = []
    for trace, end_ns in (("near", 10 * MS), ("far", 12 * MS)):
        records += [
            llm_call(trace, observer=GATEWAY, start_ns=0, end_ns=end_ns),
            llm_call(trace, observer=OTEL, start_ns=0, end_ns=10 * MS + MS),
            interaction(trace),
        ]
    row = rows_of(profile_of(tmp_path, *records), "llm_time")["gateway", "otel"]
    assert (row.compared, row.differing) == (2, 0)
    records.append(llm_call("far", observer=GATEWAY, start_ns=0, end_ns=MS))
    row = rows_of(profile_of(tmp_path, *records), "llm_time")["gateway", "otel"]
    assert (row.differing, row.sum_difference, row.example_trace_id) == (1, 1000, "far")


def test_what_was_reported_is_compared_with_what_was_counted_of_it(tmp_path: Path):
    parts = TokenParts(system=5, tool_schemas=0, history=1, user=1, tool_results=0, overhead=3)
    call = llm_call("a", observer=GATEWAY, usage=Usage(input_tokens=12), tokens=parts)
    blind = llm_call("b", observer=GATEWAY, usage=Usage(input_tokens=12))
    profile = profile_of(tmp_path, call, interaction("a"), blind, interaction("b"))
    (row,) = profile.reconciliation
    assert (row.metric, row.against) == ("input_tokens", "counted_input_tokens")
    assert (row.observer_a, row.observer_b) == ("gateway", "gateway")
    assert (row.compared, row.sum_a, row.sum_b) == (1, 12, 10)


def test_a_stores_own_count_is_compared_with_all_that_was_seen_of_the_run(tmp_path: Path):
    profile = profile_of(
        tmp_path,
        state_op("w", StateKind.READ, 2, observer=OTEL),
        interaction("w", phase=Phase.WARMUP),
        state_op("a", StateKind.READ, 3, observer=OTEL),
        state_op("a", StateKind.WRITE, 4, observer=OTEL),
        state_op("a", StateKind.READ, 9, observer=OTEL, store="pg"),
        state_op(NO_TRACE, StateKind.READ, 50, observer=OTEL),
        state_op("never ended", StateKind.READ, 70, observer=OTEL),
        interaction("a"),
        StateDelta(store="redis", reads=7, writes=None),
        StateDelta(store="pg", reads=9, void_reason="it was restarted"),
        StateDelta(store="other", reads=1),
    )
    (row,) = (r for r in profile.reconciliation if r.scope == "run")
    assert (row.metric, row.store, row.observer_a, row.observer_b) == (
        *("state_reads", "redis"),
        *("state_store", "otel"),
    )
    assert (row.compared, row.differing, row.sum_a, row.sum_b) == (1, 1, 7, 5)
    assert row.example_trace_id is None


def test_merging_adds_what_was_compared_and_finds_causes_anew(tmp_path: Path):
    first = profile_of(tmp_path, *calls("c", [10], [11]), *calls("b", [9], [8]), run_id="1")
    second = profile_of(tmp_path, *calls("a", [3], [8]), run_id="2")
    whole = profile_of(
        tmp_path, *calls("c", [10], [11]), *calls("b", [9], [8]), *calls("a", [3], [8])
    )
    assert merge_profiles([second, first]).reconciliation == whole.reconciliation


def test_rows_of_older_profiles_have_no_sums_and_neither_has_what_is_merged_with_them(
    tmp_path: Path,
):
    new = profile_of(tmp_path, *calls("a", [3], [8]), run_id="1")
    old = profile_of(tmp_path, *calls("b", [3], [8]), run_id="2")
    unknown = dict.fromkeys(("sum_a", "sum_b", "a_larger", "doubled", "example_trace_id"))
    rows = tuple(row.model_copy(update=unknown) for row in old.reconciliation)
    merged = merge_profiles([new, old.model_copy(update={"reconciliation": rows})])
    row = rows_of(merged, "input_tokens")["gateway", "otel"]
    assert (row.compared, row.sum_difference, row.sum_a, row.a_larger) == (2, -10, None, None)
    assert (row.example_trace_id, row.cause) == ("a", None)
