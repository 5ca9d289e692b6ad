"""The anthropic-messages adapter. Payloads are Anthropic's documented ones (see payloads.py)."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.anthropic_messages import (
    AnthropicMessages,
    AnthropicPlainReader,
    AnthropicStreamReader,
    usage_from,
)
from profiler.endpoints.exchange import Reply, ToolSeen
from profiler.measure.records import Usage
from tests.endpoints.streams import json_with, read_cut, read_events
from tests.observers.gateway.payloads import ANTHROPIC_EVENTS, TOOL_USE, anthropic_answer, sse

# 1 uncached, 287 written to the cache, 30,433 read from it
USAGE = Usage(
    input_tokens=30_721, output_tokens=67, cached_input_tokens=30_433, cache_write_tokens=287
)
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "title": "Quantum", "url": "https://example.com"}],
}
REFUSED = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
}
STOP = {"type": "message_stop"}


def endpoint(*, stream: bool = True, **headers: str) -> AnthropicMessages:
    return AnthropicMessages(
        url="http://agent/v1/messages",
        model="claude-sonnet-5",
        stream=stream,
        headers=headers,
        max_tokens=1024,
    )


def read(*events) -> Reply:
    return read_events(AnthropicStreamReader(), events)


def read_plain(body: bytes) -> Reply:
    return read_cut(AnthropicPlainReader(), body, 7)


def begun(index: int, block: dict) -> dict:
    return {"type": "content_block_start", "index": index, "content_block": block}


def stopped(index: int) -> dict:
    return {"type": "content_block_stop", "index": index}


def text(piece: str) -> dict:
    delta = {"type": "text_delta", "text": piece}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def test_the_request_has_what_the_protocol_requires():
    outgoing = endpoint(**{"x-api-key": "k"}).begin("s-1").request("Hello")
    assert orjson.loads(outgoing.body) == {
        "model": "claude-sonnet-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }
    assert outgoing.session_headers == {"x-session-id": "s-1"}
    assert outgoing.headers["anthropic-version"] == "2023-06-01"
    assert outgoing.headers["x-api-key"] == "k"


def test_the_workloads_version_takes_the_place_of_the_default():
    headers = endpoint(**{"Anthropic-Version": "2030-01-01"}).headers
    assert {n: v for n, v in headers.items() if n.lower() == "anthropic-version"} == {
        "anthropic-version": "2030-01-01"
    }


def test_the_next_turn_carries_the_visible_conversation_without_empty_answers():
    dialogue = endpoint(stream=False).begin("s-1")
    dialogue.accept("Hello", Reply(text="Hi!"))
    dialogue.accept("Look it up", Reply(text=""))
    assert orjson.loads(dialogue.request("Well?").body)["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "Look it up"},
        {"role": "user", "content": "Well?"},
    ]


def test_the_documented_stream():
    reply = read(*ANTHROPIC_EVENTS)
    assert reply.text == "Okay, let me check"
    assert (reply.first_token_ns, reply.last_token_ns) == (40, 100)  # 4th event; 10th: tool input
    assert reply.usage == USAGE
    assert reply.tools == (ToolSeen(name="get_weather"),)
    assert (reply.error_kind, reply.trace) == (None, None)


@pytest.mark.parametrize("size", [1, 2, 3, 64, 100_000])
def test_a_stream_means_the_same_however_it_is_cut(size):
    reply = read_cut(AnthropicStreamReader(), sse(*ANTHROPIC_EVENTS, named=True), size)
    assert (reply.text, reply.usage) == ("Okay, let me check", USAGE)
    assert (reply.first_token_ns, reply.error_kind) == (7, None)


def test_the_usage_of_the_last_delta_counts_for_all_that_it_gives():
    start = {"input_tokens": 10, "cache_read_input_tokens": 0, "output_tokens": 3}
    last = {
        "input_tokens": 10_682,
        "cache_creation_input_tokens": None,
        "cache_read_input_tokens": 5,
        "output_tokens": 510,
        "output_tokens_details": {"thinking_tokens": 200},
        "server_tool_use": {"web_search_requests": 1},
    }
    reply = read(
        {"type": "message_start", "message": {**anthropic_answer(), "usage": start}},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 9}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last},
        STOP,
    )
    assert reply.usage == Usage(
        input_tokens=10_687, output_tokens=510, cached_input_tokens=5, reasoning_tokens=200
    )


def test_the_output_that_a_stream_begins_with_is_not_its_output():
    reply = read(ANTHROPIC_EVENTS[0])
    assert reply.usage == Usage(
        input_tokens=30_721, cached_input_tokens=30_433, cache_write_tokens=287
    )


def test_zeros_that_a_stream_begins_with_are_not_its_input():
    """LiteLLM's proxy begins so; the true numbers come at the end, if the stream gets there."""
    zeros = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    start = {"type": "message_start", "message": {**anthropic_answer(), "usage": zeros}}
    assert read(start).usage is None
    last = {"input_tokens": 488, "output_tokens": 377, "cache_read_input_tokens": 896}
    reply = read(start, {"type": "message_delta", "delta": {}, "usage": last}, STOP)
    assert reply.usage == Usage(input_tokens=1384, output_tokens=377, cached_input_tokens=896)


def test_an_input_that_was_all_in_the_cache_is_no_such_zero():
    usage = {"input_tokens": 0, "cache_read_input_tokens": 896}
    start = {"type": "message_start", "message": {**anthropic_answer(), "usage": usage}}
    assert read(start).usage == Usage(input_tokens=896, cached_input_tokens=896)


def test_a_tool_that_the_server_runs_lasts_from_its_input_to_its_result():
    deltas = {"type": "input_json_delta", "partial_json": '{"query":"x"}'}
    reply = read(
        begun(0, SEARCH),
        {"type": "content_block_delta", "index": 0, "delta": deltas},
        stopped(0),
        begun(1, FOUND),
        stopped(1),
        begun(2, {"type": "text", "text": ""}),
        text("Found"),
        STOP,
    )
    assert reply.tools == (ToolSeen(name="web_search", start_ns=30, end_ns=40),)
    assert (reply.text, reply.first_token_ns) == ("Found", 70)


@pytest.mark.parametrize(
    "result",
    [REFUSED, {"type": "mcp_tool_result", "tool_use_id": "srvtoolu_1", "is_error": True}],
)
def test_a_tool_whose_result_is_an_error_has_failed(result):
    (tool,) = read(begun(0, SEARCH), stopped(0), begun(1, result), STOP).tools or ()
    assert (tool.failed, tool.end_ns) == (True, 30)
    (tool,) = read_plain(orjson.dumps(anthropic_answer(SEARCH, result))).tools or ()
    assert (tool.failed, tool.end_ns) == (True, None)


def test_an_answer_without_tools_says_so_and_one_that_broke_off_does_not():
    assert read(text("Hi"), STOP).tools == ()
    assert read(text("Hi")).tools is None


def test_a_tool_under_way_when_the_stream_is_cut_has_failed():
    assert read(begun(0, SEARCH)).tools == (ToolSeen(name="web_search", failed=True),)


@pytest.mark.parametrize("count", range(len(ANTHROPIC_EVENTS)))
def test_a_stream_without_its_final_event_breaks_the_protocol(count):
    reply = read(*ANTHROPIC_EVENTS[:count])
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)


def test_an_error_inside_a_stream_is_the_agents_and_not_the_protocols():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply = read(*ANTHROPIC_EVENTS[:4], error)
    assert (reply.error_kind, reply.is_protocol_error) == ("error_in_stream", False)
    assert (reply.error_detail, reply.text) == ("Overloaded", "Okay, let me ")
    assert reply.tools is None


def test_events_of_unknown_types_and_thinking_are_no_content():
    thinking = {"type": "thinking_delta", "thinking": "Hm"}
    reply = read(
        {"type": "new_event"},
        {"no": "type"},
        {"type": "content_block_delta", "index": 0, "delta": thinking},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta"}},
        text("Hi"),
        STOP,
    )
    assert (reply.text, reply.first_token_ns, reply.error_kind) == ("Hi", 50, None)


def test_a_plain_answer_has_no_times():
    said = {"type": "text", "text": "Hello!"}
    reply = read_plain(orjson.dumps(anthropic_answer(said, SEARCH, FOUND, TOOL_USE)))
    assert (reply.text, reply.first_token_ns, reply.usage) == ("Hello!", None, USAGE)
    assert reply.tools == (ToolSeen(name="web_search"), ToolSeen(name="get_weather"))
    assert reply.error_kind is None


def test_the_agents_own_account_is_kept():
    trace = {"version": 1}
    assert read({**STOP, "trace": trace}).trace == trace
    assert read_plain(orjson.dumps({**anthropic_answer(), "trace": trace})).trace == trace


def test_an_error_in_a_plain_body_is_an_agent_error():
    error = {"type": "error", "error": {"type": "not_found_error", "message": "No such model"}}
    reply = read_plain(orjson.dumps(error))
    assert (reply.error_kind, reply.error_detail) == ("error_in_body", "No such model")
    assert not reply.is_protocol_error


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html>", "not_json"), (b"", "not_json"), (b"[]", "wrong_shape"), (b"{}", "wrong_shape")],
)
def test_a_body_of_another_shape_breaks_the_protocol(body, kind):
    reply = read_plain(body)
    assert (reply.error_kind, reply.is_protocol_error) == (kind, True)


def test_the_reader_is_chosen_by_what_came():
    dialogue = endpoint().begin("s")
    stream = "text/event-stream; charset=utf-8"
    assert isinstance(dialogue.reader(status=200, content_type=stream), AnthropicStreamReader)
    assert isinstance(dialogue.reader(status=529, content_type=stream), AnthropicPlainReader)


def test_input_is_whole_or_unknown():
    assert usage_from({"cache_read_input_tokens": 5}) == Usage(cached_input_tokens=5)
    assert usage_from({"input_tokens": 3}) == Usage(input_tokens=3)
    assert usage_from({"input_tokens": True}) is None


KEYS = ["type", "content_block", "delta", "message", "usage", "content", "text", "id", "name"]
KEYS += ["index", "tool_use_id", "partial_json", "error", "trace", "input_tokens", "is_error"]
WORDS = [*sorted({event["type"] for event in ANTHROPIC_EVENTS}), "error", "text", "tool_use"]
WORDS += ["server_tool_use", "web_search_tool_result", "text_delta", "input_json_delta"]


@given(st.binary(max_size=400), st.lists(json_with(KEYS, WORDS), max_size=4))
def test_nothing_makes_a_reader_raise(garbage, values):
    read_plain(garbage)
    reader = AnthropicStreamReader()
    reader.feed(sse(*values), 1)
    reader.feed(garbage, 2)
    reader.feed(b"\n\ndata: " + garbage + b"\n\n", 3)
    reader.finish()
    for value in values:
        read_plain(sse(value)[6:])
