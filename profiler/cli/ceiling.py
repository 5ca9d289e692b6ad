"""What the harness can do on this machine: it drives null servers, and the figures are judged."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from profiler.cli.finding import Finding
from profiler.cli.mock_process import null_server
from profiler.errors import AgentProfilerError

if TYPE_CHECKING:
    from collections.abc import Iterator

TRUE_MS = 20.0
TIMEOUT_S = 60.0
_SAFE_SHARE = 0.8  # of a ceiling: beyond, a burst finds no spare time
_SLOW_PER_S = 100
_SATURATED_SHARE = 0.85
_STATS_TIMEOUT_S = 5.0

LATE_LIMIT_MS = 5.0
"""Later than this at the 99th percentile, a run is judged limited by the harness."""

ERROR_LIMIT_MS = 1.0
"""A p99 that is wrong by more is said."""

MUST_HOLD_PER_S = 100
"""A machine that cannot send this many on time is not fit; above it, `--workers` is the answer."""

_BUSY = "Something else keeps this machine busy: measure again when it is idle, or on another one"


def harness_findings(*, scale: float = 1.0) -> Iterator[Finding]:
    """Measure, yielding what each step found as soon as it is done; `scale` stretches the steps.

    Raises `AgentProfilerError` where the servers or the trial cannot be run.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doctor-")))
        null = stack.enter_context(null_server(delay_ms=0, log=folder / "null.log"))
        delayed = stack.enter_context(null_server(delay_ms=TRUE_MS, log=folder / "delayed.log"))
        before = _stats(null["stats"])
        for step in _steps(null["url"], delayed["url"], folder, scale):
            match step["step"]:
                case "timer":
                    yield timer_finding(step)
                case "plain" | "streamed":
                    after = _stats(null["stats"])
                    share = (after["cpu_s"] - before["cpu_s"]) / step["took_s"]
                    before = after
                    yield ceiling_finding(step, server_share=share)
                case "ladder":
                    late_us = (_stats(delayed["stats"])["delay_error_us"] or {}).get("p99")
                    yield from (rung_finding(rung, late_us) for rung in step["rates"])
                    yield pause_finding(step)


def _steps(url: str, delayed_url: str, folder: Path, scale: float) -> Iterator[dict[str, Any]]:
    """Run the trial; yield the lines that it prints."""
    arguments = [url, delayed_url, str(folder), str(scale)]
    command = [sys.executable, "-m", "profiler.cli.trial", *arguments]
    log = folder / "trial.log"
    with log.open("wb") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        )
    killer = threading.Timer(TIMEOUT_S, process.kill)
    killer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - opened as a pipe above
        for line in process.stdout:
            yield orjson.loads(line)
        code = process.wait()
    finally:
        killer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if code != 0:
        said = log.read_text(errors="replace").strip().splitlines()
        raise AgentProfilerError(
            f"the harness could not be measured: {said[-1] if said else f'exit code {code}'}",
            fix="Run `agent-profiler doctor --quick` for the rest, and report this",
        )


def _stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=_STATS_TIMEOUT_S) as response:  # noqa: S310 - our own
        figures: dict[str, Any] = orjson.loads(response.read())
    return figures


def timer_finding(step: dict[str, Any]) -> Finding:
    """Judge how exactly an idle harness wakes."""
    lag_ms = step["lag_p99_ms"]
    return Finding(
        name="timer",
        found=f"wakes {lag_ms:.3f} ms late at the 99th percentile when idle",
        is_well=lag_ms <= LATE_LIMIT_MS,
        fix=_BUSY,
        figures={"lag_p99_ms": lag_ms},
    )


def ceiling_finding(step: dict[str, Any], *, server_share: float) -> Finding:
    """Judge how many interactions a second one worker reaches with 64 users and no think time."""
    what = "plain" if step["step"] == "plain" else "64-chunk streamed"
    per_s, cpu_us = step["per_s"], step["cpu_us"]
    figures = {"per_s": per_s, "cpu_us": cpu_us, "server_share_of_a_core": server_share}
    if per_s is None:
        return Finding(
            name=step["step"],
            found=f"not one {what} interaction ended",
            is_well=False,
            fix=_BUSY,
            figures=figures,
        )
    found = f"{per_s:,.0f} {what} interactions/s with 64 users on one worker"
    found += f", {cpu_us:,.0f} us of CPU each"
    advice = f"Runs above {_rounded(per_s * _SAFE_SHARE):,} {what} interactions/s need --workers"
    if server_share > _SATURATED_SHARE:
        advice += f" (or less: the null server used {server_share:.0%} of a core and limited this)"
    return Finding(
        name=step["step"],
        found=found,
        is_well=per_s >= _SLOW_PER_S,
        fix=_BUSY,
        advice=advice,
        figures=figures,
    )


def rung_finding(rung: dict[str, Any], server_late_us: int | None) -> Finding:
    """Judge the harness's own error at one rate, against answers that take exactly 20 ms."""
    rate, late_ms, error_ms = rung["rate_per_s"], rung["late_p99_ms"], rung["error_p99_ms"]
    figures = {
        "rate_per_s": rate,
        "dispatch_delay_p99_ms": late_ms,
        "latency_p99_error_ms": error_ms,
        "server_late_p99_ms": None if server_late_us is None else server_late_us / 1_000,
    }
    name = f"{rate:,}/s"
    if late_ms is None or error_ms is None:
        return Finding(
            name=name, found="nothing was answered", is_well=False, fix=_BUSY, figures=figures
        )
    found = f"sends {late_ms:.2f} ms late and reports a p99 {error_ms:+.2f} ms off (true 20 ms)"
    is_exact = late_ms <= LATE_LIMIT_MS and abs(error_ms) <= ERROR_LIMIT_MS
    if is_exact:
        advice = None
    elif server_late_us is not None and server_late_us / 1_000 > ERROR_LIMIT_MS:
        advice = f"{_BUSY} (the null server was late itself, by {server_late_us / 1_000:.1f} ms)"
    else:
        advice = "Split such a run with --workers, or know that its latencies are off by as much"
    return Finding(
        name=name,
        found=found,
        is_well=rate > MUST_HOLD_PER_S or late_ms <= LATE_LIMIT_MS,
        is_notable=not is_exact,
        fix=_BUSY,
        advice=advice,
        figures=figures,
    )


def pause_finding(step: dict[str, Any]) -> Finding:
    """Say how long the harness stood still while it sent at those rates."""
    gc_ms, lag_ms = step["gc_pause_max_ms"], step["loop_lag_max_ms"]
    return Finding(
        name="pauses",
        found=f"longest garbage collection {gc_ms:.1f} ms, "
        f"longest standstill of the event loop {lag_ms:.1f} ms",
        is_well=True,
        figures={"gc_pause_max_ms": gc_ms, "loop_lag_max_ms": lag_ms},
    )


def _rounded(value: float) -> int:
    """Round down to two digits: a ceiling is not known better."""
    digits = max(0, len(str(int(value))) - 2)
    step = int(10**digits)
    return int(value) // step * step
