"""Which values come together: those of one trace, while it is open."""

from __future__ import annotations

from profiler.measure.records import NO_TRACE
from profiler.profile.statistics import ClusterSums
from profiler.profile.traces import Traces


def sums_of(*trace_ids: str, **limits: int) -> ClusterSums:
    """One value of 10 for each; what their clusters add up to."""
    traces = Traces(**limits)
    number, tally = traces.tally("count")
    for trace_id in trace_ids:
        cluster = traces.of(trace_id)
        cluster.numbers.append(number)
        cluster.values.append(10)
    traces.close()
    return tally.sample(method="measured", source="x", eligible=1).sums


def test_the_calls_of_a_trace_are_one_cluster():
    sums = sums_of("a", "b", "a", "a")
    assert (sums.sessions, sums.sum_n, sums.sum_nn) == (2, 4, 3 * 3 + 1)
    assert (sums.sum_s, sums.sum_ss) == (40, 30 * 30 + 10 * 10)


def test_without_a_trace_each_is_a_cluster_of_its_own():
    sums = sums_of(NO_TRACE, "a", NO_TRACE, NO_TRACE)
    assert (sums.sessions, sums.sum_nn) == (4, 4)


def test_the_trace_that_was_longest_without_anything_new_is_tallied_first():
    sums = sums_of("a", "b", "a", "c", "a", open_traces=2)  # c takes the place of b
    assert (sums.sessions, sums.sum_nn) == (3, 9 + 1 + 1)
    sums = sums_of("a", "b", "c", "a", open_traces=2)  # c takes the place of a, which comes back
    assert (sums.sessions, sums.sum_nn) == (4, 4)


def test_a_trace_without_end_is_several_clusters():
    sums = sums_of("a", "a", "a", "a", "a", most_values=2)
    assert (sums.sessions, sums.sum_nn) == (3, 4 + 4 + 1)
