"""Running the gateway."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import httpx

from profiler.admission import checked_token, is_loopback
from profiler.clock import monotonic_ns
from profiler.endpoints.http import proxy_for
from profiler.endpoints.transport import LeanTransport
from profiler.errors import UsageError
from profiler.observers.gateway.proxy import TIMEOUT_S, Proxy
from profiler.observers.gateway.recording import Recording
from profiler.observers.gateway.upstream import Upstream
from profiler.serving import GRACE_S, listening, plain_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from profiler.clock import MonotonicNs
    from profiler.measure.records import ObserverNote
    from profiler.measure.tokens import TokenCounter
    from profiler.observers.in_flight import InFlight

DEFAULT_PORT = 8787
_SWEEP_S = 1.0
_DRAIN_S = 30.0
# uvicorn's words for what is done on purpose: where the upstream breaks off, and where a call takes
# longer than the gateway waits at its end.
_CUT = "ASGI callable returned without completing response."
_BROKEN_OFF = "timeout graceful shutdown exceeded"


class Gateway:
    """A gateway that listens. `url` is its root, without the token."""

    def __init__(self, recording: Recording, url: str, token: str | None) -> None:
        self._recording = recording
        self._prefix = "" if token is None else f"/t/{token}"
        self.url = url

    @property
    def openai_base_url(self) -> str:
        """What an agent takes as `OPENAI_BASE_URL`. It has the token in it, if there is one."""
        return f"{self.url}{self._prefix}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """What an agent takes as `ANTHROPIC_BASE_URL`. It has the token in it, if there is one."""
        return f"{self.url}{self._prefix}"

    def interaction_ended(self, trace_id: str) -> None:
        """Record the failed calls of an interaction: it will not retry them any more.

        Of one without any call it is recorded that it was watched.
        """
        self._recording.interaction_ended(trace_id)

    def notes(self) -> tuple[ObserverNote, ...]:
        """Return what limited the gateway so far (since the last `drain`)."""
        return self._recording.notes.so_far()

    @property
    def under_way(self) -> int:
        """How many requests to the provider have no end yet."""
        return self._recording.under_way

    def record_notes(self) -> None:
        """Record what limited the gateway since the last time: a kill then loses less of it."""
        self._recording.record_notes()

    async def drain(self) -> None:
        """Record all that has ended, counted, and the notes. May be called again."""
        await self._recording.drain()


@asynccontextmanager
async def running_gateway(
    *,
    upstream: str,
    record: Callable[..., None],
    in_flight: InFlight | None,
    counter: TokenCounter,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    token: str | None = None,
    timeout_s: float = TIMEOUT_S,
    grace_s: int = GRACE_S,
    clock: MonotonicNs = monotonic_ns,
) -> AsyncIterator[Gateway]:
    """Run a gateway in front of `upstream`; at the end everything is recorded.

    `record` is called on the event loop, with one record or more. Without `in_flight` every trace
    id of the agent's is taken. At the end nothing new is taken, and calls under way have `grace_s`
    to end before they are broken off. Raises `UsageError` for an upstream or a token that cannot be
    used, for a port that is taken, and for a host beyond loopback without a token.
    """
    target = Upstream.of(upstream)
    if token is not None:
        checked_token(token, "gateway")
    elif not is_loopback(host):
        raise UsageError(
            f"a gateway on {host} can be used by others, with the agent's keys",
            where="gateway",
            fix="Give it a token (AGENT_PROFILER_GATEWAY_TOKEN), or listen on 127.0.0.1",
        )
    recording = Recording(record=record, in_flight=in_flight, counter=counter, clock=clock)
    async with AsyncExitStack() as stack:
        stack.enter_context(plain_errors())
        stack.callback(recording.counting.close)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(recording.counting.run)
        tasks.start_soon(_sweep, recording)
        transport = await stack.enter_async_context(_transport(upstream, clock))
        proxy = Proxy(target, transport, recording, token=token, timeout_s=timeout_s)
        stack.enter_context(_without_word_of_cuts())
        stack.push_async_callback(_last_drain, recording)
        server = listening(proxy, host, port, date_header=False, grace_s=grace_s)
        url = await stack.enter_async_context(server)
        yield Gateway(recording, url, token)


async def _last_drain(recording: Recording) -> None:
    """Record what is left when nothing comes any more; counting gets so much time and no more."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_DRAIN_S):
        await recording.close()


async def _sweep(recording: Recording) -> None:
    """Give up calls whose retry does not come."""
    while True:
        await anyio.sleep(_SWEEP_S)
        recording.give_up(recording.book.overdue(recording.clock()))


def _transport(upstream: str, clock: MonotonicNs) -> httpx.AsyncBaseTransport:
    """Return our own transport, or httpx's where the environment names a proxy: ours has none."""
    proxy = proxy_for(upstream)
    if proxy is None:
        return LeanTransport(clock=clock)
    return httpx.AsyncHTTPTransport(proxy=proxy, limits=httpx.Limits(max_connections=None))


@contextmanager
def _without_word_of_cuts() -> Iterator[None]:
    logger = logging.getLogger("uvicorn.error")

    def is_news(entry: logging.LogRecord) -> bool:
        message = entry.getMessage()
        cause = entry.exc_info[1] if entry.exc_info else None
        is_ours = isinstance(cause, asyncio.CancelledError) or message.endswith(_BROKEN_OFF)
        return message != _CUT and not is_ours

    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)
