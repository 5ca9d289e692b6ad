"""Kills one run again and again with SIGKILL, each time going on with it where it ended.

    python -m tests.system.killing WORKLOAD URL JOURNAL KILLS SEED

Each process of the run is a fork of this one, which has everything loaded: 50 of them cost what two
started anew would. A run says of each interaction that it has ended by a write to a pipe, whose
other end is here and outlives it. Prints, as JSON, what was reported, process by process.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from profiler.load.resume import resumption_of
from profiler.load.shard import Hooks, ShardSpec, plan_of, run_shard
from profiler.measure.records import Interaction, Record
from profiler.measure.syncing import Fsync
from profiler.measure.tokens import TokenCounter, encoding_name_for_model
from profiler.workload.load import load_workload

_TRACE = 32
_MOST_REPORTS = 14
_MOST_DELAY_S = 0.04
_PATIENCE_S = 60


def go_on(spec: ShardSpec, pipe: int) -> None:
    """Be one process of the run, until it has ended or is killed."""
    resumption = None
    if spec.journal.exists():
        resumption = resumption_of(spec.journal, plan_of(spec), fsync=Fsync.INTERVAL)

    def report(ended: Interaction, _: tuple[Record, ...]) -> None:
        os.write(pipe, ended.trace_id.encode())

    run_shard(spec, hooks=Hooks(on_interaction=report), resumption=resumption)


def fork(spec: ShardSpec) -> tuple[int, int]:
    """Start a process of the run; return its id and the pipe on which it reports."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reads)
            go_on(spec, writes)
            code = 0
        except BaseException as exc:  # noqa: BLE001 - a fork must not go on as its parent
            sys.stderr.write(f"{exc!r}\n")
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writes)
    return child, reads


def reported(pipe: int, most: int | None = None) -> list[str]:
    """Return the traces that are reported, `most` or all until nobody can write any more."""
    found = b""
    while most is None or len(found) < most * _TRACE:
        data = os.read(pipe, _TRACE if most is not None else 65_536)
        if not data:
            break
        found += data
    return [found[at : at + _TRACE].decode() for at in range(0, len(found), _TRACE)]


def wait_for_run(journal: Path) -> None:
    """Wait until the first line is there: a run that was killed before has nothing to resume."""
    deadline = time.monotonic() + _PATIENCE_S
    while not journal.exists() or b"\n" not in journal.read_bytes():
        assert time.monotonic() < deadline, "no first line"
        time.sleep(0.001)


def main() -> None:
    """Kill, go on, kill, ..., and let the last process come to the end."""
    workload, url, journal, kills, seed = sys.argv[1:]
    loaded = load_workload(Path(workload))
    spec = ShardSpec(workload=loaded, url=url, run_id="killed", argv=(), journal=Path(journal))
    TokenCounter(encoding_name_for_model(loaded.target.model)[0]).prepare()
    rng = random.Random(int(seed))
    processes = []
    for _ in range(int(kills)):
        child, pipe = fork(spec)
        wait_for_run(spec.journal)
        ended = reported(pipe, rng.choice([0, rng.randrange(_MOST_REPORTS)]))
        time.sleep(rng.random() * _MOST_DELAY_S)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        processes.append({"ended": ended + reported(pipe), "status": status})
        os.close(pipe)
    child, pipe = fork(spec)
    ended = reported(pipe)
    processes.append({"ended": ended, "status": os.waitpid(child, 0)[1]})
    print(json.dumps(processes))  # noqa: T201 - its only output


if __name__ == "__main__":
    main()
