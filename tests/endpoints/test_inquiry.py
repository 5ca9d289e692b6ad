"""Asking a server what it is: what counts as an answer, and what is not followed."""

from __future__ import annotations

import httpx
import pytest
import respx

from profiler.endpoints import inquiry
from profiler.endpoints.inquiry import UnreachableError, ask, assistants
from profiler.endpoints.recognise import Question

ROOT = "http://agent.example"


def asks(*paths):
    return [Question(about=path, url=f"{ROOT}{path}", root="") for path in paths]


async def answers(*paths, headers=None):
    return {s.question.about: (s.status, s.body) for s in await ask(asks(*paths), headers or {})}


@respx.mock
async def test_status_and_json_are_kept_and_what_is_no_json_is_nothing():
    respx.get(f"{ROOT}/a").respond(200, json={"x": 1})
    respx.get(f"{ROOT}/b").respond(404, text="<html>")
    respx.get(f"{ROOT}/c").respond(200, content=b"\xff\xfe")
    respx.get(f"{ROOT}/d").respond(405)
    found = await answers("/a", "/b", "/c", "/d")
    assert found == {"/a": (200, {"x": 1}), "/b": (404, None), "/c": (200, None), "/d": (405, None)}


@respx.mock
async def test_headers_are_sent_and_redirects_are_not_followed():
    first = respx.get(f"{ROOT}/a").respond(302, headers={"location": "http://elsewhere.example/"})
    elsewhere = respx.get("http://elsewhere.example/").respond(200)
    assert await answers("/a", headers={"authorization": "Bearer x"}) == {"/a": (302, None)}
    assert first.calls[0].request.headers["authorization"] == "Bearer x"
    assert not elsewhere.called


@respx.mock
async def test_a_body_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(inquiry, "MAX_BYTES", 10)
    respx.get(f"{ROOT}/a").respond(200, json=["x" * 20])
    respx.get(f"{ROOT}/b").respond(200, json=[1])
    assert await answers("/a", "/b") == {"/a": (200, None), "/b": (200, [1])}


@respx.mock
async def test_nobody_to_connect_to_is_said_after_one_question():
    respx.get(f"{ROOT}/a").mock(side_effect=httpx.ConnectError("refused"))
    other = respx.get(f"{ROOT}/b").respond(200)
    with pytest.raises(UnreachableError) as failed:
        await answers("/a", "/b")
    assert failed.value.outcome == "connect_error"
    assert not other.called


@respx.mock
async def test_questions_that_fail_are_left_out():
    respx.get(f"{ROOT}/a").mock(side_effect=httpx.RemoteProtocolError("garbage"))
    respx.get(f"{ROOT}/b").respond(200, json=[])
    respx.get(f"{ROOT}/c").mock(side_effect=httpx.ConnectError("refused"))
    assert await answers("/a", "/b", "/c") == {"/b": (200, [])}


@respx.mock
async def test_assistants_are_the_graphs_once_each():
    rows = [{"graph_id": "agent"}, {"graph_id": "agent"}, {"graph_id": 7}, {}, "x"]
    route = respx.post(f"{ROOT}/base/assistants/search").respond(200, json=rows)
    assert await assistants(f"{ROOT}/base/", {}) == ("agent",)
    assert route.call_count == 1
    respx.post(f"{ROOT}/assistants/search").respond(500, json=rows)
    assert await assistants(ROOT, {}) == ()
