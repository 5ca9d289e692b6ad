"""The LLM calls that one observer saw, metric by metric: by model, and all models together.

`attempts` is of all calls, the rest of those that succeeded: a refused call has no tokens and no
honest time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.profile.interactions import CALL_METRICS_IN_ORDER, call_values
from profiler.profile.metrics import CALL_METRICS
from profiler.profile.rows import CALL_MODEL, CALL_OK, MISSING
from profiler.profile.tallies import Union

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.profile.distribution import Distribution
    from profiler.profile.rows import Row
    from profiler.profile.tallies import Tallies, Values
    from profiler.profile.tally import Tally

_METRICS = [CALL_METRICS[name] for name in CALL_METRICS_IN_ORDER]
_IS_OF_ALL = [metric.population == "measured" for metric in _METRICS]


@dataclass(slots=True)
class CallsOfModel:
    """The LLM calls of one model: how many, and the numbers of their tallies, metric by metric."""

    tallies: list[int]
    calls: int = 0
    succeeded: int = 0


@dataclass(slots=True)
class Calls:
    """One observer's LLM calls: by model, all together, and how many have each metric."""

    of_model: dict[int, CallsOfModel] = field(default_factory=dict)
    unions: list[Union] = field(default_factory=lambda: [Union() for _ in _METRICS])
    seen: list[int] = field(default_factory=lambda: [0] * len(_METRICS))

    def fold(self, rows: Iterable[Row], cluster: Values, tallies: Tallies) -> None:
        """Put the values of calls into the cluster that they belong to."""
        for row in rows:
            ok, model = row[CALL_OK], row[CALL_MODEL]
            of_model = self.of_model.get(model)
            if of_model is None:
                of_model = self.of_model[model] = self._new(tallies)
            of_model.calls += 1
            of_model.succeeded += ok
            for place, value in enumerate(call_values(row)):
                if value != MISSING:
                    self.seen[place] += 1
                    if ok or _IS_OF_ALL[place]:
                        cluster.numbers.append(of_model.tallies[place])
                        cluster.values.append(value)

    def _new(self, tallies: Tallies) -> CallsOfModel:
        pairs = zip(self.unions, _METRICS, strict=True)
        return CallsOfModel([tallies.member(union, metric.unit) for union, metric in pairs])

    def of_all(self, place: int, source: str, tallies: Tallies) -> Distribution | None:
        """Return the metric at that place of all models together, None if there is no value.

        At least one call must have been seen.
        """
        tally = tallies.whole(self.unions[place])
        return _of_calls(place, source, tally, list(self.of_model.values()))

    def by_model(self, place: int, source: str, tallies: Tallies) -> dict[int, Distribution]:
        """Return the metric at that place of each model that has a value of it, by its number."""
        found = {
            number: _of_calls(place, source, tallies.tally_of(model.tallies[place]), [model])
            for number, model in sorted(self.of_model.items())
        }
        return {number: one for number, one in found.items() if one is not None}


def _of_calls(
    place: int, source: str, tally: Tally, of: Iterable[CallsOfModel]
) -> Distribution | None:
    eligible = sum(one.calls if _IS_OF_ALL[place] else one.succeeded for one in of)
    return tally.distribution(method=_METRICS[place].method, source=source, eligible=eligible)
