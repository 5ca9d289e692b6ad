"""Our harness, the raw-socket limit and the peers that are installed, side by side.

    python -m benchmarks.bench_driver [--quick] [--rounds 5] [--only plain,open] [--json FILE]

Every client is a process of its own on one core, the null server is on another. In each round every
client has its turn, the next round in the opposite order; what is shown is the median. Peers are
looked for on PATH and among the installed packages, and never installed. See README.md here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.driver import measures
from benchmarks.driver.clients import Load, Ours, Raw
from benchmarks.driver.figures import Board
from benchmarks.driver.measures import Bench, Lengths
from benchmarks.driver.null import NullServers
from benchmarks.driver.peers import Peer, installed_peers
from benchmarks.driver.process import ClientFailedError, Cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.driver.clients import Client

BUDGET_S = 450.0
FAVOURED_NICENESS = -15
KINDS = ("plain", "stream", "start", "open", "first", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How long everything is."""

    plain: Lengths
    stream: Lengths
    spread: Lengths
    open: Lengths
    memory: tuple[int, int]


FULL = Sizes(
    plain=Lengths(short=2_000, long=12_000),
    stream=Lengths(short=500, long=3_000),
    spread=Lengths(short=128, long=640),
    open=Lengths(short=1_000, long=6_000, short_s=1, long_s=6),
    memory=(10_000, 100_000),
)
QUICK = Sizes(
    plain=Lengths(short=500, long=3_000),
    stream=Lengths(short=100, long=700),
    spread=Lengths(short=64, long=256),
    open=Lengths(short=500, long=2_500, short_s=1, long_s=3),
    memory=(2_000, 10_000),
)


def steps(bench: Bench, sizes: Sizes) -> dict[str, tuple[Callable[[Client], None], ...]]:
    """Return what is done with each client in each round, by kind."""
    return {
        "plain": (
            lambda client: bench.closed(
                client,
                measures.PLAIN,
                sizes.plain,
                profile_figure=measures.PLAIN_PROFILE,
            ),
        ),
        "stream": (
            lambda client: bench.closed(
                client,
                measures.STREAM,
                sizes.stream,
                stream=True,
                profile_figure=measures.STREAM_PROFILE,
            ),
            lambda client: bench.closed(
                client,
                measures.SPREAD,
                sizes.spread,
                stream=True,
                gap_ms=measures.SPREAD_GAP_MS,
            ),
        ),
        "start": (bench.start,),
        "open": (
            lambda client: bench.open(client, measures.CONSTANT, sizes.open),
            lambda client: bench.open(client, measures.POISSON, sizes.open),
        ),
        "first": (
            lambda client: bench.first_token(client, warm=False),
            lambda client: bench.first_token(client, warm=True),
        ),
    }


YARDSTICK_ADDITIONS = 1_000_000


def yardstick_ms() -> float:
    """Time a million additions: how fast this machine is just now, for comparing two benchmarks."""
    started_ns = time.perf_counter_ns()
    total = 0
    for number in range(YARDSTICK_ADDITIONS):
        total += number
    return (time.perf_counter_ns() - started_ns) / 1e6


class OtherLoad:
    """How much of the machine others used meanwhile: what makes a figure worse than it is.

    What a hypervisor took ("steal") counts as theirs.
    """

    def __init__(self) -> None:
        self._before = _busy_and_all()
        self._own_before = os.times()

    def share(self) -> float | None:
        """Return their share of all cores; None where the system does not say."""
        after, own = _busy_and_all(), os.times()
        if self._before is None or after is None or after[1] == self._before[1]:
            return None
        hertz = os.sysconf("SC_CLK_TCK")
        mine = sum(own[:4]) - sum(self._own_before[:4])
        busy = (after[0] - self._before[0]) / hertz - mine
        return max(0.0, busy / ((after[1] - self._before[1]) / hertz))


def _busy_and_all() -> tuple[int, int] | None:
    """Read clock ticks of all cores since the machine started: in use, and altogether."""
    try:
        ticks = [int(text) for text in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def measure(options: argparse.Namespace, scratch: Path, board: Board, cores: Cores) -> int:
    """Fill the board; return how many rounds there was time for."""
    servers = NullServers(scratch, cores.server)
    print(f"Null server: {servers.name}; {cores}.", flush=True)
    bench = Bench(board, servers, scratch, cores.client)
    sizes = QUICK if options.quick else FULL
    ours = Ours(*options.extra.split())
    clients: list[Client] = [ours, Raw(), *installed_peers()]
    deadline_s = time.monotonic() + BUDGET_S
    if "memory" in options.only:  # first, and once: it is long, and it hardly varies
        attempt(ours, lambda client: bench.memory(client, *sizes.memory), "memory")
    clients = [c for c in clients if warm_up(c, servers, scratch, cores)]
    done, broken = 0, set()
    for done in range(options.rounds):
        if time.monotonic() > deadline_s:
            return done  # there is no time for more
        for kind, actions in steps(bench, sizes).items():
            if kind not in options.only:
                continue
            for client in clients if done % 2 == 0 else reversed(clients):
                for action in actions:
                    if client.name not in broken and not attempt(client, action, kind):
                        broken.add(client.name)
                bench.clear()
        speed = f"a million additions take {yardstick_ms():.0f} ms"
        print(f"Round {done + 1} of {options.rounds} is done; {speed}.", flush=True)
    return int(options.rounds)


def warm_up(client: Client, servers: NullServers, scratch: Path, cores: Cores) -> bool:
    """Start it once, unmeasured: bytecode is written, files are in the page cache."""
    with servers.running() as server:
        load = Load(url=server.url, requests=64, seconds=1, users=1)
        action = partial(send, load=load, scratch=scratch, core=cores.client)
        return attempt(client, action, "warm-up")


def send(client: Client, *, load: Load, scratch: Path, core: int | None) -> None:
    """Send and forget."""
    client.send(load, scratch, core)


def attempt(client: Client, action: Callable[[Client], object], kind: str) -> bool:
    """Do one measure; a failure is said. False: a peer failed, and is left out of the rest."""
    try:
        action(client)
    except ClientFailedError as exc:
        print(f"{client.name} failed at {kind}: {exc}", flush=True)
        return not isinstance(client, Peer)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, short runs")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 1")
    parser.add_argument("--only", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--json", type=Path, help="write every value here, too")
    parser.add_argument(
        "--favoured", action="store_true", help="before other processes (needs the right to)"
    )
    parser.add_argument("--extra", default="", help="further options for our `run`")
    options = parser.parse_args()
    options.only = options.only.split(",")
    options.rounds = options.rounds or (1 if options.quick else 5)
    if options.favoured:
        os.nice(FAVOURED_NICENESS)  # inherited by all that is started
    board, others = Board(), OtherLoad()
    with tempfile.TemporaryDirectory(prefix="bench-driver-") as scratch:
        rounds = measure(options, Path(scratch), board, Cores.of_this_machine())
    print(board.shown())
    print(f"\nMedians of {rounds} rounds, [least to most].", end=" ")
    share = others.share()
    if share is not None:
        print(f"Other processes used {share:.0%} of this machine meanwhile.", end="")
        print(" Measure again on a quiet one." if share > 0.05 else "", end="")
    print(f"\n\n{board.summary()}")
    if options.json is not None:
        options.json.write_text(json.dumps(board.as_rows(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
