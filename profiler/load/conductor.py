"""The conductor: starts the shards of a run together, sums up how far they are, stops them all.

A small TCP server in the process that the user started. Each shard connects, says the token, says
when it is ready, and then a few times a second how far it is. The conductor says when to start and
when to stop, and nothing else: what a shard sends follows from its spec alone.
"""

from __future__ import annotations

import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketAttribute

from profiler.clock import NS_PER_S
from profiler.errors import AgentProfilerError, UsageError
from profiler.load import glimpse
from profiler.load.lines import Lines
from profiler.load.meter import NO_LIMIT, SpendLimits, over
from profiler.load.tally import Row, Tally, from_json, together, verdict
from profiler.measure.records import EndReason, Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import SocketStream
    from anyio.streams.memory import MemoryObjectSendStream

LOOPBACK = "127.0.0.1"
ADMISSION_TIMEOUT_S = 5.0
START_LEAD_NS = NS_PER_S // 4
"""From the word to the start: time for the word to reach every shard."""

CLOCK_TOLERANCE_NS = NS_PER_S // 2
"""How far a shard's wall clock may be from ours."""

_MOST_WORDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where the conductor stands, for the shards to find, and the word that admits them."""

    host: str
    port: int
    token: str


class Conductor:
    """Conducts `shards` shards. One use only; everything happens on one event loop.

    `reason` and `detail` say why all were stopped, and stay None where each came to its own end.
    `on_rows` is told what shards with `until_stable` say of their interactions; `overview` is what
    all have shown.
    """

    def __init__(
        self, shards: int, *, error_limit: float | None, limits: SpendLimits = NO_LIMIT
    ) -> None:
        self._expected = shards
        self._limits = limits
        self._error_limit = error_limit
        self.on_rows: Callable[[list[Row]], None] = lambda _: None
        self.overview = glimpse.Overview()
        self._token = secrets.token_hex(16)
        self._tallies = [Tally() for _ in range(shards)]
        self._posts: dict[int, MemoryObjectSendStream[dict[str, Any]]] = {}
        self._admitted: set[int] = set()
        self._ready: set[int] = set()
        self._ended: set[int] = set()
        self._gone = [anyio.Event() for _ in range(shards)]
        self._all_ready = anyio.Event()
        self._failed = 0
        self._asked_ns: dict[int, int] = {}
        self._clock_problem: str | None = None
        self.has_started = False
        self.reason: EndReason | None = None
        self.detail: str | None = None

    @property
    def tally(self) -> Tally:
        """How far all shards are together."""
        return together(self._tallies)

    @asynccontextmanager
    async def standing(
        self, host: str = LOOPBACK, port: int = 0, *, listen: str | None = None
    ) -> AsyncIterator[Stand]:
        """Listen while in the block, on `listen` (default: `host`), and be found at `host`.

        Raises `UsageError` where that address cannot be listened on.
        """
        try:
            listener = await anyio.create_tcp_listener(
                local_host=host if listen is None else listen, local_port=port
            )
        except OSError as exc:
            raise UsageError(
                f"the conductor cannot listen there: {exc.strerror or exc}",
                where=f"{host}:{port}",
                fix="Give --conductor an address of this machine and a free port",
            ) from exc
        bound = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._attend)
            yield Stand(host=host, port=bound, token=self._token)
            tasks.cancel_scope.cancel()

    async def start(self, within_s: float, wall_ns: int = 0) -> None:
        """Wait until every shard is ready, then have all start at one time, not before `wall_ns`.

        Does nothing when the shards were stopped before. Raises `AgentProfilerError` when they are
        not all ready in time, or a clock is wrong.
        """
        with anyio.move_on_after(within_s):
            await self._all_ready.wait()
        if self.reason is not None:
            return
        if self._clock_problem is not None:
            raise UsageError(
                self._clock_problem, fix="Synchronize the clocks (NTP), then run again"
            )
        if len(self._ready) < self._expected:
            raise AgentProfilerError(
                f"{len(self._ready)} of {self._expected} shards were ready after {within_s:g} s",
                fix="See that every worker is idle and can reach this machine (--conductor)",
            )
        self.has_started = True
        start_ns = max(time.time_ns() + START_LEAD_NS, wall_ns)
        self._tell_all({"say": "start", "wall_ns": start_ns})

    def stop(self, reason: EndReason, detail: str | None = None) -> None:
        """Have all shards end: at once, or once what is under way has. The first reason stays."""
        if self.reason is None:
            self.reason, self.detail = reason, detail
            self._all_ready.set()
            self._tell_all({"say": "stop", "reason": reason.value})

    def call_enough(self) -> None:
        """Tell all shards that the numbers are stable: they end where they have their quota."""
        self._tell_all({"say": "stable"})

    async def gone(self, shard: int) -> None:
        """Wait until a shard hangs up without having ended."""
        await self._gone[shard].wait()

    def _tell_all(self, message: dict[str, Any]) -> None:
        for post in self._posts.values():
            try:
                post.send_nowait(message)
            except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
                continue  # it hung up, or hears nothing: its going is noticed elsewhere

    async def _attend(self, stream: SocketStream) -> None:
        async with stream:
            lines = Lines(stream)
            shard = None
            with anyio.move_on_after(ADMISSION_TIMEOUT_S):
                shard = self._admit(await lines.receive())
            if shard is None:
                return
            try:
                await self._converse(shard, lines)
            finally:
                del self._posts[shard]
                if shard not in self._ended:
                    self._gone[shard].set()

    def _admit(self, hello: dict[str, Any] | None) -> int | None:
        """Return the index of the shard that says hello; None for a stranger, or a second one."""
        if hello is None or hello.get("say") != "hello":
            return None
        token, shard = hello.get("token"), hello.get("shard")
        if not isinstance(token, str) or not compare_digest(token.encode(), self._token.encode()):
            return None
        if type(shard) is not int or not 0 <= shard < self._expected or shard in self._admitted:
            return None
        self._admitted.add(shard)
        return shard

    async def _converse(self, shard: int, lines: Lines) -> None:
        post, letters = anyio.create_memory_object_stream[dict[str, Any]](_MOST_WORDS)
        self._posts[shard] = post
        if self.reason is not None:
            post.send_nowait({"say": "stop", "reason": self.reason.value})

        async def deliver() -> None:
            async for letter in letters:
                await lines.send(letter)

        with post, letters:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(deliver)
                while (message := await lines.receive()) is not None:
                    try:
                        self._hear(shard, message)
                    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                        break  # not what our own shards say
                tasks.cancel_scope.cancel()

    def _hear(self, shard: int, message: dict[str, Any]) -> None:
        match message["say"]:
            case "ready" | "clock":
                self._note_clock(shard, int(message["wall_ns"]))
            case "tally":
                self._note_tally(shard, from_json(message["tally"]))
            case "glimpse":
                self.overview.take(shard, glimpse.from_json(message["glimpse"]))
            case "rows":
                self.on_rows([(row[0], row[1], row[2], row[3]) for row in message["rows"]])
            case "ended":
                self._ended.add(shard)
                tally = from_json(message["tally"])
                tally.phase = Phase.MEASURE  # nobody waits for it to get there
                self._note_tally(shard, tally)

    def _note_clock(self, shard: int, wall_ns: int) -> None:
        """Take what a shard's clock said once it was ready, or once it was asked again.

        A clock that seems behind may be a message that was long on its way: then it is asked, and
        is behind where it says a time before the question.
        """
        now_ns = time.time_ns()
        asked_ns = self._asked_ns.get(shard)
        if wall_ns > now_ns + CLOCK_TOLERANCE_NS:
            self._reject_clock(shard, wall_ns - now_ns, "ahead of")
        elif wall_ns >= (now_ns if asked_ns is None else asked_ns) - CLOCK_TOLERANCE_NS:
            self._note_ready(shard)
        elif asked_ns is None:
            self._asked_ns[shard] = now_ns
            self._posts[shard].send_nowait({"say": "clock"})
        else:
            self._reject_clock(shard, asked_ns - wall_ns, "behind")

    def _reject_clock(self, shard: int, off_ns: int, side: str) -> None:
        self._clock_problem = (
            f"the clock of shard {shard + 1} is {off_ns / NS_PER_S:.1f} s {side} this one"
        )
        self._all_ready.set()

    def _note_ready(self, shard: int) -> None:
        self._ready.add(shard)
        if len(self._ready) == self._expected:
            self._all_ready.set()

    def _note_tally(self, shard: int, tally: Tally) -> None:
        self._tallies[shard] = tally
        total = self.tally
        if (spent := over(total.spent, self._limits)) is not None:
            self.stop(*spent)
        failed = total.warmup_failed + total.failed
        if failed > self._failed:
            self._failed = failed
            said = verdict(total, self._error_limit)
            if said is not None:
                self.stop(EndReason.ERROR_LIMIT, said)
