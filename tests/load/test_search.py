"""The search finds the limit of anything that has one, in a bounded number of steps."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.load.search import Search, SearchEnd, SearchLimits, Step, StepVerdict

MET, MISSED = StepVerdict.MET, StepVerdict.MISSED
UNDECIDED, LIMITED = StepVerdict.UNDECIDED, StepVerdict.DRIVER_LIMITED
EVERY: tuple[StepVerdict, ...] = tuple(StepVerdict)


def searched(search: Search, verdict_of) -> list[Step]:
    steps: list[Step] = []
    while (step := search.next()) is not None:
        steps.append(step)
        search.record(step, verdict_of(step))
        assert len(steps) < 1000
    return steps


def limits(**changes) -> SearchLimits:
    return SearchLimits(**{"lowest_per_s": 0.01, "highest_per_s": 1e6, "most_steps": 60, **changes})


@given(st.floats(0.011, 9e5), st.floats(0.01, 1e6), st.sampled_from([0.005, 0.05, 0.3]))
def test_the_limit_of_a_monotone_system_is_bracketed_to_the_resolution(true, start, resolution):
    search = Search(limits(start_per_s=start, resolution=resolution))
    steps = searched(search, lambda step: MET if step.rate_per_s <= true else MISSED)
    result = search.result
    assert result.end is SearchEnd.FOUND
    assert result.lower_per_s is not None
    assert result.upper_per_s is not None
    assert result.lower_per_s <= true < result.upper_per_s <= result.lower_per_s * (1 + resolution)
    assert result.missed_per_s == result.upper_per_s
    doublings = abs(math.log2(true / start)) + 2
    halvings = math.log2(math.log(2) / math.log1p(resolution)) + 2
    assert len(steps) <= doublings + halvings


@given(st.integers(0, 10_000), st.floats(0.02, 5e5), st.integers(1, 60))
def test_noise_never_makes_it_run_for_ever(seed: int, true: float, most_steps: int):
    rng = random.Random(seed)

    def verdict(step: Step) -> StepVerdict:
        if step.rate_per_s < true / 2:
            return MET
        if step.rate_per_s > true * 2:
            return MISSED
        return EVERY[rng.randrange(len(EVERY))]

    search = Search(limits(most_steps=most_steps))
    steps = searched(search, verdict)
    assert len({step.number for step in steps}) <= most_steps
    assert len(steps) <= most_steps * 4 * 2
    assert search.result.end is not None
    lower, upper = search.result.lower_per_s, search.result.upper_per_s
    assert lower is None or upper is None or lower < upper


@given(st.lists(st.sampled_from(list(StepVerdict)), min_size=160, max_size=160))
def test_whatever_the_verdicts_the_bounds_hold(verdicts):
    search, told = Search(limits(most_steps=20)), iter(verdicts)
    steps = searched(search, lambda _: next(told))
    assert len(steps) <= 20 * 4 * 2
    sent: dict[float, int] = {}
    for step in steps:
        if step.attempt == 1:
            sent[step.rate_per_s] = sent.get(step.rate_per_s, 0) + step.requests
    assert all(total <= 8 * max(200, math.ceil(5 * rate)) for rate, total in sent.items())


def test_it_doubles_and_then_takes_the_geometric_middle():
    search = Search(limits(start_per_s=1, resolution=0.5))
    steps = searched(search, lambda step: MET if step.rate_per_s <= 6 else MISSED)
    assert [step.rate_per_s for step in steps] == [1, 2, 4, 8, 5.65685]  # sqrt(32)
    assert [step.number for step in steps] == [1, 2, 3, 4, 5]


def test_it_halves_where_already_the_start_misses():
    search = Search(limits(start_per_s=8, resolution=1))
    steps = searched(search, lambda step: MET if step.rate_per_s <= 1 else MISSED)
    assert [step.rate_per_s for step in steps] == [8, 4, 2, 1]
    assert (search.result.lower_per_s, search.result.upper_per_s) == (1, 2)


def test_a_step_has_as_many_interactions_as_its_rate_needs():
    search = Search(limits(start_per_s=10, requests=200, least_step_s=5))
    steps = searched(search, lambda step: MET if step.rate_per_s < 100 else MISSED)
    assert [step.requests for step in steps[:5]] == [200, 200, 200, 400, 800]


def test_an_undecided_step_is_doubled_up_to_the_bound_and_then_counts_as_not_met():
    search = Search(limits(start_per_s=10, resolution=1, least_step_s=0))
    steps = searched(search, lambda step: MET if step.rate_per_s < 12 else UNDECIDED)
    assert [(s.rate_per_s, s.part, s.requests) for s in steps] == [
        (10, 1, 200),
        (20, 1, 200),
        (20, 2, 200),
        (20, 3, 400),
        (20, 4, 800),
    ]
    result = search.result
    assert (result.lower_per_s, result.upper_per_s, result.upper_verdict) == (10, 20, UNDECIDED)
    assert result.missed_per_s is None
    assert result.end is SearchEnd.FOUND


def test_a_step_that_is_decided_late_counts_as_what_it_is():
    search = Search(limits(start_per_s=10, resolution=1))
    steps = searched(
        search, lambda s: MISSED if s.rate_per_s > 10 else (UNDECIDED, MET)[s.part > 1]
    )
    assert [step.part for step in steps] == [1, 2, 1]
    assert search.result.lower_per_s == 10


def test_a_harness_that_was_the_limit_gets_one_more_try():
    search = Search(limits(start_per_s=10, resolution=1))
    steps = searched(search, lambda s: LIMITED if s.attempt == 1 else (MET, MISSED)[s.number > 1])
    assert [(s.number, s.attempt) for s in steps] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert search.result.end is SearchEnd.FOUND


def test_a_harness_that_is_the_limit_twice_ends_the_search():
    search = Search(limits(start_per_s=10))
    searched(search, lambda step: MET if step.rate_per_s < 40 else LIMITED)
    assert search.result.end is SearchEnd.DRIVER_LIMITED
    assert (search.result.lower_per_s, search.result.upper_per_s) == (20, None)


def test_the_ends_of_the_range_are_ends():
    never_missed = Search(limits(start_per_s=10, highest_per_s=35))
    steps = searched(never_missed, lambda _: MET)
    assert [step.rate_per_s for step in steps] == [10, 20, 35]
    assert never_missed.result.end is SearchEnd.NEVER_MISSED
    never_met = Search(limits(start_per_s=10, lowest_per_s=4))
    steps = searched(never_met, lambda _: MISSED)
    assert [step.rate_per_s for step in steps] == [10, 5, 4]
    assert never_met.result.end is SearchEnd.NEVER_MET
    never_decided = Search(limits(start_per_s=10, lowest_per_s=10))
    searched(never_decided, lambda _: UNDECIDED)
    assert never_decided.result.end is SearchEnd.NEVER_DECIDED


def test_steps_are_used_up():
    search = Search(limits(start_per_s=1, most_steps=3))
    searched(search, lambda step: MET)
    assert search.result.end is SearchEnd.MOST_STEPS
    assert search.result.lower_per_s == 4


def test_it_can_be_stopped_from_outside_and_keeps_what_is_known():
    search = Search(limits(start_per_s=1))
    step = search.next()
    assert step is not None
    assert search.next() is step
    search.record(step, MET)
    search.stop(SearchEnd.INTERRUPTED)
    search.stop(SearchEnd.TARGET_UNUSABLE)
    assert search.next() is None
    assert search.result.end is SearchEnd.INTERRUPTED
    assert search.result.lower_per_s == 1


def test_only_the_step_that_was_asked_for_is_recorded():
    search = Search(limits())
    step = search.next()
    assert step is not None
    search.record(step, MET)
    with pytest.raises(ValueError, match="not the step to record"):
        search.record(step, MET)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_per_s": 0}, "a rate of 0/s is not possible"),
        ({"highest_per_s": math.inf}, "a rate of inf/s"),
        ({"start_per_s": 2e6}, "is not between"),
        ({"resolution": 0.001}, "a resolution of 0.001"),
        ({"most_steps": 0}, "0 steps are none"),
        ({"requests": 0}, "0 interactions are none"),
    ],
)
def test_limits_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        limits(**changes)
