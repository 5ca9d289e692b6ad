"""A session under way, and what comes of each of its messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.measure.records import Interaction, Outcome, Phase
from profiler.workload.checks import failed_check

if TYPE_CHECKING:
    from profiler.endpoints.exchange import Dialogue, Exchange
    from profiler.endpoints.http import Message
    from profiler.measure.records import ClientTokens
    from profiler.workload.sessions import SessionPlan, TurnPlan

ANSWERED = frozenset({Outcome.OK, Outcome.CHECK_FAILED})
_CHECKED = frozenset({Outcome.OK, Outcome.HTTP_4XX, Outcome.HTTP_5XX})


@dataclass(slots=True, kw_only=True)
class Composed:
    """A message that can be sent, and the trace that it begins."""

    trace_id: str
    message: Message


@dataclass(slots=True)
class Live:
    """A session under way: what is said so far, and what comes next. `user`: what was sent last.

    `composed`: its next message, where that was made before its time.
    """

    plan: SessionPlan
    dialogue: Dialogue
    phase: Phase
    turn: int = 0
    ready_ns: int = 0
    user: str = ""
    composed: Composed | None = None

    def ends_with(self, outcome: Outcome) -> bool:
        """Say whether the turn that had this outcome is the session's last."""
        return outcome is not Outcome.OK or self.turn + 1 == len(self.plan.turns)

    def interaction(
        self,
        ended: Exchange,
        *,
        trace_id: str,
        intended_ns: int | None,
        counted: ClientTokens | None,
    ) -> Interaction:
        """Return the record of the turn that has ended."""
        if intended_ns is not None and ended.opened_ns is not None:
            # Opening the session is no part of the interaction, and no delay of ours.
            intended_ns = max(intended_ns, ended.opened_ns)
        plan, reply = self.plan, ended.reply
        return Interaction(
            trace_id=trace_id,
            session=plan.session_id,
            session_index=plan.index,
            scenario=plan.scenario,
            conversation=plan.conversation,
            turn=self.turn,
            last_turn=self.ends_with(ended.outcome),
            phase=self.phase,
            think_time_ns=plan.turns[self.turn].think_time_ns,
            intended_start_ns=intended_ns,
            send_ns=ended.send_ns,
            first_byte_ns=ended.first_byte_ns,
            first_token_ns=reply.first_token_ns,
            last_token_ns=reply.last_token_ns,
            end_ns=ended.end_ns,
            outcome=ended.outcome,
            error_kind=ended.error_kind,
            error_detail=ended.error_detail,
            http_status=ended.http_status,
            response_bytes=ended.response_bytes,
            reconnects=ended.reconnects,
            usage=reply.usage,
            counted=counted,
        )


def as_judged(exchange: Exchange, turn: TurnPlan) -> Exchange:
    """Return the exchange with the outcome that the turn's checks give it."""
    if not turn.checks or exchange.http_status is None or exchange.outcome not in _CHECKED:
        return exchange
    failed = failed_check(
        turn.checks,
        reply=exchange.reply.text,
        http_status=exchange.http_status,
        body=exchange.reply.body,
        latency_s=(exchange.end_ns - exchange.send_ns) / NS_PER_S,
    )
    if failed is None:
        return exchange
    return replace(exchange, outcome=Outcome.CHECK_FAILED, error_kind="check", error_detail=failed)
