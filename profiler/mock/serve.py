"""Serving the mocks: real sockets, one process, one event loop, a clean end.

    async with running_mocks(conversations=(path,)) as urls:   # within a program
        ...
    await serve_mocks(announce=print)                          # until a signal, or a parent's end

Run them on uvloop where it is installed: `anyio.run(..., backend_options={"use_uvloop": True})`.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from profiler.admission import admitting
from profiler.mock.agent import Agent
from profiler.mock.agent_http import agent_app
from profiler.mock.chat import Counters
from profiler.mock.fault_plan import Draw, FaultPlan
from profiler.mock.fault_wire import FaultyConnection
from profiler.mock.faults import Faulty
from profiler.mock.llm import LlmServer
from profiler.mock.llm_client import LlmClient
from profiler.mock.matcher import Matcher
from profiler.mock.options import DEFAULT_MODEL, AgentOptions, LlmOptions
from profiler.mock.recordings import Recording, RecordingIndex
from profiler.mock.scripted import DEFAULT_SYSTEM
from profiler.mock.slots import Slots
from profiler.mock.store import MemoryStore
from profiler.mock.timing import Pace
from profiler.mock.tools import ToolRunner
from profiler.mock.truth import TruthLog
from profiler.serving import listening, stop_event
from profiler.workload.conversations import read_conversations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from starlette.types import ASGIApp

    from profiler.export.board import Buckets

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MockUrls:
    """Where the mocks listen. `llm` ends in `/v1`, as OpenAI's base URL does; None: not served."""

    agent: str | None
    llm: str | None

    @property
    def chat_completions(self) -> str:
        """The agent's `openai-chat` URL."""
        return f"{self.agent}/v1/chat/completions"

    @property
    def chat(self) -> str:
        """The agent's `http-json` URL."""
        return f"{self.agent}/chat"


def read_index(conversations: Sequence[Path]) -> RecordingIndex:
    """Read recordings. Raises `WorkloadError` with file and line."""
    recordings = (
        Recording.of(conversation.id, conversation.messages)
        for path in conversations
        for conversation in read_conversations(path)
    )
    return RecordingIndex(recordings, default_system=DEFAULT_SYSTEM)


@asynccontextmanager
async def running_mocks(
    *,
    host: str = LOCALHOST,
    port: int = 0,
    token: str | None = None,
    llm_port: int = 0,
    llm_url: str | None = None,
    conversations: Sequence[Path] = (),
    agent: AgentOptions | None = None,
    llm: LlmOptions | None = None,
    truth: Path | None = None,
    faults: FaultPlan | None = None,
    buckets: Buckets | None = None,
) -> AsyncIterator[MockUrls]:
    """Run the mock agent and its own mock LLM, both listening when the body begins.

    With `llm_url` (an OpenAI base URL: a gateway, a provider) the agent calls that one, and no mock
    LLM is run. `buckets` are its metrics'. `faults` are injected into both. Port 0 takes a free
    one. A `token` is wanted of each request, to either. Raises `UsageError` for a port that is
    taken, and for a host beyond loopback without a token.
    """
    options = agent if agent is not None else AgentOptions()
    async with AsyncExitStack() as stack:
        log = stack.enter_context(TruthLog(truth)) if truth is not None else None
        index = await anyio.to_thread.run_sync(read_index, conversations)
        counters = Counters()
        await _warm(counters, options.model)
        own_llm = None
        if llm_url is None:
            server = LlmServer(
                llm if llm is not None else LlmOptions(),
                matcher=Matcher(index),
                counters=counters,
                truth=log,
            )
            own_llm = await stack.enter_async_context(
                _serving(server.app, host, llm_port, token, plan=faults, of="llm", truth=log)
            )
        client = LlmClient(
            llm_url if llm_url is not None else f"{own_llm}/v1",
            timeout_s=options.llm_timeout_s,
            retries=options.llm_retries,
            stream=options.llm_stream,
            token=token if llm_url is None else None,
        )
        await stack.enter_async_context(client)
        pace = Pace(options.speed)
        mock_agent = Agent(
            options,
            matcher=Matcher(index),
            counters=counters,
            store=MemoryStore(pace=pace, seed=options.seed),
            runner=ToolRunner(seed=options.seed, pace=pace, fixed_s=options.tool_times_s),
            llm=client,
        )
        app = agent_app(mock_agent, log, _slots(options), buckets)
        url = await stack.enter_async_context(
            _serving(app, host, port, token, plan=faults, of="agent", truth=log)
        )
        yield MockUrls(agent=url, llm=f"{own_llm}/v1" if own_llm is not None else None)


@asynccontextmanager
async def running_llm(
    *,
    host: str = LOCALHOST,
    port: int = 0,
    token: str | None = None,
    conversations: Sequence[Path] = (),
    llm: LlmOptions | None = None,
    truth: Path | None = None,
    faults: FaultPlan | None = None,
) -> AsyncIterator[MockUrls]:
    """Run the mock LLM alone."""
    async with AsyncExitStack() as stack:
        log = stack.enter_context(TruthLog(truth)) if truth is not None else None
        index = await anyio.to_thread.run_sync(read_index, conversations)
        counters = Counters()
        await _warm(counters, DEFAULT_MODEL)
        server = LlmServer(
            llm if llm is not None else LlmOptions(),
            matcher=Matcher(index),
            counters=counters,
            truth=log,
        )
        url = await stack.enter_async_context(
            _serving(server.app, host, port, token, plan=faults, of="llm", truth=log)
        )
        yield MockUrls(agent=None, llm=f"{url}/v1")


async def serve_mocks(
    *,
    host: str = LOCALHOST,
    port: int = 0,
    token: str | None = None,
    llm_port: int = 0,
    llm_url: str | None = None,
    conversations: Sequence[Path] = (),
    agent: AgentOptions | None = None,
    llm: LlmOptions | None = None,
    truth: Path | None = None,
    faults: FaultPlan | None = None,
    buckets: Buckets | None = None,
    announce: Callable[[MockUrls], None] | None = None,
    exit_on_stdin_eof: bool = False,
    handle_signals: bool = True,
) -> None:
    """Serve agent and LLM until SIGTERM or SIGINT, or the end of standard input if so asked.

    `announce` is called once both listen. `exit_on_stdin_eof` is for a parent that holds the other
    end of a pipe: however it ends, this process ends too.
    """
    async with (
        stop_event(signals=handle_signals, stdin_eof=exit_on_stdin_eof) as stop,
        running_mocks(
            host=host,
            port=port,
            token=token,
            llm_port=llm_port,
            llm_url=llm_url,
            conversations=conversations,
            agent=agent,
            llm=llm,
            truth=truth,
            faults=faults,
            buckets=buckets,
        ) as urls,
    ):
        if announce is not None:
            announce(urls)
        await stop.wait()


async def serve_llm(
    *,
    host: str = LOCALHOST,
    port: int = 0,
    token: str | None = None,
    conversations: Sequence[Path] = (),
    llm: LlmOptions | None = None,
    truth: Path | None = None,
    faults: FaultPlan | None = None,
    announce: Callable[[MockUrls], None] | None = None,
    exit_on_stdin_eof: bool = False,
    handle_signals: bool = True,
) -> None:
    """Serve the LLM alone, as `serve_mocks` does both."""
    async with (
        stop_event(signals=handle_signals, stdin_eof=exit_on_stdin_eof) as stop,
        running_llm(
            host=host,
            port=port,
            token=token,
            conversations=conversations,
            llm=llm,
            truth=truth,
            faults=faults,
        ) as urls,
    ):
        if announce is not None:
            announce(urls)
        await stop.wait()


def _serving(
    app: ASGIApp,
    host: str,
    port: int,
    token: str | None,
    *,
    plan: FaultPlan | None,
    of: str,
    truth: TruthLog | None,
) -> AbstractAsyncContextManager[str]:
    """Serve a mock's application, with the faults that are planned for it."""
    faults = () if plan is None else plan.agent if of == "agent" else plan.llm
    if plan is None or not faults:
        return listening(admitting(app, host, token, where="mock"), host, port)
    faulty = Faulty(app, Draw(faults, seed=plan.seed, of=of), of=of, truth=truth)
    admitted = admitting(faulty, host, token, where="mock")
    return listening(admitted, host, port, protocol=FaultyConnection, tend=faulty.refuse)


def _slots(options: AgentOptions) -> Slots | None:
    """Return the line in front of the workers; None: none are asked for, and nothing waits."""
    workers, each = options.workers, options.worker_slots
    if workers is None and each is None:
        return None
    return Slots(1 if workers is None else workers, 1 if each is None else each)


async def _warm(counters: Counters, model: str) -> None:
    """Load the encoding before the first request, which it would delay by half a second."""
    counter = counters.for_model(model)
    await anyio.to_thread.run_sync(counter.count_text, "assistant")
