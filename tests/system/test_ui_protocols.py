"""A real framework behind AG-UI and the AI SDK's stream, against what its LLM really served.

The history is the client's: a request carries all messages so far, so that the mock LLM follows a
recording to its end only if they come back as the agent sent them.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from profiler.cli.mock_process import mock_llm
from tests.system.agents.environment import HERE, running_agent
from tests.system.cli import agent_profiler, count_recorded, json_lines, load_json
from tests.system.stores import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAVEL = HERE / "travel.jsonl"
SESSIONS, TURNS = 12, 3
LLM_CALLS_A_SESSION, TOOLS_A_SESSION = 3 + 2 + 1, 4
NOT_TOLD = {
    "ag-ui": {"llm_calls", "attempts", "llm_time", "own_time"},
    "vercel-ai": {"input_tokens", "output_tokens", "attempts", "llm_time", "own_time"},
}

WORKLOAD = """
name: travel
target: {{protocol: {protocol}}}
load: {{users: 3, sessions: {sessions}}}
scenarios: [{{name: travel, {what}}}]
"""

OSLO = next(line for line in json_lines(TRAVEL) if line["id"] == "travel-oslo")["messages"]
CHECKED_TURNS = orjson.dumps(
    [
        {"user": user["content"], "check": {"regex": f"^{re.escape(reply['content'])}$"}}
        for user, reply in zip(
            [message for message in OSLO if message["role"] == "user"],
            [m for m in OSLO if m["role"] == "assistant" and m["content"]],
            strict=True,
        )
    ]
).decode()

pytestmark = [
    pytest.mark.system,
    pytest.mark.agents,
    pytest.mark.timeout(400),
]


class Agent:
    """An agent that speaks all the protocols, and what its LLM served."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.log, self._truth = folder / "agent.log", folder / "truth.jsonl"
        log = folder / "llm.log"
        announced = stack.enter_context(
            mock_llm(recordings=[TRAVEL], truth=self._truth, log=log, seed=1, speed=20)
        )
        redis = stack.enter_context(redis_server())
        url = stack.enter_context(
            running_agent(
                "pydantic_ai_ui",
                self.log,
                OPENAI_BASE_URL=announced["llm"],
                OPENAI_API_KEY="sk-none",
                REDIS_URL=redis.url,
            )
        )
        self.url = url.removesuffix("/chat")

    def served(self) -> list[dict[str, Any]]:
        return json_lines(self._truth)


@pytest.fixture(scope="module")
def agent(tmp_path_factory) -> Iterator[Agent]:
    with ExitStack() as stack:
        yield Agent(tmp_path_factory.mktemp("agent"), stack)


class Replayed:
    """All travel conversations, said to the agent in one protocol."""

    def __init__(self, folder: Path, protocol: str, agent: Agent) -> None:
        self.protocol, self._agent = protocol, agent
        before = len(agent.served())
        self._run(folder, "run", f"conversations: {TRAVEL}")
        self.truth = agent.served()[before:]
        self._run(folder, "checked", f"turns: {CHECKED_TURNS}")
        self.journal = json_lines(folder / "run" / "journal.jsonl")
        self.profile = load_json(folder / "run" / "profile.json")
        self.checked = load_json(folder / "checked" / "profile.json")

    def _run(self, folder: Path, name: str, what: str) -> None:
        workload = WORKLOAD.format(protocol=self.protocol, sessions=SESSIONS, what=what)
        (folder / f"{name}.yaml").write_text(workload)
        url = f"{self._agent.url}/{self.protocol}"
        options = ["--url", url, "--out", name, "-q"]
        done = agent_profiler("run", f"{name}.yaml", *options, cwd=folder)
        assert done.is_done, (done.err, self._agent.log.read_text()[-3000:])

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.journal if event["event"] == name]

    @property
    def interactions(self) -> list[dict[str, Any]]:
        return self.events("interaction")


@pytest.fixture(scope="module", params=sorted(NOT_TOLD))
def replayed(request, tmp_path_factory, agent) -> Replayed:
    return Replayed(tmp_path_factory.mktemp(request.param), request.param, agent)


def test_every_conversation_is_replayed_to_its_end(replayed):
    assert Counter(event["outcome"] for event in replayed.interactions) == {"ok": SESSIONS * TURNS}
    assert len(replayed.truth) == count_recorded(TRAVEL).llm_calls == SESSIONS * 6
    served = Counter(line["conversation"] for line in replayed.truth)
    assert set(served.values()) == {LLM_CALLS_A_SESSION}
    assert Counter(line["status"] for line in replayed.truth) == {200: len(replayed.truth)}


def test_the_replies_are_those_of_the_recording(replayed):
    assert replayed.checked["sample"]["succeeded"] == SESSIONS * TURNS


def test_tools_are_told_by_name_and_time(replayed):
    calls = replayed.events("tool_call")
    assert Counter(call["name"] for call in calls) == count_recorded(TRAVEL).tools
    assert len(calls) == SESSIONS * TOOLS_A_SESSION
    assert {call["outcome"] for call in calls} == {"ok"}
    # Where the harness was held up, both ends come at once: such a call has no time.
    slow = [
        c["end_ns"] - c["start_ns"] for c in calls if c["name"] == "get_weather" and "end_ns" in c
    ]
    assert slow
    fast = [c.get("end_ns", 0) - c.get("start_ns", 0) for c in calls if c["name"] == "save_note"]
    assert median(slow) > median(fast)  # one sleeps for 20 ms, the other is one write to Redis
    tool_calls = replayed.profile["interaction"]["tool_calls"]
    assert (tool_calls["source"], tool_calls["coverage"]) == ("response", 1)
    assert (tool_calls["mean"], tool_calls["min"]) == (TOOLS_A_SESSION / TURNS, 0)


def test_what_the_protocol_tells_of_llm_calls_is_what_the_llm_served(replayed):
    measured = replayed.profile["interaction"]
    if replayed.protocol == "ag-ui":
        for name, told in (("input_tokens", "prompt"), ("output_tokens", "completion")):
            reported = [event["usage"][name] for event in replayed.interactions]
            assert sum(reported) == sum(line[f"{told}_tokens"] for line in replayed.truth)
            assert (measured[name]["source"], measured[name]["coverage"]) == ("client", 1)
    else:
        calls = replayed.events("llm_call")
        assert Counter(call["outcome"] for call in calls) == {"ok": len(replayed.truth)}
        asked = Counter(tuple(call["tool_calls"]) for call in calls)
        assert asked == Counter(tuple(line["tool_calls"]) for line in replayed.truth)
        assert measured["llm_calls"]["mean"] == LLM_CALLS_A_SESSION / TURNS
        assert measured["llm_calls"]["coverage"] == 1


def test_what_the_protocol_does_not_tell_is_absent_and_not_zero(replayed):
    assert not NOT_TOLD[replayed.protocol] & set(replayed.profile["interaction"])


def test_the_first_token_is_seen_before_the_end(replayed):
    for event in replayed.interactions:
        assert event["first_byte_ns"] <= event["first_token_ns"] <= event["last_token_ns"]
        assert event["last_token_ns"] <= event["end_ns"]
