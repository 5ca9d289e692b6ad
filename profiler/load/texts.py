"""What users and agent said, written beside the journal where that was asked for (`--save-text`).

One JSON object a line: trace_id, session, scenario, turn, phase, user, reply. Secrets, what looks
like a key, e-mail addresses, phone and card numbers and what own patterns match are replaced first,
by a thread of its own: patterns over long texts would hold up the requests that are timed.
"""

from __future__ import annotations

import json
import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import orjson

from profiler.errors import AgentProfilerError, JournalError
from profiler.redaction import hidden
from profiler.workload.importers.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from profiler.measure.records import Interaction

_OWNERS_ONLY = 0o600


class TextLog:
    """Writes texts to a file that only its owner may read."""

    def __init__(self, path: Path, *, patterns: Sequence[str] = (), resume: bool = False) -> None:
        """Create the file, or with `resume` go on with it.

        Raises `JournalError` where that cannot be, `UsageError` for a pattern.
        """
        self._path = path
        self._redactor = Redactor(patterns)
        self._failure: OSError | AgentProfilerError | None = None
        try:
            how = os.O_APPEND if resume else os.O_EXCL
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | how, _OWNERS_ONLY)
        except OSError as exc:
            raise self._error(exc) from exc
        self._stream = os.fdopen(descriptor, "ab" if resume else "wb")
        if resume:
            _end_line(descriptor)
        self._queue: SimpleQueue[tuple[Interaction, str, str | None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="texts", daemon=True)
        self._thread.start()

    def put(self, interaction: Interaction, user: str, reply: str | None) -> None:
        """Hand over what was said in an interaction; `reply` is None where no answer was read."""
        self._queue.put((interaction, user, reply))

    def close(self) -> None:
        """Write what was handed over. Raises `JournalError` where that could not be."""
        self._queue.put(None)
        self._thread.join()
        try:
            self._stream.close()
        except OSError as exc:
            self._failure = exc
        if isinstance(self._failure, AgentProfilerError):  # a pattern that takes too long
            raise self._failure
        if self._failure is not None:
            raise self._error(self._failure) from self._failure

    def _work(self) -> None:
        while (said := self._queue.get()) is not None:
            if self._failure is not None:
                continue
            try:
                self._stream.write(self._line(*said))
                self._stream.flush()  # so that it survives the end of this process
            except (OSError, AgentProfilerError) as exc:
                self._failure = exc

    def _line(self, interaction: Interaction, user: str, reply: str | None) -> bytes:
        line = {
            "trace_id": interaction.trace_id,
            "session": interaction.session,
            "scenario": interaction.scenario,
            "turn": interaction.turn,
            "phase": interaction.phase.value,
            "user": self._clean(user),
            "reply": None if reply is None else self._clean(reply),
        }
        try:
            return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:  # half a surrogate pair, which UTF-8 cannot hold
            text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
            return text.encode("utf-8", "replace") + b"\n"

    def _clean(self, text: str) -> str:
        return self._redactor.text(hidden(text))

    def _error(self, exc: OSError) -> JournalError:
        return JournalError(
            f"what was said cannot be written: {exc.strerror or exc}",
            where=str(self._path),
            fix="Free some space, or leave out --save-text: the journal is not touched by this",
        )


def _end_line(descriptor: int) -> None:
    """End the last line, where the process that wrote it was killed within."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")
