"""Agents whose protocols are described and not coded, against what their LLM really served.

Google ADK's API server is one that ships described; a service of the OpenAI Agents SDK behind
FastAPI is described by its workload, as a user would.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest

from profiler.cli.mock_process import mock_llm
from tests.system.agents.environment import HERE, running_agent
from tests.system.cli import agent_profiler, count_recorded, json_lines, load_json
from tests.system.servers import Relay, relaying, response, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAVEL = HERE / "travel.jsonl"
SESSIONS, TURNS = 12, 3
LLM_CALLS_A_SESSION, TOOLS_A_SESSION = 3 + 2 + 1, 4
NOT_TOLD = {"attempts", "llm_time", "own_time", "state_reads", "system_tokens"}

WORKLOAD = """
name: travel
target:
{target}
load: {{users: {users}, sessions: {sessions}}}
scenarios: [{{name: travel, {what}}}]
"""
ADK = """
  protocol: google-adk
  stream: {stream}
  google_adk: {{app: traveller}}
"""
AGENTS_SDK = """
  protocol: http-json
  http_json:
    body: {message: "{{ user }}", conversation: "{{ session_id }}"}
    events:
      session_id: {when: {event: conversation}, value: id}
      text: {when: {path: type, equals: response.output_text.delta}, value: delta}
      reply: {when: {event: done}, value: output}
      llm_end:
        when: {event: raw_response_event, path: type, equals: response.completed}
        model: response.model
        tool_calls: response.output[?type == 'function_call'].name
        usage:
          input_tokens: response.usage.input_tokens
          output_tokens: response.usage.output_tokens
          cached_input_tokens: response.usage.input_tokens_details.cached_tokens
          reasoning_tokens: response.usage.output_tokens_details.reasoning_tokens
      tool_start:
        when: {event: run_item_stream_event, path: name, equals: tool_called}
        id: item.call_id
        name: item.name
      tool_end:
        when: {path: name, in: [tool_output]}
        id: item.call_id
      final: {when: {event: done}}
      error: {when: {event: error}, message: message}
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
    pytest.mark.timeout(600),
]


class Service(NamedTuple):
    """An agent to run, and the `target` that describes it."""

    agent: str
    within: str
    target: str
    streams: bool = True


SERVICES = {
    "adk-stream": Service("google_adk", ".venv-agents-adk", ADK.format(stream="true")),
    "adk-plain": Service("google_adk", ".venv-agents-adk", ADK.format(stream="false"), False),
    "agents-sdk": Service("openai_agents_stream", ".venv-agents", AGENTS_SDK),
}
IN_LONG = {"adk-plain"}
"""What `make test-long` runs, beside a form of the same server that streams."""


class Agent(NamedTuple):
    """An agent that runs: seconds of processor time, so that every test has the same one.

    Its LLM is behind a relay, which says who that is: the mock LLM, until a test names another.
    """

    folder: Path
    service: Service
    url: str
    llm: Relay
    truth: Path


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.long] if name in IN_LONG else []) for name in SERVICES
    ],
)
def agent(request, tmp_path_factory) -> Iterator[Agent]:
    folder, service = tmp_path_factory.mktemp(request.param), SERVICES[request.param]
    truth, log = folder / "truth.jsonl", folder / "llm.log"
    with (
        mock_llm(recordings=[TRAVEL], truth=truth, log=log, seed=1, speed=20) as llm,
        relaying(llm["llm"]) as relay,
        running(folder, service, relay.url + "/v1") as url,
    ):
        yield Agent(folder, service, url, relay, truth)


class Replayed:
    """All travel conversations, said one by one so that it is known who caused an LLM call."""

    def __init__(self, agent: Agent) -> None:
        folder, self.service = agent.folder, agent.service
        run(agent, "run", f"conversations: {TRAVEL}", users=1)
        self.truth = json_lines(agent.truth)
        run(agent, "checked", f"turns: {CHECKED_TURNS}", users=3)
        self.journal = json_lines(folder / "run" / "journal.jsonl")
        self.profile = load_json(folder / "run" / "profile.json")
        self.checked = load_json(folder / "checked" / "profile.json")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.journal if event["event"] == name]

    @property
    def interactions(self) -> list[dict[str, Any]]:
        return self.events("interaction")

    def served(self) -> Iterator[list[dict[str, Any]]]:
        """Yield what the LLM served for each interaction: a chat ends with a call without tools."""
        calls: list[dict[str, Any]] = []
        for line in self.truth:
            calls.append(line)
            if not line["tool_calls"]:
                yield calls
                calls = []
        assert not calls


def running(folder: Path, service: Service, llm: str) -> Any:
    settings = {"OPENAI_BASE_URL": llm, "OPENAI_API_KEY": "sk-none"}
    settings["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    return running_agent(service.agent, folder / "agent.log", within=service.within, **settings)


def run(agent: Agent, name: str, what: str, *, users: int, sessions: int = SESSIONS) -> None:
    folder, service = agent.folder, agent.service
    text = WORKLOAD.format(target=service.target, users=users, sessions=sessions, what=what)
    (folder / f"{name}.yaml").write_text(text)
    url = agent.url if service.target == AGENTS_SDK else agent.url.removesuffix("/chat")
    done = agent_profiler("run", f"{name}.yaml", "--url", url, "--out", name, "-q", cwd=folder)
    assert done.is_done, (done.err, (folder / "agent.log").read_text()[-3000:])


@pytest.fixture(scope="module")
def replayed(agent) -> Replayed:
    return Replayed(agent)


def test_every_conversation_is_replayed_to_its_end(replayed):
    assert Counter(event["outcome"] for event in replayed.interactions) == {"ok": SESSIONS * TURNS}
    assert len(replayed.truth) == count_recorded(TRAVEL).llm_calls == SESSIONS * 6
    served = Counter(line["conversation"] for line in replayed.truth)
    assert set(served.values()) == {LLM_CALLS_A_SESSION}


def test_the_replies_are_those_of_the_recording(replayed):
    assert replayed.checked["sample"]["succeeded"] == SESSIONS * TURNS


def test_each_interactions_llm_calls_are_those_that_the_llm_served(replayed):
    told: dict[str, list[Any]] = {event["trace_id"]: [] for event in replayed.interactions}
    for call in replayed.events("llm_call"):
        assert call["outcome"] == "ok"
        usage = call["usage"]
        tokens = usage["input_tokens"], usage["output_tokens"], usage["cached_input_tokens"]
        told[call["trace_id"]].append((call["model"], *tokens, call["tool_calls"]))
    served = [
        [
            (
                call["model"],
                *(call["prompt_tokens"], call["completion_tokens"], call["cached_tokens"]),
                call["tool_calls"],
            )
            for call in calls
        ]
        for calls in replayed.served()
    ]
    assert list(told.values()) == served


def test_each_interactions_tools_are_those_that_the_llm_asked_for(replayed):
    told: dict[str, list[str]] = {event["trace_id"]: [] for event in replayed.interactions}
    for call in replayed.events("tool_call"):
        assert call["outcome"] == "ok"
        told[call["trace_id"]].append(call["name"])
    served = [
        [name for call in calls for name in call["tool_calls"]] for calls in replayed.served()
    ]
    assert list(map(sorted, told.values())) == list(map(sorted, served))
    assert (
        Counter(name for names in told.values() for name in names) == count_recorded(TRAVEL).tools
    )


def test_tools_are_timed_where_a_stream_shows_their_begin_and_end(replayed):
    durations: dict[str, list[int]] = {"get_weather": [], "save_note": []}
    for call in replayed.events("tool_call"):
        assert ("start_ns" in call) == ("end_ns" in call)
        if "start_ns" in call:
            durations[call["name"]].append(call["end_ns"] - call["start_ns"])
    if replayed.service.streams:
        assert median(durations["get_weather"]) >= 20e6 * 0.9  # it sleeps for 20 ms
    else:
        assert durations == {"get_weather": [], "save_note": []}


def test_what_the_profile_says_of_an_interaction_is_what_the_llm_served(replayed):
    measured = replayed.profile["interaction"]
    expected = {
        "llm_calls": LLM_CALLS_A_SESSION / TURNS,
        "tool_calls": TOOLS_A_SESSION / TURNS,
        "input_tokens": sum(line["prompt_tokens"] for line in replayed.truth) / (SESSIONS * TURNS),
        "output_tokens": sum(line["completion_tokens"] for line in replayed.truth)
        / (SESSIONS * TURNS),
    }
    for name, mean in expected.items():
        assert measured[name]["mean"] == pytest.approx(mean, rel=1e-9)
        assert (measured[name]["source"], measured[name]["coverage"]) == ("response", 1)


def test_what_the_protocol_does_not_tell_is_absent_and_not_zero(replayed):
    measured = set(replayed.profile["interaction"])
    assert not NOT_TOLD & measured
    assert ("time_to_first_token" in measured) == replayed.service.streams
    assert ("tool_time" in measured) == replayed.service.streams


def test_the_first_token_is_seen_before_the_end(replayed):
    for event in replayed.interactions:
        assert ("first_token_ns" in event) == replayed.service.streams
        if replayed.service.streams:
            assert event["first_byte_ns"] <= event["first_token_ns"] <= event["last_token_ns"]
            assert event["last_token_ns"] <= event["end_ns"]


def test_an_llm_that_fails_is_the_agents_error_inside_a_200(agent):
    async def refuse(writer) -> bool:
        body = b'{"error":{"message":"the model is on strike","type":"server_error"}}'
        writer.write(response(body, "500 Internal Server Error"))
        return True

    with serving(refuse) as llm, agent.llm.to(llm):
        run(agent, "failed", "turns: [{user: hi}]", users=1, sessions=2)
    streams = agent.service.streams
    outcome, kind = ("agent_error", "error_in_stream") if streams else ("http_5xx", "http_500")
    status = 200 if streams else 500
    events = json_lines(agent.folder / "failed" / "journal.jsonl")
    interactions = [event for event in events if event["event"] == "interaction"]
    assert len(interactions) == 2
    for event in interactions:
        assert (event["outcome"], event["error_kind"], event["http_status"]) == (
            outcome,
            kind,
            status,
        )
        if status == 200:
            assert "the model is on strike" in event["error_detail"]


@pytest.mark.parametrize("agent", ["adk-stream"], indirect=True)
def test_an_adk_app_that_is_not_there_is_a_404_that_names_it(agent):
    target = agent.service.target.replace("traveller", "traveler")
    service = agent.service._replace(target=target)
    run(agent._replace(service=service), "lost", "turns: [{user: hi}]", users=1, sessions=1)
    events = json_lines(agent.folder / "lost" / "journal.jsonl")
    (event,) = (event for event in events if event["event"] == "interaction")
    assert (event["outcome"], event["error_kind"]) == ("http_4xx", "http_404")
    assert "traveler" in event["error_detail"]
