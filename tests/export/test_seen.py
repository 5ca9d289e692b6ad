"""Which of what was seen counts, and when."""

from __future__ import annotations

from typing import Any

import pytest

from profiler.export.board import Board
from profiler.export.costs import Costs
from profiler.export.seen import Seen
from profiler.measure.records import (
    NO_TRACE,
    Interaction,
    LlmAttempt,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    StateKind,
    StateOp,
    Timeline,
    TokenParts,
    ToolCall,
    Usage,
    Watched,
)
from profiler.planner import metric_names as names

S = 1_000_000_000
GATEWAY, RESPONSE = Observer.GATEWAY, Observer.RESPONSE


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> int:
        return round(self.now_s * S)


def interaction(trace_id: str = "t", **changes: Any) -> Interaction:
    known: dict[str, Any] = {
        "session": "s",
        "session_index": 0,
        "scenario": "x",
        "turn": 0,
        "phase": Phase.MEASURE,
        "send_ns": 1 * S,
        "first_token_ns": 2 * S,
        "end_ns": 4 * S,
        "outcome": Outcome.OK,
    }
    return Interaction(trace_id=trace_id, **{**known, **changes})


def call(observer: Observer = RESPONSE, trace_id: str = "t", **changes: Any) -> LlmCall:
    known: dict[str, Any] = {
        "clock": Timeline.AGENT,
        "model": "gpt-4o",
        "start_ns": 0,
        "end_ns": S,
        "outcome": Outcome.OK,
        "attempts": 1,
        "usage": Usage(input_tokens=100, output_tokens=10),
    }
    return LlmCall(trace_id=trace_id, observer=observer, **{**known, **changes})


def tool(observer: Observer = RESPONSE, **changes: Any) -> ToolCall:
    known: dict[str, Any] = {"name": "search", "start_ns": 0, "end_ns": S, "outcome": Outcome.OK}
    clock = Timeline.AGENT
    return ToolCall(trace_id="t", observer=observer, clock=clock, **{**known, **changes})


def numbers(board: Board) -> dict[str, dict[tuple[str, ...], float]]:
    """Return counters and gauges by label values, and of histograms how many, and their sum."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in board.families():
        name = family.instrument.name
        for labels, value in family.numbers:
            found.setdefault(name, {})[tuple(v for _, v in labels)] = value
        for labels, histogram in family.histograms:
            key = tuple(v for _, v in labels)
            found.setdefault(f"{name} count", {})[key] = sum(histogram.counts)
            found.setdefault(f"{name} sum", {})[key] = histogram.total
    return found


@pytest.fixture
def board() -> Board:
    return Board()


def test_an_interaction_is_as_long_as_its_user_waited(board):
    Seen(board).ended(interaction(), ())
    found = numbers(board)
    assert found[f"{names.INTERACTION_DURATION} sum"] == {(): 3.0}
    assert found[f"{names.TIME_TO_FIRST_TOKEN} sum"] == {(): 1.0}
    assert found[names.INTERACTIONS][("ok",)] == 1


def test_a_failure_counts_and_has_no_time_of_an_answer(board):
    Seen(board).ended(interaction(outcome=Outcome.HTTP_429), ())
    found = numbers(board)
    assert found[names.INTERACTIONS][("http_429",)] == 1
    assert f"{names.INTERACTION_DURATION} sum" not in found


def test_failures_that_there_were_not_are_zero_from_the_first_answer_on(board):
    """A share of failures has no value without, and a first failure does not rise from nothing."""
    Seen(board).ended(interaction(), ())
    failures = {key: n for key, n in numbers(board)[names.INTERACTIONS].items() if key != ("ok",)}
    assert ("timeout",) in failures
    assert ("cancelled",) not in failures
    assert {*failures.values()} == {0}


def test_what_the_harness_broke_off_is_no_failure_of_the_agent(board):
    Seen(board).ended(interaction(outcome=Outcome.CANCELLED), ())
    assert numbers(board) == {}


def test_a_call_that_two_observers_saw_counts_once_as_the_gateway_saw_it(board):
    seen = Seen(board, wait_s=1.0, clock=Clock())
    seen.take(call(GATEWAY, end_ns=2 * S))
    seen.ended(interaction(), (call(RESPONSE, end_ns=3 * S),))
    seen.close()
    found = numbers(board)
    assert found[f"{names.LLM_DURATION} count"] == {("gpt-4o",): 1}
    assert found[f"{names.LLM_DURATION} sum"] == {("gpt-4o",): 2.0}
    assert found[f"{names.INTERACTION_LLM_CALLS} sum"] == {(): 1}


def test_calls_that_went_past_the_gateway_are_taken_from_the_agents_account(board):
    seen = Seen(board, wait_s=1.0, clock=Clock())
    seen.take(Watched(trace_id="t", observer=GATEWAY))
    seen.ended(interaction(), (call(), call()))
    seen.close()
    assert numbers(board)[f"{names.INTERACTION_LLM_CALLS} sum"] == {(): 2}


def test_a_gateway_that_saw_no_call_of_an_interaction_says_zero(board):
    seen = Seen(board, wait_s=1.0, clock=Clock())
    seen.take(Watched(trace_id="t", observer=GATEWAY))
    seen.ended(interaction(), ())
    seen.close()
    found = numbers(board)
    assert found[f"{names.INTERACTION_LLM_CALLS} count"] == {(): 1}
    assert found[f"{names.INTERACTION_LLM_CALLS} sum"] == {(): 0}


def test_without_an_observer_nothing_is_said_of_calls(board):
    Seen(board).ended(interaction(), ())
    assert f"{names.INTERACTION_LLM_CALLS} count" not in numbers(board)


def test_each_attempt_that_a_gateway_saw_counts_and_429s_apart(board):
    seen = Seen(board, wait_s=1.0, clock=Clock())
    for outcome in (Outcome.HTTP_429, Outcome.HTTP_429, Outcome.OK):
        attempt = {"observer": GATEWAY, "clock": Timeline.HARNESS, "model": "gpt-4o"}
        seen.take(LlmAttempt(trace_id="t", outcome=outcome, **attempt))
    seen.take(call(GATEWAY, attempts=3))
    seen.ended(interaction(), ())
    seen.close()
    found = numbers(board)
    assert found[names.LLM_ATTEMPTS] == {("gpt-4o", "rate_limited"): 2, ("gpt-4o", "ok"): 1}
    assert found[names.LLM_RATE_LIMITED] == {("gpt-4o",): 2}


def test_how_earlier_attempts_ended_is_not_made_up(board):
    Seen(board).inside([call(attempts=3, outcome=Outcome.HTTP_429, usage=None)])
    found = numbers(board)
    assert found[names.LLM_ATTEMPTS] == {("gpt-4o", "unknown"): 2, ("gpt-4o", "rate_limited"): 1}
    assert found[names.LLM_RATE_LIMITED] == {("gpt-4o",): 1}


def test_a_call_of_no_interaction_that_is_known_is_a_call_all_the_same(board):
    seen = Seen(board, wait_s=1.0, clock=Clock())
    seen.take(call(GATEWAY, NO_TRACE))
    found = numbers(board)
    assert found[f"{names.LLM_TOKENS} sum"] == {("gpt-4o", "input"): 100, ("gpt-4o", "output"): 10}
    assert f"{names.INTERACTION_LLM_CALLS} count" not in found


def test_observers_have_their_time_and_no_more(board):
    clock = Clock()
    seen = Seen(board, wait_s=2.0, clock=clock)
    seen.ended(interaction("early"), ())
    clock.now_s = 1.0
    seen.take(call(GATEWAY, "early"))
    seen.settle(clock())
    assert f"{names.LLM_DURATION} count" not in numbers(board)
    clock.now_s = 2.0
    seen.settle(clock())
    assert numbers(board)[f"{names.LLM_DURATION} count"] == {("gpt-4o",): 1}
    seen.take(call(GATEWAY, "early"))
    seen.close()
    assert numbers(board)[f"{names.LLM_DURATION} count"] == {("gpt-4o",): 1}


def test_tokens_of_an_interaction_are_those_of_all_its_calls(board):
    parts = TokenParts(system=60, history=20, user=5)
    Seen(board).inside([call(tokens=parts), call(tokens=parts), call(usage=None)])
    assert numbers(board)[f"{names.INTERACTION_TOKENS} sum"] == {
        ("input",): 200,
        ("output",): 20,
        ("system",): 120,
        ("history",): 40,
        ("user",): 10,
    }


def test_a_tool_that_works_has_no_errors_and_that_is_said(board):
    Seen(board).inside([tool(), tool(name="pay", outcome=Outcome.TIMEOUT)])
    found = numbers(board)
    assert found[names.TOOL_ERRORS] == {("search",): 0, ("pay",): 1}
    assert found[f"{names.TOOL_DURATION} count"] == {("search",): 1, ("pay",): 1}


def test_state_operations_are_counted_by_store_and_kind(board):
    ops = [
        StateOp(trace_id="t", observer=RESPONSE, store="redis", kind=kind, count=count)
        for kind, count in ((StateKind.READ, 2), (StateKind.WRITE, 3), (StateKind.OTHER, 9))
    ]
    Seen(board).inside(ops)
    assert numbers(board)[names.STATE_OPERATIONS] == {("redis", "read"): 2, ("redis", "write"): 3}


def test_a_session_is_active_for_half_an_hour(board):
    clock = Clock()
    seen = Seen(board, clock=clock)
    seen.ended(interaction(session="a"), ())
    clock.now_s = 1000
    seen.ended(interaction(session="b"), ())
    assert numbers(board)[names.ACTIVE_SESSIONS] == {(): 2}
    clock.now_s = 1801
    assert numbers(board)[names.ACTIVE_SESSIONS] == {(): 1}


async def test_calls_cost_what_the_price_list_says(board):
    """gpt-4o: $2.50 a million tokens in, $10 out (OpenAI's price list since October 2024)."""
    costs = Costs(board)
    seen = Seen(board, costs=costs)
    used = Usage(input_tokens=1_000_000, output_tokens=100_000)
    seen.inside([call(usage=used), call(usage=used), call(model="of-nobody")])
    await costs.price()
    assert numbers(board)[names.LLM_COST] == {("gpt-4o",): pytest.approx(7.0)}
