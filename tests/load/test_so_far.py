"""What a run has shown so far, counted by hand."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from profiler.load.so_far import COLUMNS, MOST_ERROR_KINDS, OTHER_ERRORS, Course, Rough, SoFar
from profiler.measure.records import Observer, Outcome, Phase, Timeline, Usage, Watched
from tests.profile.journals import MS, S, interaction, llm_call


def gateway_call(trace, **changes):
    fields = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS, **changes}
    return llm_call(trace, **fields)


def test_latency_is_that_of_measured_interactions_that_succeeded():
    so_far = SoFar(clock=lambda: 10 * S)
    so_far.take(interaction("w", phase=Phase.WARMUP, end_ns=9 * S), ())
    for number in range(4):
        so_far.take(interaction(f"t{number}", send_ns=2 * S, end_ns=2 * S + 100 * MS), ())
    so_far.take(interaction("f", send_ns=2 * S, end_ns=9 * S, outcome=Outcome.TIMEOUT), ())
    assert (so_far.ended, so_far.failed) == (5, 1)
    assert so_far.latency.count == 4
    # 100,000 has 17 bits, of which 8 are kept: 195 times 512.
    assert so_far.latency.percentile(100) == 99_840
    assert so_far.elapsed_s() == 8.0
    assert so_far.errors == {"timeout": 1}


def test_what_was_cancelled_is_no_failure():
    so_far = SoFar()
    so_far.take(interaction("t", outcome=Outcome.CANCELLED, error_kind="interrupted"), ())
    assert (so_far.ended, so_far.failed, dict(so_far.errors)) == (1, 0, {})


def test_error_kinds_do_not_grow_without_end():
    so_far = SoFar()
    for number in range(MOST_ERROR_KINDS + 5):
        kind = f"kind {number}"
        so_far.take(interaction(str(number), outcome=Outcome.AGENT_ERROR, error_kind=kind), ())
    assert len(so_far.errors) == MOST_ERROR_KINDS + 1
    assert so_far.errors[OTHER_ERRORS] == 5
    assert so_far.errors["agent_error (kind 0)"] == 1


def test_calls_come_from_the_observer_nearest_to_the_provider():
    so_far = SoFar(is_observed=True)
    so_far.see(gateway_call("t", usage=Usage(input_tokens=30, output_tokens=4)))
    so_far.see(gateway_call("t", usage=Usage(input_tokens=50, output_tokens=6)))
    so_far.take(interaction("t"), (llm_call("t", usage=Usage(input_tokens=1)),))
    calls = so_far.calls()
    assert calls is not None
    assert (calls.observer, calls.interactions, calls.llm_calls) == (Observer.GATEWAY, 1, 2)
    assert (calls.input_tokens, calls.output_tokens) == (80, 10)


def test_calls_of_an_interaction_under_way_wait_for_its_end():
    so_far = SoFar(is_observed=True)
    so_far.see(gateway_call("t"))
    assert so_far.calls() is None
    so_far.take(interaction("t"), ())
    assert so_far.calls() is not None


def test_a_call_that_comes_late_counts_for_its_interaction_once():
    so_far = SoFar(is_observed=True)
    so_far.take(interaction("t"), ())
    so_far.take(interaction("nobody saw inside this"), ())
    late = {"observer": Observer.OTEL}
    so_far.see(llm_call("t", **late))
    so_far.see(llm_call("t", **late))
    calls = so_far.calls()
    assert calls is not None
    assert (calls.interactions, calls.llm_calls, calls.input_tokens) == (1, 2, None)


def test_the_warm_up_has_no_calls():
    so_far = SoFar(is_observed=True)
    so_far.see(gateway_call("w"))
    so_far.take(interaction("w", phase=Phase.WARMUP), (llm_call("w"),))
    so_far.see(gateway_call("w"))
    assert so_far.calls() is None


def test_an_interaction_without_calls_is_one_with_zero():
    so_far = SoFar()
    so_far.take(interaction("a"), (llm_call("a"), llm_call("a")))
    so_far.take(interaction("b"), (Watched(trace_id="b", observer=Observer.RESPONSE),))
    blind = Watched(trace_id="c", observer=Observer.RESPONSE, llm_calls=False)
    so_far.take(interaction("c"), (blind,))
    calls = so_far.calls()
    assert calls is not None
    assert (calls.interactions, calls.llm_calls) == (2, 2)


def test_what_is_held_of_strangers_is_bounded():
    so_far = SoFar(is_observed=True)
    for number in range(10_000):
        so_far.see(gateway_call(f"stranger {number}"))
    assert len(so_far._calls[Observer.GATEWAY]._held) == 4096


def test_the_course_widens_its_columns_and_keeps_every_value():
    course = Course()
    for second in range(COLUMNS * 4):
        course.add(second * S, 100 + second)
    assert course.width_ns == 4 * S
    medians = course.medians_us()
    assert len(medians) == COLUMNS
    # Each column holds four seconds; the nearest rank of the median of four is the second.
    assert medians == tuple(100 + 4 * column + 1 for column in range(COLUMNS))


def test_a_column_without_success_is_a_gap():
    course = Course()
    course.add(0, 100)
    course.add(2 * S, 200)
    assert course.medians_us() == (100, None, 200)


@given(st.lists(st.integers(0, 10**10), min_size=1), st.integers(1, 100))
def test_a_rough_percentile_is_the_nearest_rank_to_one_percent(values, percent):
    rough = Rough()
    for value in values:
        rough.record(value)
    exact = sorted(values)[math.ceil(percent * len(values) / 100) - 1]
    found = rough.percentile(percent)
    assert found is not None
    assert 0 <= exact - found <= 0.01 * exact
