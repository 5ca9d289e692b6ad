"""Workers: against the textbook where it has an answer, and in proportion where it has none."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.planner.workers import Targets, by_allen_cunneen, by_erlang_c, size
from tests.planner.shortened import short_simulations

CONSTANT = np.full(10, 2.0)
SPREAD = np.random.default_rng(5).lognormal(0.0, 1.2, 500)


def sized(rate_per_s=5.0, times=SPREAD, *, wait=0.5, answer=None, slots=1, burstiness=1.0):
    targets = Targets(wait_p95_s=wait, answer_p95_s=answer)
    return size(
        rate_per_s=rate_per_s,
        service_times_s=times,
        targets=targets,
        slots=slots,
        burstiness=burstiness,
        seed=1,
    )


def test_erlang_c_finds_the_fewest_agents_of_a_call_centre():
    """200 calls an hour of 3 minutes are 10 erlangs; P(wait > 20 s) with 14 agents is 11.2 %.

    Gans, Koole, Mandelbaum (2003) use this M/M/n; worked: C(14, 10) = 0.1741,
    exp(-(14 - 10) / 180 x 20) = 0.6412, their product 0.1116; with 13 agents 0.2853 x 0.7165 =
    0.2044, and with 15: 0.1020 x 0.5738 = 0.0585, with 16: 0.0573 x 0.5134 = 0.0294.
    """
    assert by_erlang_c(200 / 3600, 180.0, 20.0, 1) == 16


def test_variability_of_a_half_needs_less_and_of_two_needs_more():
    counts = [by_allen_cunneen(5.0, 2.0, 0.5, 1, ca2=1.0, cs2=cs2) for cs2 in (0.0, 1.0, 4.0)]
    assert counts == sorted(set(counts))
    assert counts[1] == by_erlang_c(5.0, 2.0, 0.5, 1)


def test_the_simulation_meets_its_target_and_one_worker_less_would_not():
    found = sized()
    assert found.queue.wait_percentiles_s[95].value <= 0.5
    assert found.decided_by == "worker_wait_p95"
    fewer = Targets(wait_p95_s=found.queue.wait_percentiles_s[95].value / 2, answer_p95_s=None)
    more = size(
        rate_per_s=5.0, service_times_s=SPREAD, targets=fewer, slots=1, burstiness=1.0, seed=1
    )
    assert more.count > found.count


def test_slots_divide_the_servers_into_workers():
    one, four = sized(), sized(slots=4)
    assert four.count == -(-one.count // 4)
    assert four.queue.servers == four.count * 4
    assert four.threshold == 5 * four.count


def test_an_answer_that_has_to_come_sooner_needs_more_workers():
    alone = float(np.quantile(SPREAD, 0.95))
    strict = sized(wait=3.0, answer=alone * 1.02)
    assert strict.decided_by == "answer_latency_p95"
    assert strict.count > sized(wait=3.0).count
    assert strict.meets_targets


def test_an_answer_slower_than_promised_is_said_and_not_sized_away():
    found = sized(times=CONSTANT, answer=1.0)
    assert not found.meets_targets
    assert found.decided_by == "worker_wait_p95"
    assert found.count == sized(times=CONSTANT).count


def test_bursts_need_more_workers():
    assert sized(burstiness=20.0).count > sized().count


@pytest.mark.parametrize("times", [CONSTANT, SPREAD])
def test_more_load_never_needs_fewer_workers(times):
    with short_simulations():  # of the same arrivals, however long: the order is theirs
        counts = [sized(rate, times).count for rate in (1.0, 2.0, 4.0, 5.0, 8.0)]
    assert counts == sorted(counts)
