"""What the gateway adds to a call: directly and through it, at 100 calls a second each, in one run.

    python -m benchmarks.bench_gateway [--seconds 15] [--rate 100] [--rounds 3]

Three processes: the null server (on the first core, exact delays), the gateway (on the last one),
and this one, which sends. Calls go in turns to the server and to the gateway, so both see the same
machine. A plain answer takes 23.7 ms; a stream has its first chunk after 50 ms, 20 chunks 11.3 ms
apart, and a chunk's lateness is against that schedule. What is "added" is the difference of the two
percentiles; "at most" is the p99 through the gateway less the direct *median*. Every request has
2,000 tokens of new texts, which the gateway counts meanwhile. Target: p99 added of at most 2 ms
(issue). On a machine with other work, `--favoured` (as root) runs all three before it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import orjson
import uvloop

from benchmarks.bench_driver import FAVOURED_NICENESS, OtherLoad
from benchmarks.driver.null import Answers, NullServers
from benchmarks.driver.process import Cores, environment, on_core
from profiler.clock import monotonic_ns
from profiler.endpoints.destination import Destination
from profiler.endpoints.transport import LeanTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.endpoints.receiver import HeaderLines

TARGET_MS = 2.0
# No multiples of the time between calls: answers would always come in the instant of a call.
PLAIN = Answers(delay_ms=23.7)
STREAM = Answers(ttft_ms=50.0, gap_ms=11.3, chunks=20)
WARM_UP_S = 2.0
MESSAGES = 20


@dataclass(slots=True)
class Watch:
    """Takes one answer, and the time of each of its chunks."""

    times_ns: list[int] = field(default_factory=list)

    def begin(self, status: int, _: HeaderLines) -> None:
        """Take the head."""
        if status != 200:
            raise RuntimeError(f"status {status}")

    def feed(self, chunk: bytes, at_ns: int) -> None:
        """Take a piece: of a stream, some chunks."""
        events = chunk.count(b'"content"')
        self.times_ns.extend([at_ns] * (events if chunk.startswith(b"data:") else 1))


def request_body(number: int, *, stream: bool) -> bytes:
    """Return a request as an agent's: 20 messages, 2,000 tokens, no two the same, a tool."""
    text = f"Turn {number}: " + "please tell me where my order is and when it will arrive. " * 8
    messages = [{"role": "system", "content": "You are a helpful agent. " * 20}]
    messages += [
        {"role": "assistant" if n % 2 else "user", "content": f"{n} {text}"}
        for n in range(MESSAGES)
    ]
    function = {"name": "lookup", "parameters": {"type": "object", "properties": {}}}
    body: dict[str, Any] = {"model": "gpt-4o", "messages": messages}
    body["tools"] = [{"type": "function", "function": function}]
    if stream:
        body |= {"stream": True}
    return orjson.dumps(body)


class Load:
    """Sends calls in turns to both, at fixed times."""

    def __init__(self, urls: dict[str, str], *, rate: float, seconds: float, stream: bool) -> None:
        self._urls = urls
        self._gap_ns = round(1e9 / rate / len(urls))
        self._calls = round(rate * seconds) * len(urls)
        self._stream = stream
        self.waits_ns: dict[str, list[list[int]]] = {name: [] for name in urls}

    async def run(self, transport: LeanTransport) -> None:
        """Send all calls and wait for all answers."""
        targets = []
        for name, url in self._urls.items():
            destination = Destination.of(f"{url}/v1/chat/completions")
            head = destination.head("POST", [("content-type", "application/json")])
            targets.append((name, destination, head))

        async def call(number: int) -> None:
            name, destination, head = targets[number % len(targets)]
            watch = Watch()
            body = request_body(number, stream=self._stream)
            sent_ns = monotonic_ns()
            await transport.exchange(destination, head, body, watch, timeout_s=30)
            self.waits_ns[name].append([at_ns - sent_ns for at_ns in watch.times_ns])

        start_ns = monotonic_ns()
        async with anyio.create_task_group() as group:
            for number in range(self._calls):
                await asyncio.sleep((start_ns + number * self._gap_ns - monotonic_ns()) / 1e9)
                group.start_soon(call, number)

    def lateness_ms(self, name: str, answers: Answers) -> tuple[list[float], list[float]]:
        """Return how late first and later chunks were."""
        due_ms = answers.ttft_ms if self._stream else answers.delay_ms
        first: list[float] = []
        later: list[float] = []
        for waits in self.waits_ns[name]:
            first.append(waits[0] / 1e6 - due_ms)
            later.extend(
                wait_ns / 1e6 - due_ms - number * answers.gap_ms
                for number, wait_ns in enumerate(waits)
                if number > 0
            )
        return first, later


def shown(what: str, direct: list[float], through: list[float]) -> float:
    """Print a line; return what is added at p99, in milliseconds."""
    d50, d99 = np.percentile(direct, [50, 99])
    t50, t99 = np.percentile(through, [50, 99])
    print(
        f"{what:<14} direct p50 {d50:6.3f} p99 {d99:6.3f}   through p50 {t50:6.3f} p99 {t99:6.3f}"
        f"   added p50 {t50 - d50:6.3f} p99 {t99 - d99:6.3f}, at most {t99 - d50:6.3f} ms"
        f"   n = {len(through)}",
        flush=True,
    )
    return float(t99 - d99)


@contextmanager
def gateway(upstream: str, core: int | None, scratch: Path) -> Iterator[str]:
    """Run `agent-profiler gateway` as a process of its own; say at the end what it recorded."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    run_dir = Path(tempfile.mkdtemp(dir=scratch))
    listen = f"127.0.0.1:{port}"
    options = ["--upstream", upstream, "--listen", listen, "-o", str(run_dir / "run"), "--quiet"]
    with on_core(core):
        process = subprocess.Popen(
            [sys.executable, "-m", "profiler", "gateway", *options],
            stdout=subprocess.DEVNULL,
            env=environment(scratch / "bytecode"),
        )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            if process.poll() is not None:
                raise RuntimeError("the gateway did not start")
            time.sleep(0.1)
        yield f"http://{listen}"
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        print(f"The gateway: {recorded(run_dir / 'run' / 'journal.jsonl')}.")
    finally:
        process.kill()
        process.wait()


def recorded(journal: Path) -> str:
    """Say what of the calls is in a journal."""
    calls = counted = reported = 0
    for line in journal.read_bytes().splitlines():
        event = orjson.loads(line)
        if event["event"] == "llm_call":
            calls += 1
            counted += event.get("tokens") is not None
            reported += event.get("usage") is not None
    return f"{calls} calls, {counted} counted, {reported} with usage"


async def measured(urls: dict[str, str], *, rate: float, seconds: float, stream: bool) -> Load:
    async with LeanTransport() as transport:
        await Load(urls, rate=rate, seconds=WARM_UP_S, stream=stream).run(transport)
        load = Load(urls, rate=rate, seconds=seconds, stream=stream)
        await load.run(transport)
    return load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second, of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--favoured", action="store_true", help="before other processes (as root)")
    options = parser.parse_args()
    if options.favoured:
        os.nice(FAVOURED_NICENESS)  # inherited by all that is started
    gc.freeze()
    gc.disable()  # this process makes little garbage, and its pauses are not the gateway's
    cores, others = Cores.of_this_machine(), OtherLoad()
    added: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as name:
        servers = NullServers(Path(name), cores.server)
        print(f"Null server: {servers.name}; gateway on core {cores.client}; ms.")
        for round_ in range(options.rounds):
            for answers in (PLAIN, STREAM):
                with (
                    servers.running(answers) as server,
                    gateway(server.url.partition("/v1")[0], cores.client, Path(name)) as url,
                ):
                    urls = {"direct": server.url.partition("/v1")[0], "through": url}
                    stream = answers is STREAM
                    load = uvloop.run(
                        measured(urls, rate=options.rate, seconds=options.seconds, stream=stream)
                    )
                first, later = zip(*(load.lateness_ms(n, answers) for n in urls), strict=True)
                what = "first chunk" if stream else "plain"
                added.setdefault(what, []).append(shown(f"{round_ + 1} {what}", *first))
                if stream:
                    line = shown(f"{round_ + 1} later chunks", *later)
                    added.setdefault("later chunks", []).append(line)
    share = others.share()
    if share is not None:
        print(f"Other processes used {share:.0%} of this machine meanwhile.")
    for what, values in added.items():
        median = float(np.median(values))
        verdict = "ok" if median <= TARGET_MS else "MISSED"
        print(
            f"{what}: p99 added {median:.2f} ms, median of rounds (target {TARGET_MS:g}) {verdict}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
