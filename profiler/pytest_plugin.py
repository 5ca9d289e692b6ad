"""A pytest plugin: profile your own ASGI application in a test, and assert on the profile.

    def test_an_order_takes_two_llm_calls(agent_profiler):
        profile = agent_profiler(app, "scenarios/orders.yaml", requests=50)
        assert profile.interaction["llm_calls"].mean <= 2

Nothing is imported until the fixture is used: pytest loads this in every project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Unpack

    from starlette.types import ASGIApp

    from profiler.api import RunOptions, WorkloadProfile

_PATH = "/v1/chat/completions"


class AgentProfiler:
    """Profiles ASGI applications on real sockets; files go to a temporary directory of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    def __call__(
        self,
        app: ASGIApp,
        workload: str | Path | Mapping[str, Any],
        *,
        path: str = _PATH,
        **options: Unpack[RunOptions],
    ) -> WorkloadProfile:
        """Serve the application on a free port, replay the workload, return the profile.

        `path` is where the application answers, `workload` and `options` are those of
        `profiler.run`. The application runs in a thread of the test's process, so calls, tokens
        and operations are exact while times have the test's own work in them; what measures is a
        process of its own.
        """
        from profiler import run, served  # noqa: PLC0415 - see above

        with served(app) as url:
            return run(workload, **self._completed(url + path, options))

    async def arun(
        self,
        app: ASGIApp,
        workload: str | Path | Mapping[str, Any],
        *,
        path: str = _PATH,
        **options: Unpack[RunOptions],
    ) -> WorkloadProfile:
        """Do the same in an asynchronous test, whose event loop goes on meanwhile."""
        from profiler import arun, served  # noqa: PLC0415 - see above

        with served(app) as url:
            return await arun(workload, **self._completed(url + path, options))

    def _completed(self, url: str, options: RunOptions) -> RunOptions:
        self._runs += 1
        return {"url": url, "out": self._folder / f"run-{self._runs}", **options}


@pytest.fixture
def agent_profiler(tmp_path: Path) -> AgentProfiler:
    """Profile an ASGI application of your own: see `AgentProfiler.__call__`."""
    return AgentProfiler(tmp_path / "agent-profiler")
