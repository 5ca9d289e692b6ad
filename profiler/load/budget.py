"""How much a run may send, and why it stopped.

A `Budget` is asked before each session and each interaction, and told how each ended. It knows no
clock and does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.measure.records import EndReason, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

ERROR_LIMIT_FROM = 20
"""Interactions that must have ended before the error limit can stop a run."""

_STABLE_EVERY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be sent. `requests` or `sessions` end a phase that goes well; None is no limit.

    `error_limit` is a share of the interactions, 0 to 1. With `until_stable`, reaching `requests`
    or `sessions` ends the phase only if the numbers are stable; `max_requests` ends it anyway.
    `judges_target` is false where somebody else, who sees more than this phase of one shard, says
    when a target is of no use.
    """

    requests: int | None = None
    sessions: int | None = None
    max_requests: int | None = None
    until_stable: bool = False
    error_limit: float | None = None
    judges_target: bool = True


class Budget:
    """The running account of one phase."""

    def __init__(self, limits: Limits, *, is_stable: Callable[[], bool] = lambda: True) -> None:
        self._limits = limits
        self._is_stable = is_stable
        self._asked_at = -1
        self._was_stable = False
        self.before = 0
        """Interactions that ended before the run was resumed: they are in `sent` only."""
        self.sessions = 0
        self.sent = 0
        self.ended = 0
        self.failed = 0
        self.answered = False
        self.reason: EndReason | None = None
        self.detail: str | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more may be sent."""
        return self.reason is not None

    def close(self, reason: EndReason, detail: str | None = None) -> None:
        """Let nothing more be sent. The first reason stays."""
        if self.reason is None:
            self.reason = reason
            self.detail = detail

    def take_session(self) -> int | None:
        """Return the index of the next session, or None when there is to be no more."""
        if self.is_closed:
            return None
        limit = self._limits.sessions
        if limit is not None and self.sessions >= limit and self._enough():
            return None
        self.sessions += 1
        return self.sessions - 1

    def take_interaction(self) -> bool:
        """Say whether one more interaction may be sent, and count it if so."""
        if self.is_closed:
            return False
        ceiling = self._limits.max_requests
        if ceiling is not None and self.sent >= ceiling:
            self.close(EndReason.MAX_REQUESTS)
            return False
        limit = self._limits.requests
        if limit is not None and self.sent >= limit and self._enough():
            self.close(EndReason.COMPLETED)
            return False
        self.sent += 1
        if self.sent == limit and not self._limits.until_stable:
            self.close(EndReason.COMPLETED)  # so that nobody waits for a turn that will not come
        return True

    def _enough(self) -> bool:
        if not self._limits.until_stable:
            return True
        if self.ended // _STABLE_EVERY != self._asked_at:
            self._asked_at = self.ended // _STABLE_EVERY
            self._was_stable = self._is_stable()
        return self._was_stable

    def ended_with(self, outcome: Outcome, detail: str | None) -> None:
        """Take note of an interaction that ended; close when the target is of no use."""
        self.ended += 1
        if outcome is Outcome.OK:
            self.answered = True
            return
        if outcome is Outcome.CANCELLED:
            return
        self.failed += 1
        if outcome is not Outcome.CONNECT_ERROR:
            self.answered = True
        limits = self._limits
        if not limits.judges_target:
            return
        said = unusable(
            limits.error_limit,
            ended=self.ended,
            failed=self.failed,
            answered=self.answered,
            detail=detail,
        )
        if said is not None:
            self.close(EndReason.ERROR_LIMIT, said)


def unusable(
    error_limit: float | None, *, ended: int, failed: int, answered: bool, detail: str | None
) -> str | None:
    """Say why a target is of no use after a failure, or None where it still may be.

    It never answered and cannot be connected to; or more than `error_limit` of at least
    `ERROR_LIMIT_FROM` interactions failed. `detail` is that of the last failure.
    """
    if failed and not answered:
        return detail or "it cannot be connected to"
    if error_limit is None or ended < ERROR_LIMIT_FROM or failed <= error_limit * ended:
        return None
    return f"{failed} of {ended} interactions failed; last: {detail}"
