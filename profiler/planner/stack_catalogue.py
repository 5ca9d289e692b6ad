"""What a stack can be built of: limits, lacks, costs, hours of technologies, each with its source.

One catalogue ships; a file of one's own is merged with it by name. docs/planning.md says how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from profiler.errors import PlanError
from profiler.planner.demand import PARTS, PartName, Skill
from profiler.planner.demand_file import GUIDE
from profiler.planner.price_book import (
    Component,
    Day,
    MeteredRate,
    PriceBook,
    Rates,
    Sizing,
    Sourced,
)
from profiler.planner.ranges import Amount, Bytes, Positive, Range, certain
from profiler.planner.stack_quantities import QUANTITIES
from profiler.workload.document import Document, read_document
from profiler.workload.mistakes import first_mistake
from profiler.workload.near import did_you_mean
from profiler.workload.strict import Count, PositiveCount, Strict, Text, problem

SHIPPED = Path(__file__).resolve().parent / "data" / "catalogue.yaml"
ESTIMATE = "estimate"

Way = Literal["managed", "self"]


def _known(value: Any) -> Any:
    if value not in QUANTITIES:
        raise problem(f"there is no quantity '{value}'", did_you_mean(str(value), QUANTITIES))
    return value


QuantityName = Annotated[str, BeforeValidator(_known)]
"""One of QUANTITIES."""


class Figure(Sourced):
    """A number, where it was read, and of which day it is. An estimate is a range with a reason."""

    value: Bytes
    """A plain number, or a size: `1 MiB`."""
    reason: Text | None = None

    @model_validator(mode="after")
    def _estimates_say_why(self) -> Self:
        _check_estimate(self.source, self.reason, [self.value])
        return self


class Limit(Figure):
    """What a technology carries at most."""

    adjustable: bool = False
    """A quota that is raised on request, or by more of the same: told, and eliminates nothing."""


class Lack(Sourced):
    """What a technology cannot do."""

    why: Text


class Hours(Strict):
    """Hours of a person per month: a component of the price book's, or one's own by skill."""

    component: Component | None = None
    none: Amount | None = None
    familiar: Amount | None = None
    expert: Amount | None = None
    source: Text | None = None
    date: Day | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        own = {name: getattr(self, name) for name in ("none", "familiar", "expert")}
        missing = [name for name, value in own.items() if value is None]
        if self.component is not None:
            if len(missing) < len(own):
                raise problem("the hours are given twice", "Leave out component, or the hours")
            return self
        if missing:
            raise problem(f"no hours for the skill '{missing[0]}'", "Give none, familiar, expert")
        if self.source is None or self.date is None:
            what = f"the hours have no {'source' if self.source is None else 'date'}"
            raise problem(what, "Say where they are from and of which day: source, date")
        _check_estimate(self.source, self.reason, list(own.values()))
        return self

    def of(self, skill: Skill, way: Way, book: PriceBook) -> Range:
        """Return the hours at a skill."""
        if self.component is not None:
            return book.operations[self.component].hours(way, skill)
        found: Range = getattr(self, skill)
        return found


def _check_estimate(source: str, reason: str | None, values: list[Range]) -> None:
    if source != ESTIMATE:
        return
    if reason is None:
        raise problem("an estimate without a reason", "Say why it is what it is: reason")
    if any(value.is_certain and value.likely > 0 for value in values):
        raise problem("an estimate is a range", "Write it like {low: 1, likely: 2, high: 4}")


def _known_in(model: type[Strict], what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is not None and value not in model.model_fields:
            fix = did_you_mean(str(value), model.model_fields)
            raise problem(f"the price book has no {what} '{value}'", fix)
        return value

    return BeforeValidator(check)


class Cost(Strict):
    """A line of what a technology costs per month, by one of its first four keys.

    `bill`: what the price book bills for a component (`api`: what the models' providers do).
    `rate`, `price`: of the book, or one's own, times `times` for each `per` units of `quantity`;
    or, with `carries`, for each hour of as many machines as carry the quantity, and `spare` more.
    `nodes`: machines of the book that hold `memory` and compute `quantity` by `per_cpu`.
    """

    bill: Component | Literal["api"] | None = None
    run_by: Way | None = None
    rate: Annotated[Text | None, _known_in(Rates, "rate")] = None
    price: MeteredRate | None = None
    nodes: Literal["machines", "cache_nodes", "database_nodes"] | None = None
    quantity: QuantityName | None = None
    per: Positive = certain(1.0)
    times: Positive = certain(1.0)
    carries: Figure | None = None
    spare: Count = 0
    memory: QuantityName | None = None
    per_cpu: Annotated[Text | None, _known_in(Sizing, "sizing")] = None
    copies: PositiveCount = 2

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("bill", "rate", "price", "nodes") if getattr(self, name)]
        if len(kinds) != 1:
            what = f"a cost is {' and '.join(kinds) if kinds else 'nothing'}"
            raise problem(what, "Write one of bill, rate, price, nodes")
        if kinds[0] in {"rate", "price"} and self.quantity is None:
            raise problem(f"the {kinds[0]} has no quantity", "Say what it is paid for: quantity")
        if kinds[0] == "nodes" and (self.quantity is None) != (self.per_cpu is None):
            raise problem("quantity and per_cpu go together", "Give both, or none of them")
        return self


class Technology(Strict):
    """A candidate for a part of the stack."""

    name: Text
    skill: Text
    """What a team has to know; several technologies may share it."""
    limits: dict[QuantityName, Limit] = Field(default_factory=dict)
    lacks: dict[Text, Lack] = Field(default_factory=dict)
    """By capability."""
    costs: dict[Way, tuple[Cost, ...]]
    hours: dict[Way, Hours]
    shares: dict[PartName, Text] = Field(default_factory=dict)
    """Part: the technology that, chosen there, can carry this one too."""

    @model_validator(mode="after")
    def _ways_match(self) -> Self:
        if not self.costs:
            raise problem("nothing says what it costs", "Give costs.managed or costs.self")
        for way in sorted(self.costs.keys() ^ self.hours.keys()):
            what = f"'{way}' has {'no hours' if way in self.costs else 'hours and no costs'}"
            raise problem(what, f"Give both costs.{way} and hours.{way}")
        return self

    def way(self, asked: Way) -> Way:
        """Return how it is run: as asked, where it can be."""
        return asked if asked in self.costs else next(iter(self.costs))


class Part(Strict):
    """A part of the stack: what its technologies may be asked to do, and the technologies."""

    capabilities: dict[Text, Text]
    requires: tuple[Text, ...] = ()
    """Capabilities that are needed, where the demand does not say."""
    technologies: dict[Text, Technology]

    @model_validator(mode="after")
    def _known_capabilities(self) -> Self:
        for place, name in enumerate(self.requires):
            self._check(name, ("requires", place))
        for key, technology in self.technologies.items():
            for name in technology.lacks:
                self._check(name, ("technologies", key, "lacks", name))
        return self

    def _check(self, name: str, below: tuple[str | int, ...]) -> None:
        if name not in self.capabilities:
            fix = did_you_mean(name, self.capabilities)
            raise problem(f"there is no capability '{name}'", fix, below=below)


class Catalogue(Strict):
    """Technologies by part."""

    name: Text
    date: Day
    closed_providers: tuple[Text, ...] = ()
    """Whose models nobody else runs ..."""
    open_models: tuple[Text, ...] = ()
    """... but for those with one of these words at the start of their name."""
    parts: dict[PartName, Part]

    @model_validator(mode="after")
    def _all_parts(self) -> Self:
        for name in PARTS:
            if name not in self.parts:
                raise problem(f"there is no part '{name}'", f"Add parts.{name}")
        return self

    def skills(self) -> Iterator[str]:
        """Yield what a team may know: skills, and technologies by their keys."""
        for part in self.parts.values():
            for key, technology in part.technologies.items():
                yield technology.skill
                yield key


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Return the catalogue that ships, with a file of one's own merged in. Raises PlanError."""
    shipped = read_document(SHIPPED, what="catalogue", error=PlanError)
    if path is None:
        return _validated(shipped, shipped.data)
    own = read_document(path, what="catalogue", error=PlanError)
    if not isinstance(own.data, dict):
        fix = "Start with 'parts:', a part, 'technologies:' and a name"
        raise PlanError("a catalogue is a mapping of keys", where=f"{path}:1", fix=fix)
    return _validated(own, _merged(shipped.data, own.data, depth=_MERGED_DEPTH))


_MERGED_DEPTH = 6
"""Down to parts / queue / technologies / sqs / limits / message_bytes: what stands there (a figure
with its source, the costs or the hours of one way) is taken whole, so that no number of one's own
is left with the source of another."""


def _merged(base: Any, own: Any, *, depth: int) -> Any:
    if depth == 0 or not isinstance(base, Mapping) or not isinstance(own, Mapping):
        return own
    merged = dict(base)
    for key, value in own.items():
        known = key in merged
        merged[key] = _merged(merged[key], value, depth=depth - 1) if known else value
    return merged


def _validated(document: Document, data: Any) -> Catalogue:
    try:
        return Catalogue.model_validate(data)
    except ValidationError as exc:
        mistake = first_mistake(document, exc, guide=GUIDE)
        raise PlanError(mistake.with_key, where=mistake.where, fix=mistake.fix) from exc
