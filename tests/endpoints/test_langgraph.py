"""The langgraph adapter: what is sent, how a run ends, and what is broken."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.langgraph import LangGraph
from profiler.measure.records import LlmCall, Outcome, ToolCall
from profiler.observers.response import records_in
from tests.endpoints.langgraph_events import (
    ASKS,
    METADATA,
    SAYS,
    SESSION,
    STREAM,
    WEATHER,
    ai,
    answer,
    begin,
    names,
    sse,
    tool,
    update,
    waited,
)


def test_the_first_run_makes_its_thread_and_asks_for_updates_and_messages():
    outgoing = begin().request("Hi")
    assert outgoing.url == f"http://agent:2024/threads/{SESSION}/runs/stream"
    assert orjson.loads(outgoing.body) == {
        "assistant_id": "travel",
        "if_not_exists": "create",
        "input": {"messages": [{"role": "user", "content": "Hi"}]},
        "stream_mode": ["updates", "messages-tuple"],
        "stream_subgraphs": True,
    }
    assert outgoing.headers["accept"] == "text/event-stream"
    assert outgoing.headers["x-api-key"] == "k"


def test_without_streaming_a_run_is_waited_for():
    outgoing = begin(stream=False).request("Hi")
    assert outgoing.url == f"http://agent:2024/threads/{SESSION}/runs/wait"
    assert "stream_mode" not in orjson.loads(outgoing.body)


def test_a_thread_is_a_uuid_and_a_query_stays_behind_the_path():
    endpoint = LangGraph(url="http://a/x?k=1", stream=True, headers={}, assistant="a")
    url = endpoint.begin("session-1").request("Hi").url
    path, _, query = url.partition("?")
    assert query == "k=1"
    UUID(path.removeprefix("http://a/x/threads/").removesuffix("/runs/stream"))
    assert endpoint.begin("session-1").request("Hi").url == url
    assert endpoint.begin("session-2").request("Hi").url != url


def test_an_error_event_is_the_agents_and_its_open_call_failed():
    error = ("error", {"error": "APIError", "message": "model\n overloaded"})
    reply = answer(begin(), [*WEATHER[:8], error])
    assert (reply.error_kind, reply.error_detail) == (
        "error_in_stream",
        "APIError: model overloaded",
    )
    assert not reply.is_protocol_error
    assert [c.outcome for c in names(reply, LlmCall)] == [Outcome.OK, Outcome.AGENT_ERROR]


@pytest.mark.parametrize("stop", [0, 1, 2, 5, 7, 9])
def test_a_stream_in_which_a_node_did_not_end_is_cut(stop):
    reply = answer(begin(), WEATHER[:stop])
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)


def test_a_subgraph_that_ended_is_no_end():
    reply = answer(begin(), [METADATA, ("updates|sub:1", {"n": {"messages": [SAYS]}})])
    assert reply.error_kind == "stream_cut"


def test_the_end_event_of_older_servers_is_one():
    assert answer(begin(), [*WEATHER[:9], ("end", None)]).error_kind is None


def test_unknown_events_and_heartbeats_mean_nothing():
    odd = [b": heartbeat\r\n\r\n", ("custom", 17), ("new|x", None), b"event: zzz\ndata: {\n\n"]
    assert answer(begin(), [*odd, *WEATHER]).error_kind is None


def test_an_event_that_is_no_json_breaks_the_protocol():
    reply = answer(begin(), [*WEATHER, b"event: updates\ndata: {\n\n"])
    assert (reply.error_kind, reply.is_protocol_error) == ("event_not_json", True)


INTERRUPT = {"__interrupt__": [{"value": "Which order?", "id": "i-1"}]}


def test_an_interrupted_run_is_an_error():
    reply = answer(begin(), [METADATA, ("updates", INTERRUPT)])
    assert (reply.error_kind, reply.is_protocol_error) == ("error_in_stream", False)
    assert reply.error_detail == "the run was interrupted: Which order?"
    reply = waited(begin(stream=False), {"messages": [], **INTERRUPT})
    assert (reply.error_kind, reply.is_protocol_error) == ("error_in_body", False)


def test_with_resume_the_question_is_the_reply_and_the_next_message_goes_on():
    dialogue = begin(resume=True)
    reply = answer(dialogue, [METADATA, ("updates", INTERRUPT)])
    assert (reply.text, reply.error_kind) == ("Which order?", None)
    dialogue.accept("Hi", reply)
    body = orjson.loads(dialogue.request("A-17").body)
    assert body["command"] == {"resume": "A-17"}
    assert "input" not in body
    dialogue.accept("A-17", answer(dialogue, WEATHER))
    assert "input" in orjson.loads(dialogue.request("More").body)


def test_a_breakpoint_asks_nothing_and_cannot_be_resumed():
    reply = answer(begin(resume=True), [METADATA, ("updates", {"__interrupt__": []})])
    assert reply.error_detail == "the run stopped at a breakpoint"


HUMAN = {"type": "human", "id": "h-1", "content": "Hi"}


def test_the_state_after_a_run_has_its_calls_and_tools_without_times():
    dialogue = begin(stream=False)
    dialogue.request("Hi")
    state = {"messages": [HUMAN, ASKS, tool("c-1"), SAYS]}
    reply = waited(dialogue, state)
    assert (reply.text, reply.first_token_ns, reply.error_kind) == ("It is sunny.", None, None)
    assert len(names(reply, LlmCall)) == 2
    assert [(c.name, c.start_ns, c.end_ns) for c in names(reply, ToolCall)] == [
        ("get_weather", None, None)
    ]
    dialogue.accept("Hi", reply)
    dialogue.request("More")
    more = [*state["messages"], {**HUMAN, "id": "h-2"}, ai("lc_run--3", "More.")]
    reply = waited(dialogue, {"messages": more})
    assert (reply.text, len(names(reply, LlmCall))) == ("More.", 1)


def test_a_state_without_messages_tells_nothing():
    reply = waited(begin(stream=False), {"answer": 42})
    assert (reply.text, reply.trace, reply.error_kind) == ("", None, None)


def test_an_error_in_place_of_the_state_is_the_agents():
    reply = waited(begin(stream=False), {"__error__": {"error": "APIError", "message": "no"}})
    assert (reply.error_kind, reply.error_detail) == ("error_in_body", "APIError: no")
    assert not reply.is_protocol_error
    assert reply.trace is None


@pytest.mark.parametrize(
    ("stream", "status", "body", "kind", "is_protocol_error"),
    [
        (True, 422, b'{"detail": "Invalid assistant"}', "error_in_body", False),
        (True, 200, b'{"messages": []}', "no_stream", True),
        (True, 500, b"oops", "no_stream", True),
        (False, 404, b'{"detail": "no such"}', "error_in_body", False),
        (False, 200, b"[]", "wrong_shape", True),
        (False, 200, b"oops", "not_json", True),
    ],
)
def test_other_answers_are_errors(stream, status, body, kind, is_protocol_error):
    reader = begin(stream=stream).reader(status=status, content_type="application/json")
    reader.feed(body, 1)
    reply = reader.finish()
    assert (reply.error_kind, reply.is_protocol_error) == (kind, is_protocol_error)


def test_what_is_nested_too_deep_does_no_harm():
    deep = b"[" * 900 + b"]" * 900
    events = [
        b'event: updates\ndata: {"__interrupt__": [{"value": ' + deep + b"}]}\n\n",
        b'event: error\ndata: {"error": "E", "message": ' + deep + b"}\n\n",
        b'event: updates\ndata: {"n": {"messages": [{"type": "ai", "id": "a", "content": '
        + deep
        + b"}]}}\n\n",
    ]
    for event in events:
        dialogue = begin(resume=True)
        dialogue.accept("Hi", answer(dialogue, [METADATA, event]))
        dialogue.request("More")


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
def test_bytes_may_be_cut_anywhere(sizes):
    rest = b"".join(map(sse, WEATHER))
    reader = begin().reader(status=200, content_type=STREAM)
    for number, size in enumerate([*sizes, len(rest)]):
        reader.feed(rest[:size], number)
        rest = rest[size:]
    reply = reader.finish()
    assert (reply.text, reply.error_kind) == ("It is sunny.", None)
    assert len(names(reply, LlmCall)) == 2


KEYS = ["messages", "id", "type", "content", "tool_calls", "usage_metadata", "name", "status"]
KEYS += ["tool_call_id", "response_metadata", "model_name", "input_tokens", "text", "value"]
KEYS += [
    "__interrupt__",
    "__error__",
    "error",
    "message",
    "tool_call_chunks",
    "input_token_details",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "ai", "tool"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
messages = st.dictionaries(st.sampled_from(KEYS), values, max_size=6).flatmap(
    lambda rest: st.sampled_from(["ai", "tool", "AIMessageChunk", "human"]).map(
        lambda kind: {"content": "x", **rest, "type": kind}
    )
)
odd_events = st.one_of(
    st.tuples(st.sampled_from(["updates", "updates|a", "messages", "error", "end"]), values),
    messages.map(lambda message: ("messages", [message, {}])),
    messages.map(update),
)


@given(st.lists(odd_events, max_size=10), st.booleans())
def test_no_events_make_a_reader_raise_or_the_next_request(events, resume):
    dialogue = begin(resume=resume)
    reply = answer(dialogue, [*events, ("updates", {})])
    dialogue.accept("Hi", reply)
    dialogue.request("More")
    assert isinstance(records_in(reply, "t"), tuple)


@given(values)
def test_no_state_makes_a_reader_raise(state):
    records_in(waited(begin(stream=False), state), "t")


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_raise(garbage):
    answer(begin(), [garbage])
    answer(begin(), [b"event: updates\ndata: " + garbage + b"\n\n"])
