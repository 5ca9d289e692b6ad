"""From the spans of one trace to what an interaction did: calls, attempts, tools, state.

Times are on the agent's line: nanoseconds since its server took the interaction in, or since the
first span where no server's is there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import field
from typing import TYPE_CHECKING

from profiler.measure.records import (
    Attribution,
    LlmAttempt,
    LlmCall,
    Observer,
    Outcome,
    StateKind,
    StateOp,
    Timeline,
    ToolCall,
)
from profiler.observers.otlp.calls import Call, calls_in
from profiler.observers.otlp.dialects.outcomes import of_status
from profiler.observers.otlp.seen import (
    Embedding,
    HttpRequest,
    Inference,
    Sighting,
    StateAccess,
    ToolRun,
    filled,
)
from profiler.observers.otlp.spans import Status
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.observers.otlp.tree import Tree

_NEIGHBOURS = 64
_FAILED = 400


@value
class Assembled:
    """The records of a trace, and what a note may have to say of it.

    `without_attempts` counts calls of which no HTTP request was seen, `without_usage` those that
    succeeded without any.
    """

    records: tuple[LlmCall | LlmAttempt | ToolCall | StateOp, ...]
    stores: frozenset[str] = field(default_factory=frozenset)
    calls: int = 0
    without_attempts: int = 0
    without_usage: int = 0
    requests_without_call: int = 0
    embeddings: int = 0


def assemble(trace_id: str, tree: Tree) -> Assembled:
    """Return what one trace shows. Nothing that two instrumentations saw counts twice."""
    calls, lone = calls_in(tree)
    zero_ns = tree.zero_ns
    records: list[LlmCall | LlmAttempt | ToolCall | StateOp] = []
    made = [_llm_call(trace_id, zero_ns, call) for call in calls]
    for record, call in zip(made, calls, strict=True):
        records.append(record)
        records.extend(_attempts(trace_id, zero_ns, call, record))
    records.extend(_attempt(trace_id, zero_ns, span, seen) for span, seen in lone)
    for span, tool in tools_in(tree):
        records.append(
            ToolCall(
                trace_id=trace_id,
                observer=Observer.OTEL,
                clock=Timeline.AGENT,
                name=tool.name,
                start_ns=span.start_ns - zero_ns,
                end_ns=span.end_ns - zero_ns,
                outcome=span.outcome,
            )
        )
    state = _state(tree)
    records.extend(state_ops(trace_id, state))
    return Assembled(
        records=tuple(records),
        stores=frozenset(state),
        calls=len(calls),
        without_attempts=sum(record.attempts is None for record in made),
        without_usage=sum(r.usage is None and r.outcome is Outcome.OK for r in made),
        requests_without_call=len(lone),
        embeddings=sum(isinstance(span.seen, Embedding) for span in tree.spans),
    )


def state_ops(trace_id: str, state: dict[str, Counter[StateKind]]) -> Iterator[StateOp]:
    """Return the operations on each store by kind, zeros too: a store that is watched."""
    for store, counts in state.items():
        for kind in StateKind:
            yield StateOp(
                trace_id=trace_id,
                observer=Observer.OTEL,
                store=store,
                kind=kind,
                count=counts[kind],
            )


def _llm_call(trace_id: str, zero_ns: int, call: Call) -> LlmCall:
    told = _told(call)
    outcome, status = _outcome(call, answered=told.usage is not None)
    first_ns, attempts = told.first_token_ns, call.attempts
    return LlmCall(
        trace_id=trace_id,
        observer=Observer.OTEL,
        clock=Timeline.AGENT,
        model=told.model,
        start_ns=call.span.start_ns - zero_ns,
        first_token_ns=None if first_ns is None else first_ns - zero_ns,
        end_ns=_end_ns(call) - zero_ns,
        outcome=outcome,
        attempts=len(attempts) or None,
        usage=told.usage,
        tool_calls=told.tool_calls,
        last_start_ns=attempts[-1][0].start_ns - zero_ns if len(attempts) > 1 else None,
        http_status=status,
        attribution=Attribution.TRACE,
    )


def _told(call: Call) -> Inference:
    """Return what the call's span tells, filled from those within: the last success first."""
    told = call.seen
    for span, seen in sorted(call.within, key=_worth, reverse=True):
        answered = span.outcome is Outcome.OK
        told = Inference(
            model=seen.model if told.model is None else told.model,
            usage=filled(told.usage, seen.usage) if answered else told.usage,
            tool_calls=seen.tool_calls if answered and told.tool_calls is None else told.tool_calls,
            first_token_ns=seen.first_token_ns
            if answered and told.first_token_ns is None
            else told.first_token_ns,
        )
    return told


def _worth(pair: tuple[Sighting, Inference]) -> tuple[bool, int]:
    return pair[0].outcome is Outcome.OK, pair[0].start_ns


def _end_ns(call: Call) -> int:
    """When the answer was there. Some spans go on through the tools that the answer asked for."""
    if call.answered_ns is None:
        return call.span.end_ns
    ends = [span.end_ns for span, _ in call.within if span.end_ns <= call.answered_ns]
    return max(ends, default=call.answered_ns)


def _outcome(call: Call, *, answered: bool) -> tuple[Outcome, int | None]:
    """How a call ended, and the HTTP status of its last attempt or of its error."""
    span = call.span
    status = call.attempts[-1][1].status if call.attempts else span.failed_with
    failed = status is not None and status >= _FAILED
    if span.outcome is Outcome.OK:
        silent = span.status is Status.UNSET and not answered  # not told, but its request is
        return (of_status(status) if failed and silent and status else Outcome.OK), status
    if span.outcome is not Outcome.AGENT_ERROR:
        return span.outcome, status
    if failed and status:
        return of_status(status), status
    inner = [other.outcome for other, _ in call.within if other.outcome is not Outcome.OK]
    return (inner[-1] if inner else Outcome.AGENT_ERROR), status


def _attempts(trace_id: str, zero_ns: int, call: Call, record: LlmCall) -> Iterator[LlmAttempt]:
    last = len(call.attempts) - 1
    for retry, (span, seen) in enumerate(call.attempts):
        attempt = _attempt(trace_id, zero_ns, span, seen)
        # An HTTP span may end at the headers of a streamed answer: the call's end is the answer's.
        streamed = retry == last and attempt.outcome is record.outcome is Outcome.OK
        yield LlmAttempt(
            trace_id=trace_id,
            observer=Observer.OTEL,
            clock=Timeline.AGENT,
            model=record.model,
            start_ns=attempt.start_ns,
            end_ns=record.end_ns if streamed else attempt.end_ns,
            outcome=attempt.outcome,
            http_status=attempt.http_status,
            retry=retry,
        )


def _attempt(trace_id: str, zero_ns: int, span: Sighting, seen: HttpRequest) -> LlmAttempt:
    if seen.status is not None:
        outcome = of_status(seen.status)
    elif span.outcome is Outcome.AGENT_ERROR:
        outcome = Outcome.CONNECT_ERROR  # no answer, and no more is known
    else:
        outcome = span.outcome
    return LlmAttempt(
        trace_id=trace_id,
        observer=Observer.OTEL,
        clock=Timeline.AGENT,
        start_ns=span.start_ns - zero_ns,
        end_ns=span.end_ns - zero_ns,
        outcome=outcome,
        http_status=seen.status,
    )


def tools_in(tree: Tree) -> list[tuple[Sighting, ToolRun]]:
    """Return tool executions, those that two instrumentations saw once: the outer span."""
    kept: list[tuple[Sighting, ToolRun]] = []
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for span in tree.spans:
        tool = span.seen
        if not isinstance(tool, ToolRun):
            continue
        step = tree.step_of[span.span_id]
        if step is not None and isinstance(step.seen, ToolRun) and step.seen.name == tool.name:
            continue
        twin = next(
            (
                other.span_id
                for other, seen in reversed(kept[-_NEIGHBOURS:])
                if _same_run(other, seen, span, tool) and span.scope not in taken[other.span_id]
            ),
            None,
        )
        if twin is None:
            kept.append((span, tool))
        else:
            taken[twin].add(span.scope)
    return kept


def _same_run(outer: Sighting, one: ToolRun, inner: Sighting, other: ToolRun) -> bool:
    if outer.scope == inner.scope or one.name != other.name:
        return False
    if one.call_id is not None and other.call_id is not None:
        return one.call_id == other.call_id
    return outer.start_ns <= inner.start_ns and inner.end_ns <= outer.end_ns


def _state(tree: Tree) -> dict[str, Counter[StateKind]]:
    """Operations by store and kind. Of two libraries that saw one, the one nearer to the store."""
    outer: set[str] = set()
    accesses: list[tuple[Sighting, StateAccess]] = []
    for span in tree.spans:
        if isinstance(span.seen, StateAccess):
            accesses.append((span, span.seen))
            leaf = tree.leaf_of[span.span_id]
            if (
                leaf is not None
                and isinstance(leaf.seen, StateAccess)
                and leaf.seen.store == span.seen.store
            ):
                outer.add(leaf.span_id)
    state: dict[str, Counter[StateKind]] = {}
    for span, access in accesses:
        if span.span_id not in outer:
            counts = state.setdefault(access.store, Counter())
            counts[StateKind.READ] += access.reads
            counts[StateKind.WRITE] += access.writes
            counts[StateKind.OTHER] += access.other
    return state
