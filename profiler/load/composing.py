"""What a session says next, ready to be sent: how it identifies itself is in it."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from profiler.endpoints.http import Message
from profiler.load.live import Composed
from profiler.workload.marker import marker_of

if TYPE_CHECKING:
    from profiler.load.live import Live
    from profiler.workload.sessions import SessionPlan, TurnPlan


class Composer:
    """Makes messages, each with a trace of its own."""

    def __init__(self) -> None:
        self._ids = random.Random()  # the system's randomness: two runs never share an id

    def compose(self, live: Live) -> Composed:
        """Return the session's next message, which `live` may have already."""
        if live.composed is not None:
            return live.composed
        turn = live.plan.turns[live.turn]
        trace_id = f"{self._ids.getrandbits(128):032x}"
        span_id = f"{self._ids.getrandbits(64):016x}"
        tag = f"\n{marker_of(trace_id)}" if live.plan.is_tagged else ""
        headers = identification(live.plan, turn, trace_id, span_id)
        message = Message.of(live.dialogue, turn.user + tag, headers)
        return Composed(trace_id=trace_id, message=message)


def identification(
    plan: SessionPlan, turn: TurnPlan, trace_id: str, span_id: str
) -> dict[str, str]:
    """Return the headers that let an agent, its traces and its gateway tell interactions apart.

    W3C Trace Context and Baggage, with a parent span of our own, sampled. How long the recorded
    answer was goes along for agents that can use it, such as the mock.
    """
    baggage = f"agent_profiler.session={plan.session_id}"
    baggage += f",agent_profiler.scenario={_quoted(plan.scenario)}"
    if plan.conversation is not None:
        baggage += f",agent_profiler.conversation={_quoted(plan.conversation)}"
    if turn.output_tokens is not None:
        baggage += f",agent_profiler.output_tokens={turn.output_tokens}"
    return {"traceparent": f"00-{trace_id}-{span_id}-01", "baggage": baggage}


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, safe="")
