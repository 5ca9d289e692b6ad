"""A real framework behind AG-UI and the AI SDK's stream, against what its LLM really served.

The history is the client's: a request carries all messages so far, so that the mock LLM follows a
recording to its end only if they come back as the agent sent them.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from profiler.cli.mock_process import mock_llm
from tests.system.agents.environment import HERE, running_agent
from tests.system.cli import agent_profiler, count_recorded, json_lines, load_json
from tests.system.stores import redis_server

if TYPE_CHECKING:
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
scenarios: [{{name: travel, conversations: {travel}}}]
"""

pytestmark = [pytest.mark.system, pytest.mark.agents, pytest.mark.timeout(400)]


class Replayed:
    """All travel conversations, said to the agent in one protocol."""

    def __init__(self, folder: Path, protocol: str) -> None:
        self.protocol = protocol
        with ExitStack() as stack:
            truth, log = folder / "truth.jsonl", folder / "llm.log"
            announced = stack.enter_context(
                mock_llm(recordings=[TRAVEL], truth=truth, log=log, seed=1, speed=20)
            )
            redis = stack.enter_context(redis_server())
            url = stack.enter_context(
                running_agent(
                    "pydantic_ai_ui",
                    folder / "agent.log",
                    OPENAI_BASE_URL=announced["llm"],
                    OPENAI_API_KEY="sk-none",
                    REDIS_URL=redis.url,
                )
            )
            workload = WORKLOAD.format(protocol=protocol, sessions=SESSIONS, travel=TRAVEL)
            (folder / "w.yaml").write_text(workload)
            url = url.removesuffix("/chat") + f"/{protocol}"
            options = ["--url", url, "--out", "run", "-q"]
            done = agent_profiler("run", "w.yaml", *options, cwd=folder)
        assert done.code == 0, (done.err, (folder / "agent.log").read_text()[-3000:])
        self.truth = json_lines(truth)
        self.journal = json_lines(folder / "run" / "journal.jsonl")
        self.profile = load_json(folder / "run" / "profile.json")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.journal if event["event"] == name]

    @property
    def interactions(self) -> list[dict[str, Any]]:
        return self.events("interaction")


@pytest.fixture(scope="module", params=sorted(NOT_TOLD))
def replayed(request, tmp_path_factory) -> Replayed:
    return Replayed(tmp_path_factory.mktemp(request.param), request.param)


def test_every_conversation_is_replayed_to_its_end(replayed):
    assert Counter(event["outcome"] for event in replayed.interactions) == {"ok": SESSIONS * TURNS}
    assert len(replayed.truth) == count_recorded(TRAVEL).llm_calls == SESSIONS * 6
    served = Counter(line["conversation"] for line in replayed.truth)
    assert set(served.values()) == {LLM_CALLS_A_SESSION}
    assert Counter(line["status"] for line in replayed.truth) == {200: len(replayed.truth)}
