"""What an answer of an unknown shape most likely means, and that it is then read so."""

from __future__ import annotations

import orjson
import pytest

from profiler.endpoints.answers import guessed
from profiler.endpoints.body import Body
from profiler.endpoints.http_json import HttpJson
from profiler.workload.http_json import HttpJson as Template

JSON, SSE, LINES = "application/json", "text/event-stream", "application/x-ndjson"


def body_of(data):
    body = Body()
    body.feed(data if isinstance(data, bytes) else orjson.dumps(data), 1)
    return body


def read(content_type, data):
    """Read an answer by what was guessed of it."""
    body = body_of(data)
    found = guessed(content_type, body, "Hello")
    template = Template.model_validate({"body": {"message": "{{ user }}"}, **found})
    reader = HttpJson(url="http://a", template=template, headers={}).begin("s")
    reader = reader.reader(status=200, content_type=content_type)
    for piece, at_ns in zip(body.pieces, body.times_ns, strict=True):
        reader.feed(piece, at_ns)
    return found, reader.finish()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"reply": "Hi"}, "reply"),
        ({"session_id": "abc", "response": "Hi", "request": "Hello"}, "response"),
        ({"data": {"output": {"text": "Hi"}}}, "data.output.text"),
        ({"messages": [{"content": "Hello"}, {"content": "Hi"}]}, "messages[-1].content"),
        ({"x": "Hi", "n": 1}, "x"),
        ({"the answer": {"content-text": "Hi"}}, '"the answer"."content-text"'),
        ([{"text": "Hi"}], "[-1].text"),
        ("Hi", "@"),
    ],
)
def test_the_reply_is_found_in_one_json_body(document, path):
    found, reply = read(JSON, document)
    assert (found["reply"], reply.text, reply.error_kind) == (path, "Hi", None)


def test_session_usage_and_error_are_found_beside_it():
    document = {
        "reply": "Hi",
        "meta": {"conversation_id": "c-1", "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        "error": None,
    }
    found, reply = read(JSON, document)
    assert found == {
        "reply": "reply",
        "session_id": "meta.conversation_id",
        "usage": {
            "input_tokens": "meta.usage.prompt_tokens",
            "output_tokens": "meta.usage.completion_tokens",
        },
        "error": "error",
    }
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 2)


def deep(levels):
    found = {"reply": "Hi"}
    for _ in range(levels):
        found = {"x": found}
    return found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"7",
        b"null",
        b'{"a":"x","b":"y"}',
        b'{"reply":""}',
        b'{"reply":{"a":1}}',
        orjson.dumps(deep(20)),
        orjson.dumps({f"k{n}": n for n in range(100_000)}),
    ],
)
def test_an_answer_that_shows_no_reply_is_not_guessed(data):
    assert guessed(JSON, body_of(data), "Hello") is None


def sse(*events):
    return b"".join(
        (b"event: " + name.encode() + b"\n" if name else b"")
        + b"data: "
        + (data if isinstance(data, bytes) else orjson.dumps(data))
        + b"\n\n"
        for name, data in events
    )


def test_a_stream_of_typed_events_is_read_by_type():
    found, reply = read(
        SSE,
        sse(
            ("", {"type": "session", "session_id": "s-1"}),
            ("", {"type": "status", "text": "thinking"}),
            ("", {"type": "delta", "delta": "H"}),
            ("", {"type": "delta", "delta": "i"}),
            ("", {"type": "end", "usage": {"input_tokens": 3, "output_tokens": 2}}),
        ),
    )
    assert found["events"]["text"]["when"] == {"path": "type", "equals": "delta"}
    assert found["events"]["final"] == {"when": {"path": "type", "equals": "end"}}
    assert (reply.text, reply.answer_id, reply.usage.input_tokens) == ("Hi", "s-1", 3)


def test_a_stream_of_named_events_is_read_by_name():
    found, reply = read(
        SSE, sse(("meta", {"id": 1}), ("token", {"token": "H"}), ("token", {"token": "i"}))
    )
    assert found["events"]["text"] == {"value": "token", "when": {"event": "token"}}
    assert "final" not in found["events"]  # the last event is one of several
    assert reply.text == "Hi"


def test_streams_of_plain_text_and_json_lines_are_read():
    found, reply = read(SSE, sse(("", b"H"), ("", b"i"), ("", b"[DONE]")))
    assert found["events"]["final"] == {"when": {"event": "[DONE]"}}
    assert (found["events"]["data"], reply.text) == ("text", "Hi")
    _, reply = read(LINES, b'{"chunk":"H"}\n{"chunk":"i"}\n')
    assert reply.text == "Hi"


def test_usage_that_is_not_at_the_end_may_be_of_a_part_and_is_left_out():
    usage = {"input_tokens": 3, "output_tokens": 2}
    found, reply = read(
        SSE, sse(("", {"text": "H", "usage": usage}), ("", {"text": "i"}), ("", b"[DONE]"))
    )
    assert "usage" not in found["events"]
    assert reply.usage is None


def test_completed_responses_of_openai_are_llm_calls():
    completed = {
        "type": "response.completed",
        "response": {"model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}},
    }
    delta = {"type": "response.output_text.delta", "delta": "Hi"}
    _, reply = read(SSE, sse(("raw", completed), ("raw", delta), ("raw", completed), ("done", {})))
    assert [call["usage"]["input_tokens"] for call in reply.trace["llm_calls"]] == [5, 5]
    assert reply.text == "Hi"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: {}\n\n" * 5_000,
        sse(*[("", {f"k{n}": n for n in range(500)})] * 100),
        b"data: \xff\xfe{\n\n",
    ],
)
def test_streams_without_text_do_not_crash(data):
    found = guessed(SSE, body_of(data), "Hello")
    assert found is None or found["events"]["data"] == "text"
