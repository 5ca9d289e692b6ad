"""How bursty arrivals are: the index of dispersion of counts, variance over mean.

1 is a Poisson process, more comes in bursts, less is more even (Cox & Lewis, The Statistical
Analysis of Series of Events, 1966, section 4.5). For a Poisson process of n windows, (n - 1) times
the index is distributed as chi-squared with n - 1 degrees of freedom, nearly: the range in which
chance alone puts 95 % of them says whether a figure means anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE_S = 60
FEWEST_WINDOWS = 10
_Z975 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Counts in `windows` windows of equal length. Raises nothing; see `index` for too few."""

    windows: int = 0
    total: int = 0
    sum_squares: int = 0
    most: int = 0

    def __add__(self, other: Dispersion) -> Dispersion:
        return Dispersion(
            self.windows + other.windows,
            self.total + other.total,
            self.sum_squares + other.sum_squares,
            max(self.most, other.most),
        )

    @property
    def index(self) -> float | None:
        """Variance over mean; None where `lacking` says why."""
        if self.lacking is not None:
            return None
        n = self.windows
        return (n * self.sum_squares - self.total**2) / ((n - 1) * self.total)

    @property
    def lacking(self) -> str | None:
        """Why there is no index, None where there is one."""
        if self.windows < FEWEST_WINDOWS:
            windows = f"{self.windows} whole window{'' if self.windows == 1 else 's'}"
            return f"{windows}, {FEWEST_WINDOWS} are needed"
        return None if self.total else "nothing came in any of the windows"

    @property
    def poisson_range95(self) -> tuple[float, float]:
        """Where 95 % of Poisson processes have their index, for so many windows (two or more).

        By Wilson and Hilferty's approximation of chi-squared (1931): within 1 % from 9 degrees of
        freedom on.
        """
        freedom = self.windows - 1
        part = 2 / (9 * freedom)
        low, high = ((1 - part + z * part**0.5) ** 3 for z in (-_Z975, _Z975))
        return low, high


def dispersion_of(counts: Sequence[int]) -> Dispersion:
    """Return the dispersion of counts, one for each window."""
    squares = sum(count * count for count in counts)
    return Dispersion(len(counts), sum(counts), squares, max(counts, default=0))


def by_minute(counts: Sequence[int]) -> list[int]:
    """Return the counts of whole minutes from those of seconds, from the first second on."""
    whole = len(counts) // MINUTE_S * MINUTE_S
    return [sum(counts[start : start + MINUTE_S]) for start in range(0, whole, MINUTE_S)]


class Windows:
    """Counts arrivals of a stream in windows of `length_ns`, in memory that does not grow.

    Windows begin at the first arrival; the last one, which is not over, is left out.
    """

    def __init__(self, length_ns: int) -> None:
        self._length_ns = length_ns
        self._number = 0
        self._count = 0
        self._windows = self._total = self._squares = self._most = 0

    def add(self, offset_ns: int) -> None:
        """Take an arrival, so long after the first one. In order."""
        self._add(offset_ns // self._length_ns, 1)

    def add_all(self, offsets_ns: Sequence[int]) -> None:
        """Take arrivals, so long after the first one. In order, and after others."""
        length_ns = self._length_ns
        for number, count in Counter([offset // length_ns for offset in offsets_ns]).items():
            self._add(number, count)

    def _add(self, number: int, count: int) -> None:
        if number > self._number:
            self._windows = number
            self._total += self._count
            self._squares += self._count**2
            self._most = max(self._most, self._count)
            self._number, self._count = number, 0
        self._count += count

    @property
    def dispersion(self) -> Dispersion:
        """What the windows hold that are over."""
        return Dispersion(self._windows, self._total, self._squares, self._most)
