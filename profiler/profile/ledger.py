"""The token ledger: what we counted of LLM calls beside what the provider reported of them.

For a provider that reports nothing, our count stands alone. The ledger says how far such a count
can be trusted, and how to correct it: by a least-squares fit of what was reported,

    reported = a * messages + b * tool_schemas + c

per call, `messages` being system, history, user and tool results. Where that cannot be told, by
fewer terms, in this order:

1. `messages`, `tool_schemas`, `constant`: both vary, and not together (r^2 < 0.999);
2. `messages`, `constant`: tool schemas do not vary: what they add is in the constant (or
   `tool_schemas`, `constant` where only they vary);
3. `counted`, `constant`: both vary, but together, or calls are too few for three terms;
4. `counted`: the ratio alone;
5. nothing, with the reason.

Each term takes at least `CALLS_PER_TERM` calls. Of output there is one count: the ratio alone, of
what was reported less its reasoning (not reported: none), which nobody but the provider can count.

Of all LLM calls of the run that succeeded and have both numbers, those of warm-up and those that
could not be assigned included: how a tokenizer counts does not depend on them. The sums are exact
integers and add when profiles are merged; everything else is computed from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from profiler.profile.distribution import ExactInt, Strict
from profiler.profile.least_squares import least_squares
from profiler.profile.metrics import CALL_PREFERENCE, preferred
from profiler.profile.rows import CALL_COUNTED_OUTPUT, CALL_OK, CALL_PARTS, CALL_USAGE, MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from profiler.profile.rows import Row

PARTS = ("system", "tool_schemas", "history", "user", "tool_results", "overhead")
CALLS_PER_TERM = 4
COLLINEAR = (999, 1000)
"""r^2 from which on two terms cannot be told apart, as a fraction."""

Term = Literal["messages", "tool_schemas", "counted", "constant"]
_Vector = tuple[int, ...]

INPUT = ("one", "messages", "tool_schemas", "overhead", "reported")
OUTPUT = ("one", "counted", "reported")
_COLUMNS: dict[tuple[str, ...], dict[str, _Vector]] = {
    INPUT: {
        "constant": (1, 0, 0, 0, 0),
        "messages": (0, 1, 0, 0, 0),
        "tool_schemas": (0, 0, 1, 0, 0),
        "counted": (0, 1, 1, 1, 0),
        "reported": (0, 0, 0, 0, 1),
        "difference": (0, -1, -1, -1, 1),
    },
    OUTPUT: {
        "constant": (1, 0, 0),
        "counted": (0, 1, 0),
        "reported": (0, 0, 1),
        "difference": (0, -1, 1),
    },
}


class Coefficient(Strict):
    """One term of a correction."""

    value: float = Field(description="tokens reported for each token counted; constant: per call")
    standard_error: float = Field(description="its standard error, calls taken as independent")


class Correction(Strict):
    """What to make of a count: the sum of coefficient * term is what the provider reports."""

    terms: dict[Term, Coefficient] = Field(
        description="messages: system + history + user + tool results; tool_schemas; counted: all "
        "that we counted; constant: 1"
    )
    residual_sd_tokens: float = Field(
        description="error of a corrected count of one call: standard deviation of what is left"
    )
    relative_error: float | None = Field(description="the same / mean reported")


class CountError(Strict):
    """The error of a count that is not corrected."""

    mean_tokens: float = Field(description="mean of reported - counted, per call")
    sd_tokens: float | None = Field(description="its standard deviation; null for one call")
    rms_tokens: float = Field(description="root of the mean square of reported - counted")
    relative_error: float | None = Field(description="the same / mean reported")


class LedgerSide(Strict):
    """Input or output of one model: counted against reported."""

    calls: int = Field(ge=1, description="calls with both numbers")
    counted_tokens: int = Field(description="what we counted, all calls together")
    reported_tokens: int = Field(description="what was reported; output: less reasoning")
    difference_tokens: int = Field(description="reported - counted")
    plain_error: CountError = Field(description="error of our count as it is")
    correction: Correction | None = Field(description="how to correct it; null: see `reason`")
    reason: str | None = Field(description="why the correction has fewer terms, or there is none")
    variables: tuple[str, ...] = Field(description="what `products` are of; one is always 1")
    products: tuple[ExactInt, ...] = Field(
        description="sum over calls of the product of each pair of variables, (0,0), (0,1), ... "
        "(1,1), ...: what merging and any other fit needs"
    )


class WithoutTools(Strict):
    """The calls of `input` that have no tool schemas: what tells of whom a difference is."""

    calls: int = Field(description="how many of them")
    difference_tokens: int = Field(description="sum of reported - counted")
    difference_squares: ExactInt = Field(description="sum of (reported - counted) squared")


class Ledger(Strict):
    """Our count of one model's tokens against the provider's."""

    source: str = Field(description="who observed the calls; several joined by '+' after a merge")
    successful_calls: int = Field(description="its calls that succeeded, with both numbers or not")
    counted_by_part: dict[str, int] = Field(
        description="input tokens that we counted of the calls of `input`, by part"
    )
    input: LedgerSide | None = Field(description="null: no call has both numbers")
    without_tools: WithoutTools = Field(description="of the calls of `input`")
    output: LedgerSide | None = Field(description="null: no call has both numbers")
    reasoning_tokens: int = Field(
        description="reported of the calls of `output`, and left out there"
    )


class Moments:
    """Sums over calls of the products of a few integers."""

    __slots__ = ("products", "variables")

    def __init__(self, variables: tuple[str, ...], products: Sequence[int] | None = None) -> None:
        self.variables = variables
        size = len(variables)
        self.products = [0] * (size * (size + 1) // 2) if products is None else list(products)

    @property
    def count(self) -> int:
        """How many calls that is: the product of one and one."""
        return self.products[0]

    def take(self, values: Sequence[int]) -> None:
        """Add a call; the first value is 1."""
        place = 0
        products = self.products
        for i, value in enumerate(values):
            for other in values[i:]:
                products[place] += value * other
                place += 1

    def add(self, products: Sequence[int]) -> None:
        """Add the sums of other calls."""
        self.products = [a + b for a, b in zip(self.products, products, strict=True)]

    def of(self, first: str, second: str) -> int:
        """Return the sum over calls of the product of two columns."""
        columns = _COLUMNS[self.variables]
        a, b = columns[first], columns[second]
        size, total, place = len(a), 0, 0
        for i in range(size):
            for j in range(i, size):
                weight = a[i] * b[j] + (a[j] * b[i] if i != j else 0)
                total += weight * self.products[place]
                place += 1
        return total

    def co_deviation(self, first: str, second: str) -> int:
        """Return n times the sum of (x - mean x)(y - mean y): 0 for what does not vary."""
        totals = self.of("constant", first) * self.of("constant", second)
        return self.count * self.of(first, second) - totals


@dataclass(slots=True)
class LedgerTally:
    """One model's calls as one observer saw them, or as merged ledgers have them."""

    sources: set[str]
    successful_calls: int = 0
    parts: list[int] = field(default_factory=lambda: [0] * len(PARTS))
    input: Moments = field(default_factory=lambda: Moments(INPUT))
    output: Moments = field(default_factory=lambda: Moments(OUTPUT))
    reasoning_tokens: int = 0
    without_tools: list[int] = field(default_factory=lambda: [0, 0, 0])

    def take(self, row: Row) -> None:
        """Take a call that succeeded."""
        self.successful_calls += 1
        parts = row[CALL_PARTS]
        reported, output, _, reasoning = row[CALL_USAGE]
        if reported != MISSING and MISSING not in parts:
            system, tool_schemas, history, user, tool_results, overhead = parts
            messages = system + history + user + tool_results
            self.input.take((1, messages, tool_schemas, overhead, reported))
            self.parts = [a + b for a, b in zip(self.parts, parts, strict=True)]
            if not tool_schemas:
                difference = reported - messages - overhead
                for place, value in enumerate((1, difference, difference * difference)):
                    self.without_tools[place] += value
        counted = row[CALL_COUNTED_OUTPUT]
        if MISSING not in (output, counted):
            reasoning = 0 if reasoning == MISSING else reasoning
            self.output.take((1, counted, output - reasoning))
            self.reasoning_tokens += reasoning

    def ledger(self) -> Ledger | None:
        """Return the ledger; None where no call has both numbers of anything."""
        if not self.input.count and not self.output.count:
            return None
        return Ledger(
            source="+".join(sorted(self.sources)),
            successful_calls=self.successful_calls,
            counted_by_part=dict(zip(PARTS, self.parts, strict=True)) if self.input.count else {},
            input=_side(self.input),
            without_tools=WithoutTools(
                calls=self.without_tools[0],
                difference_tokens=self.without_tools[1],
                difference_squares=self.without_tools[2],
            ),
            output=_side(self.output),
            reasoning_tokens=self.reasoning_tokens,
        )


class Ledgers:
    """The ledger of each model, as each observer saw its calls."""

    def __init__(self) -> None:
        self._of: dict[int, dict[str, LedgerTally]] = {}

    def take(self, observer: str, model: int, row: Row) -> None:
        """Take an LLM call of the model of that number."""
        if not row[CALL_OK]:
            return
        of_model = self._of.setdefault(model, {})
        tally = of_model.get(observer)
        if tally is None:
            tally = of_model[observer] = LedgerTally({observer})
        tally.take(row)

    def section(self, models: Mapping[str, int]) -> dict[str, Ledger]:
        """Return the ledger of each model, of the observer that is preferred.

        Among those with both numbers of a call's input; of its output where there are none.
        """
        section: dict[str, Ledger] = {}
        for name, number in models.items():
            of_model = self._of.get(number, {})
            for side in ("input", "output"):
                counts = {w: n for w, t in of_model.items() if (n := getattr(t, side).count)}
                if counts:
                    found = of_model[preferred(counts, CALL_PREFERENCE)].ledger()
                    assert found is not None  # noqa: S101 - it has calls of that side
                    section[name] = found
                    break
        return section


def merge_ledgers(ledgers: Iterable[Ledger]) -> Ledger:
    """Combine the ledgers, at least one, of one model. Nothing is lost."""
    tally = LedgerTally(set())
    for ledger in ledgers:
        tally.sources |= set(ledger.source.split("+"))
        tally.successful_calls += ledger.successful_calls
        tally.reasoning_tokens += ledger.reasoning_tokens
        by_part = ledger.counted_by_part
        tally.parts = [a + by_part.get(p, 0) for a, p in zip(tally.parts, PARTS, strict=True)]
        bare = ledger.without_tools
        sums = (bare.calls, bare.difference_tokens, bare.difference_squares)
        tally.without_tools = [a + b for a, b in zip(tally.without_tools, sums, strict=True)]
        if ledger.input is not None:
            tally.input.add(ledger.input.products)
        if ledger.output is not None:
            tally.output.add(ledger.output.products)
    merged = tally.ledger()
    assert merged is not None  # noqa: S101 - each of them has calls
    return merged


def _side(moments: Moments) -> LedgerSide | None:
    n = moments.count
    if not n:
        return None
    reported = moments.of("constant", "reported")
    difference = moments.of("constant", "difference")
    correction, reason = _correction(moments)
    rms = math.sqrt(moments.of("difference", "difference") / n)
    spread = moments.co_deviation("difference", "difference")
    return LedgerSide(
        calls=n,
        counted_tokens=moments.of("constant", "counted"),
        reported_tokens=reported,
        difference_tokens=difference,
        plain_error=CountError(
            mean_tokens=difference / n,
            sd_tokens=math.sqrt(spread / (n * (n - 1))) if n > 1 else None,
            rms_tokens=rms,
            relative_error=rms * n / reported if reported else None,
        ),
        correction=correction,
        reason=reason,
        variables=moments.variables,
        products=tuple(moments.products),
    )


def _correction(moments: Moments) -> tuple[Correction | None, str | None]:
    """Fit the most terms that the calls allow; tell why not more."""
    terms, reason = _terms(moments)
    fit = None
    while terms and fit is None:
        fit = least_squares(
            [[moments.of(a, b) for b in terms] for a in terms],
            [moments.of(a, "reported") for a in terms],
            moments.of("reported", "reported"),
            moments.count,
        )
        if fit is None:
            reason = "the counts do not vary" if len(terms) > 1 else "every count is 0"
            terms = _FEWER[len(terms)]
    if fit is None:
        return None, reason
    mean = moments.of("constant", "reported") / moments.count
    coefficients = zip(fit.coefficients, fit.standard_errors, strict=True)
    return Correction(
        terms={
            term: Coefficient(value=value, standard_error=error)
            for term, (value, error) in zip(terms, coefficients, strict=True)
        },
        residual_sd_tokens=fit.residual_sd,
        relative_error=fit.residual_sd / mean if mean else None,
    ), reason


def _terms(moments: Moments) -> tuple[tuple[Term, ...], str | None]:
    """Choose the terms of a fit, and say why there are not more."""
    terms: tuple[Term, ...] = ("counted",)
    reason = None
    if moments.variables == INPUT:
        terms, reason = _input_terms(moments)
    while terms and moments.count < (needed := CALLS_PER_TERM * len(terms)):
        noun = "term needs" if len(terms) == 1 else "terms need"
        reason = f"{len(terms)} {noun} {needed} calls, there are {moments.count}"
        terms = _FEWER[len(terms)]
    return terms, reason


_FEWER: dict[int, tuple[Term, ...]] = {3: ("counted", "constant"), 2: ("counted",), 1: ()}


def _input_terms(moments: Moments) -> tuple[tuple[Term, ...], str | None]:
    messages = moments.co_deviation("messages", "messages")
    schemas = moments.co_deviation("tool_schemas", "tool_schemas")
    if not messages and not schemas:
        return ("counted",), "every call has the same counts"
    if not schemas:
        return ("messages", "constant"), "tool schemas do not vary: they are in the constant"
    if not messages:
        return ("tool_schemas", "constant"), "messages do not vary: they are in the constant"
    share, of = COLLINEAR
    if of * moments.co_deviation("messages", "tool_schemas") ** 2 >= share * messages * schemas:
        return ("counted", "constant"), "messages and tool schemas vary together"
    return ("messages", "tool_schemas", "constant"), None
