"""When a target that is overloaded is left alone: how long, from what it answers. No clock, no I/O.

Where the last `REJECTIONS` answers all were 429 or 503, nothing is started until the `retry-after`
of the last one has passed, or for 1 s. Each rejection of what is sent after a pause makes the next
one twice as long, up to 30 s; any other answer makes all forgotten.
"""

from __future__ import annotations

from profiler.clock import NS_PER_S, seconds_to_ns
from profiler.measure.records import Backoff

REJECTIONS = 20
FIRST_NS, LONGEST_NS = NS_PER_S, 30 * NS_PER_S
LONGEST_ASKED_S = 300.0
"""A target may ask for so much: the rest of a day would be the end of the run."""


class BackingOff:
    """One driver's: `until_ns` is when it may start again; it was in the past, if at all."""

    def __init__(self) -> None:
        self.until_ns = 0
        self._rejections = 0
        self._pause_ns = FIRST_NS

    def ended(
        self, *, rejected: bool, send_ns: int, now_ns: int, retry_after_s: float | None
    ) -> Backoff | None:
        """Take an interaction that ended; return the pause that it begins, if it does."""
        if not rejected:
            self._rejections, self._pause_ns = 0, FIRST_NS
            return None
        self._rejections += 1
        if self._rejections < REJECTIONS or send_ns < self.until_ns:
            return None  # of before the pause: it says nothing of how the target is after it
        pause_ns, asked = self._pause_ns, retry_after_s is not None
        if retry_after_s is not None:
            pause_ns = max(FIRST_NS, seconds_to_ns(min(retry_after_s, LONGEST_ASKED_S)))
        else:
            self._pause_ns = min(2 * self._pause_ns, LONGEST_NS)
        self.until_ns = now_ns + pause_ns
        return Backoff(
            at_ns=now_ns, until_ns=self.until_ns, answers=self._rejections, is_asked=asked
        )
