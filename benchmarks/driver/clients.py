"""Who sends: our harness, and the raw-socket limit. Peers are in `peers.py`."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.driver.percentiles import percentile_ms
from benchmarks.driver.process import ClientFailedError, Ran, run

if TYPE_CHECKING:
    from pathlib import Path

OURS, RAW = "agent-profiler", "raw sockets"
_DRIVER_LIMITED = 4
_SHORT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a client is to send. `users` for a closed loop, `rate` (per second) for an open one.

    `seconds` stands in for `requests` with clients that can only be told how long.
    """

    url: str
    requests: int
    seconds: int
    users: int | None = None
    rate: int | None = None
    poisson: bool = False
    stream: bool = False
    warmup: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a client says that it measured, in milliseconds; None: it does not say."""

    latency_p99_ms: float | None = None
    late_p99_ms: float | None = None
    first_p50_ms: float | None = None
    first_p99_ms: float | None = None


class Client(Protocol):
    """One program that sends requests."""

    @property
    def name(self) -> str:
        """What it is called in the tables."""
        ...

    def send(self, load: Load, scratch: Path, core: int | None) -> tuple[Ran, Told] | None:
        """Send a load; None: it cannot send such a one. Raises `ClientFailedError`."""
        ...


class Raw:
    """The limit."""

    name = RAW

    def send(self, load: Load, scratch: Path, core: int | None) -> tuple[Ran, Told] | None:
        """Run the raw client."""
        command = [sys.executable, "-m", "benchmarks.driver.raw_client", load.url]
        command += ["--requests", str(load.requests), "--connections", str(load.users or 0)]
        if load.rate is not None:
            command += ["--rate", str(load.rate), *(["--poisson"] if load.poisson else [])]
        if load.stream:
            command.append("--stream")
        ran = run(command, cwd=scratch, core=core)
        figures = json.loads(ran.out)
        return ran, Told(
            latency_p99_ms=figures["latency"]["p99"],
            late_p99_ms=figures["late"]["p99"],
            first_p50_ms=figures["first"]["p50"],
            first_p99_ms=figures["first"]["p99"],
        )


class Ours:
    """The whole `agent-profiler run` process: recording, journal, token counting, profile."""

    name = OURS

    def __init__(self, *extra: str) -> None:
        self._extra = extra

    def send(self, load: Load, scratch: Path, core: int | None) -> tuple[Ran, Told] | None:
        """Run a workload of sessions with one turn; the run's directory stays in `scratch`."""
        workload, run_dir = scratch / "workload.yaml", scratch / "run"
        workload.write_text(_workload(load))
        shutil.rmtree(run_dir, ignore_errors=True)
        command = [sys.executable, "-m", "profiler", "run", str(workload), "--url", load.url]
        command += ["--out", str(run_dir), "--quiet", *self._extra]
        # Driver-limited or not, it has measured; whether it is, is judged by the figures here.
        ran = run(command, cwd=scratch, core=core, fine_codes=frozenset({0, _DRIVER_LIMITED}))
        return ran, self._told(run_dir, load)

    def profile_again(self, scratch: Path, core: int | None) -> Ran:
        """Compute the profile of the last run alone."""
        command = [sys.executable, "-m", "profiler", "profile", str(scratch / "run"), "--quiet"]
        return run(command, cwd=scratch, core=core)

    def _told(self, run_dir: Path, load: Load) -> Told:
        profile = json.loads((run_dir / "profile.json").read_bytes())
        succeeded = profile["sample"]["succeeded"]
        if succeeded != load.requests:
            raise ClientFailedError(f"{succeeded} of {load.requests} succeeded")
        delay, p99_s = profile["trust"]["dispatch_delay"], profile["interaction"]["latency"]["p99"]
        firsts_ns = _firsts_ns(run_dir / "journal.jsonl")
        return Told(
            latency_p99_ms=None if p99_s is None else p99_s * 1000,
            late_p99_ms=None if delay is None else delay["p99_s"] * 1000,
            first_p50_ms=percentile_ms(firsts_ns, 50),
            first_p99_ms=percentile_ms(firsts_ns, 99),
        )


def _firsts_ns(journal: Path) -> list[int]:
    """Read the times to first token from a short journal: a profile gives no p99 of so few."""
    if journal.stat().st_size > _SHORT_BYTES:
        return []
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    return [
        line["first_token_ns"] - line["send_ns"]
        for line in lines
        if line["event"] == "interaction"
        and line["phase"] == "measure"
        and line.get("first_token_ns") is not None
    ]


def _workload(load: Load) -> str:
    shape = f"users: {load.users}"
    if load.rate is not None:
        shape = f"rate: {load.rate}/s, arrivals: {'poisson' if load.poisson else 'constant'}"
    return f"""\
name: benchmark
target: {{model: gpt-4o, stream: {str(load.stream).lower()}}}
load: {{{shape}, requests: {load.requests}, warmup: {load.warmup}}}
scenarios:
  - name: question
    variables: {{order: {{int: [1, 9999]}}}}
    turns: [{{user: "Where is my order {{{{ order }}}}?"}}]
"""
