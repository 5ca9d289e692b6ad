"""Writes the journal and counts the tokens of what was said, without holding up the event loop.

Texts that were counted before (templated messages, repeated answers) and short new ones are counted
on the spot, and their interaction is appended there and then: microseconds, and less than a thread
costs, which contends with the loop for the interpreter lock. Long new texts go to a thread, which
counts and appends them; tiktoken releases the lock while it works. The history's count is the sum
of what was counted before, so the turns of a session stay in order: once one of them waits for the
thread, those behind it do.

What the counter needs for its first count (half a second, of which it keeps the interpreter to
itself for some) is loaded in that thread too, when there is a first text to count or when somebody
waits for `ready`; until then everything is handed to the thread, and waits there.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

import anyio

from profiler.errors import JournalError
from profiler.measure.records import ClientTokens
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from profiler.measure.records import Interaction, Record

_BATCH = 256
_LONGEST_HOLD_S = 1.0


class Journal(Protocol):
    """Where records go: `measure.journal.JournalWriter`, or a test's list."""

    def append(self, records: Sequence[Record]) -> None:
        """Write the records. Raises `JournalError`."""
        ...


class Counter(Protocol):
    """Counts tokens: `measure.tokens.TokenCounter`."""

    def prepare(self) -> None:
        """Load what the first count needs. Blocks; does nothing the second time."""
        ...

    def count_text(self, text: str, *, between: Callable[[], object] = ...) -> int:
        """Return the tokens of a text; `between` is called now and then meanwhile."""
        ...

    def quick_count(self, text: str) -> int | None:
        """Return the tokens of a text if that takes microseconds."""
        ...


@value
class _Uncounted:
    interaction: Interaction
    inside: tuple[Record, ...]
    user: str
    reply: str | None


class _Word(Enum):
    """What the thread is told beside what it is given to count."""

    PREPARE = "prepare"
    CLOSE = "close"


class Recorder:
    """The only writer of a journal while a run goes. `failure` is set when it cannot write."""

    def __init__(self, journal: Journal, counter: Counter) -> None:
        self._journal = journal
        self.counter = counter
        self._queue: SimpleQueue[_Uncounted | _Word] = SimpleQueue()
        self._lock = threading.Lock()
        self._history: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._is_ready = threading.Event()
        self._may_count = threading.Event()
        self._may_count.set()
        self._crash: BaseException | None = None
        self.failure: JournalError | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def prepare(self) -> None:
        """Load what counting needs, here and now, where it must not hold up anything later."""
        self.counter.prepare()
        self._is_ready.set()

    async def ready(self) -> None:
        """Wait until counting holds up the event loop no more: what it needs is loaded.

        Returns too when loading has failed: `failure` is set then.
        """
        if not self._is_ready.is_set():
            self._queue.put(_Word.PREPARE)
            await anyio.to_thread.run_sync(self._is_ready.wait, abandon_on_cancel=True)

    def hold(self) -> None:
        """Let the thread stop counting within a millisecond, until `go_on`. It waits a second."""
        self._may_count.clear()

    def go_on(self) -> None:
        """Let the thread count."""
        self._may_count.set()

    def _wait_to_count(self) -> None:
        if not self._may_count.is_set():
            self._may_count.wait(_LONGEST_HOLD_S)

    def put(self, *records: Record) -> None:
        """Append records as they are."""
        with self._lock:
            self._append(records)

    def count_now(
        self, session: str, *, user: str, reply: str | None, is_last: bool
    ) -> ClientTokens | None:
        """Return the tokens of a turn if they are known at once, else None.

        `reply` is None where no answer was read: its tokens stay unobserved. Where None comes back,
        the turn goes to `put_uncounted`.
        """
        users_tokens = self.counter.quick_count(user)
        replys_tokens = None if reply is None else self.counter.quick_count(reply)
        if users_tokens is None or (reply is not None and replys_tokens is None):
            return None
        with self._lock:
            if session in self._waiting:
                return None
            return self._counted(session, users_tokens, replys_tokens, is_last=is_last)

    def put_uncounted(
        self, interaction: Interaction, inside: tuple[Record, ...], *, user: str, reply: str | None
    ) -> None:
        """Hand an interaction and what was seen inside it to the thread, to be counted first."""
        with self._lock:
            session = interaction.session
            self._waiting[session] = self._waiting.get(session, 0) + 1
        self._queue.put(_Uncounted(interaction=interaction, inside=inside, user=user, reply=reply))

    def close(self) -> None:
        """Write all that was handed over and end the thread. Re-raises what broke it."""
        self.go_on()
        self._queue.put(_Word.CLOSE)
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def _counted(
        self, session: str, user: int, reply: int | None, *, is_last: bool
    ) -> ClientTokens:
        history = self._history.get(session, 0)
        if is_last:
            self._history.pop(session, None)
        else:
            self._history[session] = history + user + (0 if reply is None else reply)
        return ClientTokens(user=user, history=history, output=reply)

    def _append(self, records: Sequence[Record]) -> None:
        """Write, with the lock held, unless writing has failed before."""
        if self.failure is not None:
            return
        try:
            self._journal.append(records)
        except JournalError as exc:
            self.failure = exc

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            try:
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            except Empty:
                pass
            is_open = _Word.CLOSE not in batch
            try:
                if not self._is_ready.is_set() and batch[0] is not _Word.CLOSE:
                    self.prepare()
                self._count_and_append([item for item in batch if isinstance(item, _Uncounted)])
            except BaseException as exc:  # noqa: BLE001 - handed to close(), which raises it
                self._crash = exc
                self.failure = JournalError(f"the recorder broke: {exc!r}")
                self._is_ready.set()  # nobody need wait for what will not come
                return

    def _count_and_append(self, batch: list[_Uncounted]) -> None:
        records: list[Record] = []
        for item in batch:
            wait = self._wait_to_count
            wait()
            user = self.counter.count_text(item.user, between=wait)
            said = item.reply
            reply = None if said is None else self.counter.count_text(said, between=wait)
            session = item.interaction.session
            with self._lock:
                counted = self._counted(session, user, reply, is_last=item.interaction.last_turn)
                if self._waiting[session] == 1:
                    del self._waiting[session]
                else:
                    self._waiting[session] -= 1
            records.append(replace(item.interaction, counted=counted))
            records.extend(item.inside)
        if records:
            with self._lock:
                self._append(records)
