"""From what was seen of interactions to production's metrics.

Several observers may see one LLM call. For each interaction, and for each kind of thing in it, one
is believed: the one that the profile prefers (`profiler.profile.metrics`). So nothing counts twice.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from profiler.clock import NS_PER_S, monotonic_ns
from profiler.measure.records import (
    NO_TRACE,
    LlmAttempt,
    LlmCall,
    Observer,
    Outcome,
    StateKind,
    StateOp,
    ToolCall,
    Watched,
)
from profiler.planner import metric_names as names
from profiler.profile.metrics import CALL_PREFERENCE, STATE_PREFERENCE, TOOL_PREFERENCE, preferred

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.clock import MonotonicNs
    from profiler.export.board import Board
    from profiler.export.costs import Costs
    from profiler.measure.records import Interaction, Record

Inside = LlmCall | LlmAttempt | ToolCall | StateOp | Watched
"""Records of what happened inside an interaction."""

_ACTIVE_NS = 1800 * NS_PER_S
_MOST_SETTLED = 10_000
_UNKNOWN = "unknown"
_PARTS = ("system", "history", "user")
_OUTCOMES = tuple(each.value for each in Outcome if each is not Outcome.CANCELLED)


class Seen:
    """Puts interactions, and what was inside them, onto a board.

    What observers tell of an interaction may come for `wait_s` after its end, and is put onto the
    board then; 0: everything comes with the interaction itself.
    """

    def __init__(
        self,
        board: Board,
        *,
        costs: Costs | None = None,
        wait_s: float = 0.0,
        clock: MonotonicNs = monotonic_ns,
    ) -> None:
        self._board = board
        self._costs = costs
        self._wait_ns = round(wait_s * NS_PER_S)
        self._clock = clock
        self._has_ended = False
        self._sessions: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, list[Inside]] = {}
        self._due: deque[tuple[int, str]] = deque()
        self._settled: OrderedDict[str, None] = OrderedDict()

    def ended(self, interaction: Interaction, inside: tuple[Record, ...]) -> None:
        """Take an interaction as the driver has it; one that we broke off says nothing."""
        if interaction.outcome is not Outcome.CANCELLED:
            first_ns, send_ns = interaction.first_token_ns, interaction.send_ns
            self.interaction(
                interaction.outcome,
                session=interaction.session,
                duration_s=(interaction.end_ns - send_ns) / NS_PER_S,
                first_text_s=None if first_ns is None else (first_ns - send_ns) / NS_PER_S,
            )
        found = _inside(inside)
        if not self._wait_ns:
            self._put(found)
            return
        self._waiting.setdefault(interaction.trace_id, []).extend(found)
        now_ns = self._clock()
        self._due.append((now_ns + self._wait_ns, interaction.trace_id))
        self.settle(now_ns)

    def take(self, *records: Record) -> None:
        """Take what an observer says, during an interaction or after it."""
        for record in _inside(records):
            if record.trace_id == NO_TRACE:  # of no interaction that is known: a call all the same
                self._apart(record)
            elif record.trace_id not in self._settled:
                self._waiting.setdefault(record.trace_id, []).append(record)

    def settle(self, now_ns: int) -> None:
        """Put onto the board what has been waited for long enough."""
        while self._due and self._due[0][0] <= now_ns:
            self._settle(self._due.popleft()[1])

    def close(self) -> None:
        """Put onto the board whatever there is."""
        self._due.clear()
        for trace_id in tuple(self._waiting):
            self._settle(trace_id)

    def _settle(self, trace_id: str) -> None:
        self._put(self._waiting.pop(trace_id, []))
        self._settled[trace_id] = None
        if len(self._settled) > _MOST_SETTLED:
            self._settled.popitem(last=False)

    def active_sessions(self) -> int:
        """Return how many sessions had an interaction that ended within the last half hour."""
        since_ns = self._clock() - _ACTIVE_NS
        while self._sessions and next(iter(self._sessions.values())) < since_ns:
            self._sessions.popitem(last=False)
        return len(self._sessions)

    def interaction(
        self,
        outcome: Outcome,
        *,
        session: str | None,
        duration_s: float,
        first_text_s: float | None,
    ) -> None:
        """Take an interaction's end; how long a failure took is no time of an answer."""
        board = self._board
        if not self._has_ended:  # a share of failures needs those that there were not, too
            self._has_ended = True
            for each in _OUTCOMES:
                board.add(names.INTERACTIONS, 0, outcome=each)
        board.add(names.INTERACTIONS, outcome=outcome.value)
        if outcome is Outcome.OK:
            board.observe(names.INTERACTION_DURATION, duration_s)
            if first_text_s is not None:
                board.observe(names.TIME_TO_FIRST_TOKEN, first_text_s)
        if session is not None:
            if not self._sessions:
                board.gauge(names.ACTIVE_SESSIONS, self.active_sessions)
            self._sessions[session] = self._clock()
            self._sessions.move_to_end(session)

    def inside(self, records: Iterable[Record]) -> None:
        """Take everything that was seen inside one interaction."""
        self._put(_inside(records))

    def _put(self, records: Sequence[Inside]) -> None:
        if not records:
            return
        self._calls(records)
        tools = _believed([each for each in records if isinstance(each, ToolCall)], TOOL_PREFERENCE)
        for tool in tools:
            self._tool(tool)
        for op in _believed_ops([each for each in records if isinstance(each, StateOp)]):
            if op.kind is not StateKind.OTHER:
                self._board.add(
                    names.STATE_OPERATIONS, op.count, store=op.store, operation=op.kind.value
                )

    def _calls(self, records: Sequence[Inside]) -> None:
        calls = [each for each in records if isinstance(each, LlmCall)]
        none = {each.observer for each in records if isinstance(each, Watched) and each.llm_calls}
        if not calls and not none:
            return
        by: dict[str, list[LlmCall]] = {observer.value: [] for observer in none}
        by |= _by_observer(calls)
        observer = preferred({name: len(found) for name, found in by.items()}, CALL_PREFERENCE)
        attempts = [
            each
            for each in records
            if isinstance(each, LlmAttempt) and each.observer.value == observer
        ]
        for call in by[observer]:
            self._call(call)
            if not attempts:
                self._attempts_of(call)
        for attempt in attempts:
            self._attempt(attempt.model, attempt.outcome)
        self._per_interaction(by[observer])

    def _apart(self, record: Inside) -> None:
        if isinstance(record, LlmCall):
            self._call(record)
            if record.observer is not Observer.GATEWAY:  # a gateway tells of attempts by themselves
                self._attempts_of(record)
        elif isinstance(record, LlmAttempt) and record.observer is Observer.GATEWAY:
            self._attempt(record.model, record.outcome)

    def _call(self, call: LlmCall) -> None:
        model = _UNKNOWN if call.model is None else call.model
        labels = {"gen_ai_request_model": model}
        if call.start_ns is not None and call.end_ns is not None:
            failed = {} if call.outcome is Outcome.OK else {"error_type": call.outcome.value}
            duration_s = (call.end_ns - call.start_ns) / NS_PER_S
            self._board.observe(names.LLM_DURATION, duration_s, **labels, **failed)
        usage = call.usage
        if usage is None:
            return
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens is not None:
                self._board.observe(names.LLM_TOKENS, tokens, **labels, gen_ai_token_type=kind)
        if self._costs is not None and call.model is not None:
            self._costs.add(call.model, usage)

    def _attempts_of(self, call: LlmCall) -> None:
        """Count the attempts of a call that says only how many.

        The last one ended as the call did; how the earlier ones ended is not known.
        """
        if call.attempts is None:
            return
        for _ in range(call.attempts - 1):
            self._board.add(names.LLM_ATTEMPTS, gen_ai_request_model=_named(call), outcome=_UNKNOWN)
        self._attempt(call.model, call.outcome)

    def _attempt(self, model: str | None, outcome: Outcome) -> None:
        name = _UNKNOWN if model is None else model
        limited = outcome is Outcome.HTTP_429
        self._board.add(
            names.LLM_ATTEMPTS,
            gen_ai_request_model=name,
            outcome="rate_limited" if limited else outcome.value,
        )
        self._board.add(names.LLM_RATE_LIMITED, int(limited), gen_ai_request_model=name)

    def _per_interaction(self, calls: Sequence[LlmCall]) -> None:
        board = self._board
        board.observe(names.INTERACTION_LLM_CALLS, len(calls))
        used = [call.usage for call in calls if call.usage is not None]
        known = {
            "input": [usage.input_tokens for usage in used],
            "output": [usage.output_tokens for usage in used],
        }
        parts = [call.tokens for call in calls if call.tokens is not None]
        known |= {part: [getattr(tokens, part) for tokens in parts] for part in _PARTS}
        for part, counts in known.items():
            told = [count for count in counts if count is not None]
            if told:
                board.observe(names.INTERACTION_TOKENS, sum(told), part=part)

    def _tool(self, tool: ToolCall) -> None:
        name = tool.name
        if tool.start_ns is not None and tool.end_ns is not None:
            duration_s = (tool.end_ns - tool.start_ns) / NS_PER_S
            self._board.observe(names.TOOL_DURATION, duration_s, gen_ai_tool_name=name)
        failed = int(tool.outcome is not Outcome.OK)
        self._board.add(names.TOOL_ERRORS, failed, gen_ai_tool_name=name)


def _inside(records: Iterable[Record]) -> list[Inside]:
    return [each for each in records if isinstance(each, Inside)]


def _named(call: LlmCall) -> str:
    return _UNKNOWN if call.model is None else call.model


_Told = TypeVar("_Told", LlmCall, ToolCall, StateOp)


def _by_observer(records: Iterable[_Told]) -> dict[str, list[_Told]]:
    found: dict[str, list[_Told]] = {}
    for record in records:
        found.setdefault(record.observer.value, []).append(record)
    return found


def _believed(records: Iterable[_Told], preference: tuple[str, ...]) -> list[_Told]:
    by = _by_observer(records)
    if not by:
        return []
    return by[preferred({name: len(found) for name, found in by.items()}, preference)]


def _believed_ops(records: Iterable[StateOp]) -> list[StateOp]:
    """Return the operations that one observer saw, of each store."""
    stores: dict[str, list[StateOp]] = {}
    for record in records:
        stores.setdefault(record.store, []).append(record)
    return list(chain.from_iterable(_of_store(found) for found in stores.values()))


def _of_store(records: Iterable[StateOp]) -> list[StateOp]:
    by = _by_observer(records)
    counts = {name: sum(op.count for op in found) for name, found in by.items()}
    return by[preferred(counts, STATE_PREFERENCE)]
