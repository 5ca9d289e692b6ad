"""The measures: each puts the figures of one client, in one round, on the board.

CPU "beyond start-up" is the slope between two lengths of run, so that whatever a client does once
drops out. Requests are counted by the server, and its own CPU is looked at over the same slope.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.driver.clients import OURS, Client, Load, Ours, Told
from benchmarks.driver.figures import Board, Figure
from benchmarks.driver.null import Answers, NullServers
from benchmarks.driver.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.driver.process import Ran

USERS, RATE, STREAMS_AT_ONCE, PEAK_AT = 64, 1_000, 100, 10_000
WARMUP = 10
TRUE_MS, TRUE_FIRST_MS, SPREAD_GAP_MS = 100.0, 50.0, 5.0

PLAIN = Figure(name="CPU per plain interaction, 64 connections", unit="us", target=60)
STREAM = Figure(name="CPU per 64-chunk stream, 64 connections", unit="us", target=200)
SPREAD = Figure(name="CPU per 64-chunk stream, chunks 5 ms apart", unit="us")
PLAIN_PROFILE = Figure(name="CPU to profile a plain interaction, afterwards", unit="us")
STREAM_PROFILE = Figure(name="CPU to profile a stream, afterwards", unit="us")
START = Figure(name="Process start to first request, a warm-up's", unit="s", target=0.3, digits=2)
COLD_START = Figure(name="Process start to first request, no warm-up", unit="s", digits=2)
HELP = Figure(name="Whole process of --help", unit="s", target=0.3, digits=2)
PYTHON = Figure(name="Whole process of Python itself, for comparison", unit="s", digits=2)
PEAK = Figure(name="Peak memory at 10,000 interactions", unit="MB", target=90, digits=0)
GROWTH = Figure(name="More memory at 100,000 than at 10,000", unit="MB", target=10, digits=0)
FIRST_P50 = Figure(
    name="First token of 100 streams at once, error of p50", unit="ms", target=0.1, digits=2,
    is_error=True,
)  # fmt: skip
FIRST_P99 = Figure(
    name="First token of 100 streams at once, error of p99", unit="ms", target=4, digits=2,
    is_error=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFigures:
    """The figures of an open loop with one kind of arrivals."""

    late: Figure
    error: Figure
    cpu: Figure
    dispatch: Figure

    @classmethod
    def of(cls, arrivals: str) -> OpenFigures:
        """Name them."""
        at = f"1,000/s {arrivals}"
        return cls(
            late=Figure(name=f"Dispatch delay p99, {at}", unit="ms", target=0.1, digits=3),
            error=Figure(
                name=f"Error of p99 of a true 100 ms, {at}",
                unit="ms", target=0.3, digits=2, is_error=True,
            ),
            cpu=Figure(name=f"Share of a core, {at}", unit="%"),
            dispatch=Figure(name=f"Of it beyond 1,000 plain ones, {at}", unit="%", target=3),
        )  # fmt: skip


CONSTANT, POISSON = OpenFigures.of("constant"), OpenFigures.of("Poisson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Two lengths of run, in requests and, for clients that want a time, in seconds."""

    short: int
    long: int
    short_s: int = 1
    long_s: int = 4

    def loads(self, load: Load) -> tuple[Load, Load]:
        """Return the load at both lengths."""
        return (
            replace(load, requests=self.short, seconds=self.short_s),
            replace(load, requests=self.long, seconds=self.long_s),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    ran: Ran
    told: Told
    requests: int
    server_cpu_s: float
    server_late_us: dict[str, int] | None
    profile: Ran | None = None


class Bench:
    """Measures one client at a time against null servers."""

    def __init__(self, board: Board, servers: NullServers, scratch: Path, core: int | None) -> None:
        self._board, self._servers, self._scratch, self._core = board, servers, scratch, core

    def _send(
        self, client: Client, load: Load, answers: Answers, *, and_profile: bool = False
    ) -> _Point | None:
        with self._servers.running(answers) as server:
            sent = client.send(replace(load, url=server.url), self._scratch, self._core)
            figures = server.stats()
        if sent is None:
            return None
        profile = None
        if and_profile and isinstance(client, Ours):
            profile = client.profile_again(self._scratch, self._core)
        return _Point(
            ran=sent[0],
            told=sent[1],
            requests=figures["requests"],
            server_cpu_s=figures["cpu_s"],
            server_late_us=figures["delay_error_us"],
            profile=profile,
        )

    def _points(
        self, client: Client, load: Load, lengths: Lengths, answers: Answers, *, and_profile: bool
    ) -> tuple[_Point, _Point] | None:
        points: Iterator[_Point | None] = (
            self._send(client, each, answers, and_profile=and_profile)
            for each in lengths.loads(load)
        )
        first, second = next(points), next(points)
        return None if first is None or second is None else (first, second)

    def closed(
        self,
        client: Client,
        figure: Figure,
        lengths: Lengths,
        *,
        stream: bool = False,
        gap_ms: float = 0.0,
        profile_figure: Figure | None = None,
    ) -> None:
        """CPU of an interaction, without that of building the profile from it, which is apart."""
        load = Load(url="", requests=0, seconds=0, users=USERS, stream=stream)
        answers = Answers(gap_ms=gap_ms)
        points = self._points(client, load, lengths, answers, and_profile=True)
        if points is None:
            return
        short, long = points
        requests = long.requests - short.requests
        cpu_s, wall_s = long.ran.cpu_s - short.ran.cpu_s, long.ran.wall_s - short.ran.wall_s
        if short.profile is not None and long.profile is not None:
            profiling_s = long.profile.cpu_s - short.profile.cpu_s
            if profile_figure is not None:
                self._board.put(profile_figure, client.name, profiling_s * 1e6 / requests)
            cpu_s -= profiling_s
            wall_s -= long.profile.wall_s - short.profile.wall_s
        server_s = long.server_cpu_s - short.server_cpu_s
        note = f"server {server_s * 1e6 / requests:.1f} us each"
        if wall_s >= server_s:  # else the machine stood still in one of the two runs
            note += f", {server_s / wall_s:.0%} of its core"
        self._board.put(figure, client.name, cpu_s * 1e6 / requests, note)

    def open(self, client: Client, figures: OpenFigures, lengths: Lengths) -> None:
        """Lateness, error and CPU share at a rate, against answers that take a fixed time."""
        load = Load(url="", requests=0, seconds=0, rate=RATE, poisson=figures is POISSON)
        answers = Answers(delay_ms=TRUE_MS)
        points = self._points(client, load, lengths, answers, and_profile=True)
        if points is None:
            return
        short, long = points
        cpu_s, busy_s = long.ran.cpu_s - short.ran.cpu_s, (long.requests - short.requests) / RATE
        if short.profile is not None and long.profile is not None:
            cpu_s -= long.profile.cpu_s - short.profile.cpu_s
        note = ""
        if long.server_late_us is not None:
            note = f"server itself late by {long.server_late_us['p99'] / 1000:.2f} ms at its p99"
        latency_ms = long.told.latency_p99_ms
        self._board.put(figures.late, client.name, long.told.late_p99_ms)
        error_ms = None if latency_ms is None else latency_ms - TRUE_MS
        self._board.put(figures.error, client.name, error_ms, note)
        share = cpu_s / busy_s
        self._board.put(figures.cpu, client.name, share * 100)
        plain_us = self._board.last(PLAIN, client.name)
        if plain_us is not None:
            self._board.put(figures.dispatch, client.name, (share - plain_us * RATE / 1e6) * 100)

    def first_token(self, client: Client, *, warm: bool) -> None:
        """First tokens of streams that all start at once, against a true 50 ms.

        `warm`: the connections are open before (every user has had one answer).
        """
        load = Load(url="", requests=STREAMS_AT_ONCE, seconds=1, users=STREAMS_AT_ONCE, stream=True)
        if client.name != OURS and not warm:
            return  # the others are as they are; the limit's connections are always open before
        name = client.name
        if client.name == OURS and warm:
            load, name = replace(load, warmup=STREAMS_AT_ONCE), f"{OURS}, warm"
        point = self._send(client, load, Answers(ttft_ms=TRUE_FIRST_MS))
        if point is None:
            return
        note = ""
        if point.server_late_us is not None:
            note = f"server late by {point.server_late_us['p99'] / 1000:.2f} ms at its p99"
        p50, p99 = point.told.first_p50_ms, point.told.first_p99_ms
        self._board.put(FIRST_P50, name, None if p50 is None else p50 - TRUE_FIRST_MS)
        self._board.put(FIRST_P99, name, None if p99 is None else p99 - TRUE_FIRST_MS, note)

    def start(self, client: Client) -> None:
        """From the start of the process to the arrival of its first request.

        Without a warm-up the first request is measured, so ours has all loaded before it; to the
        others that makes no difference.
        """
        figures = ((START, WARMUP), (COLD_START, 0)) if client.name == OURS else ((START, 0),)
        for figure, warmup in figures:
            with self._servers.running() as server:
                load = Load(url=server.url, requests=USERS, seconds=1, users=1, warmup=warmup)
                sent = client.send(load, self._scratch, self._core)
                first_ns = server.stats()["first_request_ns"]
            if sent is not None and first_ns is not None:
                self._board.put(figure, client.name, (first_ns - sent[0].spawned_ns) / 1e9)
        if client.name == OURS:
            self._whole(HELP, OURS, "-m", "profiler", "--help")
            self._whole(PYTHON, "python -c pass", "-c", "pass")
            self._whole(PYTHON, "import httpx", "-c", "import httpx")

    def _whole(self, figure: Figure, name: str, *arguments: str) -> None:
        """Time a process of Python from start to end."""
        ran = run([sys.executable, *arguments], cwd=self._scratch, core=self._core)
        self._board.put(figure, name, ran.wall_s)

    def memory(self, client: Client, few: int, many: int) -> None:
        """Peak memory of the whole process at two lengths, one of them that of the target."""
        load = Load(url="", requests=0, seconds=0, users=USERS)
        lengths = Lengths(short=few, long=many)
        points = self._points(client, load, lengths, Answers(), and_profile=False)
        if points is not None:
            for count, point in zip((few, many), points, strict=True):
                if count == PEAK_AT:
                    self._board.put(PEAK, client.name, point.ran.peak_mb)
            if few == PEAK_AT:
                grown_mb = points[1].ran.peak_mb - points[0].ran.peak_mb
                self._board.put(GROWTH, client.name, grown_mb)

    def clear(self) -> None:
        """Remove what the last client left."""
        shutil.rmtree(self._scratch / "run", ignore_errors=True)
