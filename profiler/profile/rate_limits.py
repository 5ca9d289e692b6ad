"""What 429s and rate-limit headers revealed, model by model.

Of the whole run, warm-up and what could not be assigned to an interaction included: a provider's
limit does not care whose request it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from pydantic import Field

from profiler.measure.records import RateLimit
from profiler.profile.distribution import Strict
from profiler.profile.metrics import CALL_PREFERENCE, preferred
from profiler.profile.rows import MISSING, rate_limit_row

if TYPE_CHECKING:
    from collections.abc import Mapping

_NS_PER_S = 1_000_000_000
_HEADERS = tuple(header.name for header in fields(RateLimit))


class RateLimitInfo(Strict):
    """What 429s and rate-limit headers of one model's calls revealed."""

    calls: int = Field(description="LLM calls observed, those of warm-up included")
    attempts: int = Field(
        default=0, description="HTTP requests for them that were observed one by one"
    )
    http_429: int = Field(
        description="attempts answered by a 429, also where a later one succeeded; of calls, where "
        "no attempts were observed"
    )
    limit_requests_lowest: int | None = Field(description="lowest request limit announced")
    limit_requests_highest: int | None = Field(description="highest request limit announced")
    lowest_remaining_requests: int | None = Field(description="fewest requests left at any time")
    limit_tokens_lowest: int | None = Field(description="lowest token limit announced")
    limit_tokens_highest: int | None = Field(description="highest token limit announced")
    lowest_remaining_tokens: int | None = Field(description="fewest tokens left at any time")
    longest_retry_after_s: float | None = Field(description="longest wait asked for, seconds")


@dataclass(slots=True)
class _Limits:
    """Rate limits of one model, as one observer saw them; headers in the order of `RateLimit`."""

    calls: int = 0
    attempts: int = 0
    calls_429: int = 0
    attempts_429: int = 0
    lowest: list[int | None] = field(default_factory=lambda: [None] * len(_HEADERS))
    highest: list[int | None] = field(default_factory=lambda: [None] * len(_HEADERS))

    def take(self, headers: RateLimit) -> None:
        for place, value in enumerate(rate_limit_row(headers)):
            if value != MISSING:
                low, high = self.lowest[place], self.highest[place]
                self.lowest[place] = value if low is None else min(low, value)
                self.highest[place] = value if high is None else max(high, value)

    def info(self) -> RateLimitInfo:
        lowest = dict(zip(_HEADERS, self.lowest, strict=True))
        highest = dict(zip(_HEADERS, self.highest, strict=True))
        retry_after_ns = highest["retry_after_ns"]
        return RateLimitInfo(
            calls=self.calls,
            attempts=self.attempts,
            http_429=self.attempts_429 if self.attempts else self.calls_429,
            limit_requests_lowest=lowest["limit_requests"],
            limit_requests_highest=highest["limit_requests"],
            lowest_remaining_requests=lowest["remaining_requests"],
            limit_tokens_lowest=lowest["limit_tokens"],
            limit_tokens_highest=highest["limit_tokens"],
            lowest_remaining_tokens=lowest["remaining_tokens"],
            longest_retry_after_s=None if retry_after_ns is None else retry_after_ns / _NS_PER_S,
        )


class RateLimits:
    """The rate limits of each model, as each observer saw them."""

    def __init__(self) -> None:
        self._of: dict[str, dict[int, _Limits]] = {}

    def _limits(self, observer: str, model: int) -> _Limits:
        of_model = self._of.setdefault(observer, {})
        found = of_model.get(model)
        if found is None:
            found = of_model[model] = _Limits()
        return found

    def take_call(
        self, observer: str, model: int, headers: RateLimit | None, *, is_429: bool
    ) -> None:
        """Take an LLM call of the model of that number."""
        limits = self._limits(observer, model)
        limits.calls += 1
        limits.calls_429 += is_429
        if headers is not None:
            limits.take(headers)

    def take_attempt(
        self, observer: str, model: int, headers: RateLimit | None, *, is_429: bool
    ) -> None:
        """Take one HTTP request for an LLM call."""
        limits = self._limits(observer, model)
        limits.attempts += 1
        limits.attempts_429 += is_429
        if headers is not None:
            limits.take(headers)

    def section(self, models: Mapping[str, int]) -> dict[str, RateLimitInfo]:
        """Return every model's, from the observer whose LLM calls are preferred.

        Also of a model that revealed nothing: how many calls that was is what it tells, and what
        merging needs. `models` are the models' numbers by name.
        """
        calls = {
            who: sum(limits.calls for limits in of_model.values())
            for who, of_model in self._of.items()
        }
        if not calls:
            return {}
        of_model = self._of[preferred(calls, CALL_PREFERENCE)]
        return {name: of_model[n].info() for name, n in models.items() if n in of_model}


def merge_rate_limits(infos: list[RateLimitInfo]) -> RateLimitInfo:
    """Combine what several runs revealed of one model."""

    def known(name: str) -> list[int]:
        return [value for info in infos if (value := getattr(info, name)) is not None]

    waits = [i.longest_retry_after_s for i in infos if i.longest_retry_after_s is not None]
    return RateLimitInfo(
        calls=sum(info.calls for info in infos),
        attempts=sum(info.attempts for info in infos),
        http_429=sum(info.http_429 for info in infos),
        limit_requests_lowest=min(known("limit_requests_lowest"), default=None),
        limit_requests_highest=max(known("limit_requests_highest"), default=None),
        lowest_remaining_requests=min(known("lowest_remaining_requests"), default=None),
        limit_tokens_lowest=min(known("limit_tokens_lowest"), default=None),
        limit_tokens_highest=max(known("limit_tokens_highest"), default=None),
        lowest_remaining_tokens=min(known("lowest_remaining_tokens"), default=None),
        longest_retry_after_s=max(waits, default=None),
    )
