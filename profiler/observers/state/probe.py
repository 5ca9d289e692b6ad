"""Watch a state store over a run: its own statistics before, after, and what lies between.

    probe = probe_for("redis://cache:6379")
    await probe.begin()                      # UsageError: it cannot be watched
    ...                                      # the run
    delta = await probe.finish()             # a StateDelta; `probe.notes` say what limits it

What is counted is what *anyone* did on the store in that time: an exact figure needs a store that
only the agent uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio

from profiler.errors import AgentProfilerError, UsageError
from profiler.measure.records import Observer, ObserverNote, StateDelta

if TYPE_CHECKING:
    from profiler.observers.state.address import StoreAddress

TIMEOUT_S = 5.0


class VoidFigureError(AgentProfilerError):
    """The two snapshots do not make a figure: the store was restarted, its counters reset, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Operations between two snapshots, our own taken out; `notes` are `(kind, count, detail)`."""

    reads: int
    writes: int
    other: int
    notes: tuple[tuple[str, int, str], ...] = ()


class Statistics(Protocol):
    """What one kind of store has to do. Both connect anew: no idle connection can break."""

    async def begin(self) -> tuple[tuple[str, int, str], ...]:
        """Take the first snapshot; return notes. Raises UsageError: it cannot be watched."""
        ...

    async def finish(self) -> Counted:
        """Take the second one. Raises UsageError (it cannot be asked) or VoidFigureError."""
        ...


class Probe:
    """One state store, watched over one run.

    `store` is its name in records, `shown` its URL without secrets; `notes` grows with `begin` and
    `finish`. Each of the two takes at most `timeout_s`.
    """

    def __init__(
        self,
        address: StoreAddress,
        statistics: Statistics,
        *,
        store: str,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.store = store
        self.shown = address.shown
        self.notes: list[ObserverNote] = []
        self._statistics = statistics
        self._timeout_s = timeout_s
        self._began = False

    async def begin(self) -> None:
        """Take the first snapshot. Raises UsageError where the store cannot be watched."""
        try:
            with anyio.fail_after(self._timeout_s):
                notes = await self._statistics.begin()
        except TimeoutError:
            raise UsageError(
                f"{self.store} did not answer in {self._timeout_s:g} s",
                where=self.shown,
                fix="Check that it runs and is not overloaded, or leave --state out",
            ) from None
        self._note(notes)
        self._began = True

    async def finish(self) -> StateDelta:
        """Take the second snapshot and say what lies between. Never raises for the store's sake."""
        if not self._began:
            return self._void("the store was not watched from the beginning of the run")
        try:
            with anyio.fail_after(self._timeout_s):
                counted = await self._statistics.finish()
        except TimeoutError:
            return self._void(f"at the end the store did not answer in {self._timeout_s:g} s")
        except VoidFigureError as exc:
            return self._void(exc.what)
        except UsageError as exc:
            return self._void(f"at the end the store could not be asked: {exc.what}")
        self._note(counted.notes)
        return StateDelta(
            store=self.store, reads=counted.reads, writes=counted.writes, other=counted.other
        )

    def _void(self, reason: str) -> StateDelta:
        return StateDelta(store=self.store, void_reason=reason)

    def _note(self, notes: tuple[tuple[str, int, str], ...]) -> None:
        self.notes.extend(
            ObserverNote(
                observer=Observer.STATE_STORE,
                kind=kind,
                count=count,
                detail=f"{self.store}: {detail}",
            )
            for kind, count, detail in notes
        )
