"""A profile from a journal: a pure function, byte for byte the same each time."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import read_journal
from profiler.measure.records import EndReason
from profiler.profile.columns import MISSING, Columns, Table, collect
from profiler.profile.goodput import goodput_section, goodput_text
from profiler.profile.joint import joint_of
from profiler.profile.load import load_of_parts
from profiler.profile.metrics import INTERACTION_METRICS, preference_for
from profiler.profile.model import (
    PROFILE_SCHEMA_VERSION,
    RateLimitInfo,
    Reconciliation,
    RunInfo,
    RunPart,
    SampleInfo,
    WorkloadProfile,
)
from profiler.profile.sample import SCALES
from profiler.profile.sections import (
    Sessions,
    View,
    interaction_section,
    llm_call_sections,
    session_section,
    state_section,
    tool_section,
)
from profiler.profile.trust import loop_lag_of, trust_of

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.profile.interactions import ByObserver

_NS_PER_S = 1_000_000_000
_TOLERANCE_US = 1000
_IN_ORDER = frozenset({EndReason.COMPLETED, EndReason.DURATION, EndReason.MAX_REQUESTS})


def build_profile(journal_path: Path) -> WorkloadProfile:
    """Compute the profile of a journal file, or of the run directory that holds one.

    Raises `JournalError` for a journal that cannot be read and `ProfileError` for one whose values
    make no sense (`UsageError` for goodput objectives that make none). A journal without an end, or
    with no measured interaction, is no error: the profile is `partial`, its verdict `inconclusive`.
    """
    file = journal_path / JOURNAL_NAME if journal_path.is_dir() else journal_path
    columns = collect(read_journal(file), str(file))
    view = View.of(columns)
    sessions = session_section(view)
    part = _part(view, _sha256(file))
    interaction = interaction_section(view)
    llm_call, models = llm_call_sections(view)
    sample = _sample(view, sessions)
    load = load_of_parts(_mode(columns), _text(columns.run.load, "arrivals"), (part,))
    goodput = goodput_text(columns.run.manifest, str(file))
    return WorkloadProfile(
        schema_version=PROFILE_SCHEMA_VERSION,
        kind="workload_profile",
        run=_run(view, part),
        sample=sample,
        load=load,
        interaction=interaction,
        llm_call=llm_call,
        models=models,
        tools=tool_section(view),
        state=state_section(view),
        session=sessions.section,
        rate_limits=_rate_limits(view),
        joint=joint_of(view),
        reconciliation=_reconciliation(view),
        trust=trust_of(sample.succeeded, interaction, loop_lag_of(columns.driver)),
        goodput=None if goodput is None else goodput_section(view, goodput, load.duration_s),
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mode(columns: Columns) -> Literal["open", "closed"]:
    """Take the mode as declared; else from whether starts were intended."""
    mode = columns.run.load.get("mode")
    if mode in ("open", "closed"):
        return "open" if mode == "open" else "closed"
    intended = columns.interactions["intended_start_ns"] != MISSING
    return "open" if intended.any() else "closed"


def _text(mapping: dict[str, Any], key: str) -> str | None:
    value = mapping.get(key)
    return value if isinstance(value, str) else None


def _part(view: View, journal: str) -> RunPart:
    run, table, rows = view.columns.run, view.columns.interactions, view.measured.rows
    wall_minus_monotonic = run.started_wall_ns - run.started_monotonic_ns
    rate = run.load.get("rate_per_s")
    users = run.load.get("users")
    is_open = _mode(view.columns) == "open"
    driver = view.columns.driver
    return RunPart(
        id=run.run_id,
        journal=journal,
        tool_version=run.tool_version,
        started_at=_iso(run.started_wall_ns),
        argv=run.argv,
        seeds=run.seeds,
        window_start_ns=int(table["send_ns"][rows].min()) + wall_minus_monotonic
        if rows.size
        else None,
        window_end_ns=int(table["end_ns"][rows].max()) + wall_minus_monotonic
        if rows.size
        else None,
        offered_rate=float(rate) if is_open and isinstance(rate, int | float) else None,
        users=users if not is_open and isinstance(users, int) else None,
        dropped=max(sample.dropped for sample in driver) if driver else None,
        interactions=view.measured.size,
    )


def _iso(wall_ns: int) -> str:
    """Return ISO 8601 in UTC, to the microsecond."""
    seconds, ns = divmod(wall_ns, _NS_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ns // 1000).isoformat()


def _run(view: View, part: RunPart) -> RunInfo:
    run = view.columns.run
    return RunInfo(
        id=part.id,
        started_at=part.started_at,
        tool_version=part.tool_version,
        target=run.target,
        protocol=_text(run.target, "protocol"),
        workload=run.workload,
        digests=run.digests,
        seeds=run.seeds,
        argv=run.argv,
        encoding=run.encoding,
        observers=tuple(sorted(run.observers)),
        parts=(part,),
    )


def _sample(view: View, sessions: Sessions) -> SampleInfo:
    columns, measured = view.columns, view.measured
    unmatched = sum(
        int((measured.row_of_trace[table["trace"]] == -1).sum())
        for tables in (columns.llm_calls, columns.tool_calls, columns.state_ops)
        for table in tables.values()
    )
    reasons = _partial_reasons(columns)
    return SampleInfo(
        interactions=measured.size,
        succeeded=int(measured.ok.sum()),
        failed=dict(sorted(columns.failed.items())),
        sessions=sessions.count,
        sessions_completed=sessions.completed,
        warmup_excluded=columns.interactions.rows - measured.size,
        unmatched_events=unmatched,
        partial=bool(reasons),
        partial_reasons=reasons,
    )


def _partial_reasons(columns: Columns) -> tuple[str, ...]:
    if columns.end is None:
        return ("the journal has no end: the run was killed, or still goes on",)
    if columns.end.reason in _IN_ORDER:
        return ()
    return (columns.end.reason.value,)


def _reconciliation(view: View) -> tuple[Reconciliation, ...]:
    """Compare each pair of observers of a metric, on the interactions that both saw."""
    rows = (
        row
        for name in INTERACTION_METRICS
        if len(by_observer := view.values.get(name, {})) > 1
        for pair in combinations(_by_preference(name, by_observer), 2)
        if (row := _compare(name, by_observer, *pair)) is not None
    )
    return tuple(rows)


def _by_preference(metric: str, by_observer: ByObserver) -> list[str]:
    order = preference_for(metric)
    return sorted(by_observer, key=lambda who: (order.index(who) if who in order else 99, who))


def _compare(metric: str, by_observer: ByObserver, a: str, b: str) -> Reconciliation | None:
    both = (by_observer[a] != MISSING) & (by_observer[b] != MISSING)
    compared = int(both.sum())
    if not compared:
        return None
    unit = INTERACTION_METRICS[metric].unit
    difference = by_observer[a][both] - by_observer[b][both]
    tolerance = _TOLERANCE_US if unit == "s" else 0
    total = int(difference.sum())
    return Reconciliation(
        metric=metric,
        unit=unit,
        observer_a=a,
        observer_b=b,
        compared=compared,
        differing=int((np.abs(difference) > tolerance).sum()),
        mean_difference=total / (compared * SCALES[unit].per_unit),
        sum_difference=total,
    )


def _rate_limits(view: View) -> dict[str, RateLimitInfo]:
    """Return what 429s and headers revealed, from the observer whose LLM calls are believed."""
    source = view.chosen.get("llm_calls")
    if source is None or source not in view.columns.llm_calls:
        return {}
    table = view.columns.llm_calls[source]
    model = table["model"]
    found: dict[str, RateLimitInfo] = {}
    for name, number in view.columns.models.items():
        info = _rate_limit(table, model == number)
        # Model, calls and 429s aside, is there anything to tell?
        told = info.model_dump(exclude={"calls", "http_429"}).values()
        if info.http_429 or any(value is not None for value in told):
            found[name] = info
    return found


def _rate_limit(table: Table, mine: Any) -> RateLimitInfo:
    def known(name: str) -> Any:
        values = table[name][mine]
        return values[values != MISSING]

    def lowest(name: str) -> int | None:
        return int(known(name).min()) if known(name).size else None

    def highest(name: str) -> int | None:
        return int(known(name).max()) if known(name).size else None

    retry_after_ns = highest("retry_after_ns")
    return RateLimitInfo(
        calls=int(mine.sum()),
        http_429=int(table["http_429"][mine].sum()),
        limit_requests_lowest=lowest("limit_requests"),
        limit_requests_highest=highest("limit_requests"),
        lowest_remaining_requests=lowest("remaining_requests"),
        limit_tokens_lowest=lowest("limit_tokens"),
        limit_tokens_highest=highest("limit_tokens"),
        lowest_remaining_tokens=lowest("remaining_tokens"),
        longest_retry_after_s=None if retry_after_ns is None else retry_after_ns / _NS_PER_S,
    )
