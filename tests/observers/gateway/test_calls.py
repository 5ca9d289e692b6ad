"""Attempts become calls."""

import gc
import weakref

import pytest

from profiler.measure.records import NO_TRACE, Attribution, Outcome, RateLimit, TokenParts, Usage
from profiler.observers.gateway.apis import CHAT
from profiler.observers.gateway.apis.values import CallAnswer, ToolAsked
from profiler.observers.gateway.attribution import AMBIGUOUS, Owner
from profiler.observers.gateway.calls import Attempt, CallBook, Counts

A = Owner(trace_id="a" * 32, attribution=Attribution.TRACE)
B = Owner(trace_id="b" * 32, attribution=Attribution.TRACE)
S = 1_000_000_000


def begun(book, *, owner=A, raw=b"1", retry=None, start_ns=0):
    attempt = Attempt(
        api=CHAT,
        owner=owner,
        model="m",
        raw=raw,
        retry=retry,
        start_ns=start_ns,
    )
    book.begin(attempt)
    return attempt


def end(book, attempt, outcome, *, status=None, end_ns=0, **more):
    attempt.outcome, attempt.http_status, attempt.end_ns = outcome, status, end_ns
    for name, content in more.items():
        setattr(attempt, name, content)
    return book.end(attempt)


def test_one_attempt_that_succeeds_is_a_call_at_once():
    book = CallBook()
    answer = CallAnswer(
        usage=Usage(input_tokens=9),
        asked=(ToolAsked(id="1", name="t"), ToolAsked(id="2", name="t")),
        first_token_ns=15,
    )
    attempt = begun(book, start_ns=10)
    call = end(book, attempt, Outcome.OK, status=200, end_ns=20, answer=answer)
    record = call.record(Counts(tokens=TokenParts(user=7), output=3))
    assert (record.start_ns, record.first_token_ns, record.end_ns) == (10, 15, 20)
    assert (record.attempts, record.last_start_ns, record.http_status) == (1, None, 200)
    assert (record.usage, record.tokens, record.counted_output) == (
        Usage(input_tokens=9),
        TokenParts(user=7),
        3,
    )
    assert record.tool_calls == ("t", "t")
    assert (record.api, record.attribution) == ("chat_completions", Attribution.TRACE)
    assert attempt.record().retry == 0


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.HTTP_429, 429),
        (Outcome.HTTP_5XX, 529),
        (Outcome.HTTP_4XX, 408),
        (Outcome.HTTP_4XX, 409),
        (Outcome.CONNECT_ERROR, None),
        (Outcome.PROTOCOL_ERROR, 200),
        (Outcome.CANCELLED, None),
    ],
)
def test_the_same_body_after_a_failure_is_the_same_call(outcome, status):
    book = CallBook()
    assert end(book, begun(book, start_ns=10), outcome, status=status, end_ns=20) is None
    second = begun(book, start_ns=30)
    assert second.number == 1
    record = end(book, second, Outcome.OK, status=200, end_ns=40).record(Counts())
    assert (record.start_ns, record.last_start_ns, record.end_ns) == (10, 30, 40)
    assert (record.attempts, record.outcome) == (2, Outcome.OK)
    assert book.rest() == []


def test_a_bad_request_is_final():
    book = CallBook()
    call = end(book, begun(book), Outcome.HTTP_4XX, status=400)
    assert call.record(Counts()).outcome is Outcome.HTTP_4XX


def test_the_same_body_after_a_success_is_another_call():
    book = CallBook()
    end(book, begun(book), Outcome.OK, status=200)
    second = begun(book)
    assert second.number == 0
    assert len(second.call.attempts) == 1


def test_another_body_or_another_interaction_is_another_call():
    book = CallBook()
    end(book, begun(book), Outcome.HTTP_429, status=429)
    assert begun(book, raw=b"2").number == 0
    assert begun(book, owner=B).number == 0
    assert len(book.rest()) == 1


def test_two_failed_calls_with_one_body_are_retried_one_by_one():
    book = CallBook()
    first, second = begun(book, start_ns=1), begun(book, start_ns=2)
    calls = first.call, second.call
    end(book, first, Outcome.HTTP_429, status=429)
    end(book, second, Outcome.HTTP_429, status=429)
    assert (begun(book).call, begun(book).call) == calls


class Body(dict):
    """A request's body that can be watched."""


def test_what_has_been_recorded_is_gone_without_a_collector():
    """Bodies of calls that only a collector frees would be most of the gateway's memory."""
    book = CallBook()
    gc.disable()
    try:
        for status, outcome in ((200, Outcome.OK), (429, Outcome.HTTP_429)):
            attempt = begun(book)
            attempt.body = Body()
            body = weakref.ref(attempt.body)
            call = end(book, attempt, outcome, status=status) or book.rest().pop()
            assert call.attempts == [attempt]
            del call, attempt
            assert body() is None
    finally:
        gc.enable()


def test_an_ambiguous_retry_has_to_say_which_it_is():
    book = CallBook()
    end(book, begun(book, owner=AMBIGUOUS), Outcome.HTTP_429, status=429)
    other = begun(book, owner=AMBIGUOUS)
    assert other.number is None
    assert len(other.call.attempts) == 1
    retry = begun(book, owner=AMBIGUOUS, retry=1)
    assert len(retry.call.attempts) == 2
    assert retry.record().trace_id == NO_TRACE


def test_the_clients_count_holds_where_we_missed_attempts():
    book = CallBook()
    attempt = begun(book, retry=2)
    assert attempt.record().retry == 2
    record = end(book, attempt, Outcome.OK, status=200).record(Counts())
    assert record.attempts == 3


def test_an_application_that_tries_again_after_its_sdk_goes_on_counting():
    """The SDK counts from 0 each time; the gateway has seen two attempts before."""
    book = CallBook()
    for retry in (0, 1):
        end(book, begun(book, retry=retry), Outcome.HTTP_5XX, status=500)
    attempt = begun(book, retry=0)
    assert attempt.number == 2
    assert end(book, attempt, Outcome.OK, status=200).record(Counts()).attempts == 3


def test_a_failure_without_retry_is_a_failed_call_after_the_hold():
    book = CallBook(hold_s=30)
    end(book, begun(book), Outcome.HTTP_5XX, status=503, end_ns=5 * S)
    assert book.overdue(35 * S - 1) == []
    (call,) = book.overdue(35 * S)
    record = call.record(Counts())
    assert (record.outcome, record.http_status, record.attempts) == (Outcome.HTTP_5XX, 503, 1)
    assert book.rest() == []


def test_a_retry_after_is_waited_for():
    book = CallBook(hold_s=30)
    limit = RateLimit(retry_after_ns=60 * S)
    end(book, begun(book), Outcome.HTTP_429, status=429, rate_limit=limit)
    assert book.overdue(90 * S - 1) == []
    assert len(book.overdue(90 * S)) == 1


def test_an_interactions_end_gives_up_its_own():
    book = CallBook()
    for owner in (A, B):
        end(book, begun(book, owner=owner), Outcome.HTTP_5XX, status=500)
    assert [call.key[0] for call in book.of(A.trace_id)] == [A.trace_id]
    assert len(book.rest()) == 1


def test_tools_are_not_known_where_the_answer_could_not_be_read():
    book = CallBook()
    call = end(book, begun(book), Outcome.OK, status=200)
    assert call.record(Counts()).tool_calls is None
    call = end(book, begun(book), Outcome.OK, status=200, answer=CallAnswer())
    assert call.record(Counts()).tool_calls == ()
