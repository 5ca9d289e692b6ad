"""The response observer reads the trace block of an answer."""

from __future__ import annotations

import math

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from profiler.endpoints.exchange import Reply, ToolSeen
from profiler.measure.records import (
    LlmCall,
    Observer,
    Outcome,
    RateLimit,
    StateKind,
    StateOp,
    Timeline,
    TokenParts,
    ToolCall,
    Usage,
    Watched,
)
from profiler.observers.response import records_in, records_of

TRACE = orjson.loads("""
{"version": 1,
 "llm_calls": [
   {"model": "m", "start_s": 0.001, "first_token_s": 0.151, "end_s": 0.4, "outcome": "ok",
    "attempts": 1,
    "usage": {"input_tokens": 120, "output_tokens": 9, "cached_input_tokens": 0},
    "input_tokens_by_part": {"system": 80, "tool_schemas": 20, "history": 0, "user": 17,
                             "tool_results": 0, "overhead": 3},
    "tool_calls": ["lookup"],
    "rate_limit": {"limit_requests": 60, "remaining_requests": 59, "reset_requests_s": 1.5}}],
 "tool_calls": [{"name": "lookup", "start_s": 0.4, "end_s": 0.65, "outcome": "ok"}],
 "state_ops": [{"store": "memory", "kind": "read", "count": 1},
               {"store": "memory", "kind": "write", "count": 0}]}
""")


def test_the_block_becomes_one_record_for_each_call_tool_and_store():
    assert records_of(TRACE, "t1") == (
        LlmCall(
            trace_id="t1",
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            model="m",
            start_ns=1_000_000,
            first_token_ns=151_000_000,
            end_ns=400_000_000,
            outcome=Outcome.OK,
            attempts=1,
            usage=Usage(input_tokens=120, output_tokens=9, cached_input_tokens=0),
            tokens=TokenParts(
                system=80, tool_schemas=20, history=0, user=17, tool_results=0, overhead=3
            ),
            rate_limit=RateLimit(
                limit_requests=60, remaining_requests=59, reset_requests_ns=1_500_000_000
            ),
            tool_calls=("lookup",),
        ),
        ToolCall(
            trace_id="t1",
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            name="lookup",
            start_ns=400_000_000,
            end_ns=650_000_000,
            outcome=Outcome.OK,
        ),
        StateOp(
            trace_id="t1",
            observer=Observer.RESPONSE,
            store="memory",
            kind=StateKind.READ,
            count=1,
        ),
        StateOp(
            trace_id="t1",
            observer=Observer.RESPONSE,
            store="memory",
            kind=StateKind.WRITE,
            count=0,
        ),
    )


def test_what_the_block_leaves_out_is_not_observed():
    call, blind = records_of({"llm_calls": [{"outcome": "ok"}]}, "t1")
    assert isinstance(call, LlmCall)
    assert (call.usage, call.tokens, call.start_ns, call.attempts) == (None, None, None, None)
    assert call.tool_calls is None
    assert blind == Watched(
        trace_id="t1", observer=Observer.RESPONSE, llm_calls=False, tool_calls=False
    )


def test_an_empty_list_of_tools_says_that_there_were_none_and_nothing_of_llm_calls():
    watched = Watched(trace_id="t1", observer=Observer.RESPONSE, llm_calls=False)
    assert records_of({"tool_calls": []}, "t1") == (watched,)
    assert records_of({"tool_calls": [], "llm_calls": []}, "t1") == ()


def test_values_in_a_wrong_form_are_left_out_and_the_rest_stays():
    wrong = {"start_s": "now", "end_s": math.nan, "attempts": True, "model": 3}
    calls = {"llm_calls": [wrong, 7], "tool_calls": []}
    (call,) = records_of(calls, "t1")
    assert isinstance(call, LlmCall)
    assert (call.start_ns, call.end_ns, call.attempts, call.model) == (None, None, None, None)
    ops = [{"store": "s", "kind": "scan", "count": 1}, {"store": "s", "kind": "read", "count": -1}]
    assert records_of({"state_ops": ops, "tool_calls": [{"name": None}]}, "t1") == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["usage", "start_s", "name", "outcome", "store", "kind", "rate_limit"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["llm_calls", "tool_calls", "state_ops"]), json_values))
@example({"llm_calls": [{"outcome": []}]})
@example({"state_ops": [{"store": "s", "kind": [], "count": 1}]})
def test_no_block_makes_it_raise(trace):
    records_of(trace, "t1")


def test_the_tools_that_a_protocol_shows_are_timed_by_the_client():
    tools = (ToolSeen(name="web_search", start_ns=5, end_ns=9), ToolSeen(name="f", failed=True))
    common = {"trace_id": "t", "observer": Observer.RESPONSE, "clock": Timeline.HARNESS}
    assert records_in(Reply(tools=tools), "t") == (
        ToolCall(**common, name="web_search", start_ns=5, end_ns=9, outcome=Outcome.OK),
        ToolCall(**common, name="f", outcome=Outcome.AGENT_ERROR),
    )


def test_no_tool_is_known_only_where_the_protocol_would_have_shown_it():
    none = Watched(trace_id="t", observer=Observer.RESPONSE, llm_calls=False)
    assert records_in(Reply(tools=()), "t") == (none,)
    assert records_in(Reply(), "t") == ()


def test_the_agents_own_account_is_taken_alone():
    reply = Reply(trace=TRACE, tools=(ToolSeen(name="shown"),))
    assert records_in(reply, "t") == records_of(TRACE, "t")
