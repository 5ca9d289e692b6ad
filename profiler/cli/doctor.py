"""`agent-profiler doctor`: check that this machine can measure."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from profiler.cli.files import LEAST_FREE_BYTES
from profiler.errors import AgentProfilerError

_FEW_FILES = 1024
_COARSE_CLOCK_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked. `fix` says what to do where it is not well."""

    name: str
    found: str
    is_well: bool
    fix: str | None = None


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check that this machine can measure: clock, event loop, token files, limits, disk.

    Exits with 1 when something would falsify a measurement or keep a run from starting.
    """
    findings = (_python(), _clock(), _event_loop(), _tokens(), _open_files(), _cores(), _disk())
    if as_json:
        import orjson

        rows = [{"name": f.name, "found": f.found, "ok": f.is_well, "fix": f.fix} for f in findings]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        for finding in findings:
            mark = "ok  " if finding.is_well else "FIX "
            typer.echo(f"{mark} {finding.name:<12} {finding.found}")
            if not finding.is_well and finding.fix:
                typer.echo(f"     {'':<12} {finding.fix}")
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding(
        name="python", found=f"{version} ({sys.implementation.name})", is_well=True, fix=None
    )


def _clock() -> Finding:
    import time

    resolution_ns = round(time.get_clock_info("monotonic").resolution * 1e9)
    return Finding(
        name="clock",
        found=f"monotonic, resolution {resolution_ns:,} ns",
        is_well=resolution_ns <= _COARSE_CLOCK_NS,
        fix="This clock is too coarse for latencies of milliseconds: measure on another machine",
    )


def _event_loop() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        found = "asyncio's own"
    return Finding(name="event loop", found=found, is_well=True)


def _tokens() -> Finding:
    from profiler.measure.tokens import TokenCounter

    try:
        # Both encodings have "hello" and " world", as tiktoken's README shows.
        counts = {name: TokenCounter(name).count_text("hello world") for name in _ENCODINGS}
    except AgentProfilerError as exc:
        return Finding(name="tokens", found=str(exc), is_well=False, fix="Install the package anew")
    return Finding(
        name="tokens",
        found=f"{' and '.join(counts)} shipped and intact",
        is_well=set(counts.values()) == {_HELLO_WORLD_TOKENS},
        fix="The rank files do not give the published counts: install the package anew",
    )


_ENCODINGS = ("o200k_base", "cl100k_base")
_HELLO_WORLD_TOKENS = 2


def _open_files() -> Finding:
    try:
        import resource
    except ImportError:
        return Finding(name="open files", found="no limit known on this system", is_well=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding(
        name="open files",
        found=f"{soft:,} at most (hard limit {hard:,})",
        is_well=soft >= _FEW_FILES,
        fix=f"Each user needs a connection: `ulimit -n {min(hard, 65536)}` before a larger run",
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(name="cores", found=f"{cores} usable by this process", is_well=True)


def _disk() -> Finding:
    import shutil

    free_bytes = shutil.disk_usage(".").free
    return Finding(
        name="disk",
        found=f"{free_bytes / 1024**3:,.1f} GiB free here",
        is_well=free_bytes >= LEAST_FREE_BYTES,
        fix="Free some space, or give `run` an --out on another disk",
    )
