"""Recorded spans as conversations, against what the frameworks' LLM provider saw."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from profiler.observers.otlp.recorded import file
from profiler.observers.otlp.recorded.file import (
    INVALID,
    LOGS,
    NO_CALL,
    NO_SPANS,
    TOO_MANY,
    gather,
)
from profiler.observers.otlp.recorded.turn import FAILED, TWICE
from profiler.workload.importers.gathered import WITHOUT_TEXT
from profiler.workload.importers.messages import TOO_DEEP
from profiler.workload.importers.times import AWAY
from profiler.workload.importers.turns import BEFORE, GENERATED
from tests.observers.otlp.captures import NAMES, capture, capture_bytes, flat, truth
from tests.workload.importers.gathering import Gathered

T0 = 1_700_000_000
S = 1_000_000_000


def lines(requests: list[Any]) -> str:
    return "".join(json.dumps(request) + "\n" for request in requests)


def asked_for(messages: list[dict[str, Any]]) -> list[list[str]]:
    """The tools that each LLM call asked for."""
    return [
        [call["function"]["name"] for call in m.get("tool_calls") or ()]
        for m in messages
        if m["role"] == "assistant"
    ]


def turns_of(found: Gathered) -> dict[str, list[list[str]]]:
    """User texts with the tools asked for by each LLM call, over all sessions."""
    turns: dict[str, list[list[str]]] = {}
    for session in found.sessions.values():
        at = [i for i, m in enumerate(session.messages) if m["role"] == "user"]
        for begin, end in zip(at, [*at[1:], len(session.messages)], strict=True):
            turns[session.messages[begin]["content"]] = asked_for(session.messages[begin:end])
    return turns


def of_truth(name: str) -> dict[str, list[list[str]]]:
    return {
        interaction["message"]: [
            call["tool_calls"] for call in interaction["llm_http_calls"] if call["status"] == 200
        ]
        for interaction in truth(name)
        if interaction["message"] not in UNTOLD[name]
    }


UNTOLD = {"pydantic-ai": (), "openai-agents-openinference": ("boom",)}
"""Messages that no span has: the framework tells neither input nor usage of a call that failed."""


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_gives_the_users_texts_the_calls_and_their_tools(name: str) -> None:
    found = Gathered(gather, capture_bytes(name))
    assert turns_of(found) == of_truth(name)
    health_check = [NO_CALL]
    untold = [WITHOUT_TEXT for _ in UNTOLD[name]]
    assert sorted(why for _, why in found.skipped) == sorted(health_check + untold)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_spans_is_of_no_account(name: str, seed: int) -> None:
    singles = flat(capture(name))
    random.Random(seed).shuffle(singles)
    assert turns_of(Gathered(gather, lines(singles))) == of_truth(name)


def test_sessions_are_those_of_the_conversation_id() -> None:
    found = Gathered(gather, capture_bytes("pydantic-ai"))
    assert found.users("s1") == ["Weather in Paris? Then note I like it.", "second turn, again"]
    assert found.users("s2") == ["parallel please"]


def test_results_of_tools_stand_behind_their_calls() -> None:
    messages = Gathered(gather, capture_bytes("pydantic-ai")).sessions["s2"].messages
    calls = [call["id"] for m in messages for call in m.get("tool_calls") or ()]
    results = [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]
    assert results == list(zip(calls, ["sunny, 21C", "saved"], strict=True))


def test_without_an_id_a_trace_is_a_session_and_history_before_it_is_named() -> None:
    found = Gathered(gather, capture_bytes("openai-agents-openinference"))
    told = [i for i in truth("openai-agents-openinference") if i["message"] != "boom"]
    assert set(found.sessions) == {interaction["trace_id"] for interaction in told}
    assert {found.users(name)[0] for name, s in found.sessions.items() if BEFORE in s.notes} == {
        "second turn, again"
    }


CONTENT = (
    "messages", "instructions", "prompt", "completion", "arguments", "result", "all_messages",
    "input.value", "output.value", "llm.tools", "invocation_parameters", "definitions",
    "model_request_parameters", "message",
)  # fmt: skip


def without_content(request: dict[str, Any]) -> dict[str, Any]:
    """What the frameworks export where the recording of content is off: all but the texts."""
    request = json.loads(json.dumps(request))
    for of_resource in request["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                span["attributes"] = [
                    pair
                    for pair in span.get("attributes", ())
                    if "usage" in pair["key"]
                    or "token_count" in pair["key"]
                    or not any(part in pair["key"] for part in CONTENT)
                ]
    return request


@pytest.mark.parametrize("name", NAMES)
def test_without_content_calls_tools_and_lengths_are_kept(name: str) -> None:
    found = Gathered(gather, json.dumps(without_content(capture(name))))
    expected = sorted(
        [call["tool_calls"] for call in calls]
        for i in truth(name)
        if (calls := [c for c in i["llm_http_calls"] if c["status"] == 200])
    )
    assert sorted(turns for s in found.sessions.values() for turns in by_turn(s)) == expected
    assert all(s.notes[-1] == GENERATED for s in found.sessions.values())
    last = {
        len(s.messages[-1]["content"].split()) for s in found.sessions.values() if s.messages[-1]
    }
    assert last <= {c["usage"]["output"] for i in truth(name) for c in i["llm_http_calls"]
                    if c["usage"]}  # fmt: skip


def by_turn(session: Any) -> list[list[list[str]]]:
    at = [i for i, m in enumerate(session.messages) if m["role"] == "user"]
    ends = [*at[1:], len(session.messages)]
    return [asked_for(session.messages[b:e]) for b, e in zip(at, ends, strict=True)]


# Made by hand.


def span(
    trace: int, number: int, begin: float, end: float, parent: int = 0, **attributes: Any
) -> Any:
    def value(given: Any) -> dict[str, Any]:
        if isinstance(given, int):
            return {"intValue": str(given)}
        return {"stringValue": given if isinstance(given, str) else json.dumps(given)}

    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{trace:08x}{number:08x}",
        "parentSpanId": f"{trace:08x}{parent:08x}" if parent else "",
        "name": "x",
        "kind": 2 if number == 1 else 1,
        "startTimeUnixNano": str(int((T0 + begin) * S)),
        "endTimeUnixNano": str(int((T0 + end) * S)),
        "attributes": [
            {"key": name.replace("__", "."), "value": value(given)}
            for name, given in attributes.items()
        ],
        "status": {},
    }


def request(*spans: Any, scope: str = "mine") -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}]}]}


def chat(  # noqa: PLR0917
    trace: int, number: int, begin: float, end: float, inputs: int, outputs: int, **more: Any
) -> Any:
    return span(trace, number, begin, end, 1, gen_ai__operation__name="chat",
                gen_ai__request__model="m", gen_ai__usage__input_tokens=inputs,
                gen_ai__usage__output_tokens=outputs, **more)  # fmt: skip


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def test_think_time_is_from_the_servers_end_to_the_next_request() -> None:
    """Turns from 0 to 4 s, 7 to 9 s, and half an hour and a second later."""
    found = Gathered(gather, lines([
        request(span(n, 1, begin, end, session__id="s"), chat(n, 2, begin, end - 1, 9, 9,
                gen_ai__input__messages=[said("user", f"q{n}")]))
        for n, (begin, end) in enumerate([(0, 4), (7, 9), (1810, 1811)], start=1)
    ]))  # fmt: skip
    assert found.users("s") == ["q1", "q2", "q3"]
    assert found.sessions["s"].think_times_s == (None, 3.0, None)
    assert found.sessions["s"].notes == (AWAY,)


def test_a_turn_begins_when_the_server_took_it_in_whatever_the_clocks_of_others_say() -> None:
    early = span(1, 3, 8, 9, 1)  # of a process whose clock is behind, within the server's span
    found = Gathered(gather, lines([
        request(span(1, 1, 10, 12, session__id="s"), early,
                chat(1, 2, 11, 12, 9, 9, gen_ai__input__messages=[said("user", "q")])),
    ]))  # fmt: skip
    assert found.sessions["s"].begin_s == T0 + 10


def test_a_user_who_comes_back_after_half_an_hour_begins_a_session() -> None:
    found = Gathered(gather, lines([
        request(span(n, 1, begin, begin + 1, user__id="u"), chat(n, 2, begin, begin + 1, 9, 9,
                gen_ai__input__messages=[said("user", f"q{n}")]))
        for n, begin in enumerate([0, 10, 5000], start=1)
    ]))  # fmt: skip
    assert {name: found.users(name) for name in found.sessions} == {
        "u": ["q1", "q2"],
        "u-2": ["q3"],
    }


def test_lengths_without_content_are_what_the_input_has_grown_by() -> None:
    """First: 130 of input where another's is 100: 31. Second: 200 - (150 + 20) = 30."""
    found = Gathered(gather, lines([
        request(span(1, 1, 0, 4, session__id="a"), chat(1, 2, 0, 1, 130, 10),
                span(1, 3, 1, 2, 1, gen_ai__operation__name="execute_tool",
                     gen_ai__tool__name="find"),
                chat(1, 4, 2, 3, 150, 20)),
        request(span(2, 1, 9, 12, session__id="a"), chat(2, 2, 9, 10, 200, 7)),
        request(span(3, 1, 9, 12, session__id="b"), chat(3, 2, 9, 10, 100, 7)),
    ]))  # fmt: skip
    sizes = [
        (role, what if isinstance(what, list) else len(what.split()))
        for role, what in found.said("a")
    ]
    assert sizes == [
        ("user", 31), ("assistant", ["find"]), ("tool", 0), ("assistant", 20),
        ("user", 30), ("assistant", 7),
    ]  # fmt: skip
    assert len(found.users("b")[0].split()) == 1


def test_neither_content_nor_length_is_named() -> None:
    bare = span(1, 2, 0, 1, 1, gen_ai__operation__name="chat", gen_ai__request__model="m")
    found = Gathered(gather, lines([request(span(1, 1, 0, 1), bare)]))
    assert (found.sessions, found.skipped) == ({}, [(1, WITHOUT_TEXT)])


def test_old_events_and_flattened_attributes_have_content_too() -> None:
    event = [
        {"name": "gen_ai.user.message", "attributes": [
            {"key": "content", "value": {"stringValue": "q1"}}]},
        {"name": "gen_ai.choice", "attributes": [
            {"key": "message", "value": {"stringValue": '{"content": "a1"}'}}]},
    ]  # fmt: skip
    events = {**chat(1, 2, 0, 1, 9, 9), "events": event}
    flattened = chat(
        2, 2, 5, 6, 9, 9, gen_ai__prompt__0__role="user", gen_ai__prompt__0__content="q2",
        gen_ai__completion__0__role="assistant", gen_ai__completion__0__tool_calls__0__name="find",
    )  # fmt: skip
    found = Gathered(gather, lines([
        request(span(1, 1, 0, 1, session__id="s"), events),
        request(span(2, 1, 5, 6, session__id="s"), flattened),
    ]))  # fmt: skip
    assert found.said("s") == [
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", ["find"]),
    ]


def test_a_failed_call_and_a_span_that_came_twice_are_named() -> None:
    failed = chat(1, 2, 0, 1, 0, 0, gen_ai__input__messages=[said("user", "q")])
    failed = {**failed, "status": {"code": 2, "message": "boom"}}
    root = span(1, 1, 0, 2, session__id="s")
    found = Gathered(gather, lines([request(root, failed), request(failed)]))
    assert found.said("s") == [("user", "q")]
    assert found.sessions["s"].notes == (TWICE, FAILED)


def test_what_is_no_span_is_named_with_its_line() -> None:
    good = request(span(1, 1, 0, 2), chat(1, 2, 0, 1, 9, 9,
                   gen_ai__input__messages=[said("user", "q")]))  # fmt: skip
    bad: list[Any] = [
        {**span(1, 1, 0, 1), "spanId": "xyz"},
        {**span(2, 1, 0, 1), "startTimeUnixNano": []},
    ]
    bad += [{**span(3, 1, 0, 1), "traceId": 5}, 7]
    text = lines([good, {"resourceLogs": []}, {"x": 1}, request(*bad)]) + "{\n[]\n"
    found = Gathered(gather, text.encode() + b'{"a": "\xff"}\n')
    assert sorted(found.skipped, key=lambda skipped: skipped[0] or 0) == [
        (2, LOGS), (3, NO_SPANS), (4, INVALID), (4, INVALID), (4, INVALID), (4, INVALID),
        (5, "not JSON"), (6, "not a JSON object"), (7, "not UTF-8"),
    ]  # fmt: skip
    assert len(found.sessions) == 1


def test_a_trace_of_more_spans_than_can_be_looked_through_is_cut_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chain of LLM calls, each within the one before; ten thousand take a minute to be made."""
    monkeypatch.setattr(file, "MOST_SPANS", 1_000)
    chain = [
        span(1, n, n, n + 1, n - 1, gen_ai__operation__name="chat", session__id="s",
             gen_ai__usage__input_tokens=5)
        for n in range(1, 1_004)
    ]  # fmt: skip
    found = Gathered(gather, lines([request(one) for one in chain]))
    cut = [(n, TOO_MANY) for n in range(1_001, 1_004)]
    assert (list(found.sessions), found.skipped) == (["s"], cut)


def test_what_is_nested_too_deeply_is_named() -> None:
    deep = "[" * 900 + "]" * 900
    answer = f'[{{"role": "assistant", "parts": [{{"type": "tool_call", "arguments": {deep}}}]}}]'
    said_so = chat(2, 2, 0, 1, 9, 9, gen_ai__input__messages=[said("user", "q")],
                   gen_ai__output__messages=answer)  # fmt: skip
    text = lines([request(span(1, 1, 0, 1))]).replace('"status": {}', f'"status": {deep}')
    text += lines([request(span(2, 1, 0, 1), said_so)]) + "[" * 5000 + "\n"
    found = Gathered(gather, text)
    assert found.sessions == {}
    assert sorted(found.skipped) == [(1, TOO_DEEP), (2, TOO_DEEP), (3, "not JSON")]


JUNK: list[Any] = [None, 5, True, "x", [], {}, [[1]], "{", '[{"role": 3}]', '{"messages": {}}',
    '[{"role": "user", "parts": [[], 1, {"type": {}}]}]', '[[["a"]]]', '{"kwargs": 1}']  # fmt: skip
KEYS = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "input.value",
    "llm.input_messages.0", "llm.input_messages.0.message", "gen_ai.prompt.0.role",
    "llm.input_messages.0.message.contents.0", "llm.output_messages.0.message.tool_calls.0",
    "gen_ai.prompt.0.tool_calls",
    "gen_ai.completion.99999999999999999999.role", "gen_ai.tool.call.result", "session.id",
    "langfuse.observation.input", "gcp.vertex.agent.llm_request", "traceloop.entity.input",
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_no_attribute_of_a_wrong_type_ends_the_import(key: str) -> None:
    for junk in JUNK:
        of = chat(1, 2, 0, 1, 9, 9, gen_ai__input__messages=[said("user", "q")])
        kinds = {str: "stringValue", bool: "boolValue", int: "intValue"}
        value = {kinds[type(junk)]: junk} if type(junk) in kinds else junk
        of["attributes"].append({"key": key, "value": value})
        Gathered(gather, lines([request(span(1, 1, 0, 1), of)]))
