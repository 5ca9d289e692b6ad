"""The ag-ui adapter: what is sent, and what is read from documented sequences of events."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.ag_ui import AgUi, AgUiDialogue
from profiler.endpoints.exchange import Reply
from profiler.measure.records import Observer, Outcome, Timeline, ToolCall, Usage, Watched
from profiler.observers.response import records_of

STREAM = "text/event-stream; charset=utf-8"

STARTED = {"type": "RUN_STARTED", "threadId": "thr-1", "runId": "run-1"}
FINISHED = {"type": "RUN_FINISHED", "threadId": "thr-1", "runId": "run-1"}
HELLO = [  # the example of the HTTP binding, docs/spec/1.1/basic/transports/http-sse
    STARTED,
    {"type": "TEXT_MESSAGE_START", "messageId": "msg-1", "role": "assistant"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "msg-1", "delta": "Hello."},
    {"type": "TEXT_MESSAGE_END", "messageId": "msg-1"},
    FINISHED,
]
SEARCHED = [  # the examples of docs/spec/1.1/events/tool-calls
    STARTED,
    {"type": "STEP_STARTED", "stepName": "look"},
    {
        "type": "TOOL_CALL_START",
        "toolCallId": "call-1",
        "toolCallName": "search",
        "parentMessageId": "msg-1",
    },
    {"type": "TOOL_CALL_ARGS", "toolCallId": "call-1", "delta": '{"q": '},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "call-1", "delta": '"x"}'},
    {"type": "TOOL_CALL_END", "toolCallId": "call-1"},
    {
        "type": "TOOL_CALL_RESULT",
        "messageId": "msg-2",
        "toolCallId": "call-1",
        "content": "3 results found.",
    },
    {"type": "STEP_FINISHED", "stepName": "look"},
    {"type": "TEXT_MESSAGE_CHUNK", "messageId": "msg-3", "delta": "There are "},
    {"type": "TEXT_MESSAGE_CHUNK", "delta": "three."},
    FINISHED,
]


def begin() -> AgUiDialogue:
    endpoint = AgUi(url="http://agent/ag-ui", headers={"authorization": "Bearer t"})
    return endpoint.begin("thr-1")


def sse(event: object) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def answer(dialogue: AgUiDialogue, events: list, user: str = "Hi") -> Reply:
    """Ask, and read the events, each in a piece of its own, a second after the other."""
    dialogue.request(user)
    reader = dialogue.reader(status=200, content_type=STREAM)
    for number, event in enumerate(events):
        reader.feed(event if isinstance(event, bytes) else sse(event), number * 10**9)
    return reader.finish()


def test_the_first_request_is_a_run_of_a_new_thread():
    outgoing = begin().request("Hi")
    assert orjson.loads(outgoing.body) == {
        "threadId": "thr-1",
        "runId": "thr-1-run-1",
        "state": {},
        "messages": [{"id": "thr-1-run-1-user", "role": "user", "content": "Hi"}],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }
    assert outgoing.headers["accept"] == "text/event-stream"
    assert outgoing.headers["authorization"] == "Bearer t"


def test_a_run_is_its_text_and_the_first_token_is_the_first_text():
    reply = answer(begin(), HELLO)
    assert reply.text == "Hello."
    assert (reply.first_token_ns, reply.last_token_ns) == (2 * 10**9, 2 * 10**9)
    assert reply.error_kind is None
    assert reply.usage is None


def test_the_next_run_carries_messages_calls_and_results_with_their_ids():
    dialogue = begin()
    dialogue.accept("Hi", answer(dialogue, SEARCHED))
    body = orjson.loads(dialogue.request("And now?").body)
    assert body["runId"] == "thr-1-run-2"
    assert body["messages"] == [
        {"id": "thr-1-run-1-user", "role": "user", "content": "Hi"},
        {
            "id": "msg-1",
            "role": "assistant",
            "content": "",
            "toolCalls": [
                {
                    "id": "call-1",
                    "type": "function",
                    "function": {"name": "search", "arguments": '{"q": "x"}'},
                }
            ],
        },
        {"id": "msg-2", "role": "tool", "toolCallId": "call-1", "content": "3 results found."},
        {"id": "msg-3", "role": "assistant", "content": "There are three."},
        {"id": "thr-1-run-2-user", "role": "user", "content": "And now?"},
    ]


def test_a_turn_that_was_not_accepted_is_not_carried():
    dialogue = begin()
    answer(dialogue, SEARCHED)
    assert len(orjson.loads(dialogue.request("Again").body)["messages"]) == 1


def test_a_tool_call_lasts_from_its_end_to_its_result_and_llm_calls_are_not_told():
    reply = answer(begin(), SEARCHED)
    assert reply.text == "There are three."
    assert (reply.first_token_ns, reply.last_token_ns) == (8 * 10**9, 9 * 10**9)
    assert reply.trace is not None
    assert records_of(reply.trace, "t") == (
        ToolCall(
            trace_id="t",
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            name="search",
            start_ns=5 * 10**9,
            end_ns=6 * 10**9,
            outcome=Outcome.OK,
        ),
    )


def test_a_call_whose_events_came_in_one_piece_has_no_time():
    reply = answer(begin(), [b"".join(map(sse, SEARCHED))])
    assert reply.trace == {"version": 1, "tool_calls": [{"name": "search", "outcome": "ok"}]}


def test_a_run_without_tools_says_so():
    reply = answer(begin(), HELLO)
    assert reply.trace is not None
    assert records_of(reply.trace, "t") == (
        Watched(trace_id="t", observer=Observer.RESPONSE, llm_calls=False),
    )


def test_a_call_that_no_result_answers_is_the_clients_and_was_not_run():
    unanswered = [event for event in SEARCHED if event["type"] != "TOOL_CALL_RESULT"]
    assert answer(begin(), unanswered).trace == {"version": 1, "tool_calls": []}


def test_calls_in_chunks_are_read_too():
    chunks = [
        {"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "toolCallName": "search", "delta": "{"},
        {"type": "TOOL_CALL_CHUNK", "delta": "}"},
        {"type": "TOOL_CALL_RESULT", "messageId": "m", "toolCallId": "c", "content": "1"},
    ]
    reply = answer(begin(), [STARTED, *chunks, FINISHED])
    assert reply.trace is not None
    assert reply.trace["tool_calls"] == [
        {"name": "search", "outcome": "ok", "start_s": 2.0, "end_s": 3.0}
    ]
    assert reply.carried.messages[1]["toolCalls"][0]["function"]["arguments"] == "{}"


def test_usage_is_the_sum_over_models_and_what_none_says_is_not_known():
    usage = [
        {"provider": "openai", "model": "a", "inputTokens": 100, "outputTokens": 7},
        {"model": "b", "inputTokens": 20, "outputTokens": 3, "cachedInputTokens": 16},
    ]
    reply = answer(begin(), [*HELLO[:-1], FINISHED | {"usage": usage}])
    assert reply.usage == Usage(input_tokens=120, output_tokens=10, cached_input_tokens=16)


def test_a_run_error_is_the_agents_and_carries_its_usage():
    error = {"type": "RUN_ERROR", "message": "model\n overloaded", "usage": [{"inputTokens": 9}]}
    reply = answer(begin(), [*HELLO[:3], error])
    assert (reply.error_kind, reply.error_detail) == ("error_in_stream", "model overloaded")
    assert not reply.is_protocol_error
    assert reply.usage == Usage(input_tokens=9)
    assert reply.carried is None


def test_an_error_after_the_end_is_an_error():
    reply = answer(begin(), [*HELLO, {"type": "RUN_ERROR", "message": "late"}])
    assert (reply.error_kind, reply.error_detail) == ("error_in_stream", "late")


def test_a_cancelled_run_is_no_success():
    reply = answer(begin(), [*HELLO[:-1], FINISHED | {"outcome": {"type": "cancelled"}}])
    assert (reply.error_kind, reply.is_protocol_error) == ("error_in_stream", False)


@pytest.mark.parametrize("events", [[], HELLO[:1], HELLO[:-1], [*HELLO, STARTED]])
def test_a_stream_without_the_end_of_its_last_run_is_cut(events):
    reply = answer(begin(), events)
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)


def test_a_replayed_run_is_not_this_runs_answer():
    snapshot = {"type": "MESSAGES_SNAPSHOT", "messages": [{"id": "a", "role": "user"}]}
    reply = answer(begin(), [*SEARCHED[:-1], snapshot, FINISHED, *HELLO])
    assert reply.text == "Hello."
    assert reply.trace == {"version": 1, "tool_calls": []}


def test_a_snapshot_takes_the_place_of_the_messages_and_may_be_the_only_answer():
    asked = {"id": "thr-1-run-1-user", "role": "user", "content": "Hi"}
    said = {"id": "m", "role": "assistant", "content": "Hello."}
    shown = {"id": "x", "role": "activity", "activityType": "plan", "content": {}}
    dialogue = begin()
    snapshot = {"type": "MESSAGES_SNAPSHOT", "messages": [asked, said, shown]}
    reply = answer(dialogue, [STARTED, snapshot, FINISHED])
    assert (reply.text, reply.first_token_ns) == ("Hello.", None)
    dialogue.accept("Hi", reply)
    assert orjson.loads(dialogue.request("More").body)["messages"][:-1] == [asked, said]


def test_a_result_told_only_by_a_snapshot_answers_a_call_at_a_time_not_known():
    result = {"id": "r", "role": "tool", "toolCallId": "call-1", "content": "3"}
    snapshot = {"type": "MESSAGES_SNAPSHOT", "messages": [result]}
    reply = answer(begin(), [*SEARCHED[:6], snapshot, FINISHED])
    assert reply.trace == {"version": 1, "tool_calls": [{"name": "search", "outcome": "ok"}]}


def test_the_state_goes_back_as_the_events_left_it():
    dialogue = begin()
    events = [
        {"type": "STATE_SNAPSHOT", "snapshot": {"steps": ["a"], "done": False}},
        {
            "type": "STATE_DELTA",
            "delta": [
                {"op": "add", "path": "/steps/-", "value": "b"},
                {"op": "replace", "path": "/done", "value": True},
            ],
        },
    ]
    dialogue.accept("Hi", answer(dialogue, [STARTED, *events, FINISHED]))
    state = orjson.loads(dialogue.request("More").body)["state"]
    assert state == {"steps": ["a", "b"], "done": True}


def test_reasoning_is_kept_and_is_no_text_of_the_reply():
    thought = [
        {"type": "REASONING_START", "messageId": "r"},
        {"type": "REASONING_MESSAGE_START", "messageId": "r", "role": "reasoning"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "r", "delta": "Hm."},
        {"type": "REASONING_MESSAGE_END", "messageId": "r"},
        {"type": "REASONING_END", "messageId": "r"},
        {
            "type": "REASONING_ENCRYPTED_VALUE",
            "subtype": "message",
            "entityId": "r",
            "encryptedValue": "s",
        },
    ]
    reply = answer(begin(), [STARTED, *thought, *HELLO[1:]])
    assert reply.text == "Hello."
    sealed = {"id": "r", "role": "reasoning", "content": "Hm.", "encryptedValue": "s"}
    assert reply.carried.messages[1] == sealed


def test_messages_of_others_than_the_assistant_are_not_the_reply():
    shown = {"type": "TEXT_MESSAGE_CHUNK", "messageId": "d", "role": "developer", "delta": "dbg"}
    assert answer(begin(), [STARTED, shown, *HELLO[1:]]).text == "Hello."


def test_unknown_events_mean_nothing():
    odd = [{"type": "CUSTOM", "name": "x"}, {"type": "NEW_IN_2_0"}, {"no": "type"}]
    assert answer(begin(), [STARTED, *odd, *HELLO[1:]]).text == "Hello."


@pytest.mark.parametrize("garbage", [b"data: {\n\n", b"data: 17\n\n"])
def test_an_event_that_is_no_json_object_breaks_the_protocol(garbage):
    reply = answer(begin(), [*HELLO, garbage])
    assert (reply.error_kind, reply.is_protocol_error) == ("event_not_json", True)


def test_what_is_too_deep_to_be_sent_again_breaks_the_protocol():
    deep = b"[" * 900 + b"]" * 900
    snapshot = b'data: {"type":"STATE_SNAPSHOT","snapshot":' + deep + b"}\n\n"
    patch = {"type": "STATE_DELTA", "delta": [{"op": "test", "path": "", "value": 1}]}
    assert answer(begin(), [STARTED, snapshot, patch, FINISHED]).error_kind == "too_deep"
    error = b'data: {"type":"RUN_ERROR","message":' + deep + b"}\n\n"
    assert answer(begin(), [STARTED, error]).error_kind == "error_in_stream"


@pytest.mark.parametrize(
    ("status", "body", "kind", "is_protocol_error"),
    [
        (422, b'{"detail": "messages: field required"}', "error_in_body", False),
        (500, b"oops", "no_stream", True),
        (200, b'{"error": {"message": "no key"}}', "error_in_body", False),
        (200, b'{"reply": "hi"}', "no_stream", True),
    ],
)
def test_an_answer_that_is_no_stream_can_only_be_an_error(status, body, kind, is_protocol_error):
    reader = begin().reader(status=status, content_type="application/json")
    reader.feed(body, 1)
    reply = reader.finish()
    assert (reply.error_kind, reply.is_protocol_error) == (kind, is_protocol_error)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_bytes_may_be_cut_anywhere(sizes):
    stream = b"".join(map(sse, SEARCHED))
    for prefix in (b"", b": keep-alive\n\n"):  # a comment takes the stream out of its usual form
        dialogue = begin()
        dialogue.request("Hi")
        reader, rest = dialogue.reader(status=200, content_type=STREAM), prefix + stream
        for number, size in enumerate([*sizes, len(rest)]):
            reader.feed(rest[:size], number)
            rest = rest[size:]
        reply = reader.finish()
        assert (reply.text, reply.error_kind) == ("There are three.", None)
        assert reply.trace is not None
        assert [call["name"] for call in reply.trace["tool_calls"]] == ["search"]


KEYS = ["messageId", "toolCallId", "toolCallName", "delta", "messages", "snapshot", "usage", "role"]
KEYS += ["content", "outcome", "message", "id", "toolCalls", "parentMessageId", "path", "op"]
KINDS = sorted({event["type"] for event in SEARCHED + HELLO})
KINDS += ["MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "STATE_DELTA", "RUN_ERROR", "TOOL_CALL_CHUNK"]
KINDS += ["REASONING_MESSAGE_CHUNK", "REASONING_ENCRYPTED_VALUE"]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "b", "tool"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)
odd_events = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(KINDS) | values,
    st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
)


@given(st.lists(odd_events, max_size=10))
def test_no_events_make_a_reader_raise_or_the_next_request(events):
    dialogue = begin()
    reply = answer(dialogue, [*events, FINISHED])
    dialogue.accept("Hi", reply)
    dialogue.request("More")
    assert reply.trace is None or isinstance(records_of(reply.trace, "t"), tuple)


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_raise(garbage):
    answer(begin(), [garbage])
    answer(begin(), [b"data: " + garbage + b"\n\n"])
