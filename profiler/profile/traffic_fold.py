"""Traffic from the journal of a gateway alone: one reading, in memory that does not grow with it.

What is kept is bounded by the number of models and of tool combinations, by the open traces
(`traces`) and by an hour of seconds (`minutes`). The same journal gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S, iso_utc
from profiler.errors import ProfileError
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import read_journal
from profiler.measure.records import (
    NO_TRACE,
    End,
    LlmAttempt,
    LlmCall,
    Observer,
    ObserverNote,
    Outcome,
    Run,
    ToolRoundTrip,
)
from profiler.profile.build import partial_reasons
from profiler.profile.calls import Calls
from profiler.profile.distinct import Distinct
from profiler.profile.interactions import CALL_METRICS_IN_ORDER
from profiler.profile.ledger import Ledgers
from profiler.profile.metrics import USAGE
from profiler.profile.minutes import MINUTE_S, Minutes
from profiler.profile.observing import Watches
from profiler.profile.rate_limits import RateLimits
from profiler.profile.round_trips import RoundTrips
from profiler.profile.rows import (
    CALL_ATTEMPTS,
    CALL_LAST_START,
    CALL_OK,
    CALL_START,
    CALL_USAGE,
    MISSING,
    NO_MODEL,
    Names,
    llm_call_row,
    round_trip_row,
    take_each,
)
from profiler.profile.traces import Traces
from profiler.profile.traffic import (
    TRAFFIC_SCHEMA_VERSION,
    ModelTraffic,
    PerMinute,
    Rates,
    TokenSums,
    Traffic,
    TrafficRun,
    is_traffic,
)

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.measure.records import Record
    from profiler.profile.distribution import Distribution
    from profiler.profile.rows import Row

MOST_MODELS = 256
OTHER_MODELS = "(other models)"
"""The model is text from outside: those beyond the first 256 are one."""

_GATEWAY = Observer.GATEWAY.value
_AMOUNTS = ("requests", "calls", "input_tokens", "output_tokens", "tokens")
_ONE_REQUEST, _ONE_CALL = (1, 0, 0, 0, 0), (0, 1, 0, 0, 0)


@dataclass(slots=True)
class _Counts:
    """What is only counted and added up, of one model or of all."""

    calls: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    sums: list[int | None] = field(default_factory=lambda: [None] * len(USAGE))
    unreported: int = 0
    minutes: Minutes = field(default_factory=lambda: Minutes(len(_AMOUNTS)))

    def take(self, outcome: str, row: Row) -> None:
        self.calls += 1
        if not row[CALL_OK]:
            self.failed[outcome] = self.failed.get(outcome, 0) + 1
        usage = row[CALL_USAGE]
        for place, tokens in enumerate(usage):
            if tokens != MISSING:
                known = self.sums[place]
                self.sums[place] = tokens if known is None else known + tokens
        self.unreported += bool(row[CALL_OK] and MISSING in usage[:2])

    def tokens(self) -> TokenSums:
        return TokenSums(
            **dict(zip(USAGE, self.sums, strict=True)), unreported_calls=self.unreported
        )


class TrafficFold:
    """All of a journal that traffic is made of. `take` its records in order, then `close`."""

    def __init__(self, run: Run, traces: Traces | None = None) -> None:
        self.run = run
        self.end: End | None = None
        self.traces = Traces() if traces is None else traces
        self.models = Names()
        self.calls = Calls()
        self.all = _Counts()
        self.of_model: dict[int, _Counts] = {}
        self.trace_ids = Distinct()
        self.untraced = self.requests = self.retried = self.http_429 = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.round_trips = RoundTrips(self.traces)
        self.rate_limits = RateLimits()
        self.ledgers = Ledgers()
        self.watches = Watches()

    def take(self, record: Record) -> None:
        """Take a record. Raises `TypeError` or `OverflowError` for what cannot be in it."""
        match record:
            case LlmCall():
                self._take_call(record)
            case LlmAttempt():
                self._take_attempt(record)
            case ToolRoundTrip():
                row = round_trip_row(record, self.round_trips.name(record.tools))
                self.round_trips.fold(_GATEWAY, [row], self.traces.of(record.trace_id))
            case ObserverNote():
                self.watches.take_note(record)
            case End():
                self.end = record
            case Run():
                raise TypeError("a second run")
            case _:
                pass  # a gateway alone writes nothing else

    def _take_call(self, record: LlmCall) -> None:
        model = self._model(record.model)
        row = llm_call_row(record, model)
        self.calls.fold((row,), self.traces.of(record.trace_id), self.traces)
        self.watches.take_call(record)
        self.ledgers.take(_GATEWAY, model, row)
        is_429 = record.outcome is Outcome.HTTP_429
        self.rate_limits.take_call(_GATEWAY, model, record.rate_limit, is_429=is_429)
        if record.trace_id == NO_TRACE:
            self.untraced += 1
        else:
            self.trace_ids.add(record.trace_id)
        attempts = row[CALL_ATTEMPTS]
        self.retried += attempts != MISSING and attempts > 1
        for counts in (self.all, self._counts(model)):
            counts.take(record.outcome.value, row)
            self._take_times(counts.minutes, row)
        self._widen(record.start_ns, record.end_ns)

    def _take_times(self, minutes: Minutes, row: Row) -> None:
        start_ns, last_ns = row[CALL_START], row[CALL_LAST_START]
        if start_ns == MISSING:
            return
        given, written = (0 if n == MISSING else n for n in row[CALL_USAGE][:2])
        tokens = given, written, given + written
        if last_ns == MISSING:
            minutes.add(self._second(start_ns), (0, 1, *tokens))
        else:
            minutes.add(self._second(start_ns), _ONE_CALL)
            minutes.add(self._second(last_ns), (0, 0, *tokens))

    def _take_attempt(self, record: LlmAttempt) -> None:
        model = self._model(record.model)
        is_429 = record.outcome is Outcome.HTTP_429
        self.rate_limits.take_attempt(_GATEWAY, model, record.rate_limit, is_429=is_429)
        self.requests += 1
        self.http_429 += is_429
        if record.start_ns is not None:
            for counts in (self.all, self._counts(model)):
                counts.minutes.add(self._second(record.start_ns), _ONE_REQUEST)

    def _model(self, name: str | None) -> int:
        known = NO_MODEL if name is None else name
        return self.models.bounded(known, most=MOST_MODELS, others=OTHER_MODELS)

    def _counts(self, model: int) -> _Counts:
        found = self.of_model.get(model)
        if found is None:
            found = self.of_model[model] = _Counts()
        return found

    def _second(self, at_ns: int) -> int:
        """Return the second of the run in which that was."""
        return (at_ns - self.run.started_monotonic_ns) // NS_PER_S

    def _widen(self, start_ns: int | None, end_ns: int | None) -> None:
        if start_ns is not None:
            self.first_ns = start_ns if self.first_ns is None else min(self.first_ns, start_ns)
        if end_ns is not None:
            self.last_ns = end_ns if self.last_ns is None else max(self.last_ns, end_ns)

    def close(self) -> None:
        """Take what is still open: the journal has ended."""
        self.traces.close()
        for counts in (self.all, *self.of_model.values()):
            counts.minutes.close()

    @property
    def duration_s(self) -> float | None:
        """From the first call's start to the last call's end."""
        if self.first_ns is None or self.last_ns is None:
            return None
        return (self.last_ns - self.first_ns) / NS_PER_S


def build_traffic(journal_path: Path) -> Traffic:
    """Compute the traffic of a journal file, or of the directory that holds one.

    Raises `JournalError` for a journal that cannot be read and `ProfileError` for one that is not
    of a gateway alone, or whose values make no sense. One without an end is no error: `partial`.
    """
    file = journal_path / JOURNAL_NAME if journal_path.is_dir() else journal_path
    stream = read_journal(file)
    run = next(stream)
    if not isinstance(run, Run) or not is_traffic(run):
        raise ProfileError(
            "this is no journal of a gateway alone",
            where=str(file),
            fix="`agent-profiler profile RUN_DIR` computes the profile of a run",
        )
    fold = TrafficFold(run)
    take_each(stream, fold.take, str(file))
    fold.close()
    return _traffic(fold)


def _traffic(fold: TrafficFold) -> Traffic:
    reasons = partial_reasons(fold.end)
    llm_call, by_model = _metrics(fold)
    reported = [
        name
        for name, seen in zip(CALL_METRICS_IN_ORDER, fold.calls.seen, strict=True)
        if seen and name in USAGE
    ]
    return Traffic(
        schema_version=TRAFFIC_SCHEMA_VERSION,
        kind="llm_traffic",
        run=_run(fold.run),
        partial=bool(reasons),
        partial_reasons=reasons,
        duration_s=fold.duration_s,
        traces=fold.trace_ids.count or None,
        untraced_calls=fold.untraced,
        calls=fold.all.calls,
        failed=dict(sorted(fold.all.failed.items())),
        requests=fold.requests,
        retried_calls=fold.retried,
        http_429=fold.http_429,
        tokens=fold.all.tokens(),
        per_minute=_rates(fold, fold.all),
        llm_call=llm_call,
        models={
            name: ModelTraffic(
                calls=counts.calls,
                failed=dict(sorted(counts.failed.items())),
                tokens=counts.tokens(),
                per_minute=_rates(fold, counts),
                metrics=by_model.get(number, {}),
            )
            for name, number in fold.models.items()
            if (counts := fold.of_model.get(number)) is not None
        },
        tool_round_trips=fold.round_trips.section(),
        rate_limits=fold.rate_limits.section(fold.models),
        ledger=fold.ledgers.section(fold.models),
        observers=fold.watches.section(fold.run.observers, None, {_GATEWAY: reported}),
    )


def _run(run: Run) -> TrafficRun:
    upstream = run.target.get("upstream")
    return TrafficRun(
        id=run.run_id,
        started_at=iso_utc(run.started_wall_ns),
        tool_version=run.tool_version,
        argv=run.argv,
        upstream=upstream if isinstance(upstream, str) else None,
        encoding=run.encoding,
    )


def _metrics(
    fold: TrafficFold,
) -> tuple[dict[str, Distribution], dict[int, dict[str, Distribution]]]:
    of_all: dict[str, Distribution] = {}
    by_model: dict[int, dict[str, Distribution]] = {}
    for place, name in enumerate(CALL_METRICS_IN_ORDER):
        if not fold.calls.seen[place]:
            continue
        found = fold.calls.of_all(place, _GATEWAY, fold.traces)
        if found is not None:
            of_all[name] = found
        for number, one in fold.calls.by_model(place, _GATEWAY, fold.traces).items():
            by_model.setdefault(number, {})[name] = one
    return of_all, by_model


def _rates(fold: TrafficFold, counts: _Counts) -> Rates:
    requests, calls, given, written, both = (
        _per_minute(fold, counts.minutes, place) for place in range(len(_AMOUNTS))
    )
    has_given, has_written = (tokens is not None for tokens in counts.sums[:2])
    return Rates(
        requests=requests,
        calls=calls,
        input_tokens=given if has_given else None,
        output_tokens=written if has_written else None,
        tokens=both if has_given and has_written else None,
    )


def _per_minute(fold: TrafficFold, minutes: Minutes, place: int) -> PerMinute:
    duration_s, second = fold.duration_s, minutes.busiest_from[place]
    mean = None
    if duration_s is not None and duration_s >= MINUTE_S:
        mean = minutes.totals[place] * MINUTE_S / duration_s
    wall_ns = fold.run.started_wall_ns
    return PerMinute(
        mean=mean,
        busiest=minutes.busiest[place],
        busiest_from=None if second is None else iso_utc(wall_ns + second * NS_PER_S),
    )
