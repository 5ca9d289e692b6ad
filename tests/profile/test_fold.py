"""What is folded while a journal is read is what sorting all of it would give, in less memory."""

from __future__ import annotations

import gc
import math
import random
import statistics
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.measure import JOURNAL_NAME
from profiler.measure.records import Observer, Outcome, Record, StateKind, Usage
from profiler.profile import joint
from profiler.profile.build import build_profile
from profiler.profile.distribution import Distribution
from profiler.profile.fold import fold
from profiler.profile.joining import WINDOW
from profiler.profile.model import WorkloadProfile, dump_profile
from profiler.profile.sections import (
    View,
    interaction_section,
    llm_call_sections,
    session_section,
    tool_section,
)
from tests.profile.journals import MS, interaction, llm_call, run, state_op, tool_call, write

US = 1000
turns = st.lists(
    st.tuples(
        st.integers(0, 5 * 10**6),  # latency, us
        st.lists(st.integers(0, 9000), max_size=3),  # input tokens of each call
        st.integers(0, 2),  # tool calls
        st.sampled_from([Outcome.OK] * 4 + [Outcome.TIMEOUT]),
    ),
    min_size=1,
    max_size=5,
)
sessions = st.lists(turns, min_size=1, max_size=25)


def journal(plan: list[list[Any]], rng: random.Random) -> list[Record]:
    """Sessions side by side, the records of an interaction in any order among its neighbours'."""
    placed: list[tuple[float, Record]] = []
    for number, session in enumerate(plan):
        at = rng.uniform(0, len(plan))
        for turn, (latency_us, calls, tools, outcome) in enumerate(session):
            at += 1
            trace = f"{number}/{turn}"
            last = turn == len(session) - 1
            ended = interaction(
                trace,
                session=f"s{number}",
                turn=turn,
                last_turn=last,
                end_ns=latency_us * US,
                outcome=outcome,
            )
            inside: list[Record] = [
                llm_call(trace, model=f"m{tokens % 2}", usage=Usage(input_tokens=tokens))
                for tokens in calls
            ]
            inside += [tool_call(trace, "search") for _ in range(tools)]
            inside.append(state_op(trace, StateKind.READ, tools))
            placed.append((at, ended))
            placed += [(at + rng.uniform(-1, 1), record) for record in inside]
            if outcome is not Outcome.OK:
                break
    return [record for _, record in sorted(placed, key=lambda item: item[0])]


def assert_is(found: Distribution, values: dict[str, list[int]], per_unit: int = 1) -> None:
    """Compare with what sorting and adding up all values of each session gives."""
    every = sorted(value for of_session in values.values() for value in of_session)
    n = len(every)
    assert found.count == n
    assert (found.min, found.max) == (every[0] / per_unit, every[-1] / per_unit)
    assert found.mean == pytest.approx(statistics.fmean(every) / per_unit)
    if n > 1:
        assert found.stddev == pytest.approx(statistics.stdev(every) / per_unit, abs=1e-9)
    for field, share, fewest in (("p50", 50, 2), ("p90", 90, 10), ("p95", 95, 20)):
        exact = every[math.ceil(n * share / 100) - 1] / per_unit
        expected = pytest.approx(exact, rel=1e-3) if n >= fewest else None
        assert getattr(found, field) == expected
    sums = [(len(of), sum(of)) for of in values.values() if of]
    clusters = found.clusters
    assert (clusters.sessions, clusters.sum_n, clusters.sum_s) == (len(sums), n, sum(every))
    assert clusters.sum_nn == sum(k * k for k, _ in sums)
    assert clusters.sum_ss == sum(s * s for _, s in sums)
    assert clusters.sum_ns == sum(k * s for k, s in sums)
    # The upper edge of the p95's bucket: no value lies between it and the exact p95's own bucket.
    p95 = every[math.ceil(n * 0.95) - 1]
    edge = p95 if p95 < 2048 else p95 | ((1 << (p95.bit_length() - 11)) - 1)
    below = [sum(value <= edge for value in of) for of in values.values() if of]
    indicator = found.p95_clusters
    assert (indicator.sum_s, indicator.sum_ss) == (sum(below), sum(b * b for b in below))
    assert indicator.sum_ns == sum(k * b for (k, _), b in zip(sums, below, strict=True))


def compare_with_all_values_sorted(plan: list[list[Any]], rng: random.Random, window: int) -> None:
    records = journal(plan, rng)
    view = View.of(fold(iter([run(), *records]), "x", window=window))
    latency: dict[str, list[int]] = defaultdict(list)
    tokens: dict[str, list[int]] = defaultdict(list)
    of_call: dict[str, list[int]] = defaultdict(list)
    of_model: dict[str, list[int]] = defaultdict(list)
    searches: dict[str, list[int]] = defaultdict(list)
    lengths: dict[str, list[int]] = {}
    for number, session in enumerate(plan):
        name = f"s{number}"
        for latency_us, calls, tools, outcome in session:
            if outcome is Outcome.OK:
                latency[name].append(latency_us)
            tokens[name].append(sum(calls))
            of_call[name] += calls
            of_model[name] += [call for call in calls if call % 2]
            searches[name].append(tools)
            if outcome is not Outcome.OK:
                break
        else:
            lengths[name] = [len(session)]
    section = interaction_section(view)
    llm_calls, models = llm_call_sections(view)
    if any(latency.values()):
        assert_is(section["latency"], latency, 10**6)
    if any(of_call.values()):
        assert_is(section["input_tokens"], tokens)
        assert_is(llm_calls["input_tokens"], of_call)
    if any(of_model.values()):
        assert_is(models["m1"]["input_tokens"], of_model)
    if any(any(times) for times in searches.values()):
        assert_is(tool_section(view)["search"].calls_per_interaction, searches)
    if lengths:
        assert_is(session_section(view)["interactions"], lengths)
    assert view.folded.unmatched == {}


journals = (sessions, st.randoms(use_true_random=False), st.sampled_from([40, WINDOW]))


@settings(max_examples=40)  # 50 ms each
@given(*journals)
def test_distributions_are_those_of_all_values_sorted(
    plan: list[list[Any]], rng: random.Random, window: int
):
    compare_with_all_values_sorted(plan, rng, window)


@pytest.mark.long
@settings(max_examples=500)
@given(*journals)
def test_distributions_of_many_more_runs_are_those_of_all_values_sorted(
    plan: list[list[Any]], rng: random.Random, window: int
):
    compare_with_all_values_sorted(plan, rng, window)


def far_apart(tmp_path: Path, *, late: bool) -> WorkloadProfile:
    """A journal in which the calls of one interaction lie twice the window from its end, or not."""
    inside: list[Record] = [
        llm_call("t3", usage=Usage(input_tokens=70)),
        tool_call("t3", "search"),
    ]
    lost = llm_call("lost")
    ended = [
        interaction(f"t{i}", session=f"s{i // 3}", turn=i % 3, last_turn=i % 3 == 2, end_ns=i * MS)
        for i in range(2 * WINDOW)
    ]
    records = [*ended, *inside, lost] if late else [*inside, *ended, lost]
    profile = build_profile(write(tmp_path, *records))
    part = profile.run.parts[0].model_copy(update={"journal": "any"})
    return profile.model_copy(update={"run": profile.run.model_copy(update={"parts": (part,)})})


def test_records_further_apart_than_the_window_are_joined_all_the_same(tmp_path: Path):
    late, near = (far_apart(tmp_path, late=late) for late in (True, False))
    assert late.sample.unmatched_events == 1
    assert late.interaction["input_tokens"].clusters.sum_s == 70
    assert dump_profile(late) == dump_profile(near)


def records_of(count: int) -> Iterator[Record]:
    """Interactions that repeat after a while, so that histograms do not fill up further."""
    yield run()
    for i in range(count):
        yield llm_call(f"{i}", usage=Usage(input_tokens=i % 500))
        yield interaction(
            f"{i}",
            session=f"s{i // 5}",
            turn=i % 5,
            last_turn=i % 5 == 4,
            send_ns=i * MS,
            end_ns=i * MS + (i % 500) * MS,
        )


def test_memory_does_not_grow_with_the_journal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joint, "LIMIT", 100)
    kept: list[int] = []

    def watched(count: int) -> Iterator[Record]:
        for number, record in enumerate(records_of(count)):
            if number % 2_000 == 0:  # after each thousand interactions: two records are of one
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
            yield record

    tracemalloc.start()
    try:
        assert fold(watched(4_001), "x", window=200).measured == 4_001
    finally:
        tracemalloc.stop()
    _, few, *_, many = kept
    # Eight bytes kept for each interaction, the least there can be, would be 24,000 more.
    assert many - few < 8_000


def test_whoever_first_had_a_number_goodput_is_judged_by_who_is_believed(tmp_path: Path):
    gateway = {"observer": Observer.GATEWAY}
    journal_of = write(
        tmp_path,
        llm_call("a", usage=Usage(input_tokens=900)),
        llm_call("a", usage=Usage(input_tokens=10), **gateway),
        interaction("a"),
        llm_call("b", usage=Usage(input_tokens=20), **gateway),
        interaction("b"),
        first=run(manifest={"goodput": "input_tokens < 100"}),
    )
    goodput = build_profile(journal_of / JOURNAL_NAME).goodput
    assert goodput is not None
    assert (goodput.count, goodput.good, goodput.unobserved) == (2, 2, 0)
