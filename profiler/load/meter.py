"""What a run has spent so far, as far as anybody observed it, and whether that is enough.

A call may be seen by several observers: each has an account of its own, and the largest counts.
Calls whose tokens nobody saw are in none: what is spent is a lower bound, and where nobody sees any
tokens at all, no limit can be held and the run ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from profiler.clock import NS_PER_S
from profiler.errors import AgentProfilerError
from profiler.measure.records import EndReason, LlmCall, Observer, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.measure.records import Interaction, Record, Usage

UNSEEN_MOST = 10
"""Interactions that succeed before it is said that nobody sees what they cost."""
LATE_NS = 15 * NS_PER_S
"""How much later a gateway or spans may tell of a call."""


class Price(Protocol):
    """US dollars of one call. Raises `AgentProfilerError` for a model without a price."""

    def __call__(self, model: str | None, usage: Usage, /) -> Decimal:
        """Return it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimits:
    """What a run may spend; None is no limit."""

    usd: Decimal | None = None
    tokens: int | None = None


NO_LIMIT = SpendLimits()
ENDS = frozenset({EndReason.MAX_COST, EndReason.MAX_TOKENS, EndReason.UNMETERED})
"""How a run ends that may spend no more: what is under way goes on to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was spent. `problem` says why that cannot be told."""

    tokens: int = 0
    usd: Decimal = Decimal(0)
    problem: str | None = None


def over(spent: Spent, limits: SpendLimits) -> tuple[EndReason, str] | None:
    """Say which limit is reached, and how; None for none."""
    if spent.problem is not None:
        return EndReason.UNMETERED, spent.problem
    if limits.usd is not None and spent.usd >= limits.usd:
        return EndReason.MAX_COST, f"at least ${spent.usd:.4f} of ${limits.usd} are spent"
    if limits.tokens is not None and spent.tokens >= limits.tokens:
        said = f"at least {spent.tokens:,} of {limits.tokens:,} tokens are used"
        return EndReason.MAX_TOKENS, said
    return None


class Meter:
    """The account of one driver. `take` and `see` are hooks of it and of its observers.

    Without a `price`, dollars are not counted. `late`: others than the answers tell of calls.
    """

    def __init__(self, limits: SpendLimits, price: Price | None, *, late: bool = False) -> None:
        self.limits = limits
        self._price = price
        self._late_ns = LATE_NS if late else 0
        self._tokens: dict[Observer, int] = {}
        self._usd: dict[Observer, Decimal] = {}
        self._succeeded = 0
        self._unseen_since_ns: int | None = None
        self._problem: str | None = None

    @property
    def spent(self) -> Spent:
        """What is spent so far."""
        return Spent(
            tokens=max(self._tokens.values(), default=0),
            usd=max(self._usd.values(), default=Decimal(0)),
            problem=self._problem,
        )

    def over(self) -> tuple[EndReason, str] | None:
        """Say which limit is reached; None for none."""
        return over(self.spent, self.limits)

    def take(self, interaction: Interaction, inside: Iterable[Record]) -> None:
        """Take an interaction that ended, with what its own answer told of calls."""
        calls = [record for record in inside if isinstance(record, LlmCall)]
        for call in calls:
            self.see(call)
        if not calls and interaction.usage is not None:
            self._add(Observer.RESPONSE, None, interaction.usage)
        if interaction.outcome is Outcome.OK:
            self._succeeded += 1
            self._judge(interaction.end_ns)

    def see(self, record: Record) -> None:
        """Take what an observer recorded."""
        if isinstance(record, LlmCall) and record.usage is not None:
            self._add(record.observer, record.model, record.usage)

    def _judge(self, at_ns: int) -> None:
        if self._tokens or self._succeeded < UNSEEN_MOST:
            return
        if self._unseen_since_ns is None:
            self._unseen_since_ns = at_ns
        if at_ns - self._unseen_since_ns >= self._late_ns:
            self._problem = (
                f"nobody observed the tokens of {self._succeeded} interactions, so no limit of "
                "spend can be held"
            )

    def _add(self, observer: Observer, model: str | None, usage: Usage) -> None:
        if usage.input_tokens is None and usage.output_tokens is None:
            return
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self._tokens[observer] = self._tokens.get(observer, 0) + tokens
        if self._price is None:
            return
        try:
            usd = self._price(model, usage)
        except AgentProfilerError as exc:
            self._problem = exc.what
            return
        self._usd[observer] = self._usd.get(observer, Decimal(0)) + usd
