"""The vercel-ai adapter: what is sent, and what is read from documented sequences of parts."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.exchange import Reply
from profiler.endpoints.vercel_ai import VercelAi, VercelAiDialogue
from profiler.measure.records import LlmCall, Observer, Outcome, Timeline, ToolCall, Usage, Watched
from profiler.observers.response import records_of

STREAM = "text/event-stream"
DONE = b"data: [DONE]\n\n"

HELLO = [
    {"type": "start", "messageId": "msg_1"},
    {"type": "start-step"},
    {"type": "text-start", "id": "txt-0"},
    {"type": "text-delta", "id": "txt-0", "delta": "Hel"},
    {"type": "text-delta", "id": "txt-0", "delta": "lo."},
    {"type": "text-end", "id": "txt-0"},
    {"type": "finish-step"},
    {"type": "finish"},
    DONE,
]
WEATHER = [
    {"type": "start"},
    {"type": "start-step"},
    {"type": "tool-input-start", "toolCallId": "call_1", "toolName": "getWeather"},
    {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '{"city": "Oslo"}'},
    {
        "type": "tool-input-available",
        "toolCallId": "call_1",
        "toolName": "getWeather",
        "input": {"city": "Oslo"},
    },
    {"type": "tool-output-available", "toolCallId": "call_1", "output": {"weather": "sunny"}},
    {"type": "finish-step"},
    {"type": "start-step"},
    {"type": "text-start", "id": "txt-0"},
    {"type": "text-delta", "id": "txt-0", "delta": "Sunny."},
    {"type": "text-end", "id": "txt-0"},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "stop"},
    DONE,
]


def begin() -> VercelAiDialogue:
    return VercelAi(url="http://agent/chat", headers={"authorization": "Bearer t"}).begin("c-1")


def sse(part: object) -> bytes:
    return part if isinstance(part, bytes) else b"data: " + orjson.dumps(part) + b"\n\n"


def answer(dialogue: VercelAiDialogue, parts: list) -> Reply:
    """Read the parts, each in a piece of its own, a second after the other."""
    dialogue.request("Hi")
    reader = dialogue.reader(status=200, content_type=STREAM)
    for number, part in enumerate(parts):
        reader.feed(sse(part), number * 10**9)
    return reader.finish()


def test_the_first_request_submits_a_message_with_parts():
    outgoing = begin().request("Hi")
    assert orjson.loads(outgoing.body) == {
        "id": "c-1",
        "messages": [
            {"id": "c-1-message-1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
        ],
        "trigger": "submit-message",
    }
    assert outgoing.headers["authorization"] == "Bearer t"


def test_a_message_is_its_text_and_the_first_token_is_the_first_text():
    reply = answer(begin(), HELLO)
    assert reply.text == "Hello."
    assert (reply.first_token_ns, reply.last_token_ns) == (3 * 10**9, 4 * 10**9)
    assert reply.error_kind is None
    assert reply.usage is None


def test_the_next_request_carries_the_messages_with_their_ids_and_parts():
    dialogue = begin()
    dialogue.accept("Hi", answer(dialogue, WEATHER))
    dialogue.accept("Thanks", answer(dialogue, HELLO))
    messages = orjson.loads(dialogue.request("Bye").body)["messages"]
    assert [m["id"] for m in messages] == [
        *("c-1-message-1", "c-1-message-2", "c-1-message-3", "msg_1", "c-1-message-5")
    ]
    assert messages[1] == {
        "id": "c-1-message-2",
        "role": "assistant",
        "parts": [
            {"type": "step-start"},
            {
                "type": "tool-getWeather",
                "toolCallId": "call_1",
                "state": "output-available",
                "input": {"city": "Oslo"},
                "output": {"weather": "sunny"},
            },
            {"type": "step-start"},
            {"type": "text", "text": "Sunny.", "state": "done"},
        ],
    }


def test_a_step_is_an_llm_call_and_a_tool_lasts_from_its_input_to_its_output():
    reply = answer(begin(), WEATHER)
    assert reply.trace is not None
    seen = {"trace_id": "t", "observer": Observer.RESPONSE, "clock": Timeline.AGENT}
    assert records_of(reply.trace, "t") == (
        LlmCall(**seen, outcome=Outcome.OK, tool_calls=("getWeather",)),
        LlmCall(**seen, outcome=Outcome.OK, tool_calls=()),
        ToolCall(
            **seen,
            name="getWeather",
            start_ns=4 * 10**9,
            end_ns=5 * 10**9,
            outcome=Outcome.OK,
        ),
    )


def test_a_server_that_tells_no_steps_tells_no_llm_calls():
    parts = [part for part in HELLO if part == DONE or not part["type"].endswith("-step")]
    reply = answer(begin(), parts)
    assert reply.trace is not None
    assert records_of(reply.trace, "t") == (
        Watched(trace_id="t", observer=Observer.RESPONSE, llm_calls=False),
    )


def test_a_tool_that_failed_is_told_as_one():
    failed = {"type": "tool-output-error", "toolCallId": "call_1", "errorText": "no such city"}
    reply = answer(begin(), [*WEATHER[:5], failed, *WEATHER[6:]])
    assert reply.error_kind is None
    assert reply.trace is not None
    assert reply.trace["tool_calls"][0]["outcome"] == "agent_error"
    part = reply.carried["parts"][1]
    assert (part["state"], part["errorText"]) == ("output-error", "no such city")


def test_a_preliminary_output_is_not_the_end_of_a_tool():
    early = WEATHER[5] | {"preliminary": True}
    reply = answer(begin(), [*WEATHER[:5], early, *WEATHER[5:]])
    assert reply.trace is not None
    assert reply.trace["tool_calls"] == [
        {"name": "getWeather", "outcome": "ok", "start_s": 4.0, "end_s": 6.0}
    ]


def test_a_tool_whose_parts_came_in_one_piece_has_no_time():
    reply = answer(begin(), [b"".join(map(sse, WEATHER))])
    assert reply.trace is not None
    assert reply.trace["tool_calls"] == [{"name": "getWeather", "outcome": "ok"}]


def test_a_call_without_an_output_is_the_clients_and_was_not_run():
    reply = answer(begin(), [*WEATHER[:5], *WEATHER[6:]])
    assert reply.trace is not None
    assert reply.trace["tool_calls"] == []
    assert reply.trace["llm_calls"][0]["tool_calls"] == ["getWeather"]


def test_texts_of_several_steps_are_several_texts():
    step = HELLO[1:7]
    assert answer(begin(), [HELLO[0], *step, *step, *HELLO[7:]]).text == "Hello.\n\nHello."


def test_usage_in_the_messages_metadata_is_read():
    usage = {
        "inputTokens": 100,
        "outputTokens": 9,
        "inputTokenDetails": {"cacheReadTokens": 64, "cacheWriteTokens": 0},
        "outputTokenDetails": {"reasoningTokens": 5},
    }
    finish = {"type": "finish", "messageMetadata": {"totalUsage": usage}}
    reply = answer(begin(), [*HELLO[:-2], finish, DONE])
    assert reply.usage == Usage(
        input_tokens=100,
        output_tokens=9,
        cached_input_tokens=64,
        cache_write_tokens=0,
        reasoning_tokens=5,
    )
    assert reply.carried["metadata"] == {"totalUsage": usage}
    older = {"usage": {"inputTokens": 7, "cachedInputTokens": 2}}
    metadata = {"type": "message-metadata", "messageMetadata": older}
    assert answer(begin(), [*HELLO[:-2], metadata, DONE]).usage == Usage(
        input_tokens=7, cached_input_tokens=2
    )


def test_an_error_is_the_agents_and_its_step_is_no_call_that_succeeded():
    error = {"type": "error", "errorText": "model\n overloaded"}
    reply = answer(begin(), [*HELLO[:4], error, {"type": "finish-step"}, DONE])
    assert (reply.error_kind, reply.error_detail) == ("error_in_stream", "model overloaded")
    assert not reply.is_protocol_error
    assert reply.trace is not None
    assert [call["outcome"] for call in reply.trace["llm_calls"]] == ["agent_error"]


def test_a_message_that_was_aborted_is_no_success():
    reply = answer(begin(), [*HELLO[:4], {"type": "abort", "reason": "stopped"}, DONE])
    assert (reply.error_kind, reply.error_detail) == ("error_in_stream", "aborted: stopped")


@pytest.mark.parametrize("parts", [[], HELLO[:1], HELLO[:-2]])
def test_a_stream_without_its_end_is_cut(parts):
    reply = answer(begin(), parts)
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)


@pytest.mark.parametrize("parts", [HELLO[:-1], [*HELLO[:-2], DONE]])
def test_either_end_is_enough(parts):
    assert answer(begin(), parts).error_kind is None


def test_reasoning_sources_and_data_are_kept_and_are_no_text_of_the_reply():
    more = [
        {"type": "reasoning-start", "id": "r"},
        {"type": "reasoning-delta", "id": "r", "delta": "Hm."},
        {"type": "reasoning-end", "id": "r", "providerMetadata": {"p": {"sig": "s"}}},
        {"type": "source-url", "sourceId": "s", "url": "https://e.org"},
        {"type": "data-plan", "id": "d", "data": [1]},
        {"type": "data-tick", "data": 1, "transient": True},
        {"type": "new-in-2"},
        {"no": "type"},
    ]
    reply = answer(begin(), [*HELLO[:2], *more, *HELLO[2:]])
    assert (reply.text, reply.first_token_ns) == ("Hello.", 11 * 10**9)
    assert reply.carried["parts"][1:-1] == [
        {
            "type": "reasoning",
            "text": "Hm.",
            "state": "done",
            "providerMetadata": {"p": {"sig": "s"}},
        },
        more[3],
        more[4],
    ]


def test_dynamic_tools_and_refused_inputs_keep_their_parts():
    asked = {"toolCallId": "c", "toolName": "mcp", "dynamic": True}
    wrong = {"type": "tool-input-error", **asked, "input": "{", "errorText": "no JSON"}
    reply = answer(begin(), [*HELLO[:2], wrong, *HELLO[2:]])
    assert reply.carried["parts"][1] == {
        "type": "dynamic-tool",
        "toolName": "mcp",
        "toolCallId": "c",
        "state": "output-error",
        "input": "{",
        "errorText": "no JSON",
    }
    assert reply.trace is not None
    assert reply.trace["tool_calls"] == []  # it was not run


def test_what_is_too_deep_to_be_sent_again_breaks_the_protocol():
    deep = b'data: {"type":"data-x","data":' + b"[" * 900 + b"]" * 900 + b"}\n\n"
    assert answer(begin(), [deep, *HELLO]).error_kind == "too_deep"


def test_an_answer_that_is_no_stream_can_only_be_an_error():
    reader = begin().reader(status=422, content_type="application/json")
    reader.feed(b'{"detail": [{"msg": "field required"}]}', 1)
    assert reader.finish().error_kind == "error_in_body"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_bytes_may_be_cut_anywhere(sizes):
    stream = b"".join(map(sse, WEATHER))
    for prefix in (b"", b": keep-alive\n\n"):  # a comment takes the stream out of its usual form
        reader, rest = begin().reader(status=200, content_type=STREAM), prefix + stream
        for number, size in enumerate([*sizes, len(rest)]):
            reader.feed(rest[:size], number)
            rest = rest[size:]
        reply = reader.finish()
        assert (reply.text, reply.error_kind) == ("Sunny.", None)
        assert reply.trace is not None
        assert [call["name"] for call in reply.trace["tool_calls"]] == ["getWeather"]


KEYS = ["id", "delta", "toolCallId", "toolName", "input", "output", "errorText", "data", "dynamic"]
KEYS += ["messageId", "messageMetadata", "usage", "inputTokens", "providerMetadata", "preliminary"]
KINDS = sorted({part["type"] for part in HELLO + WEATHER if isinstance(part, dict)})
KINDS += ["error", "abort", "tool-input-error", "tool-output-error", "data-x", "file"]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)
odd_parts = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(KINDS) | values,
    st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
)


@given(st.lists(odd_parts, max_size=10))
def test_no_parts_make_a_reader_raise_or_the_next_request(parts):
    dialogue = begin()
    reply = answer(dialogue, [*parts, DONE])
    dialogue.accept("Hi", reply)
    dialogue.request("More")
    assert reply.trace is None or isinstance(records_of(reply.trace, "t"), tuple)


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_raise(garbage):
    answer(begin(), [garbage])
    answer(begin(), [b"data: " + garbage + b"\n\n"])
