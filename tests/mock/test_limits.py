from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.mock.limits import RateLimiter, format_reset, parse_reset


class Clock:
    now_ns = 0

    def __call__(self):
        return self.now_ns


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.12, "120ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (1.2, "1.2s"),
        (59.999, "59.999s"),
        (360, "6m0s"),
        (61.5, "1m1.5s"),
        (3723, "1h2m3s"),
        (3600, "1h0m0s"),
    ],
)
def test_resets_are_spelled_as_openai_does_and_read_back(seconds, text):
    assert format_reset(seconds) == text
    assert parse_reset(text) == pytest.approx(seconds, abs=0.001)


def test_what_is_no_duration_is_none():
    assert parse_reset("") is None
    assert parse_reset("soon") is None
    assert parse_reset("2.5") == 2.5


@given(st.integers(0, 10**9))
def test_every_millisecond_survives_the_round_trip(milliseconds):
    assert parse_reset(format_reset(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


def test_requests_beyond_the_burst_wait_for_the_refill():
    clock = Clock()
    limiter = RateLimiter(rpm=60, tpm=None, window_s=2, clock=clock)
    assert [limiter.admit(10, "m").admitted for _ in range(3)] == [True, True, False]
    refused = limiter.admit(10, "m")
    assert refused.headers == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "retry-after": "1",
        "retry-after-ms": "1000",
    }
    assert refused.message == (
        "Rate limit reached for m on requests per min (RPM): Limit 60, Used 2, Requested 1."
        " Please try again in 1s."
    )
    clock.now_ns = 1_000_000_000
    assert limiter.admit(10, "m").admitted
    assert not limiter.admit(10, "m").admitted


def test_a_refused_request_takes_from_neither_limit():
    clock = Clock()
    limiter = RateLimiter(rpm=60, tpm=600, window_s=60, clock=clock)
    first = limiter.admit(500, "m")
    assert first.headers["x-ratelimit-remaining-tokens"] == "100"
    assert first.headers["x-ratelimit-reset-tokens"] == "50s"
    refused = limiter.admit(200, "m")
    assert refused.kind == "tokens"
    assert refused.headers["retry-after"] == "10"  # 100 tokens are missing, at 10 a second
    assert refused.headers["x-ratelimit-remaining-requests"] == "59"
    assert limiter.admit(100, "m").admitted


def test_a_request_larger_than_the_bucket_is_never_admitted():
    clock = Clock()
    limiter = RateLimiter(rpm=None, tpm=600, window_s=60, clock=clock)
    for clock.now_ns in (0, 10**12):
        refused = limiter.admit(601, "m")
        assert not refused.admitted
        assert refused.message.startswith("Request too large for m on tokens per min (TPM)")
    assert limiter.admit(600, "m").admitted


def test_without_limits_there_are_no_headers():
    verdict = RateLimiter(rpm=None, tpm=None).admit(10**9, "m")
    assert verdict.admitted
    assert verdict.headers == {}


@pytest.mark.parametrize(
    "options",
    [{"rpm": 0, "tpm": None}, {"rpm": None, "tpm": -1}, {"rpm": 1, "tpm": 1, "window_s": 0}],
)
def test_limits_that_are_none_are_an_error(options):
    with pytest.raises(UsageError, match="Give a number above 0"):
        RateLimiter(**options)


def test_a_window_too_short_for_a_single_request_is_an_error():
    with pytest.raises(UsageError, match="no request at all"):
        RateLimiter(rpm=10, tpm=None, window_s=5)


@given(
    times=st.lists(st.integers(0, 10**9), min_size=1, max_size=60),
    rpm=st.integers(60, 6000),
)
def test_no_more_passes_than_burst_and_refill_allow(times, rpm):
    clock = Clock()
    limiter = RateLimiter(rpm=rpm, tpm=None, window_s=1, clock=clock)
    admitted = 0
    for step_ns in times:
        clock.now_ns += step_ns
        admitted += limiter.admit(1, "m").admitted
    assert admitted <= rpm / 60 + rpm / 60 * clock.now_ns / 1e9 + 1e-6
