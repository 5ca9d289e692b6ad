"""A run of 40 interactions that five observers watched, with what goes wrong in such runs.

Each interaction but t30 makes two LLM calls, the first of which asks for tools. The provider
reports 40 tokens more than we count of each call, all of which have tool schemas; and

- t00, t10, t20: the first request was answered by a 429, the second, 1 s later, succeeded;
- t07, t23: the gateway could not tell whose the second call was (`NO_TRACE`, ambiguous);
- t30 makes no LLM call: gateway and spans were watching;
- t38, t39 have no spans;
- spans know no reasoning tokens, and one attempt for each call;
- Redis counts 3 reads and 1 write for each interaction, of warm-up (2) too, and 12 reads more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from profiler.measure.records import (
    NO_TRACE,
    Attribution,
    LlmAttempt,
    LlmCall,
    Observer,
    ObserverNote,
    Outcome,
    Phase,
    RateLimit,
    Record,
    StateDelta,
    StateKind,
    Timeline,
    TokenParts,
    ToolCall,
    ToolRoundTrip,
    Usage,
    Watched,
)
from tests.profile.journals import MS, S, interaction, llm_call, run, state_op

NUMBER = 40
WARMUP = 2
RUN = run(observers=("client", "gateway", "otel", "response", "state_store"))


def observed_run(numbers: range = range(NUMBER), *, whole: bool = True) -> Iterator[Record]:
    """The records after the first. `whole`: with warm-up, notes and what Redis counted."""
    if whole:
        for number in range(WARMUP):
            yield from _state(f"w{number}")
            yield interaction(f"w{number}", phase=Phase.WARMUP)
    for number in numbers:
        yield from _interaction(number)
    if whole:
        interactions = len(numbers) + WARMUP
        yield StateDelta(store="redis", reads=3 * interactions + 12, writes=interactions)
        yield ObserverNote(
            observer=Observer.GATEWAY,
            kind="ambiguous",
            count=2,
            detail="2 interactions sent the same text at one time",
        )
        yield ObserverNote(
            observer=Observer.OTEL, kind="no_spans", count=2, detail="t38 ended without a span"
        )


def _interaction(number: int) -> Iterator[Record]:
    trace = f"t{number:02}"
    start_ns = number * S
    if number == 30:
        yield Watched(trace_id=trace, observer=Observer.GATEWAY)
        yield Watched(trace_id=trace, observer=Observer.OTEL)
    else:
        for call in (0, 1):
            yield from _call(trace, number, call, start_ns + 10 * MS + call * 600 * MS)
        tools = ("search",) if number % 2 else ("weather", "search")
        yield ToolRoundTrip(
            trace_id=trace,
            observer=Observer.GATEWAY,
            clock=Timeline.HARNESS,
            tools=tools,
            start_ns=start_ns + 410 * MS,
            end_ns=start_ns + 610 * MS,
        )
        for tool in tools:
            for observer in _accounts(number):
                yield ToolCall(
                    trace_id=trace,
                    observer=observer,
                    clock=Timeline.AGENT,
                    name=tool,
                    start_ns=410 * MS,
                    end_ns=590 * MS,
                    outcome=Outcome.OK,
                )
    yield from _state(trace, _accounts(number))
    yield interaction(
        trace,
        session=f"s{number // 2}",
        turn=number % 2,
        last_turn=number % 2 == 1,
        send_ns=start_ns,
        end_ns=start_ns + 1200 * MS,
    )


def _accounts(number: int) -> tuple[Observer, ...]:
    return (Observer.RESPONSE,) if number >= 38 else (Observer.OTEL, Observer.RESPONSE)


def _state(
    trace: str, observers: tuple[Observer, ...] = (Observer.OTEL, Observer.RESPONSE)
) -> Iterator[Record]:
    for observer in observers:
        yield state_op(trace, StateKind.READ, 3, observer=observer)
        yield state_op(trace, StateKind.WRITE, 1, observer=observer)


def _call(trace: str, number: int, call: int, start_ns: int) -> Iterator[Record]:
    parts = TokenParts(
        system=500,
        tool_schemas=(120, 300)[number % 2],
        history=(number % 2) * 90 + number * number,
        user=20 + number % 3,
        tool_results=call * 80,
        overhead=3,
    )
    reported = sum(value for value in _values(parts)) + 40
    usage = Usage(
        input_tokens=reported, output_tokens=60, cached_input_tokens=0, reasoning_tokens=10
    )
    is_retried = number % 10 == 0 and call == 0
    is_ambiguous = number in (7, 23) and call == 1
    whose = NO_TRACE if is_ambiguous else trace
    common: dict[str, Any] = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}
    last_ns = start_ns + S * is_retried
    if is_retried:
        yield LlmAttempt(
            trace_id=whose,
            model="m",
            start_ns=start_ns,
            end_ns=start_ns + 5 * MS,
            outcome=Outcome.HTTP_429,
            http_status=429,
            retry=0,
            rate_limit=RateLimit(remaining_requests=0, retry_after_ns=S),
            **common,
        )
    yield LlmAttempt(
        trace_id=whose,
        model="m",
        start_ns=last_ns,
        end_ns=last_ns + 400 * MS,
        outcome=Outcome.OK,
        http_status=200,
        retry=int(is_retried),
        rate_limit=RateLimit(limit_requests=60, remaining_requests=7),
        **common,
    )
    yield LlmCall(
        trace_id=whose,
        model="m",
        start_ns=start_ns,
        end_ns=last_ns + 400 * MS,
        last_start_ns=last_ns if is_retried else None,
        outcome=Outcome.OK,
        attempts=1 + is_retried,
        usage=usage,
        tokens=parts,
        counted_output=48,
        http_status=200,
        api="openai-chat",
        attribution=(
            Attribution.AMBIGUOUS
            if is_ambiguous
            else Attribution.TOOL_CHAIN
            if number % 4 == 0
            else Attribution.TRACE
        ),
        **common,
    )
    times = {"start_ns": 10 * MS, "end_ns": 410 * MS}
    for observer in _accounts(number):
        reasoning = 0 if observer is Observer.OTEL else 10
        yield llm_call(
            trace,
            observer=observer,
            attempts=1,
            usage=Usage(
                input_tokens=reported,
                output_tokens=60,
                cached_input_tokens=0,
                reasoning_tokens=reasoning,
            ),
            **times,
        )


def _values(parts: TokenParts) -> Iterator[int]:
    for value in (
        *(parts.system, parts.tool_schemas, parts.history),
        *(parts.user, parts.tool_results, parts.overhead),
    ):
        assert value is not None
        yield value
