"""Recordings of a browser, after HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/).

`tests/system/test_har.py` has one that a real browser made.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from profiler.workload.importers.har import (
    BODY_CUT,
    NO_ANSWER,
    NO_BODY,
    NO_SHAPE,
    NO_TIME,
    NOT_SENT,
    gather,
)
from profiler.workload.importers.har_shapes import BY_URL
from profiler.workload.importers.turns import AGAIN, BEFORE
from tests.workload.importers.gathering import Gathered

URL = "https://user:pw@agent.example:8443/api/chat?key=secret"
SHOWN = "https://agent.example:8443/api/chat"


def entry(
    body: Any, answer: Any = None, begin: float = 0, took_ms: float = 1000, **more: Any
) -> Any:
    """One POST that began so many seconds after ten."""
    text = body if isinstance(body, str) else json.dumps(body)
    said = answer if isinstance(answer, str) else json.dumps(answer)
    streamed = isinstance(answer, str)
    return {
        "startedDateTime": f"2025-03-01T10:00:{begin:06.3f}Z",
        "time": took_ms,
        "request": {
            "method": "POST",
            "url": more.get("url", URL),
            "bodySize": len(text),
            "postData": {"mimeType": "application/json", "text": text},
        },
        "response": {
            "status": more.get("status", 200),
            "content": {
                "size": len(said),
                "mimeType": "text/event-stream" if streamed else "application/json",
                **({} if answer is None else {"text": said}),
            },
        },
    }


def har(*entries: Any, indent: int | None = None) -> str:
    log = {"version": "1.2", "creator": {"name": "WebInspector"}, "pages": [], "entries": entries}
    return json.dumps({"log": log}, indent=indent)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def events(*data: Any) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in data) + "data: [DONE]\n\n"


def completion(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


CHUNKS = events(
    {"choices": [{"delta": {"role": "assistant", "content": "He"}}]},
    {"choices": [{"delta": {"content": "re."}}]},
    {"choices": [], "usage": {"prompt_tokens": 3}},
)
AG_UI = events(
    {"type": "RUN_STARTED", "threadId": "th", "runId": "r"},
    {"type": "TOOL_CALL_START", "toolCallId": "c1", "toolCallName": "find"},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "c1", "delta": '{"id"'},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "c1", "delta": ": 7}"},
    {"type": "TOOL_CALL_RESULT", "toolCallId": "c1", "content": "here"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Here."},
    {"type": "RUN_FINISHED", "threadId": "th", "runId": "r"},
)
UI_STREAM = events(
    {"type": "start"},
    {"type": "tool-input-available", "toolCallId": "c1", "toolName": "find", "input": {"id": 7}},
    {"type": "tool-output-available", "toolCallId": "c1", "output": {"place": "here"}},
    {"type": "text-delta", "id": "t", "delta": "Here."},
)
PARTS = [{"type": "text", "text": "Where?"}]
SHAPES: dict[str, tuple[Any, Any, str | None]] = {
    "OpenAI chat messages": ({"model": "m", "messages": [user("Where?")]}, CHUNKS, None),
    "AG-UI": (
        {"threadId": "th", "runId": "r", "messages": [{"id": "1", **user("Where?")}],
         "tools": [], "context": [], "state": {}, "forwardedProps": {}}, AG_UI, "th"),
    "AI SDK UI messages": (
        {"id": "chat-1", "trigger": "submit-message",
         "messages": [{"id": "1", "role": "user", "parts": PARTS}]}, UI_STREAM, "chat-1"),
    "OpenAI Responses": (
        {"model": "m", "input": "Where?", "conversation": "conv_1"},
        {"output": [{"type": "message", "role": "assistant",
                     "content": [{"type": "output_text", "text": "Here."}]}]}, "conv_1"),
    "plain text in an object": (
        {"message": "Where?", "session_id": 7}, {"reply": "Here."}, "7"),
    "LangGraph run": (
        {"assistant_id": "a", "input": {"messages": [{"type": "human", "content": "Where?"}]},
         "config": {"configurable": {"thread_id": "th-2"}}},
        {"messages": [{"type": "human", "content": "Where?"}, {"type": "ai", "content": "Here."}]},
        "th-2"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_recognised_with_what_was_said(shape: str) -> None:
    body, answer, session = SHAPES[shape]
    found = Gathered(gather, har(entry(body, answer)))
    assert found.skipped == []
    assert list(found.sessions) == [session or "conversation-1"]
    (name,) = found.sessions
    assert found.users(name) == ["Where?"]
    assert found.said(name)[-1] == ("assistant", "Here.")
    assert found.found.recognised.counts == {f"{shape}: {SHOWN}": 1}
    tools = [what for role, what in found.said(name) if isinstance(what, list)]
    assert tools == ([["find"]] if shape in ("AG-UI", "AI SDK UI messages") else [])


@pytest.mark.parametrize("indent", [None, 2])
def test_requests_that_carry_the_messages_before_them_are_one_session(indent: int | None) -> None:
    """Two conversations at a time; the first is answered at 2 s and asked again at 5."""
    first = [user("a1"), assistant("b1"), user("a2")]
    entries = [
        entry({"messages": first[:1]}, completion("b1"), 0, 2000),
        entry({"messages": [user("x1")]}, completion("y1"), 3),
        entry({"messages": first}, completion("b2"), 5),
        entry({"messages": [user("x1"), assistant("y1"), user("x2")]}, completion("y2"), 9),
    ]
    found = Gathered(gather, har(*entries, indent=indent))
    assert {name: found.users(name) for name in found.sessions} == {
        "conversation-1": ["a1", "a2"],
        "conversation-2": ["x1", "x2"],
    }
    assert found.sessions["conversation-1"].think_times_s == (None, 3.0)
    assert found.sessions["conversation-1"].notes == ()


def test_a_request_without_a_new_message_goes_on_with_the_turn() -> None:
    """A tool that ran in the browser: its result is sent by itself."""
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c", "content": "x"}
    entries = [
        entry({"session_id": "s", "messages": [user("a")]}, {"choices": [{"message": asked}]}, 0),
        entry({"session_id": "s", "messages": [user("a"), asked, result]}, completion("b"), 2),
        entry({"session_id": "s", "messages": [user("a"), asked, result]}, completion("b"), 4),
    ]
    found = Gathered(gather, har(*entries))
    assert found.said("s") == [
        ("user", "a"),
        ("assistant", ["find"]),
        ("tool", "x"),
        ("assistant", "b"),
    ]


def test_a_message_that_was_sent_again_counts_once() -> None:
    again = [
        entry({"session_id": "s", "messages": [user("a")]}, completion("b"), n) for n in (0, 3)
    ]
    found = Gathered(gather, har(*again))
    assert found.said("s") == [("user", "a"), ("assistant", "b")]
    assert found.sessions["s"].notes == (AGAIN,)


def test_what_is_odd_about_a_session_is_named() -> None:
    entries = [
        entry({"messages": [user("a"), assistant("b"), user("c")], "threadId": "s"}, None, 0),
        entry({"query": "q"}, {"answer": "r"}, 1),
    ]
    found = Gathered(gather, har(*entries))
    assert found.sessions["s"].notes == (NO_ANSWER, BEFORE)
    assert found.sessions[SHOWN].notes == (BY_URL,)


def test_the_id_of_a_session_may_come_with_its_first_answer() -> None:
    entries = [
        entry({"message": "q1", "session_id": None}, {"reply": "r1", "session_id": "given"}, 0),
        entry({"message": "q2", "session_id": "given"}, {"reply": "r2", "session_id": "given"}, 4),
    ]
    found = Gathered(gather, har(*entries))
    assert found.users("given") == ["q1", "q2"]
    assert found.sessions["given"].notes == ()


def test_answers_may_be_base64() -> None:
    one = entry({"message": "q", "session_id": "s"}, CHUNKS)
    content = one["response"]["content"]
    content |= {"text": base64.b64encode(content["text"].encode()).decode(), "encoding": "base64"}
    assert Gathered(gather, har(one)).said("s") == [("user", "q"), ("assistant", "Here.")]


def test_everything_else_is_named_with_the_number_of_its_entry() -> None:
    get = {**entry({}), "request": {"method": "GET", "url": "https://a.example/x.js"}}
    no_body = entry({})
    no_body["request"] |= {"postData": {"mimeType": "x", "params": []}, "bodySize": 0}
    cut = entry({})
    cut["request"] |= {"postData": {"mimeType": "application/json"}, "bodySize": 500}
    entries = [
        get,
        no_body,
        cut,
        entry("a=1&b=2"),
        entry({"event": "click"}),
        entry({"messages": []}),
        entry({"message": "q"}, {"e": 1}, status=500),
        entry({"message": "q"}, None, status=0),
        {**entry({"message": "q"}), "startedDateTime": "now"},
        [1],
        entry({"message": "q", "session_id": "s"}, {"reply": "r"}),
    ]
    found = Gathered(gather, har(*entries))
    assert found.skipped == [
        (1, NOT_SENT),
        (2, NO_BODY),
        (3, BODY_CUT),
        (4, NO_BODY),
        (5, NO_SHAPE),
        (6, NO_SHAPE),
        (7, "a user's message that failed (500)"),
        (8, "a user's message that failed (no answer)"),
        (9, NO_TIME),
        (10, "not a JSON object"),
    ]
    assert found.found.unit == "entry"
    assert list(found.sessions) == ["s"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff\xfe", b'{"log": {"entries": 3}}'])
def test_what_is_no_recording_says_so(data: bytes) -> None:
    found = Gathered(gather, data)
    assert (found.sessions, [what for _, what in found.skipped]) == (
        {}, ["a document without the list log.entries"],
    )  # fmt: skip


JUNK: list[Any] = [None, 5, -1e300, True, "x", "{", [], {}, [[1]], {"a": []}]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_no_value_of_a_wrong_type_ends_the_import(junk: Any) -> None:
    for body, answer, _ in SHAPES.values():
        good = entry(body, answer)
        for key in good:
            Gathered(gather, har({**good, key: junk}))
        for part in ("request", "response"):
            for key in good[part]:
                Gathered(gather, har({**good, part: {**good[part], key: junk}}))
        for key in body:
            Gathered(gather, har(entry({**body, key: junk}, answer)))
        for event in (AG_UI + UI_STREAM + CHUNKS).split("\n\n"):
            if event.startswith("data: {"):
                data = json.loads(event[6:])
                for key in data:
                    Gathered(gather, har(entry(body, events({**data, key: junk}))))
