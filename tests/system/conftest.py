"""What several system tests compare with."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.system.cli import AIRLINE, agent_profiler
from tests.system.forks import Fork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SESSIONS = 8
WORKLOAD = f"""
name: whole
load: {{users: 4, sessions: {SESSIONS}, warmup: 0}}
scenarios: [{{name: recorded, conversations: {AIRLINE}}}]
"""


@pytest.fixture(scope="module", autouse=True)
def _forks() -> Iterator[None]:
    """Fork what tests start of ours, also by way of our own code: mocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Fork)
        yield


@pytest.fixture(scope="session")
def alone(tmp_path_factory) -> Path:
    """Run the first recorded sessions in one process; the workload file is beside the run."""
    folder: Path = tmp_path_factory.mktemp("alone")
    (folder / "w.yaml").write_text(WORKLOAD)
    done = agent_profiler("run", "w.yaml", "--mock-speed", 50, "-q", "--out", "run", cwd=folder)
    assert done.is_done, done.err
    return folder / "run"
