"""Tool round trips: from an LLM's answer that asks for tools to the request with their results.

What a gateway can tell of tools: their time and whatever the agent did beside. It is reported under
that name, and never as the tools' own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.profile.metrics import CALL_PREFERENCE, preferred
from profiler.profile.rows import MISSING, Names, difference_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.distribution import Distribution
    from profiler.profile.rows import Row
    from profiler.profile.tallies import Tallies, Values
    from profiler.profile.tally import Tally

MOST_NAMES = 256
OTHERS = "(other combinations)"
"""What a model asks for is text from outside: combinations beyond the first 256 are one."""


class RoundTrips:
    """Durations by the tools that were asked for together, as each observer saw them."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._names = Names()
        self._of: dict[tuple[str, int], tuple[int, Tally]] = {}

    def name(self, tools: Sequence[str]) -> int:
        """Return the number of a combination: each tool as often as it was asked for, sorted."""
        name = "+".join(sorted(tools))
        return self._names.bounded(name, most=MOST_NAMES, others=OTHERS)

    def fold(self, observer: str, rows: list[Row], cluster: Values) -> None:
        """Put durations into the cluster (session, trace) that they belong to."""
        for name, start, end in rows:
            duration = difference_us(end, start)
            if duration == MISSING:
                continue
            found = self._of.get((observer, name))
            if found is None:
                found = self._of[observer, name] = self._tallies.tally("s")
            cluster.numbers.append(found[0])
            cluster.values.append(duration)

    def section(self) -> dict[str, Distribution]:
        """Return the durations by combination, each from the observer that is preferred."""
        section: dict[str, Distribution] = {}
        for name, number in self._names.items():
            tallies = {who: tally for (who, of), (_, tally) in self._of.items() if of == number}
            if not tallies:
                continue
            counts = {who: tally.count for who, tally in tallies.items()}
            source = preferred(counts, CALL_PREFERENCE)
            found = tallies[source].distribution(
                method="measured", source=source, eligible=counts[source]
            )
            if found is not None:
                section[name] = found
        return section
