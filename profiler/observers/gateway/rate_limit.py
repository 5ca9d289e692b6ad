"""Rate-limit headers as the providers send them.

OpenAI: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets as durations (`1s`, `6m0s`,
`120ms`): https://platform.openai.com/docs/guides/rate-limits. Anthropic:
`anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`, resets as RFC 3339 instants:
https://docs.claude.com/en/api/rate-limits. Both: `retry-after`, in seconds or as an HTTP date, and
`retry-after-ms`. These are the only headers whose values go into records.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S, seconds_to_ns
from profiler.measure.records import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBER = r"(\d{1,12}(?:\.\d{1,9})?)"
_DURATION = re.compile(
    rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?"
)
_UNITS_NS = (86_400 * NS_PER_S, 3_600 * NS_PER_S, 60 * NS_PER_S, NS_PER_S, 1_000_000)
_SECONDS = re.compile(_NUMBER)
_COUNT = re.compile(r"\d{1,15}")
_LONGEST_VALUE = 64
_LONGEST_NS = 10**18


def rate_limit_of(headers: Iterable[tuple[bytes, bytes]], *, wall_ns: int) -> RateLimit | None:
    """Read the headers of a response, names in any case. None: there are none.

    `wall_ns` is the wall clock now, for resets that are instants; the response's `date` goes before
    it, since it is from the same clock as they.
    """
    found: dict[str, str] = {}
    for raw, content in headers:
        name = raw.lower()
        if name in _WANTED and len(content) <= _LONGEST_VALUE:
            found[name.decode("ascii")] = content.decode("latin-1").strip()
    now_ns = _http_date_ns(found.pop("date", ""))
    if now_ns is None:
        now_ns = wall_ns
    if not found:
        return None
    limit = RateLimit(
        limit_requests=_count(found, "limit", "requests"),
        remaining_requests=_count(found, "remaining", "requests"),
        reset_requests_ns=_reset_ns(found, "requests", now_ns),
        limit_tokens=_count(found, "limit", "tokens"),
        remaining_tokens=_count(found, "remaining", "tokens"),
        reset_tokens_ns=_reset_ns(found, "tokens", now_ns),
        retry_after_ns=_retry_after_ns(found, now_ns),
    )
    return None if limit == RateLimit() else limit


_WHATS, _UNITS = ("limit", "remaining", "reset"), ("requests", "tokens")
_WANTED = frozenset(
    name.encode()
    for names in (
        (f"x-ratelimit-{what}-{unit}" for what in _WHATS for unit in _UNITS),
        (f"anthropic-ratelimit-{unit}-{what}" for what in _WHATS for unit in _UNITS),
        ("retry-after", "retry-after-ms", "date"),
    )
    for name in names
)


def _value(found: dict[str, str], what: str, unit: str) -> str:
    return found.get(f"x-ratelimit-{what}-{unit}") or found.get(
        f"anthropic-ratelimit-{unit}-{what}", ""
    )


def _count(found: dict[str, str], what: str, unit: str) -> int | None:
    text = _value(found, what, unit)
    return int(text) if _COUNT.fullmatch(text) else None


def _reset_ns(found: dict[str, str], unit: str, now_ns: int) -> int | None:
    text = _value(found, "reset", unit)
    duration_ns = duration_ns_of(text)
    if duration_ns is not None:
        return duration_ns
    return _until(_instant_ns(text), now_ns)


def _retry_after_ns(found: dict[str, str], now_ns: int) -> int | None:
    milliseconds = found.get("retry-after-ms", "")
    if _SECONDS.fullmatch(milliseconds):
        return _bounded(round(float(milliseconds) * 1_000_000))
    text = found.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        return _bounded(seconds_to_ns(float(text)))
    return _until(_http_date_ns(text), now_ns)


def duration_ns_of(text: str) -> int | None:
    """Read a duration as OpenAI spells it (a bare number is seconds), in nanoseconds; else None."""
    if _SECONDS.fullmatch(text):
        return _bounded(seconds_to_ns(float(text)))
    match = _DURATION.fullmatch(text)
    if match is None or not match[0]:
        return None
    parts = zip(match.groups(), _UNITS_NS, strict=True)
    return _bounded(sum(round(float(number) * unit) for number, unit in parts if number))


def _instant_ns(text: str) -> int | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _since_epoch_ns(instant)


def _http_date_ns(text: str) -> int | None:
    try:
        return _since_epoch_ns(parsedate_to_datetime(text)) if text else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _since_epoch_ns(instant: datetime) -> int | None:
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    try:
        return round(instant.timestamp() * NS_PER_S)
    except (OverflowError, ValueError):
        return None


def _until(instant_ns: int | None, now_ns: int) -> int | None:
    return None if instant_ns is None else _bounded(max(0, instant_ns - now_ns))


def _bounded(duration_ns: int) -> int | None:
    return duration_ns if duration_ns < _LONGEST_NS else None
