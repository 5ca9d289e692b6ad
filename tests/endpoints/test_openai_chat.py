"""The openai-chat adapter: what is sent, and what is read from what comes back."""

from __future__ import annotations

import itertools
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.exchange import Reply
from profiler.endpoints.openai_chat import (
    ChatPlainReader,
    ChatStreamReader,
    OpenAiChat,
    usage_from,
)
from profiler.measure.records import Usage


def endpoint(*, stream: bool = True) -> OpenAiChat:
    return OpenAiChat(
        url="http://agent/v1/chat/completions",
        model="support-agent",
        stream=stream,
        headers={"authorization": "Bearer t"},
    )


def event(**chunk) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def delta(content=None, finish=None, **more) -> bytes:
    return event(
        choices=[{"index": 0, "delta": {"content": content, **more}, "finish_reason": finish}]
    )


def read_stream(*timed: tuple[bytes, int]) -> Reply:
    reader = ChatStreamReader()
    for chunk, at_ns in timed:
        reader.feed(chunk, at_ns)
    return reader.finish()


def test_the_first_request_asks_for_a_stream_and_its_usage():
    outgoing = endpoint().begin("s-1").request("Hello")
    assert orjson.loads(outgoing.body) == {
        "model": "support-agent",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert outgoing.session_headers == {"x-session-id": "s-1"}
    assert outgoing.headers["authorization"] == "Bearer t"


def test_the_next_turn_carries_the_visible_conversation():
    dialogue = endpoint(stream=False).begin("s-1")
    dialogue.accept("Hello", Reply(text="Hi, how can I help?"))
    assert orjson.loads(dialogue.request("Cancel my flight").body) == {
        "model": "support-agent",
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi, how can I help?"},
            {"role": "user", "content": "Cancel my flight"},
        ],
    }


def test_the_first_token_is_the_first_content_not_the_first_chunk():
    reply = read_stream(
        (delta(role="assistant", content=""), 10),
        (delta("Hel"), 20),
        (delta("lo"), 30),
        (delta(finish="stop"), 40),
        (event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2}), 50),
        (b"data: [DONE]\n\n", 60),
    )
    assert (reply.first_token_ns, reply.last_token_ns, reply.text) == (20, 30, "Hello")
    assert reply.usage == Usage(input_tokens=7, output_tokens=2)
    assert reply.error_kind is None


def test_a_tool_call_delta_is_a_token_too():
    reply = read_stream((delta(tool_calls=[{"index": 0}]), 15), (b"data: [DONE]\n\n", 20))
    assert reply.first_token_ns == 15


def test_a_stream_that_is_cut_breaks_the_protocol():
    reply = read_stream((delta("Hel"), 20))
    assert (reply.error_kind, reply.is_protocol_error, reply.text) == ("stream_cut", True, "Hel")


def test_an_error_inside_a_stream_is_the_agents_and_not_the_protocols():
    reply = read_stream((delta("Hel"), 20), (event(error={"message": "model\n overloaded"}), 30))
    assert (reply.error_kind, reply.is_protocol_error) == ("error_in_stream", False)
    assert reply.error_detail == "model overloaded"


@pytest.mark.parametrize("garbage", [b"data: {\n\n", b"data: 17\n\n"])
def test_an_event_that_is_no_json_object_breaks_the_protocol(garbage):
    reply = read_stream((garbage, 1), (b"data: [DONE]\n\n", 2))
    assert reply.is_protocol_error


def test_an_event_that_never_ends_breaks_the_protocol_and_the_rest_is_ignored():
    reader = ChatStreamReader()
    reader.feed(b"data: " + b"x" * (17 * 1024 * 1024), 1)
    reader.feed(b"data: [DONE]\n\n", 2)
    assert reader.finish().error_kind == "event_too_long"


def test_the_trace_of_a_stream_comes_in_its_last_chunk():
    reply = read_stream(
        (delta("x", finish="stop"), 1), (event(choices=[], trace={"version": 1}), 2)
    )
    assert reply.trace == {"version": 1}


def read_plain(body: bytes) -> Reply:
    reader = ChatPlainReader()
    for at in range(0, len(body), 7):
        reader.feed(body[at : at + 7], at)
    return reader.finish()


def test_a_plain_answer_has_text_usage_and_trace_but_no_first_token():
    body = orjson.dumps(
        {
            "choices": [{"message": {"role": "assistant", "content": "Done."}}],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            "trace": {"version": 1},
        }
    )
    reply = read_plain(body)
    assert reply.text == "Done."
    assert reply.first_token_ns is None
    assert reply.usage == Usage(
        input_tokens=100, output_tokens=9, cached_input_tokens=64, reasoning_tokens=5
    )
    assert reply.trace == {"version": 1}


def test_content_in_parts_is_joined_and_null_content_is_empty():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert read_plain(orjson.dumps({"choices": [{"message": {"content": parts}}]})).text == "ab"
    assert read_plain(orjson.dumps({"choices": [{"message": {"content": None}}]})).text == ""


def test_an_error_inside_a_200_is_an_agent_error_and_keeps_the_trace():
    reply = read_plain(orjson.dumps({"error": {"message": "no"}, "trace": {"version": 1}}))
    assert (reply.error_kind, reply.error_detail) == ("error_in_body", "no")
    assert not reply.is_protocol_error
    assert reply.trace == {"version": 1}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", "not_json"),
        (b"", "not_json"),
        (b"[]", "wrong_shape"),
        (b"{}", "wrong_shape"),
        (b'{"choices": []}', "wrong_shape"),
        (b'{"choices": [{"message": 3}]}', "wrong_shape"),
    ],
)
def test_a_body_of_another_shape_breaks_the_protocol(body, kind):
    reply = read_plain(body)
    assert (reply.error_kind, reply.is_protocol_error) == (kind, True)


def test_usage_that_says_nothing_usable_is_not_observed():
    assert usage_from({"prompt_tokens": "many", "completion_tokens": -1}) is None
    assert usage_from([]) is None
    assert usage_from({"prompt_tokens": 0}) == Usage(input_tokens=0)


@given(st.binary(max_size=400))
def test_no_bytes_make_a_reader_raise(garbage):
    read_plain(garbage)
    read_stream((garbage, 1))
    read_stream((b"data: " + garbage + b"\n\n", 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "usage", "error", "trace", "message"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_json_makes_a_reader_raise(value):
    try:
        body = orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits: no JSON that orjson writes
        return
    read_plain(body)
    read_stream((b"data: " + body + b"\n\n", 1))


chunks_of_a_stream = st.lists(
    st.sampled_from(
        [
            {"choices": [{"delta": {"role": "assistant"}}]},
            {"choices": [{"delta": {"content": "Bon"}}]},
            {"choices": [{"delta": {"content": "jour é"}, "finish_reason": "stop"}]},
            {"choices": [{"delta": {"content": None, "tool_calls": [{"index": 0}]}}]},
            {"choices": [{"delta": None}]},
            {"choices": []},
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
            {"trace": {"version": 1}, "error": None},
            {"error": {"message": "no"}},
            "[DONE]",
            "1,2",
            [],
            7,
        ]
    ),
    max_size=8,
)


@given(chunks_of_a_stream, st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_a_stream_read_at_once_means_what_it_means_event_by_event(chunks, cuts):
    """An empty comment line, which means nothing, takes the stream out of its usual form."""
    texts = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    stream = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    at_once, by_event = ChatStreamReader(), ChatStreamReader()
    by_event.feed(b":\n", 0)
    start = 0
    for number, size in enumerate(itertools.cycle(cuts)):
        if start >= len(stream):
            break
        for reader in (at_once, by_event):
            reader.feed(stream[start : start + size], 10 + number)
        start += size
    assert at_once.finish() == by_event.finish()
