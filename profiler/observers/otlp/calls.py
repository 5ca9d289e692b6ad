"""From the inferences and HTTP requests of one trace to LLM calls and their attempts.

One call may be seen twice: by a framework, and by the instrumentation of the SDK below it. The
outermost span is the call, for it covers the retries; what it does not tell is taken from those
within. Where several within it succeeded it is no call but a wrapper of several, and they count.
Some frameworks lose the context, and the SDK's spans hang from the server's: time tells those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.measure.records import Outcome
from profiler.observers.otlp.seen import AgentRun, HttpRequest, Inference, Sighting, ToolRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from profiler.observers.otlp.tree import Tree

_NEIGHBOURS = 64
_REDIRECTS = range(300, 400)


@dataclass(slots=True)
class Call:
    """One LLM call: its outermost span, the spans within that saw it too, and its attempts.

    `answered_ns` is when a tool or agent began within the span, so that the answer was there.
    """

    span: Sighting
    seen: Inference
    within: list[tuple[Sighting, Inference]] = field(default_factory=list)
    attempts: list[tuple[Sighting, HttpRequest]] = field(default_factory=list)
    answered_ns: int | None = None


def calls_in(tree: Tree) -> tuple[list[Call], list[tuple[Sighting, HttpRequest]]]:
    """Return the LLM calls of a trace in order of start, and requests to LLMs that are of none."""
    calls = without_attempts(tree)
    by_span = {span.span_id: call for call in calls for span in _spans(call)}
    for span in tree.spans:
        step = tree.step_of[span.span_id]
        if isinstance(span.seen, ToolRun | AgentRun) and step is not None:
            call = by_span.get(step.span_id)
            if call is not None and call.answered_ns is None:
                call.answered_ns = span.start_ns
    return calls, _give_attempts(tree, calls, by_span)


def without_attempts(tree: Tree) -> list[Call]:
    """Return the LLM calls of a trace in order of start, without what came of each."""
    groups = _nested(tree)
    calls = [part for group in groups.values() for part in _split(group)]
    return _joined(sorted(calls, key=_order))


def _order(call: Call) -> tuple[int, int]:
    return call.span.start_ns, -call.span.end_ns


def _spans(call: Call) -> Iterator[Sighting]:
    yield call.span
    for span, _ in call.within:
        yield span


def _nested(tree: Tree) -> dict[str, Call]:
    """Return calls by the id of their outermost span, with all inferences directly within."""
    top_of: dict[str, Call] = {}
    groups: dict[str, Call] = {}
    for span in _outer_first(tree):
        if not isinstance(span.seen, Inference):
            continue
        outer = tree.step_of[span.span_id]
        call = top_of.get(outer.span_id) if outer is not None else None
        if call is None:
            call = groups[span.span_id] = Call(span=span, seen=span.seen)
        else:
            call.within.append((span, span.seen))
        top_of[span.span_id] = call
    return groups


def _outer_first(tree: Tree) -> Iterable[Sighting]:
    """Spans after those that they are within, whatever their clocks say."""
    done: set[str] = set()
    for span in tree.spans:
        chain = []
        link: Sighting | None = span
        while link is not None and link.span_id not in done:
            done.add(link.span_id)
            chain.append(link)
            link = tree.step_of[link.span_id]
        yield from reversed(chain)


def _split(call: Call) -> list[Call]:
    answered = [pair for pair in call.within if pair[0].outcome is Outcome.OK and pair[1].usage]
    # A wrapper of a wrapper of one call has two answers within, but one within the other.
    if sum(not _holds_another(span, answered) for span, _ in answered) < 2:  # noqa: PLR2004
        return [call]
    return [
        Call(span=span, seen=seen)
        for span, seen in call.within
        if not _holds_another(span, call.within)
    ]


def _holds_another(span: Sighting, others: Iterable[tuple[Sighting, Inference]]) -> bool:
    return any(other.parent_id == span.span_id for other, _ in others)


def _joined(calls: list[Call]) -> list[Call]:
    """Join calls that two instrumentations saw, one within the other's time but not its span."""
    kept: list[Call] = []
    for call in calls:
        outer = next(
            (other for other in reversed(kept[-_NEIGHBOURS:]) if _same_call(other, call)), None
        )
        if outer is None:
            kept.append(call)
        else:
            outer.within.append((call.span, call.seen))
            outer.within.extend(call.within)
    return kept


def _same_call(outer: Call, inner: Call) -> bool:
    if (
        outer.span.scope == inner.span.scope
        or inner.span.end_ns > outer.span.end_ns
        or inner.span.start_ns < outer.span.start_ns
        or any(
            span.scope == inner.span.scope and span.outcome is Outcome.OK
            for span, _ in outer.within
        )
    ):
        return False
    one, other = outer.seen.usage, inner.seen.usage
    if one is not None and other is not None:
        return (one.input_tokens, one.output_tokens) == (other.input_tokens, other.output_tokens)
    return outer.seen.model == inner.seen.model or None in {outer.seen.model, inner.seen.model}


def _give_attempts(
    tree: Tree, calls: list[Call], by_span: dict[str, Call]
) -> list[tuple[Sighting, HttpRequest]]:
    of_none: list[tuple[Sighting, HttpRequest]] = []
    for span in tree.spans:
        seen = span.seen
        if not isinstance(seen, HttpRequest) or seen.status in _REDIRECTS:
            continue
        leaf = tree.leaf_of[span.span_id]
        if leaf is not None and isinstance(leaf.seen, HttpRequest):
            continue  # one request, seen by two libraries
        step = tree.step_of[span.span_id]
        call = None if step is None else by_span.get(step.span_id)
        if call is None and seen.to_llm:
            call = _by_time(calls, span)
            if call is None:
                of_none.append((span, seen))
        if call is not None:
            call.attempts.append((span, seen))
    for call in calls:
        if any(seen.to_llm for _, seen in call.attempts):  # the others are for tokens and the like
            call.attempts = [pair for pair in call.attempts if pair[1].to_llm]
    return of_none


def _by_time(calls: list[Call], request: Sighting) -> Call | None:
    around = [
        call
        for call in calls
        if call.span.start_ns <= request.start_ns and request.end_ns <= call.span.end_ns
    ]
    return min(around, key=lambda call: (len(call.attempts), -call.span.start_ns), default=None)
