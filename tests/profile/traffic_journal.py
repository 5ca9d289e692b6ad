"""The journal of a gateway alone: five calls of two models, two traces and one call without.

second of the run   0        2        50       70 (429), 72     80 (429)
call                a        a        -        b                b
model               m        m        n        m                m
input, output       100, 10  200, 20  300, 30  400, 40          nothing
end                 1        4        53       75               81
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
    RateLimit,
    Record,
    Run,
    Timeline,
    TokenParts,
    ToolRoundTrip,
    Usage,
)
from tests.profile.journals import MS, S, run

ZERO_NS = 100 * S
COMMON: dict[str, Any] = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}


def traffic_run(**changes: Any) -> Run:
    fields: dict[str, Any] = {
        "argv": ("agent-profiler", "gateway", "--upstream", "https://llm.example/v1"),
        "started_monotonic_ns": ZERO_NS,
        "workload": "gateway",
        "target": {"upstream": "https://llm.example/v1"},
        "load": {"mode": "traffic"},
        "observers": ("gateway",),
    }
    return run(**(fields | changes))


def attempt(trace: str, at_s: float, **changes: Any) -> LlmAttempt:
    fields: dict[str, Any] = {
        "trace_id": trace,
        "model": "m",
        "start_ns": ZERO_NS + round(at_s * S),
        "outcome": Outcome.OK,
        "rate_limit": RateLimit(limit_requests=60, limit_tokens=9000),
    }
    return LlmAttempt(**(COMMON | fields | changes))


def call(trace: str, start_s: float, end_s: float, **changes: Any) -> LlmCall:
    fields: dict[str, Any] = {
        "trace_id": trace,
        "model": "m",
        "start_ns": ZERO_NS + round(start_s * S),
        "end_ns": ZERO_NS + round(end_s * S),
        "outcome": Outcome.OK,
        "attempts": 1,
        "api": "chat_completions",
        "attribution": Attribution.AMBIGUOUS if trace == NO_TRACE else Attribution.TRACE,
    }
    return LlmCall(**(COMMON | fields | changes))


def usage(given: int, written: int, **more: int) -> Usage:
    return Usage(input_tokens=given, output_tokens=written, **more)


def traffic_records() -> Iterator[Record]:
    """The records after the first, in the order in which a gateway writes them."""
    parts = TokenParts(system=40, tool_schemas=0, history=0, user=50, tool_results=0, overhead=3)
    yield attempt("a", 0)
    yield call(
        *("a", 0, 1),
        first_token_ns=ZERO_NS + 250 * MS,
        usage=usage(100, 10),
        tokens=parts,
        counted_output=10,
        tool_calls=("search",),
    )
    yield trip("a", ("search",), 1, 2)
    yield attempt("a", 2)
    yield call("a", 2, 4, usage=usage(200, 20, cached_input_tokens=50))
    yield attempt(NO_TRACE, 50, model="n", rate_limit=None)
    yield call(NO_TRACE, 50, 53, model="n", usage=usage(300, 30))
    yield trip(NO_TRACE, ("b", "a"), 53, 55)
    refused = {"outcome": Outcome.HTTP_429, "rate_limit": RateLimit(retry_after_ns=2 * S)}
    yield attempt("b", 70, **refused)
    yield attempt("b", 72)
    yield call("b", 70, 75, last_start_ns=ZERO_NS + 72 * S, attempts=2, usage=usage(400, 40))
    yield attempt("b", 80, **refused)
    for _ in range(2):
        note = "passed through and not recorded"
        yield ObserverNote(observer=Observer.GATEWAY, kind="other_path", count=3, detail=note)
    yield call("b", 80, 81, outcome=Outcome.HTTP_429)


def trip(trace: str, tools: tuple[str, ...], start_s: int, end_s: int) -> ToolRoundTrip:
    start_ns, end_ns = ZERO_NS + start_s * S, ZERO_NS + end_s * S
    return ToolRoundTrip(trace_id=trace, tools=tools, start_ns=start_ns, end_ns=end_ns, **COMMON)
