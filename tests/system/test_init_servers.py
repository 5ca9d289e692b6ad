"""`agent-profiler init` recognises real servers, says one thing to each, and its workload runs."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from profiler.cli.mock_process import mock_llm
from profiler.workload.load import load_workload
from tests.system.agents.environment import HERE, running_agent, running_langgraph
from tests.system.cli import agent_profiler, json_lines, load_json
from tests.system.processes import wait_until
from tests.system.stores import free_port, redis_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.agents,
    pytest.mark.timeout(400),
]


class Known(NamedTuple):
    """A server, the path that is given of it, and what has to be found out."""

    agent: str
    path: str
    protocol: str
    options: tuple[str, ...] = ()
    within: str = ".venv-agents"


SERVERS = {
    "langgraph": Known("langgraph_server", "", "langgraph", ("--agent", "agent")),
    "a2a": Known("a2a", "/artifact", "a2a"),
    "google-adk": Known("google_adk", "", "google-adk", within=".venv-agents-adk"),
    "ag-ui": Known("pydantic_ai_ui", "/ag-ui", "ag-ui"),
    "vercel-ai": Known("pydantic_ai_ui", "/vercel-ai", "vercel-ai"),
    "fastapi": Known("pydantic_ai", "", "http-json"),
    "fastapi-stream": Known("openai_agents_stream", "/chat", "http-json"),
}


IN_LONG = {"vercel-ai", "fastapi", "google-adk"}


def started(known: Known, folder: Path, stack: ExitStack, llm: str) -> str:
    log, extra = folder / "agent.log", {"OPENAI_BASE_URL": llm, "OPENAI_API_KEY": "sk-none"}
    if known.protocol == "langgraph":
        extra["BROKEN_LLM"] = f"http://127.0.0.1:{free_port()}/v1"
        return stack.enter_context(running_langgraph(folder / "server", log, **extra))
    if known.agent.startswith("pydantic_ai"):
        extra["REDIS_URL"] = stack.enter_context(redis_server()).url
    running = running_agent(known.agent, log, within=known.within, **extra)
    return stack.enter_context(running).removesuffix("/chat")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] if name in IN_LONG else []) for name in SERVERS],
)
def test_a_real_server_is_recognised_probed_once_and_its_workload_runs(name, tmp_path):
    known, truth = SERVERS[name], tmp_path / "truth.jsonl"
    with ExitStack() as stack:
        recordings = [HERE / "travel.jsonl"]
        log = tmp_path / "llm.log"
        mock = mock_llm(recordings=recordings, truth=truth, log=log, seed=1, speed=20)
        url = started(known, tmp_path, stack, stack.enter_context(mock)["llm"])
        done = agent_profiler("init", "--url", url + known.path, *known.options, cwd=tmp_path)
        assert done.is_done, (done.err, (tmp_path / "agent.log").read_text()[-3000:])
        # The LLM writes a call down after its last byte: the last one is that without tools.
        wait_until(
            lambda: [line for line in json_lines(truth) if not line["tool_calls"]],
            "the LLM's last call is written down",
        )
        served = json_lines(truth)
        ran = agent_profiler(
            "run", "scenarios/mine.yaml", "-n", "4", "--warmup", "0", "--out", "run", "-q",
            cwd=tmp_path,
        )  # fmt: skip
        assert ran.code in {0, 4}, ran.err  # 4: four are too few to say anything
    target = load_workload(tmp_path / "scenarios/mine.yaml").target
    assert target.protocol == known.protocol
    assert f"recognised {known.protocol}" in done.out
    # the LLM was asked for one message, until it did not ask for tools any more
    assert [bool(line["tool_calls"]) for line in served].count(False) == 1
    said = [line for line in done.out.splitlines() if line.startswith("  LLM calls")]
    assert said[0].split()[2] in {str(len(served)), "not"}
    outcomes = Counter(
        event["outcome"]
        for event in json_lines(tmp_path / "run" / "journal.jsonl")
        if event["event"] == "interaction"
    )
    assert outcomes == {"ok": 4}
    assert load_json(tmp_path / "run" / "profile.json")["sample"]["succeeded"] == 4
