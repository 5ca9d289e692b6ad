"""What the LLM calls of an interaction cost: each sampled call by its own tokens.

Call by call, because prices are not linear: a call beyond a tier's start pays more for all its
tokens, and the price of mean tokens is not the mean price.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from profiler.errors import PlanError
from profiler.planner.tariffs import KINDS, Kind, Tariff, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.planner.serving import Served

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallColumns:
    """The sampled LLM calls, a column per field, all of one length.

    `interaction` numbers the interaction of each call, 0 to `interactions` - 1; an interaction
    without calls has its number, too. None is a count that nobody observed.
    """

    interactions: int
    interaction: Sequence[int]
    model: Sequence[str]
    input_tokens: Sequence[int | None]
    cached_input_tokens: Sequence[int | None]
    cache_write_tokens: Sequence[int | None]
    output_tokens: Sequence[int | None]
    reasoning_tokens: Sequence[int | None]
    attempts: Sequence[int]
    succeeded: Sequence[bool]

    def __post_init__(self) -> None:
        columns = (
            self.model,
            self.input_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.attempts,
            self.succeeded,
        )
        if any(len(column) != len(self.interaction) for column in columns):
            raise ValueError("the columns are of different lengths")
        if any(not 0 <= number < self.interactions for number in self.interaction):
            raise ValueError("a call belongs to an interaction that is not in the sample")


class Cell(NamedTuple):
    """A line of the bill: a model as it is priced, who serves it, how, and for what."""

    model: str
    provider: str | None
    is_batch: bool
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCost:
    """US dollars of the sampled calls.

    `cells` sum to `sample_usd`, exactly. `coverage` is the share of the calls that succeeded whose
    tokens were observed: the others are priced at the mean of their model. `cache_coverage` is the
    share of the priced calls that told what was read from the cache: the others are priced as
    though nothing was, which is dearer.
    """

    interactions: int
    calls: int
    cells: Mapping[Cell, Decimal]
    reasoning_usd: Decimal
    """Of the output: what reasoning tokens cost, where they were told."""
    per_interaction_usd: npt.NDArray[np.float64]
    """By interaction, for resampling; the exact sums are in `cells`."""
    coverage: float
    cache_coverage: float
    tariffs: tuple[Tariff, ...]

    @property
    def sample_usd(self) -> Decimal:
        """All sampled calls together."""
        return sum(self.cells.values(), _ZERO)

    @property
    def usd_per_interaction(self) -> Decimal:
        """The mean over the sampled interactions, those without a call with them."""
        return self.sample_usd / self.interactions

    def by_kind(self) -> dict[Kind, Decimal]:
        """Return dollars per interaction by what is billed."""
        sums = dict.fromkeys(KINDS, _ZERO)
        for cell, usd in self.cells.items():
            sums[cell.kind] += usd
        return {kind: usd / self.interactions for kind, usd in sums.items()}

    def by_model(self) -> dict[str, Decimal]:
        """Return dollars per interaction by model, as it is priced in the plan."""
        sums: dict[str, Decimal] = {}
        for cell, usd in self.cells.items():
            sums[cell.model] = sums.get(cell.model, _ZERO) + usd
        return {model: usd / self.interactions for model, usd in sums.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """What a run's own LLM calls cost. `is_hypothetical`: on a mock target, would have cost."""

    usd: Decimal
    interactions: int
    is_hypothetical: bool


def run_cost(api: ApiCost, interactions: int, *, is_mock: bool) -> RunCost:
    """Return what a run of so many interactions, warm-up included, cost at the sample's mean.

    `api` is to be priced at the measured models: without replacements and without batch.
    """
    usd = api.usd_per_interaction * interactions
    return RunCost(usd=usd, interactions=interactions, is_hypothetical=is_mock)


def api_cost(
    calls: CallColumns,
    serving: Mapping[str, Sequence[Served]],
    *,
    billed: Decimal = _ZERO,
) -> ApiCost:
    """Return what the sampled calls cost under the tariffs of `serving`, by measured model.

    `billed` is the share of failed attempts that a provider bills; such an attempt costs the input
    side of its call: what it read was the same, what it wrote is not known. A call that failed for
    good and told no tokens has only such attempts, at the mean input side of its model.
    Raises PlanError where no call of a model told its tokens, or contradicts itself.
    """
    if calls.interactions == 0:
        raise PlanError("the sample has no interactions", fix="Measure some first")
    return _Bill(calls, serving, billed).sum_up()


@dataclass(frozen=True, slots=True)
class _Priced:
    """One usage under the tariffs of its model, weighted by their shares."""

    cells: Mapping[Cell, Decimal]
    attempts: Mapping[Cell, Decimal]
    """What one failed attempt adds, if all are billed."""
    usd_per_output_token: Decimal


class _Bill:
    """Sums the calls up; a usage that occurs twice is priced once."""

    def __init__(
        self, calls: CallColumns, serving: Mapping[str, Sequence[Served]], billed: Decimal
    ) -> None:
        self._calls = calls
        self._serving = serving
        self._billed = billed
        self._priced: dict[tuple[str, int, int, int, int], _Priced] = {}
        self._cells: dict[Cell, Decimal] = {}
        self._per_interaction = [_ZERO] * calls.interactions
        self._seen: dict[str, list[_Priced]] = {}
        self._reasoning = _ZERO
        self._cache_told = 0

    def sum_up(self) -> ApiCost:
        unseen = []
        for i in range(len(self._calls.interaction)):
            inputs, outputs = self._calls.input_tokens[i], self._calls.output_tokens[i]
            if inputs is None or outputs is None:
                unseen.append(i)
            else:
                self._add_seen(i, inputs, outputs)
        succeeded = sum(self._calls.succeeded)
        missing = sum(self._calls.succeeded[i] for i in unseen)
        for model in {self._calls.model[i] for i in unseen}:
            self._add_unseen(model, [i for i in unseen if self._calls.model[i] == model])
        priced = len(self._calls.interaction) - len(unseen)
        return ApiCost(
            interactions=self._calls.interactions,
            calls=len(self._calls.interaction),
            cells=self._cells,
            reasoning_usd=self._reasoning,
            per_interaction_usd=np.array([float(usd) for usd in self._per_interaction]),
            coverage=1 - missing / succeeded if succeeded else 1.0,
            cache_coverage=self._cache_told / priced if priced else 1.0,
            tariffs=self._tariffs(),
        )

    def _add_seen(self, i: int, inputs: int, outputs: int) -> None:
        cached, written = self._calls.cached_input_tokens[i], self._calls.cache_write_tokens[i]
        self._cache_told += cached is not None
        usage = (inputs, cached or 0, written or 0, outputs)  # None: not told, priced as uncached
        priced = self._price(self._calls.model[i], usage)
        self._seen.setdefault(self._calls.model[i], []).append(priced)
        self._add(i, priced.cells, Decimal(1))
        self._add(i, priced.attempts, self._billed * (self._calls.attempts[i] - 1))
        reasoning = self._calls.reasoning_tokens[i]
        if reasoning is not None:
            self._reasoning += min(reasoning, outputs) * priced.usd_per_output_token

    def _add_unseen(self, model: str, rows: list[int]) -> None:
        seen = self._seen.get(model)
        if not seen:
            what = f"no call of '{model}' told its tokens, so that it has no cost"
            fix = "Measure with --gateway, or with a provider that reports usage"
            raise PlanError(what, fix=fix)
        whole, attempt = _mean([one.cells for one in seen]), _mean([one.attempts for one in seen])
        for i in rows:
            succeeded = self._calls.succeeded[i]
            if succeeded:
                self._add(i, whole, Decimal(1))
            failed = self._calls.attempts[i] - (1 if succeeded else 0)
            self._add(i, attempt, self._billed * failed)

    def _add(self, i: int, cells: Mapping[Cell, Decimal], times: Decimal) -> None:
        if times == 0:
            return
        for cell, usd in cells.items():
            self._cells[cell] = self._cells.get(cell, _ZERO) + usd * times
            self._per_interaction[self._calls.interaction[i]] += usd * times

    def _price(self, model: str, usage: tuple[int, int, int, int]) -> _Priced:
        key = (model, *usage)
        if key not in self._priced:
            inputs, cached, written, outputs = usage
            try:
                tokens = Tokens(
                    input=inputs, cached_input=cached, cache_write=written, output=outputs
                )
            except ValueError as exc:
                what = f"a call of '{model}' contradicts itself: {exc}"
                raise PlanError(what, fix="Look at how its usage is read") from exc
            self._priced[key] = _priced(tokens, self._serving[model])
        return self._priced[key]

    def _tariffs(self) -> tuple[Tariff, ...]:
        used = dict.fromkeys(self._calls.model)
        found = [served.tariff for model in used for served in self._serving[model]]
        return tuple(dict.fromkeys(found))


def _priced(tokens: Tokens, serving: Sequence[Served]) -> _Priced:
    cells: dict[Cell, Decimal] = {}
    attempts: dict[Cell, Decimal] = {}
    per_output = _ZERO
    for served in serving:
        tariff, cost = served.tariff, served.cost(tokens)
        name = tariff.model, tariff.provider, tariff.is_batch
        parts: dict[Kind, Decimal] = {
            "uncached_input": cost.uncached_input_usd,
            "cached_input": cost.cached_input_usd,
            "cache_write": cost.cache_write_usd,
            "output": cost.output_usd,
            "request": cost.request_usd,
        }
        for kind, usd in parts.items():
            if usd > 0:
                cells[Cell(*name, kind)] = usd * served.share
        side = (cost.input_usd + cost.request_usd) * served.share
        if side > 0:
            attempts[Cell(*name, "failed_attempts")] = side
        if tokens.output > 0:
            per_output += cost.output_usd * served.share / tokens.output
    return _Priced(cells, attempts, per_output)


def _mean(many: Sequence[Mapping[Cell, Decimal]]) -> dict[Cell, Decimal]:
    sums: dict[Cell, Decimal] = {}
    for cells in many:
        for cell, usd in cells.items():
            sums[cell] = sums.get(cell, _ZERO) + usd
    return {cell: usd / len(many) for cell, usd in sums.items()}
