"""OpenAI Responses and Anthropic Messages as a real server speaks them: LiteLLM's proxy.

Behind it is the mock LLM, whose truth log says what each answer was. Facts of LiteLLM (1.106) that
the tests hold fast:

- Without a database it takes a `previous_response_id` and forgets the conversation, with a 200.
- A stream of messages begins with a usage that is all zeros; the last one is the true one.
- Where its backend tells no usage, it counts tokens itself in a stream, and says 0 in a plain
  answer.
- A message without cached tokens has no word of a cache.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest

from profiler.cli.mock_process import mock_llm
from tests.system.agents.environment import running_litellm
from tests.system.cli import agent_profiler, json_lines, load_json, total
from tests.system.servers import response, serving

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

# `make test-long` runs it: its environment alone takes a minute and a half to install.
pytestmark = [
    pytest.mark.system,
    pytest.mark.agents,
    pytest.mark.long,
    pytest.mark.timeout(600),
]

SESSIONS, TURNS = 6, 3
CITIES = ("Paris", "Oslo", "Lima")
WORDS = ("harbours", "bridges", "markets", "museums", "gardens", "and", "the", "old", "station")
STRIKE = "the model is on strike"
CHUNK = b"data: " + orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "It is "}, "finish_reason": None}
        ],
    }
)


class Way(NamedTuple):
    """One way to ask the proxy."""

    protocol: str
    path: str
    stream: bool
    more: dict[str, Any]


RESEND = {"openai_responses": {"state": "resend"}}
WAYS = {
    "responses-stream": Way("openai-responses", "/v1/responses", True, RESEND),
    "responses-plain": Way("openai-responses", "/v1/responses", False, RESEND),
    "messages-stream": Way("anthropic-messages", "/v1/messages", True, {}),
    "messages-plain": Way("anthropic-messages", "/v1/messages", False, {}),
}


def prose(words: int) -> str:
    return " ".join(WORDS[number % len(WORDS)] for number in range(words))


def conversation(city: str) -> list[tuple[str, str]]:
    """Return what is asked and answered. From the second turn on the mock LLM's cache counts."""
    return [
        (f"{city}, {turn}: I know of {prose(900 - 400 * turn)}", f"«{city}» {turn}: {prose(150)}.")
        for turn in range(TURNS)
    ]


def recorded(city: str) -> bytes:
    messages = [
        {"role": role, "content": text}
        for turn in conversation(city)
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return orjson.dumps({"id": city, "messages": messages})


SCENARIOS = [
    {
        "name": city,
        "turns": [
            {"user": user, "check": {"regex": f"^{re.escape(reply)}$"}}
            for user, reply in conversation(city)
        ],
    }
    for city in CITIES
]


class Proxy:
    """LiteLLM's proxy with the mock LLM, and backends that fail it, behind it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.key = f"sk-{secrets.token_hex(16)}"
        self.truth, recordings = folder / "truth.jsonl", folder / "recordings.jsonl"
        recordings.write_bytes(b"\n".join(map(recorded, CITIES)))
        log = folder / "llm.log"
        llm = stack.enter_context(
            mock_llm(recordings=[recordings], truth=self.truth, log=log, seed=1, speed=20)
        )
        others = {
            name: stack.enter_context(serving(answer)).removesuffix("/chat/completions")
            for name, answer in BACKENDS.items()
        }
        self.log = folder / "litellm.log"
        self.url = stack.enter_context(
            running_litellm(folder, self.log, key=self.key, agent=llm["llm"], **others)
        )

    def run(
        self,
        folder: Path,
        way: Way,
        scenarios: list[dict[str, Any]],
        model: str,
        *,
        key: str | None = None,
        **load: int,
    ) -> Ran:
        target = {
            "url": self.url + way.path,
            "protocol": way.protocol,
            "stream": way.stream,
            "model": model,
            "headers": {"authorization": "Bearer ${PROXY_KEY}"},
            **way.more,
        }
        workload = {"name": "cities", "target": target, "load": load, "scenarios": scenarios}
        (folder / "cities.yaml").write_bytes(orjson.dumps(workload))
        before = len(json_lines(self.truth)) if self.truth.exists() else 0
        arguments = ("run", "cities.yaml", "--out", "run", "-q")
        done = agent_profiler(*arguments, cwd=folder, PROXY_KEY=key or self.key)
        assert done.is_done, (done.err, self.log.read_text()[-3000:])
        served = json_lines(self.truth)[before:] if self.truth.exists() else []
        return Ran(folder / "run", way, served)


class Ran:
    """A run that has ended, and what the mock LLM served in it."""

    def __init__(self, folder: Path, way: Way, served: list[dict[str, Any]]) -> None:
        self.way, self.served = way, served
        self.events = json_lines(folder / "journal.jsonl")
        self.interactions = [event for event in self.events if event["event"] == "interaction"]
        self.profile = load_json(folder / "profile.json")


async def strike(writer: asyncio.StreamWriter) -> bool:
    body = orjson.dumps({"error": {"message": STRIKE, "type": "server_error"}})
    writer.write(response(body, "500 Internal Server Error"))
    return True


async def break_off(writer: asyncio.StreamWriter) -> bool:
    """Begin a stream, and close the connection within it."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    data = CHUNK + b"\n\n"
    writer.write(head + f"{len(data):x}\r\n".encode() + data + b"\r\n")
    return False


async def silent(writer: asyncio.StreamWriter) -> bool:
    """Answer without a usage."""
    writer.write(response())
    return True


async def silent_stream(writer: asyncio.StreamWriter) -> bool:
    """Say "It is It is " without a usage."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    last = CHUNK.replace(b'"finish_reason":null', b'"finish_reason":"stop"')
    writer.write(head + CHUNK + b"\n\n" + last + b"\n\ndata: [DONE]\n\n")
    return False


BACKENDS = {
    "striking": strike,
    "breaking": break_off,
    "silent": silent,
    "silent_stream": silent_stream,
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory) -> Iterator[Proxy]:
    with ExitStack() as stack:
        yield Proxy(tmp_path_factory.mktemp("litellm"), stack)


@pytest.fixture(scope="module", params=WAYS)
def ran(request, proxy: Proxy, tmp_path_factory) -> Ran:
    """One session after the other, so that it is known what the LLM served for each turn."""
    folder = tmp_path_factory.mktemp(request.param)
    way = WAYS[request.param]
    return proxy.run(folder, way, SCENARIOS, "agent", users=1, sessions=SESSIONS)


def test_every_turn_succeeds_and_says_what_the_llm_said(ran):
    # each turn has a check that its reply is the recorded one, letter by letter
    assert Counter(event["outcome"] for event in ran.interactions) == {"ok": SESSIONS * TURNS}
    assert ran.profile["sample"]["succeeded"] == SESSIONS * TURNS
    assert [event["scenario"] for event in ran.interactions] == [
        line["conversation"] for line in ran.served
    ]


def test_each_turns_tokens_are_those_that_the_llm_counted(ran):
    told = [
        (event["usage"]["input_tokens"], event["usage"]["output_tokens"])
        for event in ran.interactions
    ]
    assert told == [(line["prompt_tokens"], line["completion_tokens"]) for line in ran.served]


def test_cached_tokens_are_told_as_far_as_the_server_tells_them(ran):
    cached = [line["cached_tokens"] for line in ran.served]
    assert 0 < cached.count(0) < len(cached)
    told = [event["usage"].get("cached_input_tokens") for event in ran.interactions]
    is_silent = ran.way.protocol == "anthropic-messages"
    assert told == [None if is_silent and tokens == 0 else tokens for tokens in cached]


def test_the_profile_adds_up_to_what_the_llm_served(ran):
    measured = ran.profile["interaction"]
    for name, key in {"input_tokens": "prompt", "output_tokens": "completion"}.items():
        assert total(measured[name]) == sum(line[f"{key}_tokens"] for line in ran.served)
        assert (measured[name]["source"], measured[name]["coverage"]) == ("client", 1)


def test_llm_and_tool_calls_are_absent_and_not_zero(ran):
    assert not {"llm_calls", "tool_calls", "llm_time", "tool_time"} & set(
        ran.profile["interaction"]
    )
    assert not {"llm_call", "tool_call"} & {event["event"] for event in ran.events}
    assert ran.profile["llm_call"] == {}


def test_the_first_token_is_seen_in_a_stream_only(ran):
    for event in ran.interactions:
        assert ("first_token_ns" in event) == ran.way.stream
        if ran.way.stream:
            assert event["first_token_ns"] <= event["last_token_ns"] <= event["end_ns"]
    if ran.way.stream:  # a harness that was held up reads all of an answer at once
        assert any(e["first_token_ns"] < e["last_token_ns"] for e in ran.interactions)


@pytest.mark.parametrize("stream", [True, False])
def test_without_a_database_the_proxy_forgets_what_a_previous_response_was(proxy, tmp_path, stream):
    way = WAYS["responses-stream"]._replace(stream=stream, more={})
    scenarios = [
        {"name": city, "turns": [{"user": user} for user, _ in conversation(city)]}
        for city in CITIES
    ]
    ran = proxy.run(tmp_path, way, scenarios, "agent", users=1, sessions=2)
    assert Counter(event["outcome"] for event in ran.interactions) == {"ok": 2 * TURNS}
    told = [event["usage"]["input_tokens"] for event in ran.interactions]
    assert told == [line["prompt_tokens"] for line in ran.served]
    # the adapter names the answer before; what comes to the LLM is the new message alone
    assert all(line["parts"]["history"] == 0 for line in ran.served)
    assert [line["conversation"] is None for line in ran.served] == [False, True, True] * 2


@pytest.mark.parametrize("name", WAYS)
def test_an_llm_that_fails_is_an_error(proxy, tmp_path, name):
    scenarios = [{"name": "s", "turns": [{"user": "hi"}]}]
    ran = proxy.run(tmp_path, WAYS[name], scenarios, "striking", users=1, sessions=2)
    assert len(ran.interactions) == 2
    for event in ran.interactions:
        assert (event["outcome"], event["error_kind"]) == ("http_5xx", "http_500")
        assert event["http_status"] == 500
        assert STRIKE in event["error_detail"]
        assert "usage" not in event


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.stream])
def test_an_llm_that_breaks_off_within_its_stream_is_an_error(proxy, tmp_path, name):
    scenarios = [{"name": "s", "turns": [{"user": "hi"}]}]
    ran = proxy.run(tmp_path, WAYS[name], scenarios, "breaking", users=1, sessions=2)
    assert len(ran.interactions) == 2
    for event in ran.interactions:
        assert (event["outcome"], event["error_kind"]) == ("agent_error", "error_in_stream")
        assert event["http_status"] == 200
        assert "payload is not completed" in event["error_detail"]
        assert "usage" not in event  # the zeros that the messages begin with are no tokens


@pytest.mark.parametrize("name", WAYS)
def test_what_a_silent_llm_took_is_the_proxys_own_count_in_a_stream_and_zero_else(
    proxy, tmp_path, name
):
    scenarios = [{"name": "s", "turns": [{"user": "hi"}]}]
    model = "silent_stream" if WAYS[name].stream else "silent"
    ran = proxy.run(tmp_path, WAYS[name], scenarios, model, users=1, sessions=2)
    assert Counter(event["outcome"] for event in ran.interactions) == {"ok": 2}
    # by OpenAI's rule: 3 for a message, 1 for its role, 1 for "hi", 3 for the answer's begin; and
    # "It", " is", " It", " is", " "
    expected = (8, 5) if WAYS[name].stream else (0, 0)
    for event in ran.interactions:
        assert (event["usage"]["input_tokens"], event["usage"]["output_tokens"]) == expected


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
def test_a_key_that_the_proxy_does_not_know_is_refused(proxy, tmp_path, path):
    way = next(way for way in WAYS.values() if way.path == path)
    scenarios = [{"name": "s", "turns": [{"user": "hi"}]}]
    ran = proxy.run(tmp_path, way, scenarios, "agent", key="sk-another", users=1, sessions=1)
    (event,) = ran.interactions
    # not 401: it would look the key up, in the database that it does not have
    assert (event["outcome"], event["error_kind"]) == ("http_4xx", "http_400")
    assert event["error_detail"] == "No connected db."
    assert ran.served == []
