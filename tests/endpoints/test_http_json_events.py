"""The http-json adapter on answers of events: what they mean is what the rules say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints import event_source
from profiler.endpoints.exchange import Reply
from profiler.endpoints.http_json import HttpJson
from profiler.measure.records import Usage
from profiler.workload.http_json import HttpJson as Template
from tests.endpoints.streams import json_with

SSE = "text/event-stream; charset=utf-8"
TEXT = {"when": {"path": "type", "equals": "delta"}, "value": "text"}


def endpoint(**events: Any) -> HttpJson:
    described = {"body": {"m": "{{ user }}", "id": "{{ session_id }}"}, "events": events}
    template = Template.model_validate(described)
    return HttpJson(url="http://agent/chat", template=template, headers={})


def sse(data: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    body = data if isinstance(data, str) else orjson.dumps(data).decode()
    return f"{head}data: {body}\n\n".encode()


def read(adapter: HttpJson, *pieces: bytes, content_type: str = SSE, status: int = 200) -> Reply:
    """Feed pieces whole, the first at 10, the second at 20, ... (seconds, in nanoseconds)."""
    reader = adapter.begin("s").reader(status=status, content_type=content_type)
    for number, piece in enumerate(pieces, 1):
        reader.feed(piece, number * 10_000_000_000)
    return reader.finish()


def said(reply: Reply) -> tuple[str | None, bool]:
    return reply.error_kind, reply.is_protocol_error


def test_pieces_of_text_are_the_reply_and_the_first_of_them_is_the_first_token():
    reply = read(
        endpoint(text=TEXT),
        sse({"type": "hello", "text": "no"}),
        sse({"type": "delta", "text": ""}),
        sse({"type": "delta", "text": "Hel"}),
        sse({"type": "delta", "text": "lo"}),
        sse({"type": "bye"}),
    )
    assert reply.text == "Hello"
    assert (reply.first_token_ns, reply.last_token_ns) == (30_000_000_000, 40_000_000_000)
    assert (reply.error_kind, reply.usage, reply.trace, reply.body) == (None, None, None, None)


def test_the_whole_reply_goes_before_its_pieces_and_the_last_whole_one_counts():
    adapter = endpoint(text=TEXT, reply={"value": "whole"})
    pieces = [sse({"type": "delta", "text": "a"}), sse({"whole": "one"}), sse({"whole": "two"})]
    reply = read(adapter, *pieces, sse({"whole": ""}))
    assert (reply.text, reply.first_token_ns) == ("two", 10_000_000_000)
    assert reply.last_token_ns == 10_000_000_000  # what repeats the pieces is no token
    assert read(adapter, *pieces[1:]).first_token_ns == 10_000_000_000


def test_the_first_content_may_be_something_else_than_text():
    adapter = endpoint(text=TEXT, first_content={"when": {"path": "card", "exists": True}})
    card, text = sse({"card": 1}), sse({"type": "delta", "text": "x"})
    reply = read(adapter, sse({"type": "x"}), card, text)
    assert (reply.first_token_ns, reply.last_token_ns) == (20_000_000_000, 30_000_000_000)
    late = read(adapter, text, card)
    assert (late.first_token_ns, late.last_token_ns) == (20_000_000_000, 20_000_000_000)


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ({"event": "a"}, [True, False, False]),
        ({"event": ["a", "b"]}, [True, True, False]),
        ({"event": "message"}, [False, False, True]),  # what a stream does not name
        ({"path": "n", "equals": 1}, [True, False, False]),
        ({"path": "n", "equals": True}, [False, True, False]),  # 1 is not true
        ({"path": "n", "equals": None}, [False, False, True]),
        ({"path": "n", "in": [0, 1.0]}, [True, False, False]),
        ({"path": "n", "exists": True}, [True, True, False]),
        ({"path": "n", "exists": False}, [False, False, True]),
        ({"path": "n"}, [True, True, False]),
        ({"path": "!n && t"}, [False, False, True]),
        ({"event": ["a", "b"], "path": "n", "equals": 1}, [True, False, False]),
        ({"path": "t.deeper", "exists": True}, [False, False, False]),
    ],
)
def test_a_rule_is_for_events_by_name_and_by_what_is_at_a_path(when, matches):
    adapter = endpoint(text={"when": when, "value": "t"})
    events = [
        sse({"n": 1, "t": "x"}, "a"),
        sse({"n": True, "t": "y"}, "b"),
        sse({"t": "z"}),
    ]
    expected = "".join(text for text, is_one in zip("xyz", matches, strict=True) if is_one)
    assert read(adapter, *events).text == expected


def test_usage_is_the_last_that_was_told_or_the_sum_of_all():
    paths = {"input_tokens": "u.in", "output_tokens": "u.out", "cached_input_tokens": "u.cached"}
    paths["reasoning_tokens"] = "u.thoughts"
    events = [
        sse({"type": "delta", "text": "x", "u": {"in": 10, "out": 1, "cached": 4}}),
        sse({"u": {"in": 20, "out": 2, "thoughts": 1}}),
        sse({"u": {"in": "many", "out": -1, "cached": True}}),
        sse({"type": "end"}),
    ]
    last = read(endpoint(text=TEXT, usage=paths), *events).usage
    assert last == Usage(input_tokens=20, output_tokens=2, reasoning_tokens=1)
    total = read(endpoint(text=TEXT, usage={**paths, "combine": "sum"}), *events).usage
    assert total == Usage(
        input_tokens=30, output_tokens=3, cached_input_tokens=4, reasoning_tokens=1
    )
    chosen = {**paths, "combine": "sum", "when": {"path": "type", "equals": "delta"}}
    assert read(endpoint(text=TEXT, usage=chosen), *events).usage == Usage(
        input_tokens=10, output_tokens=1, cached_input_tokens=4
    )
    assert read(endpoint(text=TEXT, usage=paths), events[0][:0], events[3]).usage is None


LLM = {
    "llm_start": {"when": {"path": "type", "equals": "llm"}},
    "llm_end": {
        "when": {"path": "type", "equals": "llm_done"},
        "model": "model",
        "tool_calls": "tools[].name",
        "failed": "error",
        "usage": {"input_tokens": "in"},
    },
}


def test_llm_calls_are_told_with_their_times_and_what_their_end_says():
    reply = read(
        endpoint(text=TEXT, **LLM),
        sse({"type": "llm"}),
        sse({"type": "llm_done", "model": "m", "in": 7, "tools": [{"name": "f"}, {}]}),
        sse({"type": "llm"}) + sse({"type": "llm_done", "error": "no"}),
        sse({"type": "delta", "text": "x"}),
    )
    first = {"outcome": "ok", "model": "m", "usage": {"input_tokens": 7}, "tool_calls": ["f"]}
    held_back = {"outcome": "agent_error", "tool_calls": []}  # begun and over in one piece: no time
    assert reply.trace == {
        "version": 1,
        "llm_calls": [{**first, "start_s": 0, "end_s": 10}, held_back],
    }


def test_an_llm_call_that_was_begun_in_an_answer_that_failed_failed():
    broken = read(
        endpoint(text=TEXT, **LLM, error={"message": "oops"}),
        sse({"type": "llm"}),
        sse({"oops": "x"}),
    )
    assert broken.trace == {"version": 1, "llm_calls": [{"outcome": "agent_error"}]}
    assert said(broken) == ("error_in_stream", False)
    only_starts = endpoint(text=TEXT, llm_start=LLM["llm_start"])
    fine = read(only_starts, sse({"type": "llm"}), sse({"type": "delta", "text": "x"}))
    assert fine.trace == {"version": 1, "llm_calls": [{"outcome": "ok"}]}


def test_llm_calls_at_the_same_time_are_told_apart_by_id():
    start = {"when": {"path": "begin", "exists": True}, "id": "begin"}
    end = {"when": {"path": "end", "exists": True}, "id": "end", "model": "model"}
    reply = read(
        endpoint(text={"value": "text"}, llm_start=start, llm_end=end),
        sse({"begin": 1}),
        sse({"begin": 2}),
        sse({"end": 1, "model": "a"}),
        sse({"end": 1, "model": "again"}),
        sse({"end": 2, "model": "b", "text": "x"}),
    )
    assert reply.trace is not None
    assert reply.trace["llm_calls"] == [
        {"outcome": "ok", "model": "a", "start_s": 0, "end_s": 20},
        {"outcome": "ok", "model": "b", "start_s": 10, "end_s": 40},
    ]


def tools_of(reply: Reply) -> list[dict[str, Any]]:
    assert reply.trace is not None
    tools: list[dict[str, Any]] = reply.trace["tool_calls"]
    return tools


def test_tools_that_run_at_the_same_time_are_told_apart_by_id():
    start = {"when": {"path": "calls"}, "each": "calls", "id": "id", "name": "name"}
    end = {"when": {"path": "results"}, "each": "results", "id": "id", "failed": "error"}
    calls = [{"id": "1", "name": "f"}, {"id": "2", "name": "g"}, {"id": "3", "name": "left"}]
    reply = read(
        endpoint(text={"value": "text"}, tool_start=start, tool_end=end),
        sse({"calls": calls}),
        sse({"calls": calls[:1]}),  # told again: nothing new
        sse({"results": [{"id": "2"}]}),
        sse({"results": [{"id": "1", "error": "no"}, {"id": "2", "error": "late"}], "text": "x"}),
    )
    assert tools_of(reply) == [
        {"name": "f", "outcome": "agent_error", "start_s": 0, "end_s": 30},
        {"name": "g", "outcome": "ok", "start_s": 0, "end_s": 20},
    ]  # the third was never answered: it is the client's to run


def test_tools_without_ids_are_told_apart_by_name_and_then_by_order():
    start = {"when": {"path": "start"}, "name": "start"}
    named = {"when": {"path": "end"}, "name": "end"}
    events = [sse({"start": name}) for name in ("f", "g", "f")]
    ends = [sse({"end": name, "text": "x"}) for name in ("g", "f", "f", "h")]
    reply = read(endpoint(text={"value": "text"}, tool_start=start, tool_end=named), *events, *ends)
    assert [(tool["name"], tool.get("start_s"), tool.get("end_s")) for tool in tools_of(reply)] == [
        ("f", 0, 40),
        ("g", 10, 30),
        ("f", 20, 50),
        ("h", None, None),  # nobody saw it begin
    ]
    by_order = endpoint(
        text={"value": "text"}, tool_start=start, tool_end={"when": {"path": "end"}}
    )
    in_turn = tools_of(read(by_order, *events, *ends))
    assert [(tool["name"], tool.get("end_s")) for tool in in_turn] == [
        ("f", 30),
        ("g", 40),
        ("f", 50),
        ("unknown", None),
    ]


def test_tools_of_which_only_one_side_is_told_are_counted_without_a_time():
    begun = endpoint(text={"value": "t"}, tool_start={"when": {"path": "f"}, "name": "f"})
    done = endpoint(text={"value": "t"}, tool_end={"when": {"path": "f"}, "name": "f"})
    for adapter in (begun, done):
        reply = read(adapter, sse({"f": "a"}), sse({"f": "a"}), sse({"t": "x"}))
        assert tools_of(reply) == [{"name": "a", "outcome": "ok"}] * 2


def test_that_there_was_no_tool_is_only_said_of_a_whole_answer_whose_rules_would_tell():
    rules = {"text": TEXT, "tool_start": {"when": {"path": "f"}, "name": "f"}}
    done = {"when": {"path": "type", "equals": "done"}}
    delta = sse({"type": "delta", "text": "x"})
    assert read(endpoint(**rules), delta).trace == {"version": 1, "tool_calls": []}
    assert read(endpoint(**rules, final=done), delta).trace is None
    assert read(endpoint(text=TEXT), delta).trace is None


def test_a_stream_without_its_final_event_was_cut():
    adapter = endpoint(text=TEXT, final={"when": {"event": "[DONE]"}})
    delta = sse({"type": "delta", "text": "x"})
    cut = read(adapter, delta)
    assert (said(cut), cut.text) == (("stream_cut", True), "x")
    assert cut.error_detail == "the stream ended without its final event"
    whole = read(adapter, delta, sse("[DONE]"))
    assert whole.error_kind is None
    assert read(adapter, sse("[DONE]")).error_kind is None  # an answer without text may be one


def test_an_error_inside_a_200_is_the_agents_and_needs_no_final_event():
    adapter = endpoint(
        text=TEXT,
        final={"when": {"event": "done"}},
        error={"when": {"event": "error"}, "message": "message"},
    )
    reply = read(adapter, sse({"message": "no\n way"}, "error"), sse({"message": "2"}, "error"))
    assert (said(reply), reply.error_detail) == (("error_in_stream", False), "no way")
    silent = read(adapter, sse({"code": 5}, "error"))
    assert silent.error_detail == "{'code': 5}"
    by_path = endpoint(text=TEXT, error={"message": "error"})
    assert read(by_path, sse({"error": {"message": "deep"}})).error_detail == "deep"
    assert read(by_path, sse({"type": "delta", "text": "x", "error": ""})).error_kind is None


def test_an_answer_without_any_text_breaks_the_protocol_unless_it_ended_as_it_should():
    reply = read(endpoint(text=TEXT), sse({"other": 1}))
    assert said(reply) == ("no_reply", True)
    assert said(read(endpoint(text=TEXT), b"")) == ("no_reply", True)


def test_one_json_body_is_read_by_the_same_rules_without_times():
    adapter = endpoint(each="events", text=TEXT, final={"when": {"event": "done"}}, **LLM)
    events = [{"type": "llm"}, {"type": "llm_done", "in": 3}, {"type": "delta", "text": "x"}]
    body = orjson.dumps({"events": events})
    reply = read(adapter, body[:9], body[9:], content_type="application/json")
    assert (reply.text, reply.first_token_ns, reply.error_kind) == ("x", None, None)
    assert reply.body == {"events": events}
    assert reply.trace == {
        "version": 1,
        "llm_calls": [{"outcome": "ok", "usage": {"input_tokens": 3}, "tool_calls": []}],
    }
    whole_list = endpoint(text=TEXT)
    assert read(whole_list, orjson.dumps(events), content_type="application/json").text == "x"


def test_a_json_body_that_is_no_list_is_one_event():
    adapter = endpoint(text=TEXT, error={"message": "error"})
    failed = read(adapter, b'{"error": "no"}', content_type="application/json")
    assert (said(failed), failed.error_detail) == (("error_in_body", False), "no")
    assert said(read(adapter, b"<html>", content_type="text/html")) == ("not_json", True)


def test_json_lines_are_a_stream():
    adapter = endpoint(text=TEXT)
    pieces = [b'{"type":"delta","text":"a"}\n{"type":"del', b'ta","text":"b"}\r\n\n', b'{"x":1}']
    reply = read(adapter, *pieces, content_type="application/x-ndjson")
    assert (reply.text, reply.first_token_ns, reply.last_token_ns) == (
        "ab",
        10_000_000_000,
        20_000_000_000,
    )


def test_events_may_be_plain_text():
    adapter = endpoint(data="text", text={"when": {"event": "message"}, "value": "@"})
    reply = read(adapter, sse("Hi "), sse("42"), sse("{"), sse("[DONE]"))
    assert reply.text == "Hi 42{"
    broken = read(endpoint(text=TEXT), sse({"type": "delta", "text": "x"}), sse("Hi "))
    assert (said(broken), broken.text) == (("event_not_json", True), "x")


def test_the_session_id_of_the_agent_is_sent_with_the_next_turn():
    adapter = endpoint(text={"value": "t"}, session_id={"when": {"event": "new"}, "value": "id"})
    dialogue = adapter.begin("ours")
    reader = dialogue.reader(status=200, content_type=SSE)
    reader.feed(sse({"id": 17}, "new") + sse({"id": 9, "t": "x"}), 5)
    dialogue.accept("Hi", reader.finish())
    outgoing = dialogue.request("Next")
    assert orjson.loads(outgoing.body)["id"] == outgoing.session_headers["x-session-id"] == "17"


def test_the_agents_own_account_goes_before_what_its_events_tell():
    adapter = endpoint(text=TEXT, trace={"value": "trace"}, **LLM)
    own = {"version": 1, "llm_calls": []}
    reply = read(adapter, sse({"type": "llm"}), sse({"type": "delta", "text": "x", "trace": own}))
    assert reply.trace == own


def test_an_error_status_is_read_for_what_it_says():
    reply = read(endpoint(text=TEXT), b'{"detail": "who?"}', status=404, content_type="x")
    assert reply.error_detail == "who?"


def test_an_answer_of_too_many_events_is_given_up(monkeypatch):
    monkeypatch.setattr(event_source, "MOST_EVENTS", 3)
    piece = sse({"type": "delta", "text": "x"})
    assert read(endpoint(text=TEXT), piece * 3).error_kind is None
    many = read(endpoint(text=TEXT), piece * 4)
    assert (said(many), many.text) == (("too_many_events", True), "xxx")
    listed = orjson.dumps([{}] * 4)
    assert read(endpoint(text=TEXT), listed, content_type="x").error_kind == "too_many_events"


def test_an_event_of_too_many_tools_is_given_up(monkeypatch):
    monkeypatch.setattr("profiler.endpoints.http_json_events.MOST_EVENTS", 3)
    rules = {"text": TEXT, "tool_start": {"when": {"path": "f"}, "each": "f", "name": "n"}}
    reply = read(endpoint(**rules), sse({"f": [{"n": "a"}] * 4}))
    assert (said(reply), len(tools_of(reply))) == (("too_many_events", True), 3)


EVERYTHING = {
    "text": {"value": "text"},
    "reply": {"value": "join('', items)"},
    "first_content": {"when": {"path": "contains(text, name)"}},
    "session_id": {"value": "id"},
    "trace": {"value": "trace"},
    "usage": {"combine": "sum", "input_tokens": "sum(usage)", "output_tokens": "usage.text"},
    "llm_start": {"when": {"event": "llm", "path": "id"}, "id": "id"},
    "llm_end": {"when": {"path": "type", "in": ["text", "x"]}, "id": "id", "tool_calls": "items"},
    "tool_start": {"when": {"path": "items"}, "each": "items", "id": "id", "name": "name"},
    "tool_end": {"when": {"path": "text"}, "each": "items[].items", "id": "id", "name": "name"},
    "final": {"when": {"path": "sort_by(items, &id)"}},
    "error": {"message": "max_by(items, &id).name"},
}
KEYS = ("type", "text", "items", "id", "name", "usage", "trace")


@given(st.lists(json_with(KEYS, ("text", "x", "id")), max_size=6), st.integers(1, 50))
def test_no_answer_makes_it_raise(events, size):
    adapter = endpoint(**EVERYTHING)
    stream = b"".join(sse(event) for event in events)
    for content_type, body in ((SSE, stream), ("application/json", orjson.dumps(events))):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        reply = read(adapter, *pieces, content_type=content_type)
        assert isinstance(reply.text, str)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data):
    adapter = endpoint(**EVERYTHING)
    for content_type in (SSE, "application/jsonl", "application/json", ""):
        assert isinstance(read(adapter, data, content_type=content_type), Reply)


def test_what_is_nested_deep_is_read_or_refused_and_does_not_raise():
    deep = b"[" * 900 + b"]" * 900
    body = b'{"type":"delta","text":' + deep + b',"items":' + deep + b',"error":' + deep + b"}"
    adapter = endpoint(text=TEXT, error={"message": "error"}, usage={"input_tokens": "sum(items)"})
    assert said(read(adapter, b"data: " + body + b"\n\n"))[0] == "error_in_stream"
    assert isinstance(read(endpoint(text=TEXT), b"data: " + body + b"\n\n"), Reply)
