"""The busiest minute is any 60 s, whatever the order in which amounts come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.profile.minutes import Minutes


def minutes_of(amounts: list[tuple[int, int]], horizon_s: int = 3600) -> Minutes:
    minutes = Minutes(1, horizon_s)
    for second, amount in amounts:
        minutes.add(second, (amount,))
    minutes.close()
    return minutes


def test_a_burst_is_not_halved_by_the_end_of_the_clocks_minute():
    minutes = minutes_of([(58, 10), (59, 10), (60, 10), (61, 10)])
    assert (minutes.busiest, minutes.busiest_from, minutes.totals) == ([40], [58], [40])


def test_sixty_seconds_are_not_sixty_one():
    assert minutes_of([(0, 1), (59, 1)]).busiest == [2]
    assert minutes_of([(0, 1), (60, 1)]).busiest == [1]


def test_of_several_as_busy_the_first_is_told():
    assert minutes_of([(500, 2), (100, 2)]).busiest_from == [100]


def test_nothing_has_no_busiest_minute():
    assert minutes_of([]).busiest_from == [None]
    assert minutes_of([(3, 0)]).busiest_from == [None]


def test_each_amount_has_its_own():
    minutes = Minutes(2)
    minutes.add(0, (5, 0))
    minutes.add(100, (0, 7))
    minutes.add(101, (1, 1))
    minutes.close()
    assert (minutes.busiest, minutes.busiest_from) == ([5, 8], [0, 100])


@given(st.lists(st.tuples(st.integers(-300, 300), st.integers(0, 50)), max_size=40))
def test_it_is_the_largest_sum_of_any_sixty_seconds(amounts: list[tuple[int, int]]):
    most = max(
        (sum(n for at, n in amounts if end - 60 < at <= end) for end, _ in amounts), default=0
    )
    assert minutes_of(amounts).busiest == [most]


def test_what_is_long_ago_is_closed_and_what_comes_for_it_counts_later():
    minutes = Minutes(1, horizon_s=10)
    for second in range(21):  # the 21st second closes what is 10 s before the 20th
        minutes.add(second, (1,))
    assert len(minutes._open) == 11
    minutes.add(3, (100,))
    minutes.close()
    assert minutes.totals == [121]
    assert minutes.busiest == [121]
