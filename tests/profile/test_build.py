"""What a profile says of a journal whose numbers can be counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.errors import JournalError, ProfileError
from profiler.measure import JOURNAL_NAME
from profiler.measure.records import (
    ClientTokens,
    DriverSample,
    End,
    EndReason,
    Observer,
    Outcome,
    Phase,
    RateLimit,
    Record,
    StateDelta,
    StateKind,
    Timeline,
    TokenParts,
    Usage,
)
from profiler.profile.build import build_profile
from profiler.profile.distribution import Distribution
from profiler.profile.fold import fold
from profiler.profile.model import dump_profile
from tests.profile.journals import (
    END,
    MS,
    WALL_NS,
    S,
    interaction,
    llm_call,
    run,
    state_op,
    tool_call,
    write,
)


def total(distribution: Distribution) -> int:
    return distribution.clusters.sum_s


def test_the_same_journal_gives_the_same_bytes(tmp_path: Path):
    journal = write(tmp_path, llm_call("a", attempts=2), interaction("a"), interaction("b"))
    assert dump_profile(build_profile(journal)) == dump_profile(build_profile(journal))
    file = journal / JOURNAL_NAME
    assert dump_profile(build_profile(file)) == dump_profile(build_profile(journal))


def test_latency_is_send_to_end_in_seconds(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            interaction("a", send_ns=5 * S, end_ns=6 * S),
            interaction("b", send_ns=7 * S, end_ns=10 * S),
        )
    )
    latency = profile.interaction["latency"]
    assert (latency.unit, latency.source, latency.method) == ("s", "client", "measured")
    assert (latency.count, latency.mean, latency.min, latency.max) == (2, 2.0, 1.0, 3.0)
    assert latency.stddev == pytest.approx(2**0.5)
    assert latency.p50 == pytest.approx(1.0, rel=1e-3)
    assert latency.hdr.value_unit == "us"


def test_warm_up_is_in_no_statistic_whenever_its_calls_come(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("w", attempts=9),
            interaction("w", phase=Phase.WARMUP, end_ns=99 * S),
            tool_call("w", "search"),
            interaction("a"),
            llm_call("a", attempts=1),
        )
    )
    assert profile.sample.warmup_excluded == 1
    assert profile.sample.interactions == 1
    assert profile.sample.unmatched_events == 0
    assert profile.interaction["latency"].max == 1.0
    assert total(profile.interaction["attempts"]) == 1
    assert profile.tools == {}


def test_failures_do_not_improve_the_latency_but_their_cost_counts(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", usage=Usage(input_tokens=100)),
            interaction("a", end_ns=2 * S),
            llm_call("b", usage=Usage(input_tokens=50)),
            interaction("b", end_ns=1 * MS, outcome=Outcome.TIMEOUT, error_kind="read"),
            interaction("c", end_ns=1 * MS, outcome=Outcome.HTTP_5XX, error_kind="http_5xx"),
        )
    )
    assert profile.interaction["latency"].count == 1
    assert profile.interaction["latency"].mean == 2.0
    assert profile.interaction["latency_failed"].count == 2
    assert profile.sample.failed == {"timeout/read": 1, "http_5xx": 1}
    assert profile.sample.succeeded == 1
    tokens = profile.interaction["input_tokens"]
    assert (total(tokens), tokens.count, tokens.eligible) == (150, 2, 3)
    assert tokens.coverage == pytest.approx(2 / 3)


def test_without_failures_there_is_no_latency_of_failures(tmp_path: Path):
    assert "latency_failed" not in build_profile(write(tmp_path, interaction("a"))).interaction


def test_what_nobody_observed_is_absent(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a"), interaction("b")))
    assert set(profile.interaction) == {"latency"}
    assert not (profile.llm_call)
    assert not (profile.models)
    assert not (profile.tools)
    assert not (profile.state)


def test_open_loop_has_scheduled_latency_and_dispatch_delay(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            interaction("a", intended_start_ns=0, send_ns=S, end_ns=3 * S),
            first=run(load={"mode": "open", "rate_per_s": 2.0, "arrivals": "poisson"}),
        )
    )
    assert profile.interaction["scheduled_latency"].mean == 3.0
    assert profile.interaction["dispatch_delay"].mean == 1.0
    assert profile.interaction["latency"].mean == 2.0
    assert (profile.load.mode, profile.load.offered_rate) == ("open", 2.0)
    assert (profile.load.arrivals, profile.load.users) == ("poisson", None)
    assert profile.load.achieved_rate == 0.5


def test_closed_loop_has_neither(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a")))
    assert "scheduled_latency" not in profile.interaction
    assert "dispatch_delay" not in profile.interaction
    assert profile.trust.dispatch_delay is None
    assert (profile.load.users, profile.load.offered_rate) == (2, None)


def test_a_journal_that_declares_no_mode_is_open_if_starts_were_intended(tmp_path: Path):
    open_ = write(tmp_path, interaction("a", intended_start_ns=0), first=run(load={}))
    closed = write(tmp_path, interaction("a"), first=run(load={}))
    assert build_profile(open_).load.mode == "open"
    assert build_profile(closed).load.mode == "closed"


def test_streaming_times(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            interaction(
                "a",
                first_token_ns=200 * MS,
                last_token_ns=1000 * MS,
                counted=ClientTokens(user=3, history=0, output=5),
            ),
            interaction("b", counted=ClientTokens(output=1), first_token_ns=5, last_token_ns=5),
        )
    )
    assert profile.interaction["time_to_first_token"].max == pytest.approx(0.2)
    # 0.8 s between five tokens: four gaps. One token alone has no gap.
    assert profile.interaction["inter_token_latency"].mean == pytest.approx(0.2)
    assert profile.interaction["inter_token_latency"].coverage == 0.5
    assert profile.interaction["client_output_tokens"].mean == 3.0
    assert profile.interaction["client_output_tokens"].method == "counted"
    assert profile.interaction["client_user_tokens"].count == 1


def test_calls_and_tokens_are_summed_over_the_interaction(tmp_path: Path):
    parts = TokenParts(system=10, tool_schemas=20, history=5, user=4, tool_results=0, overhead=3)
    call = {"usage": Usage(input_tokens=40, output_tokens=7, cached_input_tokens=8)}
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", start_ns=0, end_ns=300 * MS, attempts=1, tokens=parts, **call),
            llm_call("a", start_ns=400 * MS, end_ns=900 * MS, attempts=2, tokens=parts, **call),
            interaction("a"),
        )
    )
    expected = {
        "llm_calls": 2,
        "attempts": 3,
        "llm_time": 800_000,
        "input_tokens": 80,
        "output_tokens": 14,
        "cached_input_tokens": 16,
        "counted_input_tokens": 84,
        "system_tokens": 20,
        "tool_schema_tokens": 40,
        "history_tokens": 10,
        "user_tokens": 8,
        "tool_result_tokens": 0,
        "overhead_tokens": 6,
    }
    assert {name: total(profile.interaction[name]) for name in expected} == expected
    assert profile.interaction["input_tokens"].method == "reported"
    assert profile.interaction["system_tokens"].method == "counted"
    assert "reasoning_tokens" not in profile.interaction


def test_a_call_that_succeeded_without_usage_leaves_the_sum_unobserved(tmp_path: Path):
    known = {"usage": Usage(input_tokens=40)}
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", **known),
            llm_call("a"),
            interaction("a"),
            llm_call("b", **known),
            llm_call("b", outcome=Outcome.HTTP_429),  # refused: no tokens, and none are missing
            interaction("b"),
        )
    )
    assert profile.interaction["input_tokens"].count == 1
    assert total(profile.interaction["input_tokens"]) == 40
    assert total(profile.interaction["llm_calls"]) == 4


def test_an_interaction_that_was_seen_without_a_tool_used_none(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a"),
            interaction("a"),
            llm_call("b"),
            tool_call("b", "search", start_ns=0, end_ns=100 * MS),
            tool_call("b", "search", start_ns=0, end_ns=300 * MS),
            tool_call("b", "book", outcome=Outcome.AGENT_ERROR, start_ns=0, end_ns=MS),
            interaction("b"),
            interaction("unseen"),
        )
    )
    tools = profile.interaction["tool_calls"]
    assert (tools.count, total(tools), tools.min, tools.eligible) == (2, 3, 0, 3)
    assert profile.interaction["tool_time"].max == pytest.approx(0.401)
    search, book = profile.tools["search"], profile.tools["book"]
    assert search.calls_per_interaction.mean == 1.0
    assert search.calls_per_interaction.count == 2
    assert search.duration is not None
    assert search.duration.mean == pytest.approx(0.2)
    assert (search.calls, search.error_rate) == (2, 0.0)
    assert (book.duration, book.failed, book.error_rate) == (None, 1, 1.0)


def test_an_agent_without_tools_is_seen_to_use_none(tmp_path: Path):
    profile = build_profile(write(tmp_path, llm_call("a"), interaction("a")))
    assert profile.interaction["tool_calls"].max == 0
    assert profile.tools == {}


def test_a_gateway_does_not_see_tools(tmp_path: Path):
    call = llm_call("a", observer=Observer.GATEWAY, clock=Timeline.HARNESS)
    profile = build_profile(write(tmp_path, call, interaction("a")))
    assert profile.interaction["llm_calls"].source == "gateway"
    assert "tool_calls" not in profile.interaction


def test_an_interaction_that_was_seen_without_an_llm_call_made_none(tmp_path: Path):
    usage = Usage(input_tokens=9)
    profile = build_profile(
        write(
            tmp_path,
            state_op("a", StateKind.READ, 1),
            interaction("a"),
            llm_call("b", usage=usage),
            interaction("b"),
        )
    )
    assert profile.interaction["llm_calls"].min == 0
    assert profile.interaction["llm_calls"].count == 2
    assert profile.interaction["input_tokens"].min == 0


def test_an_observer_that_never_reports_llm_calls_is_not_taken_for_zero(tmp_path: Path):
    profile = build_profile(write(tmp_path, state_op("a", StateKind.READ, 1), interaction("a")))
    assert "llm_calls" not in profile.interaction


def test_tools_of_warm_up_only_are_zero_while_measuring(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            tool_call("w", "search", start_ns=0, end_ns=5),
            interaction("w", phase=Phase.WARMUP),
            llm_call("a"),
            interaction("a"),
        )
    )
    assert profile.interaction["tool_time"].max == 0
    assert profile.interaction["tool_calls"].max == 0


def test_state_operations_are_summed_over_stores_and_zero_only_where_said(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            state_op("a", StateKind.READ, 2),
            state_op("a", StateKind.READ, 3, store="pg"),
            state_op("a", StateKind.WRITE, 0),
            interaction("a"),
            state_op("b", StateKind.READ, 1),
            interaction("b"),
            StateDelta(store="redis", reads=7, writes=1, void_reason="a stranger was connected"),
            StateDelta(store="etcd", reads=4),
        )
    )
    assert total(profile.interaction["state_reads"]) == 6
    writes = profile.interaction["state_writes"]
    assert (writes.count, total(writes), writes.coverage) == (1, 0, 0.5)
    redis, pg, etcd = (profile.state[name] for name in ("redis", "pg", "etcd"))
    assert redis.reads is not None
    assert (redis.reads.mean, redis.reads.count, redis.other) == (1.5, 2, None)
    assert redis.whole_run is not None
    assert (redis.whole_run.reads, redis.whole_run.other) == (7, None)
    assert redis.whole_run.void_reasons == ("a stranger was connected",)
    assert pg.reads is not None
    assert (pg.reads.count, pg.whole_run) == (1, None)
    assert etcd.reads is None
    assert etcd.whole_run is not None


def test_own_time_is_what_neither_llm_nor_tool_was_open_in(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", start_ns=100 * MS, end_ns=500 * MS),
            tool_call("a", "t", start_ns=400 * MS, end_ns=600 * MS),  # 100 ms beside the call
            tool_call("a", "t", start_ns=450 * MS, end_ns=550 * MS),  # inside the other tool
            tool_call("a", "t", start_ns=700 * MS, end_ns=800 * MS),
            interaction("a"),
        )
    )
    # Open from 100 to 600 and 700 to 800 of 1000 ms: 400 ms are the agent's own.
    assert profile.interaction["own_time"].mean == pytest.approx(0.4)


def test_own_time_is_never_negative_and_needs_times(tmp_path: Path):
    longer = build_profile(
        write(tmp_path, llm_call("a", start_ns=0, end_ns=2 * S), interaction("a"))
    )
    assert longer.interaction["own_time"].mean == 0
    untimed = build_profile(write(tmp_path, llm_call("a"), interaction("a")))
    assert "own_time" not in untimed.interaction


def test_the_observer_nearest_to_the_wire_is_believed_and_disagreement_is_shown(tmp_path: Path):
    gateway = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", usage=Usage(input_tokens=100)),
            llm_call("a", usage=Usage(input_tokens=110), **gateway),
            interaction("a", usage=Usage(input_tokens=100)),
            llm_call("b", usage=Usage(input_tokens=50)),
            llm_call("b", usage=Usage(input_tokens=50), **gateway),
            interaction("b"),
        )
    )
    tokens = profile.interaction["input_tokens"]
    assert (tokens.source, total(tokens)) == ("gateway", 160)
    rows = {
        (r.metric, r.observer_a, r.observer_b): (r.compared, r.differing, r.mean_difference)
        for r in profile.reconciliation
    }
    assert rows["input_tokens", "gateway", "response"] == (2, 1, 5.0)
    assert rows["input_tokens", "gateway", "client"] == (1, 1, 10.0)
    assert rows["input_tokens", "response", "client"] == (1, 0, 0.0)
    assert rows["llm_calls", "gateway", "response"] == (2, 0, 0.0)


def test_observers_that_saw_nothing_in_common_are_not_compared(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", usage=Usage(input_tokens=1)),
            interaction("a"),
            interaction("b", usage=Usage(input_tokens=2)),
        )
    )
    assert not [row for row in profile.reconciliation if row.metric == "input_tokens"]


def test_an_observer_that_saw_little_is_passed_over(tmp_path: Path):
    gateway = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}
    records = [r for t in "abcde" for r in (llm_call(t), interaction(t))]
    profile = build_profile(write(tmp_path, *records, llm_call("a", **gateway)))
    assert profile.interaction["llm_calls"].source == "response"
    assert profile.interaction["llm_calls"].count == 5


def test_usage_in_the_answer_stands_in_where_no_call_was_seen(tmp_path: Path):
    profile = build_profile(
        write(tmp_path, interaction("a", usage=Usage(input_tokens=12, reasoning_tokens=0)))
    )
    assert profile.interaction["input_tokens"].source == "client"
    assert profile.interaction["input_tokens"].method == "reported"
    assert profile.interaction["reasoning_tokens"].mean == 0
    assert "llm_calls" not in profile.interaction


def test_llm_calls_one_by_one_and_by_model(tmp_path: Path):
    fast = {"start_ns": 0, "first_token_ns": 100 * MS, "end_ns": 500 * MS, "attempts": 1}
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", **fast, usage=Usage(output_tokens=50)),
            llm_call("a", start_ns=0, end_ns=S, model=None, usage=Usage(output_tokens=20)),
            llm_call("a", start_ns=0, end_ns=MS, outcome=Outcome.HTTP_429, attempts=4),
            interaction("a"),
        )
    )
    latency = profile.llm_call["latency"]
    assert (latency.count, latency.mean, latency.eligible) == (2, 0.75, 2)
    assert profile.llm_call["time_to_first_token"].coverage == 0.5
    assert profile.llm_call["output_tokens_per_second"].max == 100.0
    assert profile.llm_call["output_tokens_per_second"].min == 20.0
    assert profile.llm_call["output_tokens_per_second"].unit == "tokens/s"
    assert total(profile.llm_call["attempts"]) == 5
    assert set(profile.models) == {"m", "(not reported)"}
    assert profile.models["m"]["latency"].mean == 0.5
    assert profile.models["(not reported)"]["latency"].mean == 1.0
    assert "input_tokens" not in profile.llm_call


def test_sessions_that_were_measured_whole(tmp_path: Path):
    def turn(trace: str, session: str, **changes):
        return interaction(trace, session=session, **changes)

    profile = build_profile(
        write(
            tmp_path,
            turn("a1", "a", send_ns=0, end_ns=S),
            turn("a2", "a", send_ns=3 * S, end_ns=5 * S, think_time_ns=2 * S, last_turn=True),
            turn("b1", "b", phase=Phase.WARMUP),
            turn("b2", "b", last_turn=True),
            turn("c1", "c", outcome=Outcome.TIMEOUT, last_turn=True),
            turn("d1", "d"),
            turn("e1", "e", send_ns=S, end_ns=2 * S, last_turn=True),
            turn("w1", "w", phase=Phase.WARMUP, last_turn=True),
        )
    )
    assert (profile.sample.sessions, profile.sample.sessions_completed) == (5, 2)
    assert profile.session["interactions"].mean == 1.5
    assert profile.session["duration"].mean == 3.0
    assert profile.session["think_time"].mean == 2.0
    assert profile.session["think_time"].count == 1


def test_rate_limits_are_told_by_model(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", rate_limit=RateLimit(limit_requests=60, remaining_requests=59)),
            llm_call("a", rate_limit=RateLimit(limit_requests=90, remaining_requests=3)),
            llm_call("a", outcome=Outcome.HTTP_429, rate_limit=RateLimit(retry_after_ns=2 * S)),
            llm_call("a", model="quiet"),
            interaction("a"),
        )
    )
    assert set(profile.rate_limits) == {"m", "quiet"}
    quiet = profile.rate_limits["quiet"].model_dump()
    assert (quiet.pop("calls"), quiet.pop("attempts"), quiet.pop("http_429")) == (1, 0, 0)
    assert set(quiet.values()) == {None}
    limits = profile.rate_limits["m"]
    assert (limits.calls, limits.http_429) == (3, 1)
    assert (limits.limit_requests_lowest, limits.limit_requests_highest) == (60, 90)
    assert limits.lowest_remaining_requests == 3
    assert limits.longest_retry_after_s == 2.0
    assert limits.limit_tokens_lowest is None


def test_the_joint_rows_are_the_interactions(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            llm_call("a", usage=Usage(input_tokens=40)),
            interaction("a", session="s", turn=3, end_ns=1500 * MS),
            interaction("b", session="s", turn=4, outcome=Outcome.TIMEOUT),
        )
    )
    rows = [dict(zip(profile.joint.columns, row, strict=True)) for row in profile.joint.rows]
    first = next(row for row in rows if row["turn"] == 3)
    assert first["latency_s"] == 1.5
    assert (first["run"], first["session"], first["ok"]) == ("r1", "s", True)
    assert (first["llm_calls"], first["input_tokens"]) == (1, 40)
    assert first["state_reads"] is None
    assert [row["ok"] for row in rows if row["turn"] == 4] == [False]
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)
    assert profile.joint.population == 2


def test_more_interactions_than_the_joint_holds_are_sampled(tmp_path: Path):
    records = [interaction(f"t{i}") for i in range(5100)]
    joint = build_profile(write(tmp_path, *records)).joint
    assert (len(joint.rows), joint.population, joint.limit) == (5000, 5100, 5000)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (None, "the journal has no end: the run was killed, or still goes on"),
        (End(at_ns=S, reason=EndReason.INTERRUPTED), "interrupted"),
        (End(at_ns=S, reason=EndReason.JOURNAL_FAILED), "journal_failed"),
        (End(at_ns=S, reason=EndReason.ERROR_LIMIT), "error_limit"),
    ],
)
def test_a_run_that_was_cut_short_is_partial(tmp_path: Path, end: End | None, reason: str):
    sample = build_profile(write(tmp_path, interaction("a"), end=end)).sample
    assert (sample.partial, sample.partial_reasons) == (True, (reason,))
    assert sample.interactions == 1


@pytest.mark.parametrize("reason", ["completed", "duration", "max_requests"])
def test_a_run_that_reached_its_limit_is_whole(tmp_path: Path, reason: str):
    end = End(at_ns=S, reason=EndReason(reason))
    assert not build_profile(write(tmp_path, interaction("a"), end=end)).sample.partial


def test_a_torn_last_line_costs_only_itself(tmp_path: Path):
    journal = write(tmp_path, interaction("a"), interaction("b"), end=None) / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-20])
    profile = build_profile(journal)
    assert (profile.sample.interactions, profile.sample.partial) == (1, True)


def test_calls_of_an_interaction_that_never_ended_are_counted_as_such(tmp_path: Path):
    lost = (llm_call("lost"), tool_call("lost", "t"), state_op("lost", StateKind.READ, 1))
    profile = build_profile(write(tmp_path, *lost, interaction("a"), end=None))
    assert profile.sample.unmatched_events == 3
    assert set(profile.interaction) == {"latency"}


def test_a_journal_without_a_measured_interaction_is_a_profile_all_the_same(tmp_path: Path):
    profile = build_profile(write(tmp_path, end=None))
    assert profile.interaction == profile.session == {}
    assert profile.sample.interactions == 0
    assert profile.trust.verdict == "inconclusive"
    assert (profile.load.duration_s, profile.load.achieved_rate) == (0, None)


def test_the_run_is_described_as_the_journal_has_it(tmp_path: Path):
    samples = [
        DriverSample(
            at_ns=i, in_flight=1, sent=1, ended=0, dropped=i, loop_lag_max_ns=MS, cpu_share=0.1
        )
        for i in (1, 2)
    ]
    journal = write(tmp_path, interaction("a", send_ns=S, end_ns=3 * S), *samples)
    info = build_profile(journal).run
    assert (info.id, info.started_at) == ("r1", "2023-11-14T22:13:20+00:00")
    assert (info.protocol, info.observers) == ("openai-chat", ("client", "response"))
    (part,) = info.parts
    assert part.window_start_ns == WALL_NS + S
    assert part.window_end_ns == WALL_NS + 3 * S
    assert build_profile(journal).load.dropped == 2
    assert len(part.journal) == 64


def test_a_journal_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(JournalError):
        build_profile(tmp_path / "nothing")
    with pytest.raises(ProfileError, match="no run"):
        fold([], "here")
    with pytest.raises(ProfileError, match="no run"):
        fold([END], "here")


@pytest.mark.parametrize("attempts", ["three", 1.5, 2**64])
def test_a_value_that_is_no_integer_is_refused_with_its_place(tmp_path: Path, attempts: Any):
    records: list[Record] = [run(), interaction("a"), llm_call("a", attempts=attempts)]
    with pytest.raises(ProfileError, match="here: event 3 holds a value that is no integer"):
        fold(records, "here")
    with pytest.raises(ProfileError, match="second run"):
        fold([run(), run()], "here")


def test_a_call_that_was_retried_lasts_from_its_first_attempt_to_the_end_of_its_last(
    tmp_path: Path,
):
    usage = Usage(output_tokens=30)
    retried = llm_call(
        "a",
        start_ns=0,
        last_start_ns=2 * S,
        first_token_ns=2500 * MS,
        end_ns=5 * S,
        attempts=3,
        usage=usage,
    )
    smooth = llm_call("a", start_ns=0, end_ns=S, attempts=1, usage=usage)
    untold = llm_call("a", start_ns=0, end_ns=S, attempts=2)
    found = build_profile(write(tmp_path, retried, smooth, untold, interaction("a"))).llm_call
    assert (found["latency"].max, found["time_to_first_token"].max) == (5.0, 2.5)
    assert (found["retry_time"].count, found["retry_time"].mean) == (2, 1.0)
    assert (found["attempts"].count, found["attempts"].max) == (3, 3)
    # 30 tokens in the 3 s of the last attempt, and 30 in 1 s.
    rate = found["output_tokens_per_second"]
    assert (rate.min, rate.max) == (10.0, 30.0)
