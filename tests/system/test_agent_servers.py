"""LangGraph's and A2A's own servers, spoken to in their protocols, against what their LLM served.

The servers keep the conversations: an agent that were not told which one goes on would not follow
the recordings, and the mock LLM would serve other calls.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from contextlib import ExitStack
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import orjson
import pytest

from profiler.cli.mock_process import mock_llm
from tests.system.agents.environment import HERE, running_agent, running_langgraph
from tests.system.cli import agent_profiler, json_lines, load_json
from tests.system.stores import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAVEL = HERE / "travel.jsonl"
CONVERSATIONS = {line["id"]: line["messages"] for line in json_lines(TRAVEL)}
SESSIONS, TURNS = len(CONVERSATIONS), 3
REPLAY = f"conversations: {TRAVEL}"
STREAM_OR_LONG = ["true", pytest.param("false", marks=pytest.mark.long)]
# In `make test` each version and way once, and each form where it matters; all twelve in
# `make test-long`.
A2A_TWO = [("artifact", "1.0", "true"), ("message", "0.3", "false")]
A2A_THREE = [*A2A_TWO, ("input", "0.3", "true")]


def a2a_forms(short: list[tuple[str, str, str]]) -> list[Any]:
    return [
        pytest.param(*form, marks=[] if form in short else pytest.mark.long)
        for form in product(("artifact", "message", "input"), ("1.0", "0.3"), ("true", "false"))
    ]


NOT_IN_A2A = {"llm_calls", "tool_calls", "attempts", "input_tokens", "output_tokens"}
NOT_IN_A2A |= {"cached_input_tokens", "reasoning_tokens", "llm_time", "tool_time", "own_time"}

WORKLOAD = """
name: travel
target: {{url: "{url}", stream: {stream}, {target}}}
load: {{users: 4, sessions: {sessions}}}
scenarios: [{{name: travel, {what}}}]
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.agents,
    pytest.mark.timeout(400),
]


def recorded_turns(conversation: str) -> list[list[dict[str, Any]]]:
    """Return the messages of the agent, turn by turn."""
    turns: list[list[dict[str, Any]]] = []
    for message in CONVERSATIONS[conversation]:
        if message["role"] == "user":
            turns.append([])
        elif turns:
            turns[-1].append(message)
    return turns


def llm_calls_in(turn: list[dict[str, Any]]) -> int:
    return sum(message["role"] == "assistant" for message in turn)


def tools_in(turn: list[dict[str, Any]]) -> Counter[str]:
    return Counter(
        call["function"]["name"] for message in turn for call in message.get("tool_calls", ())
    )


LLM_CALLS = {name: sum(map(llm_calls_in, recorded_turns(name))) for name in CONVERSATIONS}


def checked_turns(conversation: str) -> str:
    """Return a conversation as turns whose replies must be the recorded ones, to the letter."""
    users = [m["content"] for m in CONVERSATIONS[conversation] if m["role"] == "user"]
    replies = [turn[-1]["content"] for turn in recorded_turns(conversation)]
    turns = [
        {"user": user, "check": {"regex": rf"\A{re.escape(reply)}\Z"}}
        for user, reply in zip(users, replies, strict=True)
    ]
    return f"turns: {orjson.dumps(turns).decode()}"


class Run:
    """One run against a server, and what the LLM served meanwhile."""

    def __init__(self, folder: Path, journal: str, truth: list[dict[str, Any]]) -> None:
        self.events = json_lines(folder / journal / "journal.jsonl")
        self.interactions = self.of("interaction")
        self.profile = load_json(folder / journal / "profile.json")
        self.metrics = self.profile["interaction"]
        self.truth = truth

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(event["outcome"] for event in self.interactions)

    def inside(self, name: str) -> dict[tuple[str, int], list[dict[str, Any]]]:
        """Return the events of each interaction, by conversation and turn."""
        found = defaultdict(list)
        for event in self.of(name):
            found[event["trace_id"]].append(event)
        return {(i["conversation"], i["turn"]): found[i["trace_id"]] for i in self.interactions}


class Server:
    """A server with its LLM, and a folder to run from."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self._runs = 0

    def run(
        self,
        target: str,
        *,
        path: str = "",
        stream: str = "true",
        what: str = REPLAY,
        sessions: int = SESSIONS,
    ) -> Run:
        self._runs += 1
        name, truth = f"run-{self._runs}", self.folder / "truth.jsonl"
        known = len(json_lines(truth))
        workload = WORKLOAD.format(
            url=self.url + path, stream=stream, target=target, sessions=sessions, what=what
        )
        (self.folder / f"{name}.yaml").write_text(workload)
        done = agent_profiler("run", f"{name}.yaml", "--out", name, "-q", cwd=self.folder)
        assert done.is_done, (done.err, (self.folder / "agent.log").read_text()[-3000:])
        return Run(self.folder, name, json_lines(truth)[known:])

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """Ask the server something of its own."""
        headers = {"content-type": "application/json", "a2a-version": "1.0"}
        request = Request(self.url + path, orjson.dumps(body), headers)
        with urlopen(request, timeout=10) as response:
            return orjson.loads(response.read())


def mock_llm_url(folder: Path, stack: ExitStack) -> str:
    truth, log = folder / "truth.jsonl", folder / "llm.log"
    llm = mock_llm(recordings=[TRAVEL], truth=truth, log=log, seed=1, speed=20)
    url: str = stack.enter_context(llm)["llm"]
    return url


@pytest.fixture(scope="module")
def langgraph(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("langgraph")
    with ExitStack() as stack:
        server = running_langgraph(
            folder / "server",
            folder / "agent.log",
            OPENAI_BASE_URL=mock_llm_url(folder, stack),
            OPENAI_API_KEY="sk-none",
            BROKEN_LLM=f"http://127.0.0.1:{free_port()}/v1",
        )
        yield Server(folder, stack.enter_context(server))


@pytest.fixture(scope="module", params=STREAM_OR_LONG, ids=["stream", "wait"])
def replayed(request, langgraph) -> tuple[Run, bool]:
    run = langgraph.run("protocol: langgraph", stream=request.param)
    return run, request.param == "true"


def test_langgraph_threads_are_carried_to_the_end_of_every_conversation(replayed):
    run, _ = replayed
    assert run.outcomes == {"ok": SESSIONS * TURNS}
    assert Counter(line["conversation"] for line in run.truth) == LLM_CALLS


def test_every_ai_message_of_langgraph_is_the_llm_call_that_was_served(replayed):
    run, _ = replayed
    inside = run.inside("llm_call")
    for conversation in CONVERSATIONS:
        turns = [inside[conversation, turn] for turn in range(TURNS)]
        assert [len(calls) for calls in turns] == list(
            map(llm_calls_in, recorded_turns(conversation))
        )
        told = [
            (
                call["usage"]["input_tokens"],
                call["usage"]["output_tokens"],
                call["usage"]["cached_input_tokens"],
                call["tool_calls"],
                call["model"],
                call["outcome"],
            )
            for calls in turns
            for call in calls
        ]
        served = [
            (
                line["prompt_tokens"],
                line["completion_tokens"],
                line["cached_tokens"],
                line["tool_calls"],
                line["model"],
                "ok",
            )
            for line in run.truth
            if line["conversation"] == conversation
        ]
        assert told == served


def test_langgraph_tools_are_told_by_name_for_every_interaction(replayed):
    run, is_streaming = replayed
    inside = run.inside("tool_call")
    for (conversation, turn), calls in inside.items():
        expected = tools_in(recorded_turns(conversation)[turn])
        assert Counter(call["name"] for call in calls) == expected
        assert {call["outcome"] for call in calls} <= {"ok"}
    calls = run.of("tool_call")
    if not is_streaming:
        assert all("start_ns" not in call and "end_ns" not in call for call in calls)
        return
    took = defaultdict(list)
    for call in calls:
        if "start_ns" in call:
            took[call["name"]].append(call["end_ns"] - call["start_ns"])
    assert median(took["get_weather"]) > 20e6  # it sleeps for 20 ms
    assert median(took["get_weather"]) > median(took["save_note"])


def test_what_langgraph_does_not_tell_is_absent(replayed):
    run, is_streaming = replayed
    for name in ("llm_calls", "tool_calls", "input_tokens", "output_tokens"):
        assert (run.metrics[name]["source"], run.metrics[name]["coverage"]) == ("response", 1)
    assert not {"attempts", "llm_time", "own_time"} & set(run.metrics)
    for event in run.interactions:
        if is_streaming:
            assert event["first_byte_ns"] <= event["first_token_ns"] <= event["last_token_ns"]
            assert event["last_token_ns"] <= event["end_ns"]
        else:
            assert "first_token_ns" not in event


@pytest.mark.parametrize("stream", STREAM_OR_LONG)
def test_langgraph_replies_are_those_of_the_recording(langgraph, stream):
    run = langgraph.run(
        "protocol: langgraph", stream=stream, what=checked_turns("travel-oslo"), sessions=2
    )
    assert run.outcomes == {"ok": 2 * TURNS}


@pytest.mark.parametrize("stream", STREAM_OR_LONG)
def test_a_failing_tool_of_langgraph_is_a_failed_tool_call(langgraph, stream):
    target = "protocol: langgraph, langgraph: {assistant: notes}"
    run = langgraph.run(target, stream=stream, sessions=2)
    assert run.outcomes == {"ok": 2 * TURNS}
    told = Counter((call["name"], call["outcome"]) for call in run.of("tool_call"))
    assert told == {("get_weather", "ok"): 4, ("save_note", "agent_error"): 4}
    # its model does not ask for the usage of a stream: then tokens are not known, and calls are
    assert run.metrics["llm_calls"]["coverage"] == 1
    assert ("input_tokens" in run.metrics) == (stream == "false")


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        ("true", "error_in_stream"),
        pytest.param("false", "error_in_body", marks=pytest.mark.long),
    ],
)
def test_a_failing_llm_of_langgraph_is_the_agents_error(langgraph, stream, kind):
    target = "protocol: langgraph, langgraph: {assistant: broken}"
    run = langgraph.run(target, stream=stream, sessions=3)
    ended = Counter((i["outcome"], i["error_kind"], i["http_status"]) for i in run.interactions)
    assert ended == {("agent_error", kind, 200): 3}
    assert "Connection" in run.interactions[0]["error_detail"]
    assert not run.of("llm_call")
    assert "llm_calls" not in run.metrics


QUESTION = {"user": "Where is it?", "check": {"regex": r"\AWhat is your order number\?\Z"}}
THANKS = {"user": "A-17", "check": {"regex": r"\AThank you for A-17\.\Z"}}
ASKED = f"turns: {orjson.dumps([QUESTION, THANKS]).decode()}"


@pytest.mark.parametrize("stream", STREAM_OR_LONG)
def test_an_interrupted_run_is_an_error_or_goes_on_with_the_next_message(langgraph, stream):
    target = "protocol: langgraph, langgraph: {{assistant: asking{}}}"
    run = langgraph.run(target.format(""), stream=stream, what=ASKED, sessions=2)
    assert run.outcomes == {"agent_error": 2}
    assert "What is your order number?" in run.interactions[0]["error_detail"]
    target = target.format(", interrupt: resume")
    run = langgraph.run(target, stream=stream, what=ASKED, sessions=2)
    assert run.outcomes == {"ok": 4}
    assert not run.of("llm_call")  # the graph wrote its message itself
    assert "llm_calls" not in run.metrics


@pytest.mark.parametrize("version", ["1.0", pytest.param("0.3", marks=pytest.mark.long)])
@pytest.mark.parametrize("stream", STREAM_OR_LONG)
def test_a2a_is_read_from_langgraphs_own_implementation_of_it(langgraph, version, stream):
    found = langgraph.ask("/assistants/search", {"graph_id": "agent"})
    target = f"protocol: a2a, a2a: {{version: {version}}}"
    path = f"/a2a/{found[0]['assistant_id']}"
    run = langgraph.run(target, path=path, stream=stream, sessions=4)  # it takes 0.3 s for each
    assert run.outcomes == {"ok": 4 * TURNS}
    served = Counter(line["conversation"] for line in run.truth)
    assert len(served) == 4
    assert served == {name: LLM_CALLS[name] for name in served}
    assert not NOT_IN_A2A & set(run.metrics)


@pytest.fixture(scope="module")
def a2a(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("a2a")
    with ExitStack() as stack:
        llm = {"OPENAI_BASE_URL": mock_llm_url(folder, stack), "OPENAI_API_KEY": "sk-none"}
        url = stack.enter_context(running_agent("a2a", folder / "agent.log", **llm))
        yield Server(folder, url.removesuffix("/chat"))


@pytest.fixture(scope="module")
def broken_a2a(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("broken-a2a")
    (folder / "truth.jsonl").touch()
    llm = f"http://127.0.0.1:{free_port()}/v1"
    log = folder / "agent.log"
    with running_agent("a2a", log, OPENAI_BASE_URL=llm, OPENAI_API_KEY="sk-none") as url:
        yield Server(folder, url.removesuffix("/chat"))


def tasks_of(server: Server, path: str) -> list[dict[str, Any]]:
    """Ask the server itself for all its tasks."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        params = {"pageSize": 100, "pageToken": token}
        body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params}
        page = server.ask(path, body)["result"]
        found += page["tasks"]
        token = page.get("nextPageToken", "")
        if not token:
            return found


@pytest.mark.parametrize(("form", "version", "stream"), a2a_forms(A2A_THREE))
def test_a2a_contexts_and_tasks_are_carried_and_nothing_is_made_up(a2a, form, version, stream):
    target = f"protocol: a2a, a2a: {{version: {version}}}"
    before = {task["id"] for task in tasks_of(a2a, f"/{form}")}
    run = a2a.run(target, path=f"/{form}", stream=stream)
    assert run.outcomes == {"ok": SESSIONS * TURNS}
    assert Counter(line["conversation"] for line in run.truth) == LLM_CALLS
    made = [task for task in tasks_of(a2a, f"/{form}") if task["id"] not in before]
    assert len(made) == {"artifact": SESSIONS * TURNS, "message": 0, "input": SESSIONS}[form]
    assert len({task["contextId"] for task in made}) == (0 if form == "message" else SESSIONS)
    assert not run.of("llm_call") + run.of("tool_call") + run.of("watched")
    assert not NOT_IN_A2A & set(run.metrics)
    assert all("usage" not in event for event in run.interactions)
    for event in run.interactions:
        if stream == "true":
            assert event["first_byte_ns"] <= event["first_token_ns"] <= event["last_token_ns"]
            assert event["last_token_ns"] <= event["end_ns"]
        else:
            assert "first_token_ns" not in event


@pytest.mark.parametrize(("form", "version", "stream"), a2a_forms(A2A_TWO))
def test_a2a_replies_are_those_of_the_recording(a2a, form, version, stream):
    target = f"protocol: a2a, a2a: {{version: {version}}}"
    what = checked_turns("travel-oslo")
    run = a2a.run(target, path=f"/{form}", stream=stream, what=what, sessions=2)
    assert run.outcomes == {"ok": 2 * TURNS}


@pytest.mark.parametrize(("form", "version", "stream"), a2a_forms(A2A_TWO))
def test_a_failing_llm_behind_a2a_is_the_agents_error(broken_a2a, form, version, stream):
    target = f"protocol: a2a, a2a: {{version: {version}}}"
    run = broken_a2a.run(target, path=f"/{form}", stream=stream, sessions=2)
    # in 1.0, the SDK answers with plain JSON where a stream fails before its first event
    is_stream = stream == "true" and (form, version) != ("message", "1.0")
    kind = "error_in_stream" if is_stream else "error_in_body"
    ended = Counter((i["outcome"], i["error_kind"], i["http_status"]) for i in run.interactions)
    assert ended == {("agent_error", kind, 200): 2}
    failed = "Connection error. (-32603)"
    if form != "message":
        failed = "the task is failed: the model failed: Connection error."
    assert {event["error_detail"] for event in run.interactions} == {failed}


def test_a_server_that_does_not_speak_the_version_says_so(a2a):
    headers = 'headers: {A2A-Version: "7.0"}'
    run = a2a.run(f"protocol: a2a, {headers}", path="/message", sessions=1)
    assert run.outcomes == {"agent_error": 1}
    assert "(-32009)" in run.interactions[0]["error_detail"]
