"""How a run is spread, as the options say it: workers, a cluster, one shard of many, a start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S, ClockAnchor, seconds_to_ns
from profiler.errors import UsageError
from profiler.load.plan import WHOLE, Share

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Set by Kubernetes in the pods of an indexed job: 0 to completions - 1."""

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a run is spread. `workers` is None where the cluster decides, or one process does it."""

    workers: int | None = None
    cluster: str | None = None
    conductor: str | None = None
    share: Share = WHOLE
    start_wall_ns: int | None = None


NOT_SPLIT = Split()
"""One process, at once, all of it."""


def split_of(
    *,
    workers: str | None,
    cluster: str | None,
    conductor: str | None,
    shard: str | None,
    start_at: str | None,
    environ: Mapping[str, str],
) -> Split:
    """Read the options. Raises `UsageError` for one that is wrong, or excludes another."""
    if shard is not None and (workers is not None or cluster is not None):
        other = "--workers" if workers is not None else "--cluster"
        raise UsageError(
            f"--shard and {other} exclude each other",
            fix="Keep --shard where something else starts the shards",
        )
    if conductor is not None and cluster is None:
        raise UsageError("--conductor has no use without --cluster", fix="Remove it")
    return Split(
        workers=None if workers is None else _workers(workers, on_cluster=cluster is not None),
        cluster=cluster,
        conductor=conductor,
        share=WHOLE if shard is None else _share(shard, environ),
        start_wall_ns=None if start_at is None else _start(start_at, ClockAnchor.now().wall_ns),
    )


def _workers(text: str, *, on_cluster: bool) -> int | None:
    if text == AUTO:
        if on_cluster:
            return None  # as many as the cluster has
        from profiler.load.workers import usable_cores

        return usable_cores()
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"{text!r} is no number of workers", where="--workers", fix="Write 4, or auto")


def _share(text: str, environ: Mapping[str, str]) -> Share:
    number, slash, count = text.partition("/")
    fix = f"Write 3/8 for the third of eight, or /8 where {INDEX_VARIABLE} says which"
    if not slash or not count.isdecimal() or int(count) < 1:
        raise UsageError(f"{text!r} is no shard", where="--shard", fix=fix)
    total = int(count)
    if number:
        index = int(number) - 1 if number.isdecimal() else -1
        where, allowed = "--shard", f"1 to {total}"
    else:
        said = environ.get(INDEX_VARIABLE)
        if said is None:
            what = f"{text!r} leaves the index to {INDEX_VARIABLE}, which is not set"
            raise UsageError(what, where="--shard", fix=fix)
        index = int(said) if said.isdecimal() else -1
        where, allowed, number = INDEX_VARIABLE, f"0 to {total - 1}", said
    if not 0 <= index < total:
        raise UsageError(
            f"there is no shard {number} of {total}", where=where, fix=f"Use {allowed}"
        )
    return Share(index=index, count=total)


def _start(text: str, now_ns: int) -> int:
    """Return the wall-clock time, in nanoseconds since 1970, that `+30s` or an ISO time means."""
    from profiler.workload.units import duration_s

    if text.startswith("+"):
        try:
            return now_ns + seconds_to_ns(duration_s(text[1:]))
        except ValueError as exc:
            raise _no_time(text) from exc
    try:
        start_ns = round(datetime.fromisoformat(text).astimezone().timestamp() * NS_PER_S)
    except ValueError as exc:
        raise _no_time(text) from exc
    if start_ns < now_ns:
        raise UsageError(
            f"{text} was {(now_ns - start_ns) / NS_PER_S:.0f} s ago",
            where="--start-at",
            fix="Give a time to come: shards that start late do not run together",
        )
    return start_ns


def _no_time(text: str) -> UsageError:
    fix = "Write +30s, or a time like 2026-03-01T12:00:00Z"
    return UsageError(f"{text!r} is no time", where="--start-at", fix=fix)
