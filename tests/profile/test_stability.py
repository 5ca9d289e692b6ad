"""A run that goes on until stable stops when the key numbers are, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import Record, Usage
from profiler.profile.build import build_profile
from profiler.profile.guidance import interactions_needed
from profiler.profile.stability import RunningStability
from tests.profile.journals import MS, S, interaction, llm_call, write

ALL = ["latency mean", "latency p95", "llm_calls mean", "input_tokens mean"]


def test_before_anything_succeeded_latency_is_not_stable():
    assert RunningStability().unstable() == ALL[:2]
    stability = RunningStability()
    stability.add(session="a", latency_s=None, llm_calls=1)
    assert stability.unstable() == ["latency mean", "latency p95", "llm_calls mean"]


def test_the_same_latency_each_time_is_stable_once_the_p95_has_an_interval():
    stability = RunningStability()
    for index in range(71):
        stability.add(session=f"s{index}", latency_s=1.0, llm_calls=2, input_tokens=100)
    assert stability.unstable() == ["latency p95"]
    stability.add(session="s71", latency_s=1.0, llm_calls=2, input_tokens=100)
    assert stability.unstable() == []


def test_a_wide_spread_is_not_stable():
    stability = RunningStability()
    for index in range(100):
        odd = index % 2
        stability.add(
            session=f"s{index}",
            latency_s=0.1 + 10 * odd,
            llm_calls=1 + 9 * odd,
            input_tokens=10 + 990 * odd,
        )
    assert stability.unstable() == ["latency mean", "llm_calls mean", "input_tokens mean"]


def test_one_session_is_never_stable():
    stability = RunningStability()
    for _ in range(200):
        stability.add(session="s", latency_s=1.0)
    assert stability.unstable() == ["latency mean", "latency p95"]


@pytest.mark.parametrize("spread_ms", [0, 400, 900])
def test_it_agrees_with_the_profile(tmp_path: Path, spread_ms: int):
    stability = RunningStability()
    records = []
    for index in range(120):
        end_ns = S + (index * 7919 % 100) * spread_ms * MS // 100
        records.append(interaction(f"t{index}", session=f"s{index // 3}", end_ns=end_ns))
        stability.add(session=f"s{index // 3}", latency_s=end_ns / S)
    stable = build_profile(write(tmp_path, *records)).interaction["latency"].stable
    named = stability.unstable()
    assert ("latency mean" not in named) is stable.mean
    assert ("latency p95" not in named) is stable.p95


def profile_of(tmp_path: Path, seconds: list[int], calls: int = 1):
    records: list[Record] = []
    for index, s in enumerate(seconds):
        usage = Usage(input_tokens=100)
        records += [llm_call(f"t{index}", usage=usage) for _ in range(calls)]
        records.append(interaction(f"t{index}", end_ns=s * S))
    return build_profile(write(tmp_path, *records))


def test_what_is_stable_needs_no_more(tmp_path: Path):
    assert interactions_needed(profile_of(tmp_path, [1] * 100)) == 100


def test_an_interval_twice_too_wide_needs_four_times_as_many(tmp_path: Path):
    profile = profile_of(tmp_path, [1, 3] * 50)
    # By hand: mean 2, s = sqrt(100/99), t_99 = 1.98422: half = 1.98422 * sqrt(1/99) = 0.19942,
    # 0.1 is allowed: 100 * 1.9942^2 = 397.7, and 400 in two digits.
    assert interactions_needed(profile) == 400


def test_too_few_for_a_p95_need_at_least_72(tmp_path: Path):
    assert interactions_needed(profile_of(tmp_path, [1] * 50)) == 72


def test_there_is_no_telling_from_one_session_or_from_none(tmp_path: Path):
    assert interactions_needed(profile_of(tmp_path, [1])) is None
    assert interactions_needed(profile_of(tmp_path, [])) is None


def test_nor_where_one_metric_has_no_interval(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            *(interaction(f"t{i}") for i in range(80)),
            llm_call("t1"),
        )
    )
    assert interactions_needed(profile) is None


def test_a_wide_p95_needs_more_by_the_same_rule(tmp_path: Path):
    # 100 values, 10 of them 2 s and the largest three 4 s: the p95's interval is the 90th (1 s)
    # to the 100th (4 s): half of it 1.5 of 2 s, 0.2 allowed: (1.5 / 0.2)^2 = 56 times.
    seconds = [1] * 90 + [2] * 7 + [4] * 3
    profile = profile_of(tmp_path, seconds)
    assert profile.interaction["latency"].p95_ci95 == pytest.approx((1, 4), rel=1e-3)
    assert interactions_needed(profile) == 5700
