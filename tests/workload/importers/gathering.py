"""Gathers a file's text into sessions, as the command does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from profiler.workload.importers.gathering import Gathering
from profiler.workload.importers.grouping import Groups
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.streaming import Imported, Problem, sessions
from profiler.workload.importers.survey import Survey
from profiler.workload.importers.turns import write_sessions

if TYPE_CHECKING:
    from collections.abc import Callable


def words(name: str, count: int) -> str:
    return " ".join(["word"] * count)


class Gathered:
    """The sessions by id, what was skipped (line, reason), and what was recognised."""

    def __init__(self, gather: Callable[..., None], data: str | bytes) -> None:
        self.skipped: list[tuple[int | None, str]] = []
        self.found = Survey(told=lambda problem: self.skipped.append((problem.line, problem.what)))
        raw = data if isinstance(data, bytes) else data.encode()
        out = io.BytesIO()
        with Groups() as turns:
            into = Gathering(turns, self.found)
            gather(io.BytesIO(raw), into, None)
            write_sessions(turns, out, write=words, least_input=into.least_input)
        out.seek(0)
        self.sessions: dict[str | None, Any] = {}
        for item in sessions(out, ImportKind.OTEL):
            if isinstance(item, Problem):
                self.found.skip(item)
            else:
                assert isinstance(item, Imported)
                assert item.session.id not in self.sessions
                self.sessions[item.session.id] = item.session

    def users(self, name: str | None) -> list[str]:
        return [m["content"] for m in self.sessions[name].messages if m["role"] == "user"]

    def said(self, name: str | None) -> list[tuple[str, Any]]:
        """Return the roles, and the texts or the names of the tools asked for."""
        return [
            (m["role"], [c["function"]["name"] for c in m["tool_calls"]])
            if m.get("tool_calls")
            else (m["role"], m["content"])
            for m in self.sessions[name].messages
        ]
