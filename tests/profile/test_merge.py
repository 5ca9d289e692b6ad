"""Merging loses nothing, and does not care for order or grouping."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.errors import ProfileError
from profiler.measure.records import (
    NO_TRACE,
    Attribution,
    DriverSample,
    LlmAttempt,
    Observer,
    ObserverNote,
    Outcome,
    RateLimit,
    Record,
    StateDelta,
    StateKind,
    Timeline,
    TokenParts,
    ToolRoundTrip,
    Usage,
    Watched,
)
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from profiler.profile.model import WorkloadProfile, dump_profile
from tests.profile.journals import (
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

driver_samples = st.lists(
    st.builds(
        DriverSample,
        at_ns=st.just(1),
        in_flight=st.just(0),
        sent=st.just(0),
        ended=st.just(0),
        dropped=st.integers(0, 3),
        loop_lag_max_ns=st.integers(0, 10**9),
        cpu_share=st.floats(0, 1),
    ),
    max_size=2,
)


tokens = st.integers(0, 5000)


@st.composite
def seen_by_gateway(draw: st.DrawFn, trace: str) -> list[Record]:
    """Draw what a gateway says of an interaction, or that it could not tell whose a call was."""
    common: dict = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}
    if draw(st.integers(0, 4)) == 0:
        return [Watched(trace_id=trace, observer=Observer.GATEWAY)]
    records: list[Record] = []
    for _ in range(draw(st.integers(1, 3))):
        attribution = draw(st.sampled_from(list(Attribution)))
        whose = NO_TRACE if attribution is Attribution.AMBIGUOUS else trace
        attempts = draw(st.integers(1, 3))
        outcomes = [Outcome.HTTP_429] * (attempts - 1) + [Outcome.OK]
        records += [
            LlmAttempt(trace_id=whose, model="m", outcome=outcome, **common) for outcome in outcomes
        ]
        records.append(
            llm_call(
                whose,
                attempts=attempts,
                attribution=attribution,
                start_ns=0,
                last_start_ns=draw(st.sampled_from([None, 5])),
                end_ns=draw(st.integers(10, 10**9)),
                usage=Usage(
                    input_tokens=draw(tokens), output_tokens=draw(tokens), reasoning_tokens=3
                ),
                tokens=TokenParts(
                    system=draw(tokens),
                    tool_schemas=draw(st.sampled_from([0, 70])),
                    history=draw(tokens),
                    user=2,
                    tool_results=0,
                    overhead=3,
                ),
                counted_output=draw(tokens),
                api="x",
                **common,
            )
        )
    end_ns = draw(st.integers(1, 10**9))
    tools = tuple(draw(st.lists(st.sampled_from("xy"), min_size=1, max_size=2)))
    trip = ToolRoundTrip(trace_id=trace, tools=tools, start_ns=0, end_ns=end_ns, **common)
    note = ObserverNote(
        observer=Observer.GATEWAY,
        kind=draw(st.sampled_from(["k", "l"])),
        detail=draw(st.sampled_from([None, "a", "b"])),
    )
    return [*records, trip, note]


@st.composite
def shards(draw: st.DrawFn) -> list[list[Record]]:
    """Draw two or three shards of a run, in each of which gateway and spans saw a call."""
    found: list[list[Record]] = []
    for shard in range(draw(st.integers(2, 3))):
        records: list[Record] = []
        for index in range(draw(st.integers(1, 4))):
            trace = f"{shard}/{index}"
            records += draw(seen_by_gateway(trace))
            first: dict = {"attempts": 1, "start_ns": 0, "end_ns": 9}
            usage = Usage(input_tokens=draw(tokens), output_tokens=4, reasoning_tokens=0)
            for observer in (Observer.GATEWAY, Observer.OTEL):
                full = TokenParts(
                    system=1, tool_schemas=0, history=1, user=1, tool_results=1, overhead=3
                )
                parts = full if observer is Observer.GATEWAY else None
                records.append(
                    llm_call(trace, observer=observer, usage=usage, tokens=parts, **first)
                )
            records.append(state_op(trace, StateKind.READ, 2, observer=Observer.OTEL))
            records.append(interaction(trace, session=f"{shard}"))
        found.append(records)
    return found


def compare_with_the_whole(record_lists: list[list[Record]]) -> None:
    merged = merge_profiles(profiles_of(record_lists))
    (whole,) = profiles_of([[record for records in record_lists for record in records]])
    for section in ("observers", "ledger", "rate_limits", "reconciliation"):
        assert getattr(merged, section) == getattr(whole, section)
    for name, trips in whole.tool_round_trips.items():
        mine = merged.tool_round_trips[name]
        assert (mine.hdr, mine.clusters, mine.mean_ci95) == (
            *(trips.hdr, trips.clusters),
            trips.mean_ci95,
        )
        # The indicator's sums are each shard's, taken at its own p95.
        same = {"p95_clusters", "p95_ci95", "stable", "reasons"}
        assert mine.model_dump(exclude=same) == trips.model_dump(exclude=same)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shards())
def test_what_observers_saw_of_shards_adds_up_to_what_they_saw_of_the_run(
    record_lists: list[list[Record]],
):
    compare_with_the_whole(record_lists)


@pytest.mark.long  # a quarter of a second an example
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shards())
def test_what_observers_saw_of_many_more_shards_adds_up(record_lists: list[list[Record]]):
    compare_with_the_whole(record_lists)


@st.composite
def journals(draw: st.DrawFn) -> list:
    """Draw a few interactions of a few sessions, with or without calls, tools and state."""
    records: list = []
    for index in range(draw(st.integers(0, 5))):
        trace = f"t{index}"
        outcome = draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.TIMEOUT]))
        for _ in range(draw(st.integers(0, 2))):
            usage = draw(st.sampled_from([None, Usage(input_tokens=draw(st.integers(0, 10**6)))]))
            observer = draw(st.sampled_from([Observer.RESPONSE, Observer.GATEWAY]))
            end_ns = draw(st.integers(1, 10**9))
            limit = draw(st.sampled_from([None, RateLimit(limit_tokens=5, retry_after_ns=7)]))
            records.append(
                llm_call(
                    trace,
                    observer=observer,
                    clock=Timeline.AGENT,
                    model=draw(st.sampled_from(["m", "n"])),
                    start_ns=0,
                    end_ns=end_ns,
                    usage=usage,
                    rate_limit=limit,
                )
            )
        for name in draw(st.lists(st.sampled_from(["x", "y"]), max_size=2)):
            ok = draw(st.sampled_from([Outcome.OK, Outcome.AGENT_ERROR]))
            records.append(tool_call(trace, name, start_ns=0, end_ns=5 * MS, outcome=ok))
        if draw(st.booleans()):
            records += draw(seen_by_gateway(trace))
        stores = draw(st.lists(st.sampled_from(["p", "q"]), max_size=2, unique=True))
        reads = [draw(st.integers(0, 9)) for _ in stores]
        records += [
            state_op(trace, StateKind.READ, count, store=store)
            for store, count in zip(stores, reads, strict=True)
        ]
        records.append(
            interaction(
                trace,
                session=f"s{draw(st.integers(0, 2))}",
                end_ns=draw(st.integers(1, 10**10)),
                outcome=outcome,
                last_turn=draw(st.booleans()),
                usage=draw(st.sampled_from([None, Usage(input_tokens=3)])),
            )
        )
    if draw(st.booleans()):
        records.append(StateDelta(store="p", reads=draw(st.sampled_from([None, 4])), writes=1))
    return records + draw(driver_samples)


def profiles_of(record_lists: list[list]) -> list[WorkloadProfile]:
    with tempfile.TemporaryDirectory() as directory:
        return [
            build_profile(
                write(
                    Path(directory),
                    *records,
                    first=run(run_id=f"r{i}", started_wall_ns=WALL_NS + (i % 2) * S),
                )
            )
            for i, records in enumerate(record_lists)
        ]


def merge_in_every_order(record_lists: list[list]) -> None:
    a, b, c = profiles_of(record_lists)
    expected = dump_profile(merge_profiles([a, b, c]))
    assert dump_profile(merge_profiles([c, a, b])) == expected
    assert dump_profile(merge_profiles([merge_profiles([a, b]), c])) == expected
    assert dump_profile(merge_profiles([merge_profiles([c, b]), a])) == expected
    assert dump_profile(merge_profiles([b, merge_profiles([c, a])])) == expected


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(journals(), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative_in_every_byte(record_lists: list[list]):
    merge_in_every_order(record_lists)


@pytest.mark.long  # half a second an example
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(journals(), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative_for_many_more_runs(record_lists: list[list]):
    merge_in_every_order(record_lists)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journals())
def test_merging_one_profile_changes_nothing(records: list):
    (profile,) = profiles_of([records])
    assert dump_profile(merge_profiles([profile])) == dump_profile(profile)


def test_counts_add_means_are_exact_and_intervals_are_of_all_sessions(tmp_path: Path):
    seconds = [1, 2, 3, 4, 8]
    records = [interaction(f"t{s}", end_ns=s * S) for s in seconds]
    first = build_profile(write(tmp_path, *records[:2], first=run(run_id="a")))
    second = build_profile(write(tmp_path, *records[2:], first=run(run_id="b")))
    whole = build_profile(write(tmp_path, *records))
    merged = merge_profiles([first, second])
    latency, expected = merged.interaction["latency"], whole.interaction["latency"]
    assert (latency.count, latency.mean) == (5, 3.6)
    assert latency.mean_ci95 == expected.mean_ci95
    assert latency.hdr == expected.hdr
    assert merged.sample.interactions == 5
    assert merged.run.id == "a+b"
    assert len(merged.run.parts) == 2
    assert merged.joint.population == len(merged.joint.rows) == 5


def test_shards_side_by_side_add_their_load_and_runs_in_turn_do_not(tmp_path: Path):
    def shard(name: str, start_s: int):
        load = {"mode": "open", "rate_per_s": 4.0, "arrivals": "constant"}
        first = run(run_id=name, started_wall_ns=WALL_NS + start_s * S, load=load)
        return build_profile(
            write(tmp_path, interaction("t", intended_start_ns=0, end_ns=10 * S), first=first)
        )

    a, beside, after = shard("a", 0), shard("b", 0), shard("c", 10)
    together = merge_profiles([a, beside]).load
    assert (together.duration_s, together.offered_rate, together.achieved_rate) == (10, 8, 0.2)
    in_turn = merge_profiles([a, after]).load
    assert (in_turn.duration_s, in_turn.offered_rate, in_turn.achieved_rate) == (20, 4, 0.1)


def test_users_are_the_most_at_one_time(tmp_path: Path):
    def shard(name: str, start_s: int, users: int | None):
        first = run(
            run_id=name,
            started_wall_ns=WALL_NS + start_s * S,
            load={"mode": "closed", "users": users},
        )
        return build_profile(write(tmp_path, interaction("t", end_ns=10 * S), first=first))

    a, beside, after, unknown = (
        shard("a", 0, 2),
        shard("b", 5, 3),
        shard("c", 15, 4),
        shard("d", 0, None),
    )
    assert merge_profiles([a, beside, unknown]).load.users == 5
    assert merge_profiles([a, after]).load.users == 4
    assert merge_profiles([a, beside, after]).load.users == 5
    assert unknown.load.users is None


def test_runs_without_a_measured_interaction_have_no_rate(tmp_path: Path):
    load = {"mode": "open", "rate_per_s": 4.0, "arrivals": "constant"}
    runs = [
        build_profile(write(tmp_path, first=run(run_id=name, load=load), end=None)) for name in "ab"
    ]
    assert merge_profiles(runs).load.offered_rate is None


def test_a_tool_that_one_run_never_used_was_used_zero_times_there(tmp_path: Path):
    used = build_profile(
        write(tmp_path, tool_call("a", "x"), interaction("a"), first=run(run_id="a"))
    )
    unused = build_profile(write(tmp_path, llm_call("a"), interaction("a"), first=run(run_id="b")))
    blind = build_profile(write(tmp_path, interaction("a"), first=run(run_id="c")))
    calls = merge_profiles([used, unused, blind]).tools["x"].calls_per_interaction
    assert (calls.mean, calls.count, calls.eligible) == (0.5, 2, 3)


def test_what_one_run_did_not_observe_lowers_the_coverage(tmp_path: Path):
    seen = build_profile(
        write(
            tmp_path,
            llm_call("a"),
            state_op("a", StateKind.READ, 1),
            interaction("a", first_token_ns=5),
            first=run(run_id="a"),
        )
    )
    records = (interaction("a"), interaction("b", outcome=Outcome.TIMEOUT))
    blind = build_profile(write(tmp_path, *records, first=run(run_id="b")))
    merged = merge_profiles([seen, blind])
    assert merged.interaction["llm_calls"].coverage == pytest.approx(1 / 3)
    assert merged.interaction["time_to_first_token"].coverage == 0.5  # of those that succeeded
    assert merged.interaction["latency_failed"].coverage == 1
    reads = merged.state["redis"].reads
    assert reads is not None
    assert reads.coverage == pytest.approx(1 / 3)


def test_a_store_that_does_not_tell_once_is_not_known_in_total(tmp_path: Path):
    runs = [
        build_profile(
            write(
                tmp_path,
                interaction("a"),
                StateDelta(store="redis", reads=3, writes=writes, void_reason=void),
                first=run(run_id=name),
            )
        )
        for name, writes, void in (("a", 1, None), ("b", None, "restarted"))
    ]
    whole = merge_profiles(runs).state["redis"].whole_run
    assert whole is not None
    assert (whole.reads, whole.writes, whole.void_reasons) == (6, None, ("restarted",))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"workload": "v"}, "differ in workload: 'w' and 'v'"),
        ({"digests": {"workload": "d2"}}, "differ in digests"),
        ({"target": {"protocol": "http-json", "model": "m"}}, "differ in protocol"),
        ({"target": {"protocol": "openai-chat", "model": "n"}}, "differ in model: 'm' and 'n'"),
        ({"encoding": "cl100k_base"}, "differ in tokenizer"),
        ({"load": {"mode": "open", "rate_per_s": 1}}, "differ in load mode"),
    ],
)
def test_profiles_of_different_things_are_refused(tmp_path: Path, changes: dict, what: str):
    first = build_profile(write(tmp_path, interaction("a")))
    other = build_profile(
        write(
            tmp_path,
            interaction("a"),
            first=run(run_id="r2", started_wall_ns=WALL_NS + S, **changes),
        )
    )
    with pytest.raises(ProfileError, match=what) as caught:
        merge_profiles([first, other])
    assert "runs r1 and r2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_journal_does_not_count_twice(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a")))
    with pytest.raises(ProfileError, match="would count twice"):
        merge_profiles([profile, profile])


def test_joint_rows_of_other_columns_cannot_be_sampled_together(tmp_path: Path):
    profile = build_profile(write(tmp_path, interaction("a")))
    joint = profile.joint.model_copy(update={"columns": ("key",)})
    with pytest.raises(ProfileError, match="other columns"):
        merge_profiles([profile.model_copy(update={"joint": joint})])


def test_there_must_be_something_to_merge():
    with pytest.raises(ProfileError, match="nothing to merge"):
        merge_profiles([])


def samples(lag_ns: int, cpu_share: float, number: int) -> list[DriverSample]:
    return [
        DriverSample(
            at_ns=i,
            in_flight=0,
            sent=0,
            ended=0,
            dropped=0,
            loop_lag_max_ns=lag_ns,
            cpu_share=cpu_share,
        )
        for i in range(number)
    ]


def test_trust_is_judged_anew_from_the_merged_numbers(tmp_path: Path):
    few = [
        build_profile(
            write(
                tmp_path,
                *(interaction(f"t{i}") for i in range(20)),
                *samples(lag, 0.99, number),
                first=run(run_id=name),
            )
        )
        for name, lag, number in (("a", 2 * MS, 5), ("b", 80 * MS, 0))
    ]
    assert few[0].trust.verdict == "driver_limited"
    assert few[1].trust.verdict == "inconclusive"
    merged = merge_profiles(few).trust
    assert merged.reasons == ("the harness's CPU was full in 5 of 5 seconds",)
    assert merged.loop_lag.max_s == 0.002
