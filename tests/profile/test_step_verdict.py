"""A step shows what the target did, never what the harness did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.measure.records import DriverSample, Outcome
from profiler.profile.build import build_profile
from profiler.profile.drift import Drift
from profiler.profile.judging import judge
from profiler.profile.model import WorkloadProfile
from profiler.profile.objectives import parse_objectives
from profiler.profile.step_verdict import curve_numbers, judged_of, step_verdict
from tests.profile.journals import MS, interaction, run, write

OPEN = {"mode": "open", "rate_per_s": 10.0, "arrivals": "poisson"}
LATE = "interactions were sent late"


def profile(
    tmp_path: Path, *, latency_ms: int = 100, late_ms: int = 0, lag_ms: int | None = None, errors=0
) -> WorkloadProfile:
    """A hundred alike interactions, each `late_ms` of its latency late in being sent."""
    records = [
        interaction(
            f"t{i}",
            intended_start_ns=0,
            send_ns=late_ms * MS,
            end_ns=latency_ms * MS,
            first_token_ns=latency_ms * MS,
            outcome=Outcome.HTTP_5XX if i < errors else Outcome.OK,
        )
        for i in range(100)
    ]
    samples = []
    if lag_ms is not None:
        lag: dict[str, Any] = {"loop_lag_max_ns": lag_ms * MS, "cpu_share": 0.1}
        samples = [
            DriverSample(at_ns=i, in_flight=0, sent=100, ended=100, dropped=0, **lag)
            for i in range(5)
        ]
    return build_profile(write(tmp_path, *records, *samples, first=run(load=OPEN)))


def verdict(found: WorkloadProfile, text: str, drift: Drift | None = None):
    return step_verdict(found, [judge(o, found) for o in parse_objectives(text)], drift)


def test_all_objectives_met_is_met_and_one_missed_is_missed(tmp_path):
    found = profile(tmp_path)
    assert verdict(found, "latency.p95<200ms, error_rate<5%") == ("met", ())
    missed = verdict(found, "latency.p95<50ms, error_rate<1%")
    assert missed == ("missed", ("latency.p95<50ms is missed",))


def test_what_is_undecided_says_why(tmp_path):
    found = profile(tmp_path, errors=5)
    assert verdict(found, "error_rate<5%") == (
        "undecided",
        ("error_rate<5% is undecided: the bound is within the interval",),
    )
    assert verdict(found, "tool_calls.mean<3")[1] == (
        "tool_calls.mean<3 is undecided: tool_calls was not observed",
    )


def test_a_target_that_falls_behind_does_not_meet_yet(tmp_path):
    found = profile(tmp_path)
    behind = Drift(0.25, (0.2, 0.3))
    decision, reasons = verdict(found, "latency.p95<200ms", behind)
    assert decision == "undecided"
    assert "grows by 0.25 s in each second, so 80 % of what is offered" in reasons[0]
    perhaps = Drift(0.25, (0.01, 0.5))
    assert verdict(found, "latency.p95<200ms", perhaps)[0] == "met"


def test_what_is_met_in_spite_of_a_late_harness_is_met(tmp_path):
    found = profile(tmp_path, latency_ms=100, late_ms=50)
    assert found.trust.verdict == "driver_limited"
    decision, reasons = verdict(found, "latency.p95<200ms, error_rate<5%")
    assert decision == "met"
    assert LATE in reasons[0]


def test_what_is_missed_by_no_more_than_the_harness_was_late_shows_nothing(tmp_path):
    # 50 ms in sending, perhaps as much in reading: of 290 ms, 190 may be the target's.
    found = profile(tmp_path, latency_ms=290, late_ms=50)
    decision, reasons = verdict(found, "latency.p95<200ms")
    assert decision == "driver_limited"
    assert LATE in reasons[0]


def test_what_is_missed_by_more_than_that_is_the_targets(tmp_path):
    found = profile(tmp_path, latency_ms=310, late_ms=50)
    assert verdict(found, "latency.p95<200ms")[0] == "missed"


def test_a_harness_that_stood_still_is_late_as_well(tmp_path):
    found = profile(tmp_path, latency_ms=260, late_ms=0, lag_ms=100)
    assert found.trust.verdict == "driver_limited"
    assert verdict(found, "latency.p95<200ms")[0] == "driver_limited"
    assert verdict(found, "latency.p95<150ms")[0] == "missed"


def test_a_late_harness_makes_no_errors(tmp_path):
    found = profile(tmp_path, late_ms=50, errors=20)
    assert verdict(found, "error_rate<5%") == ("missed", ("error_rate<5% is missed",))


def test_a_late_harness_could_have_met_a_bound_from_below(tmp_path):
    found = profile(tmp_path, late_ms=50)
    assert verdict(found, "latency.p95>50ms")[0] == "driver_limited"
    assert verdict(profile(tmp_path), "latency.p95>50ms")[0] == "met"


def test_a_curve_has_latency_and_errors_whatever_was_asked(tmp_path):
    numbers = curve_numbers(profile(tmp_path, latency_ms=100, late_ms=40, errors=10))
    assert set(numbers) == {
        *("latency.mean", "latency.p50", "latency.p95"),
        *("time_to_first_token.mean", "time_to_first_token.p95", "error_rate"),
    }
    assert numbers["latency.p95"].value == pytest.approx(0.1)
    assert numbers["time_to_first_token.p95"].value == pytest.approx(0.06)
    assert numbers["error_rate"].value == pytest.approx(0.1)
    failed = curve_numbers(profile(tmp_path, errors=100))
    assert set(failed) == {"error_rate"}


def test_an_objective_is_written_down_with_what_it_showed(tmp_path):
    found = profile(tmp_path)
    judged = judged_of(judge(parse_objectives("latency.p95<200ms")[0], found), implied=True)
    assert (judged.objective, judged.name, judged.metric) == (
        *("latency.p95<200ms", "latency.p95", "scheduled_latency"),
    )
    assert (judged.bound, judged.is_upper, judged.implied, judged.verdict) == (
        *(0.2, True, True, "met"),
    )
    assert judged.value == judged.ci95[0] == judged.ci95[1] == 0.1
