"""Who runs the shards of a run: processes of this machine, or the workers of a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.errors import UsageError
from profiler.load.plan import load_plan, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from profiler.cli.split import Split
    from profiler.workload.model import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Who runs the shards, and where they find the conductor (`listen`: where it listens).

    `is_elsewhere`: the shards may be on other machines, and their journals have to come back.
    """

    executor: Executor
    shards: int
    host: str
    port: int = 0
    listen: str | None = None
    is_elsewhere: bool = False


@contextmanager
def crew_of(split: Split, workload: Workload, *, until_stable: bool) -> Iterator[Crew | None]:
    """Yield who runs the shards, or None where this process does it all.

    Never more shards than there are users, sessions or interactions to split. Raises `UsageError`
    for a cluster that cannot be used. Where the block is left by an exception, workers are killed.
    """
    if split.cluster is not None:
        with _on_cluster(split, split.cluster, workload, until_stable=until_stable) as crew:
            yield crew
        return
    shards = _shards(workload, split.workers or 1, until_stable=until_stable)
    if shards == 1:
        yield None
        return
    from profiler.load.conductor import LOOPBACK
    from profiler.load.workers import Processes

    processes = Processes()
    try:
        yield Crew(executor=processes, shards=shards, host=LOOPBACK)
    except BaseException:
        processes.shutdown(cancel_futures=True)
        raise
    processes.shutdown()


def _shards(workload: Workload, most: int, *, until_stable: bool) -> int:
    return parts_of(load_plan(workload, until_stable=until_stable), most)


@contextmanager
def _on_cluster(
    split: Split, scheduler: str, workload: Workload, *, until_stable: bool
) -> Iterator[Crew]:
    from profiler.admission import is_loopback
    from profiler.load.cluster import (
        cluster,
        conductor_address,
        host_of,
        local_address,
    )

    scheduler_host = host_of(scheduler)
    if workload.target.url is None and not is_loopback(scheduler_host):
        raise UsageError(
            "the workers of a cluster cannot reach a mock agent on this machine",
            where="--cluster",
            fix="Give --url the address of an agent that every worker can reach",
        )
    listen, port = None, 0
    if split.conductor is None:
        host = local_address(scheduler_host)
    else:
        host, port = conductor_address(split.conductor)
        listen = None if is_loopback(host) else "0.0.0.0"  # noqa: S104 - asked for: the host may be a name for us that only others know; strangers lack the token
    with cluster(scheduler) as executor:
        most = executor.workers
        if split.workers is not None:
            if split.workers > most:
                raise UsageError(
                    f"the cluster has {most} workers, not {split.workers}",
                    where=scheduler,
                    fix="Start more with `dask worker`, or lower --workers",
                )
            most = split.workers
        shards = _shards(workload, most, until_stable=until_stable)
        yield Crew(
            executor=executor,
            shards=shards,
            host=host,
            port=port,
            listen=listen,
            is_elsewhere=True,
        )
