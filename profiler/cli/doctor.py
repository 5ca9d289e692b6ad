"""`agent-profiler doctor`: check that this machine can measure."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.files import LEAST_FREE_BYTES
from profiler.cli.finding import Finding
from profiler.errors import AgentProfilerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FEW_FILES = 1024
_COARSE_CLOCK_NS = 1_000_000


def command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the load part: no ceilings, no latencies.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check that this machine can measure, and how much: about 12 seconds of load on itself.

    Clock, event loop, token files, limits, disk; then the harness drives a null server that costs
    nothing: its ceiling with 64 users, how late it sends at several rates, and how wrong the
    latency is that it then reports.

    Exits with 1 when something would falsify a measurement or keep a run from starting.
    """
    findings = _findings(quick=quick)
    if as_json:
        import orjson

        found = list(findings)
        rows = [finding.as_dict() for finding in found]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        found = list(_shown(findings))
    if not all(finding.is_well for finding in found):
        raise typer.Exit(1)


def _shown(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each finding as it is made."""
    for finding in findings:
        typer.echo(f"{finding.mark} {finding.name:<12} {finding.found}")
        if finding.hint:
            typer.echo(f"     {'':<12} {finding.hint}")
        yield finding


def _findings(*, quick: bool) -> Iterator[Finding]:
    yield from (_python(), _clock(), _event_loop(), _tokens(), _open_files(), _cores(), _disk())
    if quick:
        return
    from profiler.cli.ceiling import harness_findings
    from profiler.cli.steal import processor_time, steal_finding

    if sys.stderr.isatty():
        typer.echo("     measuring the harness itself, about 12 seconds ...", err=True)
    before = processor_time()
    yield from harness_findings()
    yield steal_finding(before, processor_time())


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
