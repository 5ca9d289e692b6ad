"""Redis's counters of commands: read from `INFO all`, and the difference of two readings.

An operation is a command that Redis *executed* (`calls`), also one that ended in an error there: it
was work for the store. One that Redis rejected before execution (wrong arguments, no permission)
is none; `rejected` says how many there were.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.measure.records import StateKind
from profiler.observers.state.probe import Counted, VoidFigureError

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESETSTAT = "config|resetstat"
_FIELD = re.compile(r"\b(calls|usec|rejected_calls)=(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCount:
    """One line of `INFO commandstats`; `rejected` is 0 before Redis 6.2, which does not say it."""

    calls: int
    usec: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisReading:
    """What we need of one `INFO all`. `commands` has names as Redis has them, in lower case."""

    run_id: str
    mode: str
    role: str
    version: str
    processed: int
    commands: Mapping[str, CommandCount]


def parse_info(text: str) -> RedisReading:
    """Read the answer to `INFO all`. Raises ValueError where a part is missing."""
    fields = {}
    commands = {}
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        if not colon:
            continue
        if key.startswith("cmdstat_"):
            found = {name: int(value) for name, value in _FIELD.findall(rest)}
            commands[key.removeprefix("cmdstat_").lower()] = CommandCount(
                calls=found.get("calls", 0),
                usec=found.get("usec", 0),
                rejected=found.get("rejected_calls", 0),
            )
        else:
            fields[key] = rest
    if "run_id" not in fields or "# commandstats" not in text.lower():
        msg = "INFO says nothing of run_id and commandstats"
        raise ValueError(msg)
    return RedisReading(
        run_id=fields["run_id"],
        mode=fields.get("redis_mode", "standalone"),
        role=fields.get("role", "master"),
        version=fields.get("redis_version", "unknown"),
        processed=int(fields.get("total_commands_processed", "0")),
        commands=commands,
    )


def executed(
    before: RedisReading, after: RedisReading, own: Mapping[str, int]
) -> dict[str, CommandCount]:
    """Return the commands between two readings, without our `own`: calls by name.

    Raises VoidFigureError after a restart or a reset of the statistics.
    """
    if after.run_id != before.run_id:
        raise VoidFigureError("Redis was restarted during the run, or another server answers there")
    if after.role != before.role:
        raise VoidFigureError(f"Redis changed from {before.role} to {after.role} during the run")
    if _was_reset(before, after):
        raise VoidFigureError("Redis's statistics were reset during the run (CONFIG RESETSTAT)")
    difference = {}
    for name, count in after.commands.items():
        first = before.commands.get(name, CommandCount(calls=0))
        calls = count.calls - first.calls - own.get(name, 0)
        rejected = count.rejected - first.rejected
        if calls < 0:
            raise VoidFigureError(f"Redis counted fewer calls of {name} than we made ourselves")
        if calls or rejected:
            difference[name] = CommandCount(calls=calls, rejected=rejected)
    return difference


def _was_reset(before: RedisReading, after: RedisReading) -> bool:
    if after.processed < before.processed:
        return True
    for name, first in before.commands.items():
        last = after.commands.get(name)
        if last is None or last.calls < first.calls or last.usec < first.usec:
            return True
    # A reset counts itself, as the first call after it: the line is a mark of the last reset.
    return before.commands.get(_RESETSTAT) != after.commands.get(_RESETSTAT)


def total(executed: Mapping[str, CommandCount], kinds: Mapping[str, StateKind | None]) -> Counted:
    """Add commands up by what they do. A command whose kind is None or not given is *other*."""
    sums = dict.fromkeys(StateKind, 0)
    unknown = {}
    rejected = 0
    for name, count in executed.items():
        kind = kinds.get(name)
        if kind is None:
            unknown[name] = count.calls
        sums[kind or StateKind.OTHER] += count.calls
        rejected += count.rejected
    notes = []
    if unknown and (calls := sum(unknown.values())):
        names = ", ".join(sorted(unknown)[:5])
        notes.append(("unknown_command", calls, f"counted as neither read nor write: {names}"))
    if rejected:
        notes.append(("rejected_command", rejected, "rejected by Redis before execution: left out"))
    return Counted(
        reads=sums[StateKind.READ],
        writes=sums[StateKind.WRITE],
        other=sums[StateKind.OTHER],
        notes=tuple(notes),
    )
