"""A 429 counts, whether a later attempt succeeded or not, and whosever it was."""

from __future__ import annotations

from pathlib import Path

from profiler.measure.records import (
    NO_TRACE,
    LlmAttempt,
    Observer,
    Outcome,
    RateLimit,
    Timeline,
)
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from tests.profile.journals import S, interaction, llm_call, run, write
from tests.profile.observed_run import RUN, observed_run


def attempt(trace: str, **changes) -> LlmAttempt:
    fields = {
        "observer": Observer.GATEWAY,
        "clock": Timeline.HARNESS,
        "model": "m",
        "outcome": Outcome.OK,
        **changes,
    }
    return LlmAttempt(trace_id=trace, **fields)


def test_a_429_that_was_tried_again_is_counted_by_attempt(tmp_path: Path):
    refused = {
        "outcome": Outcome.HTTP_429,
        "rate_limit": RateLimit(remaining_requests=0, retry_after_ns=3 * S),
    }
    profile = build_profile(
        write(
            tmp_path,
            attempt("a", **refused),
            attempt("a", **refused),
            attempt("a", rate_limit=RateLimit(limit_requests=60, remaining_requests=12)),
            attempt(NO_TRACE, **refused),
            llm_call("a", observer=Observer.GATEWAY, attempts=3),
            llm_call(NO_TRACE, observer=Observer.GATEWAY, outcome=Outcome.HTTP_429),
            interaction("a"),
        )
    )
    limits = profile.rate_limits["m"]
    assert (limits.calls, limits.attempts, limits.http_429) == (2, 4, 3)
    assert (limits.limit_requests_lowest, limits.lowest_remaining_requests) == (60, 0)
    assert limits.longest_retry_after_s == 3
    assert profile.interaction["llm_calls"].count == 1
    assert profile.sample.unmatched_events == 0


def test_where_attempts_were_not_observed_calls_are_counted(tmp_path: Path):
    refused = llm_call("a", outcome=Outcome.HTTP_429)
    limits = build_profile(write(tmp_path, refused, interaction("a"))).rate_limits["m"]
    assert (limits.calls, limits.attempts, limits.http_429) == (1, 0, 1)


def test_a_model_that_only_ever_refused_is_told(tmp_path: Path):
    profile = build_profile(
        write(tmp_path, attempt(NO_TRACE, model="busy", outcome=Outcome.HTTP_429))
    )
    assert profile.rate_limits["busy"].http_429 == 1


def test_merging_adds_attempts(tmp_path: Path):
    parts = [
        build_profile(write(tmp_path, *observed_run(), first=run(run_id=name))) for name in "ab"
    ]
    limits = merge_profiles(parts).rate_limits["m"]
    assert (limits.calls, limits.attempts, limits.http_429) == (156, 162, 6)


def test_the_made_up_run_was_refused_three_times(tmp_path: Path):
    limits = build_profile(write(tmp_path, *observed_run(), first=RUN)).rate_limits["m"]
    assert (limits.calls, limits.attempts, limits.http_429) == (78, 81, 3)
