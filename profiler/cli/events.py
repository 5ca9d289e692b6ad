"""What `run --json` says on standard output: one JSON object a line, for other programs.

`started`, `progress` about once a second, `profile` when it is written, and always `end` last.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import AgentProfilerError
from profiler.redaction import hidden

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from profiler.profile.model import WorkloadProfile


class Events:
    """Writes events. Where the reader has gone away it writes no more: the run goes on."""

    def __init__(self, write: Callable[[bytes], object] | None = None) -> None:
        self._write = _to_stdout if write is None else write
        self._is_gone = False
        self._lock = threading.Lock()

    def say(self, event: str, **fields: Any) -> None:
        """Write one event; what is None is left out."""
        known = {name: value for name, value in fields.items() if value is not None}
        self.write({"event": event, **known})

    def write(self, event: dict[str, Any]) -> None:
        """Write an event as it is. Blocks while the reader does not read."""
        with self._lock:
            if self._is_gone:
                return
            try:
                self._write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE, default=str))
            except BrokenPipeError:
                self._is_gone = True
                _forget_stdout()

    def say_profile(self, path: Path, profile: WorkloadProfile) -> None:
        """Say that the profile is written, and what it is worth."""
        sample = profile.sample
        self.say(
            "profile",
            path=str(path),
            verdict=profile.trust.verdict,
            reasons=list(profile.trust.reasons),
            interactions=sample.interactions,
            succeeded=sample.succeeded,
            failed=sample.failed,
            partial=sample.partial,
        )

    def around(self, run: Callable[[], int]) -> int:
        """Run, and say how it ended, whatever way that was."""
        try:
            code = run()
        except AgentProfilerError as exc:
            self.say("end", exit_code=exc.exit_code, error=hidden(str(exc)))
            raise
        self.say("end", exit_code=code)
        return code


def _forget_stdout() -> None:
    """Send what is still to be flushed nowhere: else the interpreter fails as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
