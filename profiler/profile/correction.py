"""How to correct a count: least squares of what was reported on what was counted of the same calls.

    reported = a * messages + b * tool_schemas + c

per call, `messages` being system, history, user and tool results. Where that cannot be told, by
fewer terms, in this order:

1. `messages`, `tool_schemas`, `constant`: both vary, and not together (r^2 < 0.999);
2. `messages`, `constant`: tool schemas do not vary: what they add is in the constant (or
   `tool_schemas`, `constant` where only they vary);
3. `counted`, `constant`: both vary, but together, or calls are too few for three terms;
4. `counted`: the ratio alone, as it is of output, of which there is one count;
5. nothing, with the reason.

Each term takes at least `CALLS_PER_TERM` calls. All of it is computed from exact integer sums.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from profiler.profile.distribution import ExactInt, Strict
from profiler.profile.least_squares import least_squares

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    @model_validator(mode="after")
    def _products_are_of_the_variables(self) -> Self:
        size = len(self.variables)
        if self.variables not in _COLUMNS or len(self.products) != size * (size + 1) // 2:
            raise ValueError("the products are not those of each pair of known variables")
        return self


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


def side_of(moments: Moments) -> LedgerSide | None:
    """Return what the sums say of a count and its correction; None without a call."""
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
