"""What is drawn: tokens by part by hand, and histograms that lose nothing."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.outlook import Arrivals, Bin, Draws, figures, histogram
from profiler.workload.sessions import SessionSampler

RECORDED = {
    "id": "c1",
    "messages": [
        {"role": "system", "content": "never sent by the client, so in no part"},
        {"role": "user", "content": "one two three"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
        {"role": "tool", "content": "a b c d e f g"},
        {"role": "assistant", "content": "r1 r2"},
        {"role": "user", "content": "four"},
        {"role": "assistant", "content": "r3"},
        {"role": "user", "content": "five six"},
    ],
}


def words(text: str) -> int:
    return len(text.split())


def drawn(workload, sessions):
    sampler = SessionSampler(workload, seed=1)
    draws = Draws(workload, words)
    for index in range(sessions):
        session = sampler.session(index)
        for turn in range(len(session.turns)):
            draws.add(session, turn)
    return draws


def test_tokens_by_part_of_a_recorded_session_by_hand(load, tmp_path):
    """The last answer was not recorded: it is in no part, and its history is what came before."""
    (tmp_path / "c.jsonl").write_text(json.dumps(RECORDED) + "\n")
    workload = load("scenarios: [{name: s, conversations: c.jsonl}]")
    whole = drawn(workload, 1).whole
    assert list(whole.user_tokens) == [3, 1, 2]
    assert list(whole.history_tokens) == [0, 3, 4]
    assert list(whole.replies) == [2, 1]
    assert list(whole.history_with_replies) == [0, 5]
    assert (list(whole.turns), whole.interactions, whole.cut_sessions) == ([3], 3, 0)


def test_what_was_recorded_twice_is_known_once(load, tmp_path):
    """Two recordings, drawn five times over, are two; templates are as many as are drawn."""
    lines = [json.dumps({**RECORDED, "id": name}) for name in ("a", "b")]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    recorded = load("scenarios: [{name: s, conversations: c.jsonl}]")
    assert drawn(recorded, 10).independent_sessions == 2
    templated = load("scenarios: [{name: s, turns: [{user: hi}]}]")
    assert drawn(templated, 10).independent_sessions == 10


def test_a_session_that_is_not_ended_is_cut(load):
    workload = load("scenarios: [{name: s, turns: [{user: hi}, {user: there now}]}]")
    sampler = SessionSampler(workload, seed=1)
    draws = Draws(workload, words)
    draws.add(sampler.session(0), 0)
    draws.add(sampler.session(1), 0)
    draws.add(sampler.session(0), 1)
    assert draws.whole.cut_sessions == 1
    assert draws.scenarios["s"].cut_sessions == 1
    assert list(draws.whole.user_tokens) == [1, 1, 2]


def test_generated_prompts_have_the_tokens_of_the_trace_and_recorded_answers(load, tmp_path):
    rows = "at_s,input_tokens,output_tokens,blocks\n0,700,12,\n1,5,,\n"
    (tmp_path / "t.csv").write_text(rows)
    workload = load("scenarios: [{name: s, generated: {trace: t.csv}}]")
    whole = drawn(workload, 2).whole
    assert list(whole.user_tokens) == [700, 5]
    assert list(whole.replies) == [12]


def test_figures_are_nearest_ranks():
    found = figures(range(1, 101))
    assert found is not None
    assert (found.min, found.p50, found.p90, found.p95, found.p99, found.max) == (
        *(1, 50, 90, 95, 99),
        100,
    )
    assert (found.count, found.mean) == (100, 50.5)
    assert figures([]) is None


def test_few_values_have_a_bin_each_and_those_that_do_not_occur_none():
    assert histogram([9, 13, 9]) == [Bin(9, 10, 2), Bin(13, 14, 1)]


def test_bins_are_round_numbers():
    assert histogram([3, 25, 12]) == [
        Bin(0, 5, 1), Bin(5, 10, 0), Bin(10, 15, 1), Bin(15, 20, 0), Bin(20, 25, 0), Bin(25, 30, 1),
    ]  # fmt: skip


def test_values_of_many_sizes_have_bins_that_grow():
    assert histogram([0, 0, 3, 7, 150]) == [
        Bin(0, 2, 2), Bin(2, 5, 1), Bin(5, 10, 1), Bin(10, 20, 0), Bin(20, 50, 0),
        Bin(50, 100, 0), Bin(100, 200, 1),
    ]  # fmt: skip


@given(st.lists(st.integers(0, 10**12) | st.integers(0, 200), max_size=60))
def test_every_value_is_in_one_bin(values):
    found = histogram(values)
    assert sum(b.count for b in found) == len(values)
    for b in found:
        assert b.count == sum(b.low <= value < b.high for value in values)
    assert len(found) <= 45  # 12 powers of ten, three bins each, and no more


def test_arrivals_know_their_rate_and_their_gaps():
    found = Arrivals(offsets_ns=[0, 10**9, 4 * 10**9], of="sessions")
    assert found.rate_per_s == 0.5
    assert list(found.gaps_ns()) == [10**9, 3 * 10**9]
    assert Arrivals(offsets_ns=[5, 5], of="sessions").rate_per_s is None
    assert Arrivals(offsets_ns=[], of="sessions").rate_per_s is None
