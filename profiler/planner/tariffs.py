"""What one LLM call costs under one tariff: decimal arithmetic, no lookup.

The calculator of genai-prices takes 160 µs per call, and a sample has tens of thousands: a tariff
is read from its data once. Tests hold this arithmetic against that calculator.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from profiler.errors import PlanError

PER_MILLION = Decimal(1_000_000)
_ZERO = Decimal(0)

Kind = Literal[
    "uncached_input", "cached_input", "cache_write", "output", "request", "failed_attempts"
]
KINDS: tuple[Kind, ...] = (
    "uncached_input",
    "cached_input",
    "cache_write",
    "output",
    "request",
    "failed_attempts",
)
"""What a call is billed for, in the order in which a plan names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of one call. `input` is the total, with what was read from and written to the cache.

    Raises ValueError where the parts contradict the total, or one is negative.
    """

    input: int
    cached_input: int = 0
    cache_write: int = 0
    output: int

    def __post_init__(self) -> None:
        for name in ("input", "cached_input", "cache_write", "output"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} tokens are negative: {getattr(self, name)}")
        if self.cached_input + self.cache_write > self.input:
            raise ValueError(
                f"{self.cached_input} cached and {self.cache_write} written tokens are more than "
                f"the {self.input} input tokens, which include them"
            )

    @property
    def uncached_input(self) -> int:
        """Input tokens that were neither read from nor written to the cache."""
        return self.input - self.cached_input - self.cache_write


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """US dollars per million tokens.

    `tiers` are (start, rate), rising: a call with more than `start` input tokens pays that rate for
    all its tokens, not only for those above (the cliff of Google's and Anthropic's long contexts).
    """

    base_usd: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """Return the rate of a call with so many input tokens in all."""
        found = self.base_usd
        for start, rate in self.tiers:
            if input_tokens > start:
                found = rate
        return found

    @property
    def is_free(self) -> bool:
        """Whether any call pays nothing."""
        return any(rate == 0 for rate in (self.base_usd, *(rate for _, rate in self.tiers)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost:
    """US dollars of one call, by what is billed."""

    uncached_input_usd: Decimal
    cached_input_usd: Decimal
    cache_write_usd: Decimal
    output_usd: Decimal
    request_usd: Decimal

    @property
    def input_usd(self) -> Decimal:
        """The input side: what a failed attempt that is billed costs."""
        return self.uncached_input_usd + self.cached_input_usd + self.cache_write_usd

    @property
    def total_usd(self) -> Decimal:
        """All of it."""
        return self.input_usd + self.output_usd + self.request_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a provider asks for the calls of a model.

    `cached_input` and `cache_write` that a provider does not price apart are billed as input.
    `is_batch` says that these are the rates of the batch interface. `varies_by_hour` says that the
    rates depend on the time of day, and that these are the dearest.
    """

    model: str
    """As it was asked for."""
    provider: str | None
    """None: a price of one's own without a provider."""
    priced_as: str
    """The name under which the price data have it."""
    source: str
    input: Rate
    output: Rate | None
    """None: a model that makes no output, as those for embeddings."""
    cached_input: Rate
    cache_write: Rate
    request_usd: Decimal = _ZERO
    """Per request."""
    is_batch: bool = False
    varies_by_hour: bool = False

    def cost(self, tokens: Tokens) -> CallCost:
        """Return what a call with these tokens costs, exactly.

        Raises PlanError for output tokens of a model whose output has no price.
        """
        total = tokens.input
        if self.output is None and tokens.output > 0:
            what = f"'{self.model}' made output, and its output has no price"
            raise PlanError(
                what, where=self.source, fix=f"Give one under models.{self.model}.price"
            )
        output = self.output.at(total) if self.output is not None else _ZERO
        return CallCost(
            uncached_input_usd=tokens.uncached_input * self.input.at(total) / PER_MILLION,
            cached_input_usd=tokens.cached_input * self.cached_input.at(total) / PER_MILLION,
            cache_write_usd=tokens.cache_write * self.cache_write.at(total) / PER_MILLION,
            output_usd=tokens.output * output / PER_MILLION,
            request_usd=self.request_usd,
        )
