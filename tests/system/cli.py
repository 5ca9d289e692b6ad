"""Runs the command line as a process, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.system.forks import Fork

ROOT = Path(__file__).parents[2]
AIRLINE = ROOT / "scenarios" / "data" / "airline.jsonl"
EXAMPLE = ROOT / "docs" / "example-plan"
"""A plan of the sample profile; another test holds it to what the command writes today."""
TIMEOUT_S = 90


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def is_done(self) -> bool:
        """Whether it did what it was told. A run on a machine too slow for it says so, with 4."""
        said = [line for line in complaints(self.err) if line.startswith("error: ")]
        return self.code == 0 or (
            self.code == 4
            and len(said) == 1
            and said[0].startswith("error: the harness was the bottleneck: ")
        )

    @property
    def is_without_complaint(self) -> bool:
        """Whether it is done, and said nothing else on standard error but how far it was."""
        return self.is_done and len(complaints(self.err)) == (self.code == 4)


def complaints(err: str) -> list[str]:
    """Return what was said on standard error but for how far a run is, which a slow one says."""
    return [line for line in err.splitlines() if not line.startswith(("measuring ", "warming up "))]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "profiler", *map(str, arguments)]


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without what would change the output, with coverage passed on."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COLUMNS")}
    return {**env, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **extra}


def agent_profiler(*arguments: object, cwd: Path, **extra: str) -> Done:
    """Run a command to its end, as a fork of a process that has loaded us: all but `profile`."""
    process = Fork(
        command(*arguments),
        cwd=cwd,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            process.kill()
            raise
    return Done(process.returncode, out, err)


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def load_json(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(path.read_bytes())
    return loaded


def total(distribution: dict[str, Any]) -> int:
    """Return the exact sum of a distribution's values."""
    return int(distribution["clusters"]["sum_s"])


@dataclass(frozen=True)
class Recorded:
    """What a file of conversations holds, counted with nothing but the JSON module."""

    sessions: int
    interactions: int
    llm_calls: int
    most_llm_calls: int
    tools: Counter[str]


def count_recorded(path: Path) -> Recorded:
    sessions = interactions = llm_calls = most = 0
    tools: Counter[str] = Counter()
    for conversation in json_lines(path):
        sessions += 1
        in_this_interaction = 0
        for message in conversation["messages"]:
            if message["role"] == "user":
                interactions += 1
                in_this_interaction = 0
            elif message["role"] == "assistant" and interactions:
                llm_calls += 1
                in_this_interaction += 1
                most = max(most, in_this_interaction)
                for call in message.get("tool_calls") or ():
                    tools[call["function"]["name"]] += 1
    return Recorded(sessions, interactions, llm_calls, most, tools)
