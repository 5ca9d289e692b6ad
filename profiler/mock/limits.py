"""Requests-per-minute and tokens-per-minute limits, as OpenAI enforces and reports them.

Each is a bucket that refills continuously. A request takes from both or, when one has too little,
from neither. Its tokens are those of the prompt and of the answer, which a mock knows beforehand.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.clock import monotonic_ns
from profiler.errors import UsageError

if TYPE_CHECKING:
    from profiler.clock import MonotonicNs

_MINUTE_S = 60
_HOUR_S = 3600
_NUMBER = r"(\d+(?:\.\d+)?)"
_RESET = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?|{_NUMBER}")


def format_reset(duration_s: float) -> str:
    """Spell a duration as OpenAI's headers do: `120ms`, `1.2s`, `6m0s`, `1h2m3s`."""
    milliseconds = math.ceil(duration_s * 1000 - 1e-6)
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{max(milliseconds, 0)}ms"
    minutes, rest_ms = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest_ms / 1000:g}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def parse_reset(text: str) -> float | None:
    """Read a duration in that spelling, in seconds (which a bare number is); else None."""
    match = _RESET.fullmatch(text.strip())
    if match is None or not match[0]:
        return None
    hours, minutes, seconds, milliseconds, bare = (float(group or 0) for group in match.groups())
    return hours * _HOUR_S + minutes * _MINUTE_S + seconds + milliseconds / 1000 + bare


class Bucket:
    """A token bucket: `per_minute` refilled continuously, up to `window_s` seconds' worth."""

    def __init__(self, *, per_minute: float, window_s: float, now_ns: int) -> None:
        self.per_minute = per_minute
        self._per_ns = per_minute / _MINUTE_S / 1e9
        self.capacity = per_minute * window_s / _MINUTE_S
        self._level = self.capacity
        self._at_ns = now_ns

    def level(self, now_ns: int) -> float:
        """Return what is in the bucket now."""
        self._level = min(self.capacity, self._level + (now_ns - self._at_ns) * self._per_ns)
        self._at_ns = now_ns
        return self._level

    def take(self, amount: float) -> None:
        """Take out what `wait_s` has allowed."""
        self._level -= amount

    def wait_s(self, amount: float, now_ns: int) -> float:
        """Return how long until `amount` is there: 0 now, inf never."""
        if amount > self.capacity:
            return math.inf
        missing = amount - self.level(now_ns)
        return max(0.0, missing / self._per_ns / 1e9) if missing > 1e-9 else 0.0  # noqa: PLR2004 - rounding

    def reset_s(self, now_ns: int) -> float:
        """Return how long until the bucket is full."""
        return (self.capacity - self.level(now_ns)) / self._per_ns / 1e9


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, when that was decided, the headers to answer with, why not."""

    admitted: bool
    at_ns: int
    headers: dict[str, str]
    kind: str | None = None
    message: str | None = None


class RateLimiter:
    """The two limits of one server; either may be off. A verdict is never half made."""

    def __init__(
        self,
        *,
        rpm: float | None,
        tpm: float | None,
        window_s: float = 60.0,
        clock: MonotonicNs = monotonic_ns,
    ) -> None:
        for name, value in (("rpm", rpm), ("tpm", tpm), ("limit-window", window_s)):
            if value is not None and not 0 < value < math.inf:
                raise UsageError(
                    f"{name} is {value:g}",
                    where="mock LLM limits",
                    fix="Give a number above 0, or leave the limit out",
                )
        if rpm is not None and rpm * window_s < _MINUTE_S:
            raise UsageError(
                f"{rpm:g} requests a minute in a window of {window_s:g} s admit no request at all",
                where="mock LLM limits",
                fix="Give a longer limit-window",
            )
        self._clock = clock
        now_ns = clock()
        self._buckets = {
            kind: Bucket(per_minute=value, window_s=window_s, now_ns=now_ns)
            for kind, value in (("requests", rpm), ("tokens", tpm))
            if value is not None
        }

    def admit(self, tokens: int, model: str) -> Verdict:
        """Let a request of so many tokens pass, or say how long it has to wait."""
        now_ns = self._clock()
        amounts = {"requests": 1, "tokens": tokens}
        waits = {k: bucket.wait_s(amounts[k], now_ns) for k, bucket in self._buckets.items()}
        kind = max(waits, key=lambda k: waits[k]) if waits else None
        if kind is None or waits[kind] == 0.0:
            for name, bucket in self._buckets.items():
                bucket.take(amounts[name])
            return Verdict(admitted=True, at_ns=now_ns, headers=self._headers(now_ns))
        return self._refusal(kind, waits[kind], amounts[kind], model, now_ns)

    def _refusal(self, kind: str, wait_s: float, amount: int, model: str, now_ns: int) -> Verdict:
        bucket = self._buckets[kind]
        unit = {"requests": "RPM", "tokens": "TPM"}[kind]
        facts = f"{model} on {kind} per min ({unit}): Limit {bucket.per_minute:g}"
        headers = self._headers(now_ns)
        if math.isinf(wait_s):  # larger than the bucket: it would never pass
            message = (
                f"Request too large for {facts}, burst {bucket.capacity:g}, Requested {amount}."
            )
            wait_s = bucket.reset_s(now_ns)
        else:
            used = math.ceil(bucket.capacity - bucket.level(now_ns))
            message = (
                f"Rate limit reached for {facts}, Used {used}, Requested {amount}."
                f" Please try again in {format_reset(wait_s)}."
            )
        headers["retry-after"] = str(max(1, math.ceil(wait_s)))
        headers["retry-after-ms"] = str(max(1, math.ceil(wait_s * 1000)))
        return Verdict(admitted=False, at_ns=now_ns, headers=headers, kind=kind, message=message)

    def _headers(self, now_ns: int) -> dict[str, str]:
        headers = {}
        for kind, bucket in self._buckets.items():
            headers[f"x-ratelimit-limit-{kind}"] = f"{bucket.per_minute:.0f}"
            headers[f"x-ratelimit-remaining-{kind}"] = str(max(0, int(bucket.level(now_ns) + 1e-9)))
            headers[f"x-ratelimit-reset-{kind}"] = format_reset(bucket.reset_s(now_ns))
        return headers
