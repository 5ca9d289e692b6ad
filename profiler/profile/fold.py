"""Folds a journal, in one reading, into sums and histograms that do not grow with it.

What is kept is bounded by what is in flight (`joining`, `sessions`), by the number of metrics times
observers, models, tools and stores, and by the size of the joint sample. Nothing is kept for an
interaction that has ended.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.errors import ProfileError
from profiler.measure.records import (
    NO_TRACE,
    Backoff,
    DriverSample,
    End,
    Interaction,
    LlmAttempt,
    LlmCall,
    Observer,
    ObserverNote,
    Outcome,
    Phase,
    Resumed,
    Run,
    StateDelta,
    StateOp,
    ToolCall,
    ToolRoundTrip,
    Watched,
)
from profiler.profile.burstiness import StartCounter
from profiler.profile.calls import Calls
from profiler.profile.goodput import Judge, goodput_text
from profiler.profile.interactions import (
    CLIENT_METRICS,
    INSIDE_METRICS,
    TOOL_OBSERVERS,
    Told,
    client_values,
    inside_values,
)
from profiler.profile.joining import WINDOW, Joined, Joiner
from profiler.profile.joint import Reservoir
from profiler.profile.ledger import Ledgers
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.objectives import parse_goodput
from profiler.profile.observing import Watches
from profiler.profile.rate_limits import RateLimits
from profiler.profile.reconciling import Comparisons
from profiler.profile.round_trips import RoundTrips
from profiler.profile.rows import (
    MISSING,
    NO_MODEL,
    STATE_KINDS,
    Names,
    difference_us,
    interaction_row,
    llm_call_row,
    round_trip_row,
    state_op_row,
    take_each,
    tool_call_row,
)
from profiler.profile.sessions import Session, Sessions
from profiler.profile.trust import add_loop_lags, loop_lag_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from profiler.measure.records import Record, StateKind
    from profiler.profile.joining import Inside
    from profiler.profile.model import LoopLag
    from profiler.profile.objectives import Objective
    from profiler.profile.rows import Row
    from profiler.profile.tally import Tally

_CLIENT = Observer.CLIENT.value
_DRIVER_BATCH = 100

_ALL, _OK, _FAILED = 1, 2, 4
_POPULATIONS = {"measured": _ALL, "succeeded": _OK, "failed": _FAILED}
_TOOL_CALLS = INSIDE_METRICS.index("tool_calls")


@dataclass(slots=True)
class Series:
    """One metric as one observer saw it: on how many interactions, and those of its population."""

    number: int
    tally: Tally
    population: int
    seen: int = 0


@dataclass(slots=True)
class Block:
    """Everything one observer says of interactions, metric by metric in a fixed order."""

    observer: str
    metrics: tuple[str, ...]
    series: list[Series]
    told: Told = field(default_factory=Told)


@dataclass(slots=True)
class ToolTally:
    """One tool, as one observer saw it."""

    duration: tuple[int, Tally]
    per_interaction: tuple[int, Tally]
    calls: int = 0
    succeeded: int = 0


class Stretch:
    """What one process of a run sent, between one `resumed` event and the next."""

    def __init__(self, run: Run, started_wall_ns: int, tool_version: str) -> None:
        to_wall_ns = run.started_wall_ns - run.started_monotonic_ns
        self.asked, self.sent = StartCounter(to_wall_ns), StartCounter(to_wall_ns)
        self.started_wall_ns, self.tool_version = started_wall_ns, tool_version
        self.window_ns: tuple[int, int] | None = None
        self.dropped: int | None = None
        self.backed_off_ns = 0

    def take(self, record: Interaction) -> None:
        """Take a measured interaction."""
        send, end = record.send_ns, record.end_ns
        if self.window_ns is not None:
            send, end = min(send, self.window_ns[0]), max(end, self.window_ns[1])
        self.window_ns = send, end
        self.sent.add(record.send_ns)
        if record.intended_start_ns is not None:
            self.asked.add(record.intended_start_ns)


class Fold:
    """All of a journal that a profile is made of. `take` its records in order, then `close`."""

    def __init__(
        self,
        run: Run,
        *,
        keep_open: frozenset[str] = frozenset(),
        objectives: Sequence[Objective] = (),
        believed: Mapping[str, str | None] | None = None,
        window: int = WINDOW,
    ) -> None:
        self.run = run
        self.end: End | None = None
        self.joiner = Joiner(self._join, window=window, keep_open=keep_open)
        self.sessions = Sessions(window)
        self.judge = Judge(objectives, believed)
        self.joint = Reservoir(run.run_id)
        self.models, self.tools, self.stores = Names(), Names(), Names()
        self.tool_observers: set[str] = set()
        self.failed: dict[str, int] = {}
        self.state_deltas: list[StateDelta] = []
        self.measured = self.succeeded = self.warmup = 0
        self.any_intended = False
        self.unmatched: dict[str, int] = {}
        self.client = self._block(_CLIENT, CLIENT_METRICS)
        self.blocks: dict[str, Block] = {}
        self.think_time = self.sessions.tally("s")
        self.calls: dict[str, Calls] = {}
        self.of_tool: dict[tuple[str, int], ToolTally] = {}
        self.of_store: dict[tuple[str, int, int], tuple[int, Tally]] = {}
        self.round_trips = RoundTrips(self.sessions)
        self.watches = Watches()
        self.ledgers = Ledgers()
        self.rate_limits = RateLimits()
        self.comparisons = Comparisons()
        self.superseded = 0
        self.stretches = [Stretch(run, run.started_wall_ns, run.tool_version)]
        self._lag = loop_lag_of(())
        self._driver: list[DriverSample] = []
        self._number = 0

    def take(self, record: Record) -> None:
        """Take a record. Raises `TypeError` or `OverflowError` for what cannot be in it."""
        match record:
            case LlmCall():
                self._take_llm_call(record)
            case ToolCall() | StateOp() | ToolRoundTrip() | Watched():
                self._take_inside(record)
            case LlmAttempt():
                model = self.models[NO_MODEL if record.model is None else record.model]
                is_429 = record.outcome is Outcome.HTTP_429
                who, headers = record.observer.value, record.rate_limit
                self.rate_limits.take_attempt(who, model, headers, is_429=is_429)
            case Interaction():
                self._take_interaction(record)
            case StateDelta():
                self.state_deltas.append(record)
            case ObserverNote():
                self.watches.take_note(record)
            case DriverSample():
                self._take_driver_sample(record)
            case Backoff():
                self.stretches[-1].backed_off_ns += record.until_ns - record.at_ns
            case End():
                self.end = record
            case Resumed():
                self.end = None
                stretch = Stretch(self.run, record.resumed_wall_ns, record.tool_version)
                self.stretches.append(stretch)
            case Run():
                raise TypeError("a second run")

    def _take_inside(self, record: ToolCall | StateOp | ToolRoundTrip | Watched) -> None:
        """Take what happened inside an interaction, if it is known inside which."""
        observer = record.observer.value
        watch = self.watches[observer]
        if isinstance(record, ToolCall):
            self.tool_observers.add(observer)
        if record.trace_id == NO_TRACE:
            watch.other_unattributed += 1
            return
        inside = self.joiner.of(record.trace_id).seen_by(observer)
        match record:
            case ToolCall():
                inside.tool_calls.append(tool_call_row(record, self.tools[record.name]))
            case StateOp():
                inside.state_ops.append(state_op_row(record, self.stores[record.store]))
            case ToolRoundTrip():
                name = self.round_trips.name(record.tools)
                inside.round_trips.append(round_trip_row(record, name))
            case Watched():
                inside.watched = inside.watched or record.llm_calls
                inside.is_blind_to_tools = inside.is_blind_to_tools or not record.tool_calls

    def close(self) -> None:
        """Take what is still open: the journal has ended."""
        self.unmatched = self.joiner.close()
        self.sessions.close()

    def loop_lag(self) -> LoopLag:
        """Return how the harness watched itself."""
        self._lag = add_loop_lags((self._lag, loop_lag_of(self._driver)))
        self._driver = []
        return self._lag

    def _take_driver_sample(self, record: DriverSample) -> None:
        stretch = self.stretches[-1]
        stretch.dropped = max(record.dropped, stretch.dropped or 0)
        self._driver.append(record)
        if len(self._driver) >= _DRIVER_BATCH:
            self.loop_lag()

    def _take_interaction(self, record: Interaction) -> None:
        row = interaction_row(record)
        self.any_intended = self.any_intended or record.intended_start_ns is not None
        if record.phase is Phase.MEASURE:
            self.stretches[-1].take(record)
            if record.outcome is not Outcome.OK:
                kind = record.outcome.value
                # The kind is ours and bounded; error_detail, the target's text, is not used.
                if record.error_kind is not None and record.error_kind != kind:
                    kind = f"{kind}/{record.error_kind}"
                self.failed[kind] = self.failed.get(kind, 0) + 1
        elif record.phase is Phase.SUPERSEDED:
            self.superseded += 1
        if self.joiner.end(record.trace_id, record.session, row):
            self.sessions.keep(record.session)

    def _take_llm_call(self, record: LlmCall) -> None:
        observer = record.observer.value
        model = self.models[NO_MODEL if record.model is None else record.model]
        row = llm_call_row(record, model)
        if record.trace_id != NO_TRACE:
            self.joiner.of(record.trace_id).seen_by(observer).llm_calls.append(row)
        self.watches.take_call(record)
        self.ledgers.take(observer, model, row)
        is_429 = record.outcome is Outcome.HTTP_429
        self.rate_limits.take_call(observer, model, record.rate_limit, is_429=is_429)

    def _join(self, joined: Joined) -> None:
        row = joined.row
        assert row is not None  # noqa: S101 - for the type checker: only these are handed on
        measured, ok, last_turn, _, think, _, send, _, _, end, *_ = row
        self._number += 1
        session = self.sessions.turn(joined.session, self._number, send, end)
        session.has_last_turn = session.has_last_turn or bool(last_turn)
        session.is_whole = session.is_whole and bool(measured and ok)
        if last_turn or not ok:
            self.sessions.ended(joined.session, self._number)
        for observer, inside in joined.inside.items():
            if inside.state_ops:
                self.comparisons.take_operations(observer, inside.state_ops)
        if not measured:
            self.warmup += 1  # those that were superseded too: who asks takes them off
            return
        session.measured += 1
        self.measured += 1
        self.succeeded += ok
        if think != MISSING:
            session.numbers.append(self.think_time[0])
            session.values.append(difference_us(think, 0))
        self._fold(joined, row, session, ok=bool(ok))

    def _fold(self, joined: Joined, row: Row, session: Session, *, ok: bool) -> None:
        population = _ALL | (_OK if ok else _FAILED)
        client = client_values(row)
        _add(session, self.client.series, client, population)
        insides = {
            observer: self._fold_inside(observer, inside, row, session, population)
            for observer, inside in joined.inside.items()
        }
        if insides:
            self.comparisons.take(joined.trace, client, insides)
        if self.judge.objectives:
            self.judge.judge(session, client, insides, ok=ok)
        self.joint.offer(joined, row, client=client, insides=insides)

    def _fold_inside(
        self, observer: str, inside: Inside, row: Row, session: Session, population: int
    ) -> list[int]:
        block = self.blocks.get(observer)
        if block is None:
            block = self.blocks[observer] = self._block(observer, INSIDE_METRICS)
        length_ns = row[9] - row[6] if observer in TOOL_OBSERVERS else None
        values = inside_values(inside, block.told, length_ns)
        self.watches[observer].interactions += 1
        _add(session, block.series, values, population)
        if inside.llm_calls:
            self._fold_llm_calls(observer, inside.llm_calls, session)
        if inside.tool_calls:
            self._fold_tools(block, inside.tool_calls, session)
        if inside.state_ops:
            self._fold_state(observer, inside.state_ops, session)
        if inside.round_trips:
            self.round_trips.fold(observer, inside.round_trips, session)
        return values

    def _block(self, observer: str, metrics: tuple[str, ...]) -> Block:
        series = []
        for name in metrics:
            metric = INTERACTION_METRICS[name]
            number, tally = self.sessions.tally(metric.unit)
            series.append(Series(number, tally, _POPULATIONS[metric.population]))
        return Block(observer, metrics, series)

    def _fold_llm_calls(self, observer: str, rows: list[Row], session: Session) -> None:
        calls = self.calls.get(observer)
        if calls is None:
            calls = self.calls[observer] = Calls()
        calls.fold(rows, session, self.sessions)

    def _fold_tools(self, block: Block, rows: list[Row], session: Session) -> None:
        for tool, times in Counter(row[1] for row in rows).items():
            found = self.of_tool.get((block.observer, tool))
            if found is None:
                found = self.of_tool[block.observer, tool] = ToolTally(
                    self.sessions.tally("s"),
                    self.sessions.tally("count", padded_to=block.series[_TOOL_CALLS].number),
                )
            found.calls += times
            session.numbers.append(found.per_interaction[0])
            session.values.append(times)
        for ok, tool, start, end in rows:
            if ok:
                found = self.of_tool[block.observer, tool]
                found.succeeded += 1
                duration = difference_us(end, start)
                if duration != MISSING:
                    session.numbers.append(found.duration[0])
                    session.values.append(duration)

    def _fold_state(self, observer: str, rows: list[Row], session: Session) -> None:
        totals: dict[tuple[int, int], int] = {}
        for store, kind, count in rows:
            totals[store, kind] = totals.get((store, kind), 0) + count
        for (store, kind), total in totals.items():
            key = (observer, store, kind)
            found = self.of_store.get(key)
            if found is None:
                found = self.of_store[key] = self.sessions.tally("count")
            session.numbers.append(found[0])
            session.values.append(total)

    def store_kind(self, store: int, kind: StateKind) -> dict[str, Tally]:
        """Return, by observer, the tally of a kind of operations on a store."""
        wanted = store, STATE_KINDS.index(kind)
        return {
            observer: tally
            for (observer, *of), (_, tally) in self.of_store.items()
            if tuple(of) == wanted
        }


def _add(session: Session, series: list[Series], values: list[int], population: int) -> None:
    """Put an interaction's values of one observer into its session."""
    add_number, add_value = session.numbers.append, session.values.append
    for one, value in zip(series, values, strict=True):
        if value != MISSING:
            one.seen += 1
            if one.population & population:
                add_number(one.number)
                add_value(value)


def fold(
    records: Iterable[Record],
    where: str,
    *,
    keep_open: frozenset[str] = frozenset(),
    believed: Mapping[str, str | None] | None = None,
    window: int = WINDOW,
) -> Fold:
    """Fold all records of a journal, the `Run` first.

    `keep_open` are traces that a reading before found to be spread wide; `believed` says by whose
    values of a metric goodput is judged (None: by those of the first observer that has one).

    Raises `ProfileError` and `UsageError` for goodput objectives that make no sense, and
    `ProfileError` naming `where` if a record holds something else than an integer where one
    belongs. Errors of the journal itself are `JournalError`s of `records`.
    """
    stream = iter(records)
    run = next(stream, None)
    if not isinstance(run, Run):
        raise ProfileError("there is no run in the journal", where=where)
    text = goodput_text(run.manifest, where)
    objectives = () if text is None else parse_goodput(text, where=where)
    folded = Fold(run, keep_open=keep_open, objectives=objectives, believed=believed, window=window)
    take_each(stream, folded.take, where)
    folded.close()
    return folded
