"""The outlook of whole workloads: how much is sent, for how long, and what is only a bound."""

from __future__ import annotations

import pytest

from profiler.load.outlook import outlook
from profiler.workload.load import load_workload
from profiler.workload.shipped import find_workload

TWO_TURNS = """
load: {%s}
scenarios: [{name: s, think_time: 3s, turns: [{user: a b}, {user: c}]}]
"""


@pytest.fixture
def seen(tmp_path):
    def see(load, scenario=TWO_TURNS, **options):
        path = tmp_path / "w.yaml"
        path.write_text(scenario % load)
        return outlook(load_workload(path), lambda text: len(text.split()), **options)

    return see


def test_a_closed_loop_by_hand(seen):
    """2 users, 3 sessions of 3 s of thinking: two rounds. Answers of 1 s: 2 * (1 + 3 + 1)."""
    found = seen("users: 2, sessions: 3")
    assert (found.expected.interactions, found.expected.duration_s) == (6, 6.0)
    assert found.expected.latency_s is None
    assert not found.expected.is_bound
    assert found.arrivals is None
    assert seen("users: 2, sessions: 3", latency_s=1.0).expected.duration_s == 10.0


def test_the_warm_up_takes_its_time_and_is_in_no_figure(seen):
    """The warm-up's two messages are one session of 3 s of thinking."""
    found = seen("users: 1, sessions: 1, warmup: 2")
    assert (found.expected.warmup, found.expected.interactions) == (2, 2)
    assert found.expected.duration_s == 6.0


def test_a_session_is_cut_off_by_the_number_of_interactions(seen):
    found = seen("users: 1, requests: 3")
    assert (found.drawn.sessions, found.drawn.cut_sessions) == (2, 1)
    assert list(found.drawn.turns) == [2, 2]
    assert list(found.drawn.user_tokens) == [2, 1, 2]


@pytest.mark.parametrize(
    ("load", "is_bound"),
    [
        ("users: 1, duration: 10s", True),
        ("users: 1, requests: 3, duration: 10s", True),
        ("rate: 1/s, duration: 10s", True),
        ("rate: 1/s, requests: 5", False),
        ("rate: 1/s, sessions: 5, max_in_flight: 1", True),
    ],
)
def test_a_slower_agent_may_be_sent_less(seen, load, is_bound):
    assert seen(load).expected.is_bound is is_bound
    assert not seen(load, latency_s=1.0).expected.is_bound


def test_single_messages_by_a_schedule_are_so_many_whatever_the_agent_does(seen):
    single = "load: {%s}\nscenarios: [{name: s, turns: [{user: a}]}]\n"
    found = seen("rate: 2/s, arrivals: constant, duration: 10s", single)
    assert found.expected.interactions == 20  # at 0, 0.5, ..., 9.5 s
    assert not found.expected.is_bound
    assert found.expected.duration_s == 10
    assert found.arrivals is not None
    assert found.arrivals.rate_per_s == pytest.approx(2)


def test_a_run_that_goes_on_for_ever_is_drawn_so_far(seen):
    found = seen("users: 1, requests: 100000", most=50)
    assert found.expected.is_cut
    assert found.expected.interactions == 50


def test_a_schedule_that_brings_nobody_in_time_sends_nothing(seen):
    found = seen("rate: 1/h, duration: 1ms")
    assert (found.drawn.interactions, found.drawn.sessions) == (0, 0)


def test_the_airline_workload_is_its_recordings_each_once():
    """360 user messages in 50 sessions, as the conversations' file has them."""
    workload = load_workload(find_workload("airline"))
    found = outlook(workload, len)
    (scenario,) = workload.scenarios
    assert scenario.conversations is not None
    texts = [
        message["content"]
        for conversation in scenario.conversations.conversations
        for message in conversation.messages
        if message["role"] == "user"
    ]
    assert sorted(found.drawn.user_tokens) == sorted(map(len, texts))
    assert found.independent_sessions == found.drawn.sessions == 50
    assert found.drawn.cut_sessions == 0
