"""Rate-limit headers, as the providers document them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.measure.records import RateLimit
from profiler.observers.gateway.rate_limit import duration_ns_of, rate_limit_of

S = 1_000_000_000


def test_openais_documented_sample():
    headers = [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-limit-tokens", b"150000"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-remaining-tokens", b"149984"),
        (b"x-ratelimit-reset-requests", b"1s"),
        (b"x-ratelimit-reset-tokens", b"6m0s"),
    ]
    assert rate_limit_of(headers, wall_ns=0) == RateLimit(
        limit_requests=60,
        limit_tokens=150_000,
        remaining_requests=59,
        remaining_tokens=149_984,
        reset_requests_ns=S,
        reset_tokens_ns=360 * S,
    )


def test_anthropics_resets_count_from_the_answers_date():
    headers = [
        (b"Date", b"Wed, 15 Jan 2025 14:23:00 GMT"),
        (b"anthropic-ratelimit-requests-limit", b"4000"),
        (b"anthropic-ratelimit-requests-remaining", b"3201"),
        (b"anthropic-ratelimit-requests-reset", b"2025-01-15T14:24:00Z"),
        (b"anthropic-ratelimit-tokens-limit", b"400000"),
        (b"anthropic-ratelimit-tokens-remaining", b"312000"),
        (b"anthropic-ratelimit-tokens-reset", b"2025-01-15T14:23:15Z"),
        (b"retry-after", b"12"),
    ]
    assert rate_limit_of(headers, wall_ns=0) == RateLimit(
        limit_requests=4000,
        remaining_requests=3201,
        reset_requests_ns=60 * S,
        limit_tokens=400_000,
        remaining_tokens=312_000,
        reset_tokens_ns=15 * S,
        retry_after_ns=12 * S,
    )


def test_a_reset_in_the_past_is_now_and_without_a_date_the_wall_clock_counts():
    headers = [(b"anthropic-ratelimit-tokens-reset", b"1970-01-01T00:00:10Z")]
    assert rate_limit_of(headers, wall_ns=4 * S) == RateLimit(reset_tokens_ns=6 * S)
    assert rate_limit_of(headers, wall_ns=40 * S) == RateLimit(reset_tokens_ns=0)


def test_retry_after_may_be_milliseconds_or_a_date():
    both = [(b"retry-after", b"2"), (b"retry-after-ms", b"1500")]
    assert rate_limit_of(both, wall_ns=0) == RateLimit(retry_after_ns=1_500_000_000)
    date = [(b"retry-after", b"Thu, 01 Jan 1970 00:01:00 GMT")]
    assert rate_limit_of(date, wall_ns=20 * S) == RateLimit(retry_after_ns=40 * S)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("120ms", S * 12 // 100), ("1.2s", S * 12 // 10), ("1h2m3s", 3723 * S), ("7", 7 * S)],
)
def test_durations_as_openai_spells_them(text, expected):
    assert duration_ns_of(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1x", "-1s", "1s1", "9" * 40])
def test_what_is_no_duration_is_none(text):
    assert duration_ns_of(text) is None


def test_no_headers_no_rate_limit():
    headers = [(b"date", b"Wed, 15 Jan 2025 14:23:00 GMT"), (b"authorization", b"Bearer sk-1")]
    assert rate_limit_of(headers, wall_ns=0) is None


NAMES = st.sampled_from(
    [
        b"date",
        b"retry-after",
        b"retry-after-ms",
        b"x-ratelimit-reset-tokens",
        b"x-ratelimit-limit-tokens",
        b"anthropic-ratelimit-tokens-reset",
    ]
)
VALUES = st.binary(max_size=70) | st.from_regex(r"[0-9:.TZ+\-smhd ]{0,30}").map(str.encode)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_no_header_raises(headers):
    rate_limit_of(headers, wall_ns=0)
