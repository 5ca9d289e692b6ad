"""Three real frameworks, watched from every side at once, against what their LLM really served.

Each agent has two tools and keeps its history and notes in a real Redis; its LLM is the mock LLM,
behind the gateway. What is expected of a conversation is counted in its recording.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from profiler.cli.mock_process import mock_llm
from tests.system.agents.environment import HERE, running_agent
from tests.system.cli import Done, agent_profiler, count_recorded, json_lines, load_json
from tests.system.stores import free_port, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMEWORKS = ["pydantic_ai", "openai_agents", "langgraph"]
TRAVEL = HERE / "travel.jsonl"
SESSIONS, TURNS, WARMUP = 6, 3, 2
CALLS_OF_TURN = (3, 2, 1)  # LLM calls of a travel conversation, turn by turn
KEY = "sk-canary-0123456789abcdef"

WORKLOAD = """
name: travel
target:
  protocol: http-json
  http_json:
    body: {{session_id: "{{{{ session_id }}}}", message: "{{{{ user }}}}"}}
    reply: reply
load: {load}
scenarios: [{{name: travel, {what}}}]
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.agents,
    pytest.mark.timeout(400),
]


class Scene:
    """An agent with all that it needs, and a place to run it from."""

    def __init__(self, folder: Path, framework: str, stack: ExitStack, *, traced: bool) -> None:
        self.folder = folder
        self.truth = folder / "truth.jsonl"
        self.gateway, self.otlp = free_port(), free_port()
        self.traced = traced
        self.redis = stack.enter_context(redis_server())
        log = folder / "llm.log"
        self.runs = 0
        announced = stack.enter_context(
            mock_llm(recordings=[TRAVEL], truth=self.truth, log=log, seed=1, speed=20)
        )
        self.llm: str = announced["llm"]
        tracing = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.otlp}",
            "PROPAGATE": "1",
        }
        self.url = stack.enter_context(
            running_agent(
                framework,
                folder / "agent.log",
                OPENAI_BASE_URL=f"http://127.0.0.1:{self.gateway}/v1",
                OPENAI_API_KEY=KEY,
                REDIS_URL=self.redis.url,
                **(tracing if traced else {}),
            )
        )

    def run(self, load: str, what: str = f"conversations: {TRAVEL}") -> Done:
        self.runs += 1
        self.served_before = len(json_lines(self.truth))
        (self.folder / "w.yaml").write_text(WORKLOAD.format(load=load, what=what))
        options = ["--url", self.url, "--out", self.out.name, "-q"]
        options += ["--gateway", f"127.0.0.1:{self.gateway}", "--upstream", self.llm]
        if self.traced:
            options += ["--otlp", f"127.0.0.1:{self.otlp}", "--state", self.redis.url]
        return agent_profiler("run", "w.yaml", *options, cwd=self.folder)

    @property
    def out(self) -> Path:
        """Where the last run is."""
        return self.folder / f"run-{self.runs}"

    @property
    def served(self) -> list[dict[str, Any]]:
        """What the LLM served in the last run."""
        return json_lines(self.truth)[self.served_before :]

    @property
    def journal(self) -> list[dict[str, Any]]:
        return json_lines(self.out / "journal.jsonl")

    def events(self, name: str, observer: str | None = None) -> list[dict[str, Any]]:
        return [
            event
            for event in self.journal
            if event["event"] == name and observer in (None, event.get("observer"))
        ]


@contextmanager
def scene(folder: Path, framework: str, *, traced: bool) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(folder, framework, stack, traced=traced)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def watched(request, tmp_path_factory) -> Scene:
    """Run one framework with all four observers on."""
    folder = tmp_path_factory.mktemp(request.param)
    with scene(folder, request.param, traced=True) as made:
        done = made.run(f"{{users: 3, sessions: {SESSIONS}, warmup: {WARMUP}}}")
        assert done.is_done, (done.err, (folder / "agent.log").read_text()[-3000:])
    return made


def tokens(events: list[dict[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for event in events:
        usage = event.get("usage") or {}
        total["calls"] += 1
        for name in ("input_tokens", "output_tokens", "cached_input_tokens"):
            total[name] += usage.get(name) or 0
    return total


def test_the_gateway_sees_exactly_what_the_provider_served(watched):
    served = Counter[str]()
    for line in watched.served:
        served["calls"] += 1
        served["input_tokens"] += line["prompt_tokens"]
        served["output_tokens"] += line["completion_tokens"]
        served["cached_input_tokens"] += line["cached_tokens"]
    assert tokens(watched.events("llm_call", "gateway")) == served


def test_the_calls_are_those_of_the_recordings(watched):
    recorded = count_recorded(TRAVEL)
    profile = load_json(watched.out / "profile.json")
    assert profile["sample"]["interactions"] == SESSIONS * TURNS
    assert recorded.llm_calls == 12 * sum(CALLS_OF_TURN)
    llm_calls = profile["interaction"]["llm_calls"]
    assert llm_calls["source"] == "gateway"
    assert llm_calls["mean"] == pytest.approx(sum(CALLS_OF_TURN) / TURNS)
    assert llm_calls["max"] == max(CALLS_OF_TURN)
    assert llm_calls["coverage"] == 1


def by_trace(events: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        grouped.setdefault(event["trace_id"], []).append(event)
    return {trace_id: tokens(group) for trace_id, group in grouped.items()}


def test_spans_and_gateway_agree_on_every_interaction(watched):
    gateway = by_trace(watched.events("llm_call", "gateway"))
    otel = by_trace(watched.events("llm_call", "otel"))
    assert set(gateway) == {event["trace_id"] for event in watched.events("interaction")}
    assert otel == gateway


def test_tools_are_seen_by_name_and_time(watched):
    seen = watched.events("tool_call", "otel")
    sessions = SESSIONS + len(
        {e["session"] for e in watched.events("interaction") if e["phase"] == "warmup"}
    )
    names = Counter(event["name"] for event in seen)
    # Two of each a session; a session of the warm-up may have been cut after any turn.
    assert 2 * SESSIONS <= names["get_weather"] <= 2 * sessions
    assert set(names) == {"get_weather", "save_note"}
    weather_s = [
        (event["end_ns"] - event["start_ns"]) / 1e9
        for event in seen
        if event["name"] == "get_weather"
    ]
    assert min(weather_s) >= 0.02  # it sleeps so long
    gateway_tools = watched.events("tool_call", "gateway")
    assert gateway_tools == []
    round_trips = watched.events("tool_round_trip", "gateway")
    assert sum(len(trip["tools"]) for trip in round_trips) == len(seen)


def test_redis_and_spans_agree_on_reads_and_writes(watched):
    (delta,) = watched.events("state_delta")
    spans: Counter[str] = Counter()
    for event in watched.events("state_op", "otel"):
        spans[event["kind"]] += event["count"]
    interactions = watched.events("interaction")
    assert delta["reads"] == len(interactions)  # one GET each
    assert (delta["reads"], delta["writes"]) == (spans["read"], spans["write"])
    assert delta.get("void_reason") is None


def test_the_key_of_the_provider_is_nowhere(watched):
    for file in watched.out.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


@pytest.fixture(
    scope="module",
    params=[
        "pydantic_ai",
        *(pytest.param(each, marks=pytest.mark.long) for each in FRAMEWORKS[1:]),
    ],
)
def untraced(request, tmp_path_factory) -> Iterator[Scene]:
    """Keep one framework going, for the runs of which nothing but the gateway tells."""
    with scene(tmp_path_factory.mktemp(request.param), request.param, traced=False) as made:
        yield made


def test_twelve_at_once_without_traces_are_told_apart_by_what_they_say(untraced):
    made = untraced
    done = made.run("{users: 12, sessions: 12, warmup: 0}")
    assert done.is_done, (done.err, (made.folder / "agent.log").read_text()[-3000:])
    calls = made.events("llm_call", "gateway")
    assert Counter(call["attribution"] for call in calls).keys() <= {"tool_chain", "user_text"}
    of_trace = Counter(call["trace_id"] for call in calls)
    conversation_of = {e["trace_id"]: e["conversation"] for e in made.events("interaction")}
    for event in made.events("interaction"):
        assert of_trace[event["trace_id"]] == CALLS_OF_TURN[event["turn"]]
    served: Counter[str] = Counter()
    for line in made.served:
        served[line["conversation"]] += line["prompt_tokens"]
    attributed: Counter[str] = Counter()
    for call in calls:
        attributed[conversation_of[call["trace_id"]]] += call["usage"]["input_tokens"]
    assert attributed == served


def test_those_who_say_the_same_are_not_guessed(untraced):
    made = untraced
    turn = "turns: [{user: 'How is the weather in Oslo? Then note that I like it.'}]"
    done = made.run("{users: 12, sessions: 12, warmup: 0}", turn)
    assert done.is_done, done.err
    calls = made.events("llm_call", "gateway")
    assert len(calls) == len(made.served)
    ambiguous = [call for call in calls if call["attribution"] == "ambiguous"]
    assert len(ambiguous) >= 11  # only who came when nobody else was there could be told
    assert {call["trace_id"] for call in ambiguous} == {""}
    notes = {event["kind"]: event for event in made.events("observer_note", "gateway")}
    assert notes["ambiguous"]["count"] == len(ambiguous)
    assert json.dumps(load_json(made.out / "profile.json")["observers"]["gateway"])
