"""The budget decides what may still be sent, and says why no more."""

from __future__ import annotations

from profiler.load.budget import Budget, Limits
from profiler.measure.records import EndReason, Outcome


def sent_until_closed(budget: Budget, most: int = 10_000) -> int:
    sent = 0
    while sent < most and budget.take_interaction():
        sent += 1
        budget.ended_with(Outcome.OK, None)
    return sent


def test_exactly_as_many_interactions_are_sent_as_were_asked_for():
    budget = Budget(Limits(requests=7))
    assert sent_until_closed(budget) == 7
    assert budget.reason is EndReason.COMPLETED
    assert budget.take_session() is None


def test_exactly_as_many_sessions_begin_as_were_asked_for():
    budget = Budget(Limits(sessions=3))
    assert [budget.take_session() for _ in range(5)] == [0, 1, 2, None, None]
    assert not budget.is_closed
    assert budget.take_interaction()


def test_until_stable_goes_on_past_the_requests_and_stops_when_stable():
    stable_after = 40
    budget = Budget(
        Limits(requests=20, max_requests=1000, until_stable=True),
        is_stable=lambda: budget.ended >= stable_after,
    )
    sent = sent_until_closed(budget)
    assert 40 <= sent <= 50
    assert budget.reason is EndReason.COMPLETED


def test_until_stable_gives_up_at_the_ceiling():
    limits = Limits(requests=20, max_requests=100, until_stable=True)
    budget = Budget(limits, is_stable=lambda: False)
    assert sent_until_closed(budget) == 100
    assert budget.reason is EndReason.MAX_REQUESTS


def test_until_stable_draws_more_sessions_than_were_asked_for():
    budget = Budget(Limits(sessions=2, until_stable=True), is_stable=lambda: False)
    assert [budget.take_session() for _ in range(4)] == [0, 1, 2, 3]


def test_the_error_limit_closes_once_enough_interactions_have_ended():
    budget = Budget(Limits(requests=1000, error_limit=0.5))
    for _ in range(19):
        budget.take_interaction()
        budget.ended_with(Outcome.HTTP_5XX, "http_500")
    assert not budget.is_closed
    budget.ended_with(Outcome.HTTP_5XX, "http_500")
    assert budget.reason is EndReason.ERROR_LIMIT
    assert budget.detail == "20 of 20 interactions failed; last: http_500"


def test_a_share_at_the_error_limit_is_within_it():
    budget = Budget(Limits(requests=1000, error_limit=0.5))
    for _ in range(15):
        budget.ended_with(Outcome.OK, None)
        budget.ended_with(Outcome.TIMEOUT, "deadline")
    assert not budget.is_closed


def test_a_target_that_was_never_reached_closes_at_once():
    budget = Budget(Limits(requests=1000, error_limit=None))
    budget.ended_with(Outcome.CONNECT_ERROR, "connection refused")
    assert (budget.reason, budget.detail) == (EndReason.ERROR_LIMIT, "connection refused")


def test_a_target_that_was_reached_once_may_refuse_later():
    budget = Budget(Limits(requests=1000, error_limit=None))
    budget.ended_with(Outcome.HTTP_5XX, "http_500")
    budget.ended_with(Outcome.CONNECT_ERROR, "connection refused")
    assert not budget.is_closed


def test_a_cancelled_interaction_is_no_failure():
    budget = Budget(Limits(error_limit=0.0))
    for _ in range(30):
        budget.ended_with(Outcome.CANCELLED, None)
    assert budget.failed == 0
    assert not budget.is_closed


def test_the_first_reason_stays():
    budget = Budget(Limits())
    budget.close(EndReason.DURATION)
    budget.close(EndReason.INTERRUPTED, "later")
    assert (budget.reason, budget.detail) == (EndReason.DURATION, None)
    assert not budget.take_interaction()
