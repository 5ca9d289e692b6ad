"""An objective is met, missed or undecided by its whole interval; expected values from scipy."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import binom, binomtest

from profiler.measure.records import DriverSample, Outcome
from profiler.profile.build import build_profile
from profiler.profile.judging import (
    Judgement,
    Verdict,
    fewest_to_decide,
    implied_rates,
    judge,
    judged_later,
)
from profiler.profile.model import WorkloadProfile
from profiler.profile.objectives import parse_objectives
from tests.profile.journals import MS, interaction, run, write

MET, MISSED, UNDECIDED = Judgement.MET, Judgement.MISSED, Judgement.UNDECIDED
OPEN = {"mode": "open", "rate_per_s": 10.0, "arrivals": "poisson"}


def judged(profile: WorkloadProfile, text: str) -> Verdict:
    return judge(parse_objectives(text)[0], profile)


@pytest.fixture
def ramp(tmp_path: Path) -> WorkloadProfile:
    """Latencies of 1 to 400 ms, each in its own session: the k-th smallest is k ms."""
    return build_profile(write(tmp_path, *(took(f"t{i}", i) for i in range(1, 401))))


def took(trace: str, latency_ms: int, **changes):
    return interaction(trace, **{"end_ns": latency_ms * MS, **changes})


def ranks(quantile: float, n: int = 400) -> tuple[int, int]:
    """Conover: the largest l with P(B < l) <= 2.5 %, the smallest u with P(B >= u) <= 2.5 %."""
    lower = max(k for k in range(1, n + 1) if binom.cdf(k - 1, n, quantile) <= 0.025)
    upper = min(k for k in range(1, n + 1) if binom.sf(k - 1, n, quantile) <= 0.025)
    return lower, upper


@pytest.mark.parametrize(
    ("statistic", "quantile"), [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)]
)
def test_quantiles_are_judged_by_their_order_statistics(ramp, statistic: str, quantile: float):
    lower, upper = ranks(quantile)
    verdict = judged(ramp, f"latency.{statistic}<{upper + 1}ms")
    assert verdict.judgement is MET
    assert verdict.estimate.interval == pytest.approx((lower / 1000, upper / 1000), rel=0.002)
    assert verdict.estimate.value == pytest.approx(quantile * 0.4, rel=0.002)
    assert judged(ramp, f"latency.{statistic}<{lower - 1}ms").judgement is MISSED
    assert judged(ramp, f"latency.{statistic}<{400 * quantile:g}ms").judgement is UNDECIDED
    assert judged(ramp, f"latency.{statistic}>{upper + 1}ms").judgement is MISSED
    assert judged(ramp, f"latency.{statistic}>{lower - 1}ms").judgement is MET


def test_a_bound_itself_is_met_only_where_it_may_be_reached(tmp_path: Path):
    steady = build_profile(write(tmp_path, *(took(f"t{i}", 500) for i in range(100))))
    assert judged(steady, "latency.p95<=500ms").judgement is MET
    assert judged(steady, "latency.p95<500ms").judgement is MISSED
    assert judged(steady, "latency.p95>=500ms").judgement is MET
    assert judged(steady, "latency.p95>500ms").judgement is MISSED
    assert judged(steady, "latency.mean<=500ms").judgement is MET


def test_a_sample_that_supports_no_interval_decides_nothing(tmp_path: Path):
    small = build_profile(write(tmp_path, *(took(f"t{i}", 1) for i in range(71))))
    verdict = judged(small, "latency.p95<10s")
    assert verdict.judgement is UNDECIDED
    assert verdict.estimate.value == 0.001
    assert "needs 72 independent values" in str(verdict.estimate.reason)
    p99 = judged(small, "latency.p99<10s")
    assert (p99.judgement, p99.estimate.value) == (UNDECIDED, None)
    assert "needs 368 values" in str(p99.estimate.reason)
    unseen = judged(small, "tool_calls.mean<10")
    assert unseen.estimate.reason == "tool_calls was not observed"
    alone = build_profile(write(tmp_path, took("a", 1)))
    assert judged(alone, "latency.p90<10s").judgement is UNDECIDED


def test_interactions_of_one_session_do_not_decide_a_quantile(tmp_path: Path):
    # 200 interactions of 10 sessions, alike within each: worth no more than about ten.
    records = [took(f"t{i}", 100 + 20 * (i // 20), session=f"s{i // 20}") for i in range(200)]
    clustered = build_profile(write(tmp_path, *records))
    verdict = judged(clustered, "latency.p90<10s")
    assert verdict.judgement is UNDECIDED
    assert verdict.estimate.reason == "needs 36 values"
    p50 = judged(clustered, "latency.p50<10s").estimate.interval
    assert p50 is not None
    assert p50[0] <= 0.14
    assert p50[1] >= 0.24


def test_sessions_of_several_alike_values_without_spread_decide(tmp_path: Path):
    records = [took(f"t{i}", 100, session=f"s{i // 2}") for i in range(400)]
    steady = build_profile(write(tmp_path, *records))
    assert judged(steady, "latency.p90<=100ms").judgement is MET


def test_latency_means_scheduled_latency_in_open_loop(tmp_path: Path):
    records = [
        took(f"t{i}", 1000, intended_start_ns=0, send_ns=900 * MS, session=f"s{i}")
        for i in range(100)
    ]
    opened = build_profile(write(tmp_path, *records, first=run(load=OPEN)))
    verdict = judged(opened, "latency.p95<500ms")
    assert (verdict.metric, verdict.judgement) == ("scheduled_latency", MISSED)
    assert opened.interaction["latency"].p95 == pytest.approx(0.1)
    assert judged(opened, "time_to_first_token.p95<1s").metric == "time_to_first_token"


def test_the_error_rate_has_the_exact_binomial_interval(tmp_path: Path):
    bad = {"outcome": Outcome.TIMEOUT}
    records = [took(f"t{i}", 1, **(bad if i < 10 else {})) for i in range(200)]
    profile = build_profile(write(tmp_path, *records))
    exact = binomtest(10, 200).proportion_ci(0.95, method="exact")
    verdict = judged(profile, "error_rate<5%")
    assert verdict.estimate.value == 0.05
    assert verdict.estimate.interval == pytest.approx((exact.low, exact.high))
    assert verdict.judgement is UNDECIDED
    assert judged(profile, "error_rate<2%").judgement is MISSED
    assert judged(profile, "error_rate<10%").judgement is MET


def test_no_error_in_368_interactions_shows_less_than_one_percent(tmp_path: Path):
    enough = [took(f"t{i}", 1) for i in range(368)]
    assert judged(build_profile(write(tmp_path, *enough)), "error_rate<1%").judgement is MET
    fewer = build_profile(write(tmp_path, *enough[:367]))
    assert judged(fewer, "error_rate<1%").judgement is UNDECIDED


def test_what_the_harness_cancelled_is_nobodys_error(tmp_path: Path):
    cancelled = {"outcome": Outcome.CANCELLED, "error_kind": "interrupted"}
    profile = build_profile(write(tmp_path, took("a", 1), took("b", 1, **cancelled)))
    assert judged(profile, "error_rate<1%").estimate.value == 0
    nothing = build_profile(write(tmp_path))
    assert judged(nothing, "error_rate<1%").estimate.reason == "there is no interaction"


def test_dropped_starts_are_a_share_of_all_that_were_intended(tmp_path: Path):
    watched = DriverSample(
        at_ns=1, in_flight=0, sent=90, ended=90, dropped=10, loop_lag_max_ns=0, cpu_share=0.1
    )
    records = [took(f"t{i}", 1) for i in range(90)]
    profile = build_profile(write(tmp_path, *records, watched))
    assert judged(profile, "dropped_rate<1%").estimate.value == 0.1
    assert judged(profile, "dropped_rate<1%").judgement is MISSED
    unwatched = judged(build_profile(write(tmp_path, *records)), "dropped_rate<1%")
    assert unwatched.judgement is UNDECIDED
    assert "too short" in str(unwatched.estimate.reason)


def test_goodput_is_judged_by_its_own_interval(tmp_path: Path):
    records = [took(f"t{i}", 1) for i in range(100)]
    promised = run(manifest={"goodput": "latency<1s"})
    profile = build_profile(write(tmp_path, *records, first=promised))
    assert judged(profile, "goodput>95%").judgement is MET
    assert judged(profile, "goodput>99%").judgement is UNDECIDED
    without = judged(build_profile(write(tmp_path, *records)), "goodput>95%")
    assert without.estimate.reason == "no --goodput objective was given"


def test_a_verdict_can_be_taken_again_as_if_times_had_been_shorter(ramp):
    lower, _ = ranks(0.95)
    missed = judged(ramp, "latency.p95<300ms")
    assert missed.judgement is MISSED
    assert judged_later(missed, (lower - 302) / 1000) is MISSED
    assert judged_later(missed, (lower - 298) / 1000) is UNDECIDED
    assert judged_later(judged(ramp, "tool_calls.mean<3"), 1) is UNDECIDED


def test_the_fewest_interactions_that_can_decide_come_from_the_intervals():
    def fewest(text: str) -> int:
        return fewest_to_decide(parse_objectives(text))

    assert fewest("latency.mean<1s") == 2
    assert fewest("latency.p95<2s") == 72
    assert fewest("latency.p95<2s, error_rate<1%") == 368
    assert fewest("latency.p99<2s") == 368
    assert fewest("goodput>95%") == 72
    assert fewest("error_rate<100%") == 2


def test_errors_and_drops_are_asked_for_where_the_user_did_not():
    assert implied_rates(parse_objectives("latency.p95<2s"), drops=False) == ("error_rate",)
    assert implied_rates(parse_objectives("error_rate<5%"), drops=False) == ()
    assert implied_rates(parse_objectives("error_rate<5%"), drops=True) == ("dropped_rate",)
