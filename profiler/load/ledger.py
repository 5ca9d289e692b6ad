"""What became of each interaction: judged, written down, told to who wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.load.live import ANSWERED, as_judged
from profiler.observers.response import records_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.endpoints.exchange import Exchange
    from profiler.load.live import Live
    from profiler.load.recorder import Recorder
    from profiler.measure.records import Interaction, Record


class Ledger:
    """Takes the interactions of a run, in the order in which they end."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        on_interaction: Callable[[Interaction, tuple[Record, ...]], None],
        on_texts: Callable[[Interaction, str, str | None], None] | None,
    ) -> None:
        self._recorder = recorder
        self._on_interaction = on_interaction
        self._on_texts = on_texts

    def enter(
        self, live: Live, exchange: Exchange, *, trace_id: str, intended_ns: int | None
    ) -> Exchange:
        """Take the turn that a session is at; return how it ended, its checks considered."""
        ended = as_judged(exchange, live.plan.turns[live.turn])
        said = ended.reply.text if ended.outcome in ANSWERED else None
        counted = self._recorder.count_now(
            live.plan.session_id, user=live.user, reply=said, is_last=live.ends_with(ended.outcome)
        )
        interaction = live.interaction(
            ended, trace_id=trace_id, intended_ns=intended_ns, counted=counted
        )
        inside = records_in(ended.reply, trace_id)
        if counted is not None:
            self._recorder.put(interaction, *inside)
        else:
            self._recorder.put_uncounted(interaction, inside, user=live.user, reply=said)
        self._on_interaction(interaction, inside)
        if self._on_texts is not None:
            self._on_texts(interaction, live.user, said)
        return ended
