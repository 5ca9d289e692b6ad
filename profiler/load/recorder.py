"""Writes the journal off the event loop: counts tokens, encodes, appends.

The driver hands over what ended and goes on; one thread takes everything that is waiting, counts
the new texts (the history's count is the sum of what was counted before), and appends it in one
write. tiktoken releases the interpreter lock while it works.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from profiler.errors import JournalError
from profiler.measure.records import ClientTokens, Interaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.measure.records import Record

_BATCH = 256


class Journal(Protocol):
    """Where records go: `measure.journal.JournalWriter`, or a test's list."""

    def append(self, records: list[Record]) -> None:
        """Write the records. Raises `JournalError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    interaction: Interaction
    inside: tuple[Record, ...]
    user: str
    reply: str | None


class Recorder:
    """The only writer of a journal while a run goes. `failure` is set when it cannot write."""

    def __init__(self, journal: Journal, count_tokens: Callable[[str], int]) -> None:
        self._journal = journal
        self._count_tokens = count_tokens
        self._queue: SimpleQueue[_Ended | Record | None] = SimpleQueue()
        self._history: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._crash: BaseException | None = None
        self.failure: JournalError | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, record: Record) -> None:
        """Hand over a record as it is. Never blocks."""
        self._queue.put(record)

    def put_interaction(
        self, interaction: Interaction, inside: tuple[Record, ...], *, user: str, reply: str | None
    ) -> None:
        """Hand over an interaction that ended, with what was seen inside it. Never blocks.

        `reply` is None where no answer was read: its tokens stay unobserved.
        """
        self._queue.put(_Ended(interaction=interaction, inside=inside, user=user, reply=reply))

    def close(self) -> None:
        """Write all that was handed over and end the thread. Re-raises what broke it."""
        self._queue.put(None)
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def _work(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            try:
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            except Empty:
                pass
            open_ = None not in batch
            if self.failure is None and self._crash is None:
                self._write([item for item in batch if item is not None])

    def _write(self, batch: list[_Ended | Record]) -> None:
        try:
            records: list[Record] = []
            for item in batch:
                if isinstance(item, _Ended):
                    records.append(self._counted(item))
                    records.extend(item.inside)
                else:
                    records.append(item)
            if records:
                self._journal.append(records)
        except JournalError as exc:
            self.failure = exc
        except BaseException as exc:  # noqa: BLE001 - handed to close(), which raises it
            self._crash = exc
            self.failure = JournalError(f"the recorder broke: {exc!r}")

    def _counted(self, ended: _Ended) -> Interaction:
        interaction = ended.interaction
        key = interaction.session
        history = self._history.get(key, 0)
        user = self._count_tokens(ended.user)
        output = None if ended.reply is None else self._count_tokens(ended.reply)
        if interaction.last_turn:
            self._history.pop(key, None)
        else:
            self._history[key] = history + user + (output or 0)
        counted = ClientTokens(user=user, history=history, output=output)
        return replace(interaction, counted=counted)
