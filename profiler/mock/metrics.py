"""What the mocks export at `/metrics`: production's metrics, of what they really did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.endpoints.failures import outcome_of_status
from profiler.export.board import NO_BUCKETS, Board
from profiler.export.costs import Costs
from profiler.export.prometheus import metrics_route
from profiler.export.seen import Seen
from profiler.measure.records import LlmAttempt, Observer, Outcome, Timeline
from profiler.observers.response import records_of
from profiler.planner import metric_names as names

if TYPE_CHECKING:
    from starlette.routing import Route

    from profiler.export.board import Buckets
    from profiler.mock.agent import Reply
    from profiler.mock.agent_http import Exchange
    from profiler.mock.slots import Slots

_REDIRECTS_FROM, _TOO_MANY = 300, 429


class AgentMetrics:
    """The mock agent's. Unlike what a harness sees, it knows its line and its workers."""

    def __init__(self, slots: Slots | None, buckets: Buckets | None = None) -> None:
        self.board = Board(NO_BUCKETS if buckets is None else buckets)
        self._costs = Costs(self.board)
        self._seen = Seen(self.board, costs=self._costs)
        if slots is not None:
            self.board.gauge(names.QUEUE_DEPTH, lambda: slots.depth)
            self.board.gauge(names.QUEUE_OLDEST, lambda: slots.oldest_age_s)
            self.board.gauge(names.WORKERS, lambda: slots.workers)
            self.board.gauge(names.SLOTS_BUSY, lambda: slots.busy)

    def route(self) -> Route:
        """Return where they are shown. Costs are worked out then: nobody's answer waits for it."""
        return metrics_route(self.board, self._costs.price)

    def answered(self, exchange: Exchange) -> None:
        """Take an interaction that has ended, its wait in line included."""
        first_ns, reply = exchange.first_text_ns, exchange.reply
        self._seen.interaction(
            _outcome(exchange),
            session=exchange.session_id,
            duration_s=(monotonic_ns() - exchange.received_ns) / NS_PER_S,
            first_text_s=None if first_ns is None else (first_ns - exchange.received_ns) / NS_PER_S,
        )
        if reply is not None:
            trace_id = exchange.context.trace_id
            self._seen.inside([*records_of(reply.trace, trace_id), *_attempts(reply, trace_id)])


def _outcome(exchange: Exchange) -> Outcome:
    if exchange.agent_error:
        return Outcome.AGENT_ERROR
    failure = exchange.reply.failure if exchange.reply is not None else None
    return _of_status(exchange.status if failure is None else failure.status)


def _of_status(status: int) -> Outcome:
    return Outcome.OK if status < _REDIRECTS_FROM else outcome_of_status(status)


def _attempts(reply: Reply, trace_id: str) -> list[LlmAttempt]:
    return [
        LlmAttempt(
            trace_id=trace_id,
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            model=model,
            outcome=outcome,
        )
        for model, outcome in reply.attempts
    ]


class LlmMetrics:
    """The mock LLM's: the requests that it answered, and those that it refused at its limits.

    They are the attempts that the agent counts too: whoever scrapes both has them twice.
    """

    def __init__(self) -> None:
        self.board = Board()

    def route(self) -> Route:
        """Return where they are shown."""
        return metrics_route(self.board)

    def answered(self, line: dict[str, Any]) -> None:
        """Take a request, as the truth log has it; one that names no model counts as none."""
        model, status = line["model"], line["status"]
        if model is None:
            return
        limited = status == _TOO_MANY
        outcome = "rate_limited" if limited else _of_status(status).value
        self.board.add(names.LLM_ATTEMPTS, gen_ai_request_model=model, outcome=outcome)
        self.board.add(names.LLM_RATE_LIMITED, int(limited), gen_ai_request_model=model)
