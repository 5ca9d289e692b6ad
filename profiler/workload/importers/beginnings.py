"""When the sessions of a file began: how often, and how bursty. In any order, in bounded memory."""

from __future__ import annotations

from array import array

from profiler.clock import NS_PER_S
from profiler.workload.dispersion import MINUTE_S, Dispersion, Windows

MOST = 2_000_000
"""So many times are kept: 16 MB."""


class Beginnings:
    """Times in seconds since 1970, as they come. `first_s` and `last_s` are None without any."""

    def __init__(self, *, most: int = MOST) -> None:
        self.count = 0
        self.first_s: float | None = None
        self.last_s: float | None = None
        self._most = most
        self._times_s: array[float] | None = array("d")

    def add(self, at_s: float) -> None:
        """Take the beginning of a session."""
        self.count += 1
        self.first_s = at_s if self.first_s is None else min(self.first_s, at_s)
        self.last_s = at_s if self.last_s is None else max(self.last_s, at_s)
        if self._times_s is not None:
            self._times_s.append(at_s)
            if len(self._times_s) > self._most:
                self._times_s = None

    @property
    def length_s(self) -> float | None:
        """From the first to the last, None where no session has a time."""
        return None if self.first_s is None or self.last_s is None else self.last_s - self.first_s

    @property
    def rate_per_s(self) -> float | None:
        """How often sessions that have a time began; None where none or all began at one time."""
        return (self.count - 1) / self.length_s if self.length_s else None

    def dispersion(self) -> tuple[Dispersion, Dispersion] | None:
        """Return those of counts by second and by minute; None where not all times were kept."""
        if self._times_s is None:
            return None
        second, minute = Windows(NS_PER_S), Windows(MINUTE_S * NS_PER_S)
        for at_s in sorted(self._times_s):
            since_ns = round((at_s - (self.first_s or 0.0)) * NS_PER_S)
            second.add(since_ns)
            minute.add(since_ns)
        return second.dispersion, minute.dispersion
