"""A profile from a journal: a pure function, byte for byte the same each time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

from profiler.clock import NS_PER_S, iso_utc
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import read_journal
from profiler.measure.records import IN_ORDER
from profiler.profile.burstiness import burstiness_of, merge_burstiness
from profiler.profile.causes import with_causes
from profiler.profile.fold import Fold, Stretch, fold
from profiler.profile.goodput import goodput_of
from profiler.profile.joining import belated
from profiler.profile.load import load_of_parts
from profiler.profile.model import (
    PROFILE_SCHEMA_VERSION,
    RunInfo,
    RunPart,
    SampleInfo,
    WorkloadProfile,
)
from profiler.profile.objectives import objectives_text
from profiler.profile.sections import (
    View,
    interaction_section,
    llm_call_sections,
    session_section,
    state_section,
    tool_section,
)
from profiler.profile.trust import trust_of

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.measure.records import End
    from profiler.profile.model import Goodput


def build_profile(journal_path: Path) -> WorkloadProfile:
    """Compute the profile of a journal file, or of the run directory that holds one.

    Raises `JournalError` for a journal that cannot be read and `ProfileError` for one whose values
    make no sense (`UsageError` for goodput objectives that make none). A journal without an end, or
    with no measured interaction, is no error: the profile is `partial`, its verdict `inconclusive`.
    """
    file = journal_path / JOURNAL_NAME if journal_path.is_dir() else journal_path
    view = _read(file)
    folded = view.folded
    parts = _parts(folded, _sha256(file))
    interaction = interaction_section(view)
    llm_call, models = llm_call_sections(view)
    sample = _sample(folded)
    ledger = folded.ledgers.section(folded.models)
    observers = folded.watches.section(
        folded.run.observers,
        folded.measured,
        {who: block.told.numbers for who, block in folded.blocks.items()},
    )
    joint_calls = folded.joint.joint_calls(*_calls_of(view), list(folded.models))
    load = load_of_parts(_mode(folded), _text(folded.run.load, "arrivals"), parts)
    return WorkloadProfile(
        schema_version=PROFILE_SCHEMA_VERSION,
        kind="workload_profile",
        run=_run(folded, parts),
        sample=sample,
        load=load,
        interaction=interaction,
        llm_call=llm_call,
        models=models,
        tools=tool_section(view),
        tool_round_trips=folded.round_trips.section(),
        state=state_section(view),
        session=session_section(view),
        rate_limits=folded.rate_limits.section(folded.models),
        joint=folded.joint.joint(
            {
                name: (who, who in view.from_inside.get(name, ()))
                for name, who in view.chosen.items()
            }
        ),
        joint_calls=joint_calls,
        observers=observers,
        ledger=ledger,
        reconciliation=with_causes(
            folded.comparisons.section(view.series, folded.state_deltas, folded.stores),
            observers,
            ledger,
        ),
        trust=trust_of(sample.succeeded, interaction, folded.loop_lag()),
        burstiness=merge_burstiness(
            [
                burstiness_of(one.asked, one.sent, is_open=load.mode == "open", dropped=one.dropped)
                for one in folded.stretches
            ]
        ),
        goodput=_goodput(folded, load.duration_s),
    )


def _read(file: Path) -> View:
    """Read the journal: once, but for what the first reading could not know.

    A second time where records of an interaction lie far apart in it, and a last time where goodput
    was judged by an observer that turned out not to be the one to believe.
    """
    folded = fold(read_journal(file), str(file))
    keep_open: frozenset[str] = frozenset()
    if folded.unmatched and folded.joiner.forgot:
        keep_open = belated(read_journal(file), folded.unmatched)
    if keep_open:
        folded = fold(read_journal(file), str(file), keep_open=keep_open)
    view = View.of(folded)
    if not folded.judge.agrees_with(view.chosen):
        folded = fold(read_journal(file), str(file), keep_open=keep_open, believed=view.chosen)
        view = View.of(folded)
    return view


def _calls_of(view: View) -> tuple[str | None, int]:
    """Return whose LLM calls are believed, and how many of measured interactions that one saw."""
    source = view.chosen.get("llm_calls")
    calls = None if source is None else view.folded.calls.get(source)
    return source, 0 if calls is None else sum(m.calls for m in calls.of_model.values())


def _goodput(folded: Fold, duration_s: float) -> Goodput | None:
    judge = folded.judge
    if not judge.objectives:
        return None
    text = objectives_text(judge.objectives)
    return goodput_of(text, folded.sessions.good, judge.unobserved, duration_s)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mode(folded: Fold) -> Literal["open", "closed"]:
    """Take the mode as declared; else from whether starts were intended."""
    mode = folded.run.load.get("mode")
    if mode in ("open", "closed"):
        return "open" if mode == "open" else "closed"
    return "open" if folded.any_intended else "closed"


def _text(mapping: dict[str, Any], key: str) -> str | None:
    value = mapping.get(key)
    return value if isinstance(value, str) else None


def _parts(folded: Fold, journal: str) -> tuple[RunPart, ...]:
    """Return a part for each process of the run: one, and one more each time it was resumed."""
    return tuple(_part(folded, stretch, journal) for stretch in folded.stretches)


def _part(folded: Fold, stretch: Stretch, journal: str) -> RunPart:
    run, window_ns = folded.run, stretch.window_ns
    wall_minus_monotonic = run.started_wall_ns - run.started_monotonic_ns
    rate = run.load.get("rate_per_s")
    users = run.load.get("users")
    is_open = _mode(folded) == "open"
    return RunPart(
        id=run.run_id,
        journal=journal,
        tool_version=stretch.tool_version,
        started_at=iso_utc(stretch.started_wall_ns),
        argv=run.argv,
        seeds=run.seeds,
        window_start_ns=None if window_ns is None else window_ns[0] + wall_minus_monotonic,
        window_end_ns=None if window_ns is None else window_ns[1] + wall_minus_monotonic,
        offered_rate=float(rate) if is_open and isinstance(rate, int | float) else None,
        users=users if not is_open and isinstance(users, int) else None,
        dropped=stretch.dropped,
        backed_off_s=stretch.backed_off_ns / NS_PER_S if stretch.backed_off_ns else None,
        interactions=stretch.sent.count,
    )


def _run(folded: Fold, parts: tuple[RunPart, ...]) -> RunInfo:
    run, part = folded.run, parts[0]
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
        parts=parts,
        resumed=len(parts) - 1 or None,
    )


def _sample(folded: Fold) -> SampleInfo:
    reasons = partial_reasons(folded.end)
    return SampleInfo(
        interactions=folded.measured,
        succeeded=folded.succeeded,
        failed=dict(sorted(folded.failed.items())),
        sessions=folded.sessions.count,
        sessions_completed=folded.sessions.completed,
        warmup_excluded=folded.warmup - folded.superseded,
        superseded=folded.superseded or None,
        unmatched_events=sum(folded.unmatched.values()),
        partial=bool(reasons),
        partial_reasons=reasons,
    )


def partial_reasons(end: End | None) -> tuple[str, ...]:
    """Say why a run did not come to its intended end; empty if it did."""
    if end is None:
        return ("the journal has no end: the run was killed, or still goes on",)
    if end.reason in IN_ORDER:
        return ()
    return (end.reason.value,)
