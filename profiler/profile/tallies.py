"""Tallies that are filled a cluster at a time, a cluster being what was sampled as one thing.

The values of a cluster wait, 12 bytes each, until it is whole: an interval of a mean or a quantile
needs to know which values came together.
"""

from __future__ import annotations

from array import array
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.profile.tally import Tally

if TYPE_CHECKING:
    from profiler.profile.sample import Unit


@dataclass(slots=True)
class Values:
    """Values of one cluster. A value goes into the tally whose number is beside it."""

    numbers: array[int] = field(default_factory=lambda: array("I"))
    values: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Union:
    """Tallies, by number, whose values are wanted as one as well.

    While there is only one member, it is the union; `whole` begins as its copy when another comes.
    """

    members: list[int] = field(default_factory=list)
    whole: Tally | None = None


class Tallies:
    """Numbered tallies, and unions of them."""

    def __init__(self) -> None:
        self._tallies: list[Tally] = []
        self._padded: dict[int, int] = {}
        self._union_of: dict[int, Union] = {}

    def tally(self, unit: Unit, *, padded_to: int | None = None) -> tuple[int, Tally]:
        """Return a new tally and its number.

        With `padded_to`, a cluster that has any value in it gets zeros to as many values as it has
        in the tally of that number.
        """
        number = len(self._tallies)
        if padded_to is not None:
            self._padded[number] = padded_to
        self._tallies.append(Tally(unit))
        return number, self._tallies[number]

    def member(self, union: Union, unit: Unit) -> int:
        """Return the number of a new tally whose values are in a union too."""
        number, _ = self.tally(unit)
        if len(union.members) == 1:
            union.whole = deepcopy(self._tallies[union.members[0]])
        union.members.append(number)
        self._union_of[number] = union
        return number

    def tally_of(self, number: int) -> Tally:
        """Return the tally of a number."""
        return self._tallies[number]

    def whole(self, union: Union) -> Tally:
        """Return the tally of a union, which has a member."""
        return self._tallies[union.members[0]] if union.whole is None else union.whole

    def take(self, cluster: Values) -> None:
        """Put the values of a cluster that is whole into their tallies."""
        values: dict[int, list[int]] = {}
        for number, value in zip(cluster.numbers, cluster.values, strict=True):
            if number in values:
                values[number].append(value)
            else:
                values[number] = [value]
        for number, found in values.items():
            # What is padded, or joined with others, may be sorted by now: that does not matter.
            padded_to = self._padded.get(number)
            if padded_to is not None:
                found.extend([0] * (len(values[padded_to]) - len(found)))
            self._tallies[number].add(found)
        self._take_unions(values)

    def _take_unions(self, values: dict[int, list[int]]) -> None:
        together: dict[int, tuple[Tally, list[int]]] = {}
        for number, union in self._union_of.items():
            if union.whole is not None and number in values:
                _, joined = together.setdefault(id(union), (union.whole, []))
                joined += values[number]
        for whole, joined in together.values():
            whole.add(joined)
