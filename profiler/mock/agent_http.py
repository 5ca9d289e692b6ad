"""The mock agent's HTTP surface: OpenAI Chat Completions, and a plain `POST /chat` of its own."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from profiler.clock import ClockAnchor, monotonic_ns
from profiler.mock.agent import UserMessage, Work
from profiler.mock.chat import Envelope, usage_block
from profiler.mock.llm import openai_app
from profiler.mock.metrics import AgentMetrics
from profiler.mock.recordings import text_of
from profiler.mock.trace import VERSION
from profiler.mock.wire import (
    DONE,
    HttpError,
    headers_of,
    read_json,
    send_chunk,
    send_json,
    send_start,
    sse,
    trace_context,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from profiler.export.board import Buckets
    from profiler.mock.agent import Agent, Failure, Reply
    from profiler.mock.slots import Slots
    from profiler.mock.truth import TruthLog
    from profiler.mock.wire import TraceContext

FAULT_HEADER = "x-mock-fault"
AGENT_ERROR = "agent-error"
SESSION_HEADER = "x-session-id"
FINGERPRINT = "fp_agent_profiler_mock_agent"
_AGENT_ERROR = {"message": "The agent could not answer.", "type": "agent_error"}


def agent_app(
    agent: Agent,
    truth: TruthLog | None = None,
    slots: Slots | None = None,
    buckets: Buckets | None = None,
) -> Starlette:
    """Return the agent's ASGI application. With `slots`, messages wait for one in line."""
    anchor, metrics = ClockAnchor.now(), AgentMetrics(slots, buckets)

    def endpoint(handler: Callable[[Exchange], Awaitable[None]]) -> _Endpoint:
        return _Endpoint(handler, agent, anchor, truth=truth, metrics=metrics, slots=slots)

    return openai_app(
        Route("/v1/chat/completions", endpoint(_chat_completions), methods=["POST"], name="openai"),
        Route("/chat", endpoint(_plain_chat), methods=["POST"], name="plain"),
        metrics.route(),
    )


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request while it is being answered."""

    agent: Agent
    anchor: ClockAnchor
    headers: dict[str, str]
    context: TraceContext
    body: dict[str, Any]
    send: Send
    received_ns: int
    work: Work
    session_id: str | None = None
    status: int = 500
    reply: Reply | None = None
    first_text_ns: int | None = None
    agent_error: bool = False

    async def json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        self.status = status
        await send_json(self.send, status, body, headers)

    async def answer(
        self, visible: list[dict[str, str]], text: str, on_text: Callable[[str], Awaitable[None]]
    ) -> Reply:
        """Let the agent answer the user."""
        message = UserMessage(
            session_id=self.session_id,
            visible=visible,
            text=text,
            context=self.context,
            received_ns=self.received_ns,
        )

        async def on_any_text(text: str) -> None:
            if self.first_text_ns is None:
                self.first_text_ns = monotonic_ns()
            await on_text(text)

        self.reply = reply = await self.agent.answer(message, self.work, on_any_text)
        self.session_id = reply.session_id
        return reply

    def envelope(self, model: str) -> Envelope:
        """Return what the objects of the answer have in common."""
        elapsed_ns = monotonic_ns() - self.anchor.monotonic_ns
        return Envelope(
            id=f"chatcmpl-{self.context.trace_id}",
            created=(self.anchor.wall_ns + elapsed_ns) // 10**9,
            model=model,
            fingerprint=FINGERPRINT,
        )


class _Endpoint:
    """An ASGI application around a handler: body in, errors and truth log out."""

    def __init__(
        self,
        handler: Callable[[Exchange], Awaitable[None]],
        agent: Agent,
        anchor: ClockAnchor,
        *,
        truth: TruthLog | None,
        metrics: AgentMetrics,
        slots: Slots | None,
    ) -> None:
        self._handler = handler
        self._agent = agent
        self._anchor = anchor
        self._truth = truth
        self._metrics = metrics
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received_ns = monotonic_ns()
        headers = headers_of(scope)
        exchange = Exchange(
            agent=self._agent,
            anchor=self._anchor,
            headers=headers,
            context=trace_context(headers),
            body={},
            send=send,
            received_ns=received_ns,
            work=Work(),
            session_id=headers.get(SESSION_HEADER) or None,
        )
        try:
            exchange.body = await read_json(scope, receive)
            async with nullcontext() if self._slots is None else self._slots.slot():
                if headers.get(FAULT_HEADER) == AGENT_ERROR:
                    await _agent_error(exchange)
                else:
                    await self._handler(exchange)
        except HttpError as error:
            await exchange.json(error.status, error.body, error.headers)
        finally:
            self._metrics.answered(exchange)
            if self._truth is not None:
                self._truth.write(_truth_line(exchange))


def _truth_line(exchange: Exchange) -> dict[str, Any]:
    work = exchange.work
    return {
        "kind": "interaction",
        "trace_id": exchange.context.trace_id,
        "session": exchange.session_id,
        "conversation": work.conversation,
        "turn": work.turn,
        "status": exchange.status,
        "llm_calls": work.llm_calls,
        "tool_calls": dict(work.tools),
        "state_reads": work.state.reads,
        "state_writes": work.state.writes,
        "duration_s": (monotonic_ns() - exchange.received_ns) / 1e9,
    }


async def _agent_error(exchange: Exchange) -> None:
    """Answer with an error inside a 200, without doing anything: the fault that tests ask for."""
    trace = {"version": VERSION, "llm_calls": [], "tool_calls": [], "state_ops": []}
    exchange.agent_error = True
    await exchange.json(200, {"error": _AGENT_ERROR, "trace": trace})


async def _chat_completions(exchange: Exchange) -> None:
    """`POST /v1/chat/completions`. System and tool messages of the client are left out."""
    body = exchange.body
    visible, text = _visible(body.get("messages"))
    envelope = exchange.envelope(str(body.get("model") or "mock-agent"))
    if body.get("stream") is True:
        await _streamed(exchange, envelope, visible, text)
        return
    reply = await exchange.answer(visible, text, _ignore)
    if reply.failure is not None:
        await _failed(exchange, reply, reply.failure)
        return
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    answer = envelope.completion(message, "stop", _openai_usage(reply.usage))
    await exchange.json(200, {**answer, "trace": reply.trace}, _session_header(reply))


def _visible(messages: Any) -> tuple[list[dict[str, str]], str]:
    """Return the conversation as the user saw it, and the user's new message."""
    if not isinstance(messages, list) or not messages:
        raise HttpError(400, "'messages' is not an array with messages.", param="messages")
    if not all(isinstance(message, dict) for message in messages):
        raise HttpError(400, "'messages' has items that are not objects.", param="messages")
    if messages[-1].get("role") != "user":
        raise HttpError(400, "The last message is not one of the user.", param="messages")
    shown = [
        {"role": message["role"], "content": text_of(message.get("content"))}
        for message in messages
        if message.get("role") in ("user", "assistant")
    ]
    return shown[:-1], shown[-1]["content"]


async def _ignore(_: str) -> None:
    """Take the text of a reply that is sent whole."""


async def _streamed(
    exchange: Exchange, envelope: Envelope, visible: list[dict[str, str]], text: str
) -> None:
    started = False

    async def start() -> None:
        nonlocal started
        started, exchange.status = True, 200
        await send_start(exchange.send, 200, "text/event-stream; charset=utf-8", {})
        await send_chunk(exchange.send, sse(envelope.chunk({"role": "assistant", "content": ""})))

    async def on_text(piece: str) -> None:
        if not started:
            await start()
        await send_chunk(exchange.send, sse(envelope.chunk({"content": piece})))

    reply = await exchange.answer(visible, text, on_text)
    if reply.failure is not None:
        if not started:
            await _failed(exchange, reply, reply.failure)
            return
        last = envelope.last_chunk(error=_error(reply.failure), trace=reply.trace)
        await send_chunk(exchange.send, sse(last) + DONE, last=True)
        return
    if not started:
        await start()
    last = envelope.last_chunk(usage=_openai_usage(reply.usage), trace=reply.trace)
    chunks = sse(envelope.chunk({}, "stop")) + sse(last) + DONE
    await send_chunk(exchange.send, chunks, last=True)


async def _plain_chat(exchange: Exchange) -> None:
    """`POST /chat`: `{session_id?, message}` to `{session_id, reply, usage, trace}`."""
    session_id, message = exchange.body.get("session_id"), exchange.body.get("message")
    if session_id is not None and not isinstance(session_id, str):
        raise HttpError(400, "'session_id' is not a string.", param="session_id")
    if not isinstance(message, str):
        raise HttpError(400, "'message' is not a string.", param="message")
    exchange.session_id = session_id or exchange.session_id
    reply = await exchange.answer([], message, _ignore)
    if reply.failure is not None:
        await _failed(exchange, reply, reply.failure)
        return
    await exchange.json(
        200,
        {
            "session_id": reply.session_id,
            "reply": reply.text,
            "usage": reply.usage,
            "trace": reply.trace,
        },
    )


def _session_header(reply: Reply) -> dict[str, str]:
    session_id = reply.session_id  # in `/chat` any text: what is no header value is left out
    printable = session_id.isascii() and session_id.isprintable()
    return {SESSION_HEADER: session_id} if printable else {}


def _openai_usage(usage: Mapping[str, int]) -> dict[str, Any]:
    return usage_block(
        usage["input_tokens"],
        usage["output_tokens"],
        usage["cached_input_tokens"],
        usage["reasoning_tokens"],
    )


def _error(failure: Failure) -> dict[str, Any]:
    return {"message": failure.message, "type": failure.kind, "param": None, "code": failure.code}


async def _failed(exchange: Exchange, reply: Reply, failure: Failure) -> None:
    body = {"error": _error(failure), "trace": reply.trace}
    await exchange.json(failure.status, body, {**failure.headers, **_session_header(reply)})
