"""A run whose harness was the bottleneck is not taken for a measurement of the agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import DriverSample
from profiler.profile.build import build_profile
from profiler.profile.model import Trust
from tests.profile.journals import MS, S, interaction, run, write


def trust_of_run(tmp_path: Path, *, interactions=30, delay_ns=0, latency_ns=S, samples=()) -> Trust:
    records = [
        interaction(f"t{i}", intended_start_ns=0, send_ns=delay_ns, end_ns=delay_ns + latency_ns)
        for i in range(interactions)
    ]
    load = {"mode": "open", "rate_per_s": 1}
    return build_profile(write(tmp_path, *records, *samples, first=run(load=load))).trust


def driver(lag_ns: int, cpu_share: float) -> DriverSample:
    return DriverSample(
        at_ns=0,
        in_flight=0,
        sent=0,
        ended=0,
        dropped=0,
        loop_lag_max_ns=lag_ns,
        cpu_share=cpu_share,
    )


def test_a_run_that_kept_up_is_trusted(tmp_path: Path):
    calm = [driver(MS, 0.2)] * 3
    trust = trust_of_run(tmp_path, delay_ns=MS, samples=calm)
    assert (trust.verdict, trust.reasons) == ("trusted", ())
    assert trust.dispatch_delay is not None
    assert trust.dispatch_delay.max_s == trust.dispatch_delay.p99_s == 0.001
    assert (trust.loop_lag.samples, trust.loop_lag.max_cpu_share) == (3, 0.2)


def test_under_30_successes_nothing_is_concluded(tmp_path: Path):
    trust = trust_of_run(tmp_path, interactions=29)
    assert trust.verdict == "inconclusive"
    assert trust.reasons == ("only 29 succeeded, at least 30 are needed",)


@pytest.mark.parametrize(
    ("delay_ns", "latency_ns", "verdict"),
    [
        (4 * MS, 100 * MS, "trusted"),
        (6 * MS, 100 * MS, "driver_limited"),  # over 5 ms
        (6 * MS, S, "trusted"),  # under 1 % of a second
        (11 * MS, S, "driver_limited"),
    ],
)
def test_sending_late_is_judged_against_the_latency(
    tmp_path: Path, delay_ns: int, latency_ns: int, verdict: str
):
    trust = trust_of_run(tmp_path, delay_ns=delay_ns, latency_ns=latency_ns)
    assert trust.verdict == verdict
    assert all("sent late" in reason for reason in trust.reasons)


def test_a_full_cpu_or_a_stuck_loop_most_of_the_time_limits_the_run(tmp_path: Path):
    calm = [driver(0, 0.1)] * 3
    full = trust_of_run(tmp_path, samples=[driver(0, 0.95)] * 4 + calm)
    assert full.reasons == ("the harness's CPU was full in 4 of 7 seconds",)
    stuck = trust_of_run(tmp_path, samples=[driver(51 * MS, 0)] * 4 + calm)
    assert "stood still for over 50 ms in 4 of 7 seconds" in stuck.reasons[0]
    half = trust_of_run(tmp_path, samples=[driver(51 * MS, 1)] * 3 + calm)
    assert half.verdict == "trusted"


def test_a_hiccup_in_a_run_of_a_few_seconds_condemns_nothing(tmp_path: Path):
    assert trust_of_run(tmp_path, samples=[driver(51 * MS, 1)] * 4).verdict == "trusted"


def test_a_limited_driver_outweighs_a_small_sample(tmp_path: Path):
    trust = trust_of_run(tmp_path, interactions=2, samples=[driver(0, 1)] * 5)
    assert trust.verdict == "driver_limited"
    assert len(trust.reasons) == 2


def test_delays_beyond_an_hour_cannot_be_judged(tmp_path: Path):
    trust = trust_of_run(tmp_path, delay_ns=2 * 3600 * S)
    assert trust.dispatch_delay is None
