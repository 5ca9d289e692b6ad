"""One run of the command line in this process, and what it left behind, as JSON on standard output.

    python -W error -m tests.system.faulty_run WORKLOAD --mock-faults FILE ...

The wall clock of this process jumps an hour back or forth with each reading, from the run's first
line on: nothing that is measured may depend on it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from profiler.cli.app import main
from profiler.endpoints.http import HttpxCaller, LeanCaller
from profiler.load.event_loop import has_uvloop

JUMP_S = 3600
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def jumping(clock: Any, jump: Any) -> Any:
    """Return a clock of which every other reading is so much later."""
    readings = count()
    return lambda: clock() + jump * (next(readings) % 2)


def open_files() -> list[str]:
    """Return what each open descriptor is."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.append(str(link.readlink()))
    return found


def watch_memory(sizes: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.25):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        sizes.append(pages * _PAGE_BYTES)


def look_at_the_end_of(caller: type[LeanCaller | HttpxCaller], left: list[str]) -> None:
    """Note which tasks there are when a caller has closed: the run's last act."""
    close = caller.aclose

    async def aclose(one: Any) -> None:
        await close(one)
        left.extend(
            repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()
        )

    caller.aclose = aclose  # type: ignore[method-assign, assignment]


def run(arguments: list[str]) -> dict[str, Any]:
    left: list[str] = []
    for caller in (LeanCaller, HttpxCaller):
        look_at_the_end_of(caller, left)
    time.time = jumping(time.time, JUMP_S)
    time.time_ns = jumping(time.time_ns, JUMP_S * 10**9)
    # The first event loop of a process opens a pipe that stays: libuv's own, for signals.
    anyio.run(anyio.sleep, 0, backend_options={"use_uvloop": has_uvloop()})
    before = open_files()
    sizes: list[int] = []
    ended = threading.Event()
    watching = threading.Thread(target=watch_memory, args=(sizes, ended))
    watching.start()
    sys.argv = ["agent-profiler", "run", *arguments]
    code = None
    try:
        main()
    except SystemExit as exc:
        code = exc.code
    finally:
        ended.set()
        watching.join()
    gc.collect()
    return {
        "code": code,
        "tasks_left": left,
        "files_left": sorted(set(open_files()) - set(before)),
        "threads_left": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
        "memory_bytes": sizes,
        "cpu_s": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
    }


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(run(sys.argv[1:]))}\n")
