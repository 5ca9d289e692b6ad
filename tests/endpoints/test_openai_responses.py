"""The openai-responses adapter. Payloads are OpenAI's documented ones (see payloads.py)."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.exchange import Reply, ToolSeen
from profiler.endpoints.openai_responses import (
    OpenAiResponses,
    ResponsesPlainReader,
    ResponsesStreamReader,
    usage_from,
)
from profiler.measure.records import Usage
from tests.endpoints.streams import json_with, read_cut, read_events
from tests.observers.gateway.payloads import (
    FUNCTION_ITEM,
    MESSAGE_ITEM,
    RESPONSES_EVENTS,
    response,
    sse,
)

USAGE = Usage(
    input_tokens=328,
    output_tokens=52,
    cached_input_tokens=128,
    cache_write_tokens=0,
    reasoning_tokens=20,
)
ID = "resp_67ca09c5efe0819096d0511c92b8c890096610f474011cc0"
ASKED = {"role": "user", "content": "Hello"}
SAID = {"role": "assistant", "content": "Hi!"}
MORE = {"role": "user", "content": "More"}


def endpoint(*, stream: bool = True, resend: bool = False) -> OpenAiResponses:
    return OpenAiResponses(
        url="http://agent/v1/responses",
        model="gpt-4.1",
        stream=stream,
        headers={"authorization": "Bearer t"},
        resend=resend,
    )


def read(*events) -> Reply:
    return read_events(ResponsesStreamReader(), events)


def read_plain(body: bytes) -> Reply:
    return read_cut(ResponsesPlainReader(), body, 7)


def added(index: int, **item) -> dict:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, **item) -> dict:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def ended(*output, **more) -> dict:
    return {"type": "response.completed", "response": response(*output, **more)}


def test_the_first_request_has_the_users_message_alone():
    outgoing = endpoint().begin("s-1").request("Hello")
    assert orjson.loads(outgoing.body) == {"model": "gpt-4.1", "input": [ASKED], "stream": True}
    assert outgoing.session_headers == {"x-session-id": "s-1"}
    assert outgoing.headers["authorization"] == "Bearer t"
    assert outgoing.headers["accept"] == "text/event-stream"


def test_the_next_turn_names_the_answer_before_it():
    dialogue = endpoint(stream=False).begin("s-1")
    dialogue.accept("Hello", Reply(text="Hi!", answer_id="resp_1"))
    assert orjson.loads(dialogue.request("More").body) == {
        "model": "gpt-4.1",
        "previous_response_id": "resp_1",
        "input": [MORE],
    }


@pytest.mark.parametrize(("resend", "answer_id"), [(True, "resp_1"), (False, None)])
def test_the_conversation_is_resent_where_that_is_asked_for_or_the_answer_has_no_id(
    resend, answer_id
):
    dialogue = endpoint(stream=False, resend=resend).begin("s-1")
    dialogue.accept("Hello", Reply(text="Hi!", answer_id=answer_id))
    body = orjson.loads(dialogue.request("More").body)
    assert body == {"model": "gpt-4.1", "input": [ASKED, SAID, MORE]}


def test_a_chain_of_ids_that_breaks_is_resent_from_the_first_turn():
    dialogue = endpoint(stream=False).begin("s-1")
    dialogue.accept("Hello", Reply(text="Hi!", answer_id="resp_1"))
    dialogue.accept("More", Reply(text="", answer_id=None))
    body = orjson.loads(dialogue.request("More").body)
    assert body["input"] == [ASKED, SAID, MORE, MORE]
    assert "previous_response_id" not in body


def test_the_documented_stream():
    reply = read(*RESPONSES_EVENTS)
    assert reply.text == "In a peaceful grove"
    assert (reply.first_token_ns, reply.last_token_ns) == (50, 120)  # 5th event, 12th: arguments
    assert reply.usage == USAGE
    assert reply.answer_id == ID
    assert reply.tools == (ToolSeen(name="get_current_weather"),)
    assert (reply.error_kind, reply.trace) == (None, None)


@pytest.mark.parametrize("size", [1, 2, 3, 64, 100_000])
def test_a_stream_means_the_same_however_it_is_cut(size):
    reply = read_cut(ResponsesStreamReader(), sse(*RESPONSES_EVENTS, named=True), size)
    assert (reply.text, reply.usage, reply.answer_id) == ("In a peaceful grove", USAGE, ID)
    assert (reply.first_token_ns, reply.error_kind) == (7, None)


def test_a_tool_that_the_server_runs_lasts_from_its_begin_to_its_end():
    reply = read(
        added(0, type="web_search_call", id="ws_1", status="in_progress"),
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        added(1, type="mcp_call", id="mcp_1", name="roll", server_label="dice", arguments=""),
        done(0, type="web_search_call", id="ws_1", status="completed"),
        done(1, type="mcp_call", id="mcp_1", name="roll", error="no dice", status="failed"),
        ended(MESSAGE_ITEM),
    )
    assert reply.tools == (
        ToolSeen(name="web_search", start_ns=10, end_ns=40),
        ToolSeen(name="roll", start_ns=30, end_ns=50, failed=True),
    )


def test_a_function_lasts_from_its_arguments_to_its_output():
    call = {"type": "function_call", "call_id": "c", "name": "f"}
    reply = read(
        added(0, **call),
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
        done(0, **call, status="completed"),
        added(1, type="function_call_output", call_id="c", output="7"),
        done(1, type="function_call_output", call_id="c", output="7"),
        ended(MESSAGE_ITEM),
    )
    assert reply.tools == (ToolSeen(name="f", start_ns=30, end_ns=40),)


def test_tools_that_only_the_last_event_tells_have_no_times():
    searched = {"type": "file_search_call", "id": "fs_1", "status": "completed"}
    reply = read(ended(searched, MESSAGE_ITEM))
    assert reply.tools == (ToolSeen(name="file_search"),)
    assert reply.text == "In a peaceful grove"
    assert reply.first_token_ns is None


def test_an_answer_without_tools_says_so_and_one_that_broke_off_does_not():
    assert read(ended(MESSAGE_ITEM)).tools == ()
    assert read(*RESPONSES_EVENTS[:5]).tools is None


def test_a_tool_under_way_when_the_stream_is_cut_has_failed():
    reply = read(added(0, type="web_search_call", id="ws_1", status="in_progress"))
    assert reply.tools == (ToolSeen(name="web_search", failed=True),)


@pytest.mark.parametrize("count", range(len(RESPONSES_EVENTS)))
def test_a_stream_without_its_final_event_breaks_the_protocol(count):
    reply = read(*RESPONSES_EVENTS[:count])
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)
    assert reply.usage is None


def test_the_done_of_other_protocols_ends_nothing():
    reader = ResponsesStreamReader()
    reader.feed(sse(*RESPONSES_EVENTS[:6], done=True), 1)
    assert reader.finish().error_kind == "stream_cut"


def test_an_incomplete_answer_is_an_answer():
    reply = read(
        {"type": "response.output_text.delta", "delta": "Once"},
        {
            "type": "response.incomplete",
            "response": response(
                status="incomplete", incomplete_details={"reason": "max_output_tokens"}
            ),
        },
    )
    assert (reply.text, reply.error_kind, reply.usage) == ("Once", None, USAGE)


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (
            {
                "type": "response.failed",
                "response": response(
                    status="failed", error={"code": "server_error", "message": "The model failed."}
                ),
            },
            "The model failed.",
        ),
        ({"type": "response.failed", "response": None}, "the response failed"),
        (
            {
                "type": "error",
                "code": "ERR_SOMETHING",
                "message": "Something\nwrong",
                "param": None,
            },
            "Something wrong",
        ),
        ({"type": "error", "error": {"type": "x", "message": "Too fast"}}, "Too fast"),
    ],
)
def test_an_error_inside_a_stream_is_the_agents_and_not_the_protocols(event, detail):
    reply = read(*RESPONSES_EVENTS[:5], event)
    assert (reply.error_kind, reply.is_protocol_error) == ("error_in_stream", False)
    assert reply.error_detail == detail
    assert reply.tools is None


def test_events_of_unknown_types_mean_nothing():
    events = [
        event
        for pair in zip(RESPONSES_EVENTS, [{"type": "response.new"}] * 99, strict=False)
        for event in pair
    ]
    reply = read(*events, {"no": "type"})
    assert (reply.text, reply.error_kind) == ("In a peaceful grove", None)


def test_refusals_are_what_the_user_sees_and_reasoning_is_not():
    reply = read(
        {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
        {"type": "response.refusal.delta", "delta": "I can't"},
        ended(),
    )
    assert (reply.text, reply.first_token_ns) == ("I can't", 20)


def test_an_answer_that_was_not_stored_cannot_be_named():
    assert read(ended(MESSAGE_ITEM, store=False)).answer_id is None
    assert read_plain(orjson.dumps(response(MESSAGE_ITEM, store=False))).answer_id is None


def test_the_agents_own_account_is_kept():
    assert read(ended(MESSAGE_ITEM, trace={"version": 1})).trace == {"version": 1}
    plain = read_plain(orjson.dumps(response(MESSAGE_ITEM, trace={"version": 1})))
    assert plain.trace == {"version": 1}


def test_a_plain_answer_has_no_times():
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    reply = read_plain(orjson.dumps(response(search, MESSAGE_ITEM, FUNCTION_ITEM)))
    assert reply.text == "In a peaceful grove"
    assert reply.first_token_ns is None
    assert (reply.usage, reply.answer_id) == (USAGE, ID)
    assert reply.tools == (ToolSeen(name="web_search"), ToolSeen(name="get_current_weather"))
    assert reply.error_kind is None


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"error": {"message": "Incorrect API key", "type": "x"}}, "Incorrect API key"),
        (response(status="failed", error={"code": "server_error", "message": "no"}), "no"),
        (response(status="cancelled"), "the response is cancelled"),
    ],
)
def test_an_error_in_a_plain_body_is_an_agent_error(body, detail):
    reply = read_plain(orjson.dumps(body))
    assert (reply.error_kind, reply.error_detail) == ("error_in_body", detail)
    assert not reply.is_protocol_error


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html>", "not_json"), (b"", "not_json"), (b"[]", "wrong_shape"), (b"{}", "wrong_shape")],
)
def test_a_body_of_another_shape_breaks_the_protocol(body, kind):
    reply = read_plain(body)
    assert (reply.error_kind, reply.is_protocol_error) == (kind, True)


@pytest.mark.parametrize("garbage", [b"data: {\n\n", b"data: 17\n\n"])
def test_an_event_that_is_no_json_object_breaks_the_protocol(garbage):
    reader = ResponsesStreamReader()
    reader.feed(garbage + sse(*RESPONSES_EVENTS), 1)
    assert reader.finish().error_kind == "event_not_json"


def test_an_event_that_never_ends_breaks_the_protocol():
    reader = ResponsesStreamReader()
    reader.feed(b"data: " + b"x" * (17 * 1024 * 1024), 1)
    assert reader.finish().error_kind == "event_too_long"


def test_the_reader_is_chosen_by_what_came():
    dialogue = endpoint().begin("s")
    stream = "text/event-stream; charset=utf-8"
    assert isinstance(dialogue.reader(status=200, content_type=stream), ResponsesStreamReader)
    assert isinstance(dialogue.reader(status=500, content_type=stream), ResponsesPlainReader)
    json = dialogue.reader(status=200, content_type="application/json")
    assert isinstance(json, ResponsesPlainReader)


def test_usage_that_says_nothing_usable_is_not_observed():
    assert usage_from({"input_tokens": "many", "output_tokens": -1}) is None
    assert usage_from([]) is None
    assert usage_from({"input_tokens": 0}) == Usage(input_tokens=0)


KEYS = ["type", "response", "item", "output", "status", "error", "id", "call_id", "output_index"]
KEYS += ["delta", "content", "text", "usage", "input_tokens_details", "trace", "name", "store"]
WORDS = [*sorted({event["type"] for event in RESPONSES_EVENTS}), "error", "response.failed"]
WORDS += ["web_search_call", "function_call", "function_call_output", "message", "failed"]


@given(st.binary(max_size=400), st.lists(json_with(KEYS, WORDS), max_size=4))
def test_nothing_makes_a_reader_raise(garbage, values):
    read_plain(garbage)
    reader = ResponsesStreamReader()
    reader.feed(sse(*values), 1)
    reader.feed(garbage, 2)
    reader.feed(b"\n\ndata: " + garbage + b"\n\n", 3)
    reader.finish()
    for value in values:
        read_plain(sse(value)[6:])
