"""Google ADK's events as its server sent them (tests/data/google-adk), and as it sends errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from profiler.endpoints.exchange import Reply
from profiler.endpoints.http_json import HttpJson
from profiler.workload.google_adk import GoogleAdk

DATA = Path(__file__).parents[1] / "data" / "google-adk"
TOLD = [
    {
        "outcome": "ok",
        "model": "gpt-4o",
        "usage": {"input_tokens": 197, "output_tokens": 20, "cached_input_tokens": 0},
        "tool_calls": ["get_weather", "save_note"],
    },
    {
        "outcome": "ok",
        "model": "gpt-4o",
        "usage": {"input_tokens": 248, "output_tokens": 5, "cached_input_tokens": 0},
        "tool_calls": [],
    },
]


def read(body: bytes, *, stream: bool = True, pieces: int = 1) -> Reply:
    template = GoogleAdk(app="traveller").template(stream=stream)
    adapter = HttpJson(url="http://adk", template=template, headers={})
    kind = "text/event-stream" if stream else "application/json"
    reader = adapter.begin("s").reader(status=200, content_type=kind)
    size = -(-len(body) // pieces)
    for number, at in enumerate(range(0, len(body), size), 1):
        reader.feed(body[at : at + size], number)
    return reader.finish()


def events(*said: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in said)


def test_a_recorded_stream_tells_what_the_llm_served():
    reply = read((DATA / "turn.sse").read_bytes(), pieces=40)
    assert (reply.text, reply.error_kind) == ("Still sunny in Oslo.", None)
    assert reply.trace is not None
    assert reply.trace["llm_calls"] == TOLD
    assert [tool["name"] for tool in reply.trace["tool_calls"]] == ["get_weather", "save_note"]
    assert all(tool["start_s"] < tool["end_s"] for tool in reply.trace["tool_calls"])
    assert reply.first_token_ns is not None
    assert reply.last_token_ns is not None
    assert 1 < reply.first_token_ns <= reply.last_token_ns <= 40


def test_a_recorded_list_tells_the_same_without_times():
    reply = read((DATA / "turn.json").read_bytes(), stream=False)
    assert (reply.text, reply.first_token_ns) == ("Still sunny in Oslo.", None)
    assert reply.trace == {
        "version": 1,
        "llm_calls": TOLD,
        "tool_calls": [{"name": name, "outcome": "ok"} for name in ("get_weather", "save_note")],
    }


def test_a_stream_that_was_cut_is_a_protocol_error():
    whole = (DATA / "turn.sse").read_bytes()
    reply = read(whole[: whole.rindex(b"data: ")])
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)


def test_geminis_thoughts_are_output_and_no_reply():
    parts = [{"text": "Hm.", "thought": True}, {"text": "Yes"}, {"text": "."}]
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 30}
    final = {"content": {"role": "model", "parts": parts}, "usageMetadata": usage}
    reply = read(events({**final, "partial": True, "usageMetadata": usage}, final))
    assert reply.text == "Yes."
    assert reply.trace is not None
    (call,) = reply.trace["llm_calls"]  # a partial event's usage is not counted
    assert call["usage"] == {"input_tokens": 9, "output_tokens": 32, "reasoning_tokens": 30}


def test_usage_that_the_model_did_not_tell_is_not_observed():
    final = {"content": {"role": "model", "parts": [{"text": "x"}]}, "modelVersion": "m"}
    reply = read(events(final))
    assert reply.trace is not None
    assert reply.trace["llm_calls"] == [{"outcome": "ok", "model": "m", "tool_calls": []}]


def test_an_error_is_the_agents_once_however_often_it_is_told():
    reply = read(events({"errorCode": "X", "errorMessage": "no model"}, {"error": "X: no model"}))
    assert (reply.error_kind, reply.error_detail) == ("error_in_stream", "no model")
    assert not reply.is_protocol_error
    assert read(events({"errorCode": "SAFETY"})).error_detail == "SAFETY"
    listed = read(orjson.dumps([{"errorCode": "SAFETY"}]), stream=False)
    assert (listed.error_kind, listed.error_detail) == ("error_in_body", "SAFETY")


def test_a_tool_that_failed_and_one_that_is_left_to_the_client():
    call = {"functionCall": {"id": "1", "name": "pay"}}
    waits = {"functionCall": {"id": "2", "name": "approve"}}
    answer = {"functionResponse": {"id": "1", "name": "pay", "response": {"error": "no funds"}}}
    reply = read(
        events(
            {"content": {"role": "model", "parts": [call, waits]}, "longRunningToolIds": ["2"]},
            {"content": {"role": "user", "parts": [answer]}},
        )
    )
    assert reply.error_kind is None  # a long-running tool ends the turn
    assert reply.trace is not None
    assert reply.trace["tool_calls"] == [{"name": "pay", "outcome": "agent_error"}]
