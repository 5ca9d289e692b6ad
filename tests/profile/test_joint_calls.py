"""The calls of the sampled interactions, one by one: priced singly, sampled together, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from profiler.errors import ProfileError
from profiler.measure.records import Observer, Outcome, Record, Timeline, Usage, Watched
from profiler.profile import joint, joint_calls
from profiler.profile.build import build_profile
from profiler.profile.interactions import CLIENT_METRICS, INSIDE_METRICS
from profiler.profile.joining import Joined
from profiler.profile.joint import Reservoir, largest_key, merge_joints
from profiler.profile.joint_calls import CALL_COLUMNS, JointCalls, merge_joint_calls
from profiler.profile.merge import merge_profiles
from profiler.profile.model import Joint, WorkloadProfile, dump_profile, load_profile
from profiler.profile.rows import interaction_row, llm_call_row
from tests.profile.journals import MS, S, interaction, llm_call, run, write

GATEWAY: dict[str, Any] = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}


def calls_of(profile: WorkloadProfile) -> JointCalls:
    assert profile.joint_calls is not None
    return profile.joint_calls


def rows_of(calls: JointCalls) -> list[dict[str, Any]]:
    return [dict(zip(calls.columns, row, strict=True)) for row in calls.rows]


def built(tmp_path: Path, *records: Record, **of_run: Any) -> WorkloadProfile:
    return build_profile(write(tmp_path, *records, first=run(**of_run)))


def test_a_row_is_a_call_of_the_interaction_with_its_key(tmp_path: Path):
    usage = Usage(
        input_tokens=1000,
        cached_input_tokens=600,
        cache_write_tokens=300,
        output_tokens=50,
        reasoning_tokens=20,
    )
    refused = {"outcome": Outcome.HTTP_429, "attempts": 3}
    profile = built(
        tmp_path,
        llm_call("a", model="big", start_ns=900 * MS, end_ns=950 * MS, **refused),
        llm_call("a", model="small", start_ns=100 * MS, end_ns=850 * MS, attempts=2, usage=usage),
        interaction("a"),
        interaction("b"),
    )
    (key,) = [row[0] for row in profile.joint.rows if row[joint.COLUMNS.index("llm_calls")] == 2]
    nothing = dict.fromkeys(
        (
            *("input_tokens", "cached_input_tokens", "cache_write_tokens"),
            *("output_tokens", "reasoning_tokens"),
        )
    )
    calls = calls_of(profile)
    assert rows_of(calls) == [
        {
            "key": key,
            "model": "small",
            "ok": True,
            "attempts": 2,
            "start_s": 0.1,
            "latency_s": 0.75,
            "input_tokens": 1000,
            "cached_input_tokens": 600,
            "cache_write_tokens": 300,
            "output_tokens": 50,
            "reasoning_tokens": 20,
        },
        {
            "key": key,
            "model": "big",
            "ok": False,
            "attempts": 3,
            "start_s": 0.9,
            "latency_s": 0.05,
            **nothing,
        },
    ]
    assert (calls.source, calls.population, calls.left_out_from) == ("response", 2, None)


def test_a_start_on_our_own_clock_counts_from_the_moment_of_sending(tmp_path: Path):
    profile = built(
        tmp_path,
        llm_call("a", start_ns=7 * S + 200 * MS, end_ns=8 * S, **GATEWAY),
        llm_call("b", **GATEWAY),
        interaction("a", send_ns=7 * S, end_ns=9 * S),
        interaction("b", send_ns=8 * S, end_ns=9 * S),
    )
    starts = {row["start_s"]: row["latency_s"] for row in rows_of(calls_of(profile))}
    assert starts == {0.2: 0.8, None: None}


def test_the_calls_are_those_of_the_observer_whose_number_of_calls_is_believed(tmp_path: Path):
    profile = built(
        tmp_path,
        llm_call("a", usage=Usage(input_tokens=1)),
        llm_call("a", usage=Usage(input_tokens=30), **GATEWAY),
        llm_call("a", usage=Usage(input_tokens=12), **GATEWAY),
        llm_call("warm", usage=Usage(input_tokens=7)),
        interaction("a"),
    )
    calls = calls_of(profile)
    assert (calls.source, calls.population) == ("gateway", 2)
    assert profile.interaction["llm_calls"].source == "gateway"
    assert sorted(row["input_tokens"] for row in rows_of(calls)) == [12, 30]


def test_nobody_watched_and_nothing_happened_are_not_the_same(tmp_path: Path):
    unseen = calls_of(built(tmp_path, interaction("a")))
    watched = calls_of(
        built(tmp_path, Watched(trace_id="a", observer=Observer.GATEWAY), interaction("a"))
    )
    assert [(c.source, c.population, c.rows) for c in (unseen, watched)] == [
        (None, 0, ()),
        ("gateway", 0, ()),
    ]


def test_the_order_of_rows_is_that_of_their_starts_not_of_the_journal(tmp_path: Path):
    calls = [
        llm_call("a", model=f"m{i}", start_ns=start * MS, end_ns=(start + 5) * MS)
        for i, start in enumerate((20, 10, 10))
    ]
    one, other = (
        calls_of(built(tmp_path, *order, interaction("a"))) for order in (calls, calls[::-1])
    )
    assert one.rows == other.rows
    assert [row["model"] for row in rows_of(one)] == ["m1", "m2", "m0"]


def test_the_section_reads_back_as_it_was_written_with_each_call_on_one_line(tmp_path: Path):
    profile = built(tmp_path, llm_call("a", start_ns=0, end_ns=5 * MS), interaction("a"))
    file = tmp_path / "profile.json"
    file.write_bytes(dump_profile(profile))
    assert load_profile(file) == profile
    row = orjson.dumps(calls_of(profile).rows[0]).decode()
    assert f"      {row}" in file.read_text().splitlines()


def test_a_row_that_lacks_a_cell_is_refused(tmp_path: Path):
    file = tmp_path / "profile.json"
    plain = orjson.loads(dump_profile(built(tmp_path, llm_call("a"), interaction("a"))))
    plain["joint_calls"]["rows"][0].pop()
    file.write_bytes(orjson.dumps(plain))
    with pytest.raises(ProfileError, match=r"as many cells as there are columns.*joint_calls"):
        load_profile(file)


def test_an_older_profile_has_no_calls_and_nor_has_what_it_is_merged_into(tmp_path: Path):
    file = tmp_path / "profile.json"
    plain = orjson.loads(dump_profile(built(tmp_path, llm_call("a"), interaction("a"))))
    del plain["joint_calls"]
    file.write_bytes(orjson.dumps(plain))
    older = load_profile(file)
    assert older.joint_calls is None
    assert "joint_calls" not in orjson.loads(dump_profile(older))
    newer = built(tmp_path, llm_call("b"), interaction("b"), run_id="r2")
    assert merge_profiles([older, newer]).joint_calls is None


def test_rows_of_other_columns_cannot_be_sampled_together(tmp_path: Path):
    profile = built(tmp_path, llm_call("a"), interaction("a"))
    other = calls_of(profile).model_copy(update={"columns": ("key",)})
    with pytest.raises(ProfileError, match="other columns"):
        merge_profiles([profile.model_copy(update={"joint_calls": other})])


def test_tokens_put_into_a_cache_are_a_metric_where_somebody_told_them(tmp_path: Path):
    told = built(
        tmp_path,
        llm_call("a", usage=Usage(input_tokens=900, cache_write_tokens=300)),
        llm_call("a", usage=Usage(input_tokens=900, cache_write_tokens=0)),
        interaction("a"),
    )
    silent = built(tmp_path, llm_call("a", usage=Usage(input_tokens=900)), interaction("a"))
    assert told.interaction["cache_write_tokens"].mean == 300
    assert told.llm_call["cache_write_tokens"].mean == 150
    assert told.models["m"]["cache_write_tokens"].count == 2
    assert "cache_write_tokens" not in {*silent.interaction, *silent.llm_call}


def sampled(parts: Sequence[tuple[int, int]], run_id: str) -> tuple[Joint, JointCalls]:
    """Sample interactions given as (key, number of calls), in that order."""
    reservoir = Reservoir(run_id)
    client = [0] * len(CLIENT_METRICS)
    for key, number in parts:
        trace = str(key)
        joined = Joined(trace, session=f"s{key}", row=interaction_row(interaction(trace)))
        inside = joined.seen_by("response")
        inside.llm_calls += [
            llm_call_row(llm_call(trace, usage=Usage(input_tokens=i)), 0) for i in range(number)
        ]
        assert joined.row is not None
        insides = {"response": [0] * len(INSIDE_METRICS)}
        reservoir.offer(joined, joined.row, client=client, insides=insides)
    calls = reservoir.joint_calls("response", sum(number for _, number in parts), ["m"])
    return reservoir.joint({}), calls


interactions = st.lists(
    st.tuples(st.integers(0, 999), st.integers(0, 7)), max_size=40, unique_by=lambda item: item[0]
)


# What one part had no room for ends the rows, even where another's next would have fitted.
@example([(1, 7), (2, 6), (3, 7), (4, 1)], [0, 0, 0, 1, *[0] * 36], False)
# What had no room is out of the sample by now: nothing is left out of what is in it.
@example([*((key, 7) for key in (20, 21, 22)), *((key, 1) for key in range(12))], [0] * 40, False)
@given(interactions, st.lists(st.integers(0, 2), min_size=40, max_size=40), st.booleans())
def test_merged_samples_have_the_calls_that_one_sample_of_all_would_have(
    every: list[tuple[int, int]], part_of: list[int], others_first: bool
):
    most_interactions, most_calls = 12, 14
    kept = sorted(every)[:most_interactions]
    expected: list[tuple[int, int]] = []
    cut: int | None = None
    for key, number in kept:
        if len(expected) + number > most_calls:
            cut = key
            break
        expected += [(key, i) for i in range(number)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint, "LIMIT", most_interactions)
        patch.setattr(joint_calls, "LIMIT", most_calls)
        patch.setattr(joint, "row_key", lambda _, trace: int(trace))
        together = sampled(every, "all")
        parts = [
            sampled([e for e, of in zip(every, part_of, strict=False) if of == part], f"r{part}")
            for part in range(3)
        ]
        first, *others = parts[::-1] if others_first else parts
        for other in others:  # two by two, as profiles of profiles are merged
            merged = merge_joints([first[0], other[0]])
            calls = merge_joint_calls([first[1], other[1]], largest_key(merged))
            assert calls is not None
            first = merged, calls
    at = CALL_COLUMNS.index("input_tokens")
    for sample, calls in (together, first):
        assert [row[0] for row in sample.rows] == [key for key, _ in kept]
        assert [(row[0], row[at]) for row in calls.rows] == expected
        assert calls.left_out_from == cut
        assert calls.population == sum(number for _, number in every)


def test_interactions_without_room_for_all_of_their_calls_have_none_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(joint_calls, "LIMIT", 7)
    records: list[Record] = []
    for trace in "abcde":
        records += [llm_call(trace), llm_call(trace), interaction(trace)]
    profile = built(tmp_path, *records)
    keys = [row[0] for row in profile.joint.rows]
    calls = calls_of(profile)
    assert [row["key"] for row in rows_of(calls)] == [key for key in keys[:3] for _ in range(2)]
    assert (calls.left_out_from, calls.population, calls.limit) == (keys[3], 10, 7)
