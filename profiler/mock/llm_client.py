"""The agent's way to its LLM: one call is one answer, or the way in which it failed.

Every call in flight has an `httpx.AsyncClient` of its own, kept for the next: a pool that is shared
costs time with the square of its connections, which would be counted as the LLM's.
"""

from __future__ import annotations

import math
import ssl
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

import anyio
import httpx
import orjson

from profiler.clock import monotonic_ns
from profiler.endpoints.openai_chat import usage_from
from profiler.endpoints.sse import EventTooLongError, SseParser
from profiler.measure.records import Outcome
from profiler.mock.limits import parse_reset
from profiler.mock.llm import CONVERSATION_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from types import TracebackType

    OnText = Callable[[str], Awaitable[None]]

_CONNECT_TIMEOUT_S = 10.0
_IDLE_S = 30.0  # less than the server keeps a connection: a reused one is never just being closed
_BACKOFF_S = 0.5
_OK, _BAD_REQUEST, _TOO_MANY, _SERVER_ERROR = 200, 400, 429, 500
_DETAIL_CHARACTERS = 300


@dataclass(slots=True, kw_only=True)
class LlmAnswer:
    """What one call brought. Times on the monotonic clock; `first_token_ns` only of a stream."""

    start_ns: int
    first_token_ns: int | None = None
    end_ns: int = 0
    outcome: Outcome = Outcome.OK
    attempts: int = 0
    attempt_outcomes: list[Outcome] = field(default_factory=list)
    status: int | None = None
    message: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    rate_limit: dict[str, float] = field(default_factory=dict)
    retry_headers: dict[str, str] = field(default_factory=dict)
    conversation: str | None = None
    detail: str = ""

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The tool calls that the LLM asked for."""
        calls: list[dict[str, Any]] = self.message.get("tool_calls", [])
        return calls


class LlmBrokenError(Exception):
    """The LLM's response does not follow the protocol."""


class LlmClient:
    """Calls one LLM. `async with` it: closing closes its connections."""

    def __init__(
        self, url: str, *, timeout_s: float, retries: int, stream: bool, token: str | None = None
    ) -> None:
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        self._retries = retries
        self._stream = stream
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"
        # Made once: reading the certificates takes 30 ms, and plain HTTP needs none.
        self._tls = (
            ssl.create_default_context()
            if url.startswith("https:")
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        self._free: list[httpx.AsyncClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            while self._free:
                await self._free.pop().aclose()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        client = self._free.pop() if self._free else self._new_client()
        try:
            yield client
        finally:
            self._free.append(client)

    def _new_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=_IDLE_S)
        return httpx.AsyncClient(
            timeout=self._timeout,
            limits=limits,
            trust_env=False,
            verify=self._tls,
            headers=self._headers,
        )

    async def call(
        self,
        *,
        model: str,
        messages: list[dict[str, Any]],
        tools: tuple[dict[str, Any], ...],
        headers: Mapping[str, str],
        on_text: OnText,
    ) -> LlmAnswer:
        """Ask for the next message; a failure is an answer with another outcome than `ok`."""
        request: dict[str, Any] = {"model": model, "messages": messages}
        if tools:
            request["tools"] = tools
        if self._stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        body = orjson.dumps(request)
        answer = LlmAnswer(start_ns=monotonic_ns())
        async with self._client() as client:
            while True:
                answer.attempts += 1
                await self._attempt(client, body, headers, answer, on_text)
                answer.attempt_outcomes.append(answer.outcome)
                if not self._may_retry(answer):
                    break
                await anyio.sleep(_wait_s(answer))
        answer.end_ns = monotonic_ns()
        return answer

    def _may_retry(self, answer: LlmAnswer) -> bool:
        if answer.attempts > self._retries or answer.first_token_ns is not None:
            return False
        return answer.outcome in (Outcome.HTTP_429, Outcome.HTTP_5XX, Outcome.CONNECT_ERROR)

    async def _attempt(
        self,
        client: httpx.AsyncClient,
        body: bytes,
        headers: Mapping[str, str],
        answer: LlmAnswer,
        on_text: OnText,
    ) -> None:
        try:
            async with client.stream("POST", self._url, content=body, headers=headers) as response:
                _read_headers(response, answer)
                if response.status_code != _OK:
                    _failed(response, await response.aread(), answer)
                elif response.headers.get("content-type", "").startswith("text/event-stream"):
                    await _read_stream(response, answer, on_text)
                else:
                    await _read_plain(response, answer, on_text)
        except httpx.TimeoutException as exc:
            answer.outcome, answer.detail = Outcome.TIMEOUT, f"timeout ({type(exc).__name__})"
        except httpx.ConnectError as exc:
            answer.outcome, answer.detail = Outcome.CONNECT_ERROR, f"cannot connect: {exc}"
        except (httpx.HTTPError, EventTooLongError, LlmBrokenError) as exc:
            detail = f"broken response: {str(exc) or type(exc).__name__}"
            answer.outcome, answer.detail = Outcome.PROTOCOL_ERROR, detail


def _wait_s(answer: LlmAnswer) -> float:
    """Return how long the LLM wants to be left alone; else half a second, doubled each time."""
    asked_s = answer.rate_limit.get("retry_after_s")
    return asked_s if asked_s is not None else _BACKOFF_S * 2 ** (answer.attempts - 1)


def _read_headers(response: httpx.Response, answer: LlmAnswer) -> None:
    headers = response.headers
    answer.status = response.status_code
    answer.outcome = Outcome.OK
    if CONVERSATION_HEADER in headers:
        answer.conversation = unquote(headers[CONVERSATION_HEADER])
    answer.rate_limit = _rate_limit(headers)
    answer.retry_headers = {
        name: headers[name] for name in ("retry-after", "retry-after-ms") if name in headers
    }


def _rate_limit(headers: httpx.Headers) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind in ("requests", "tokens"):
        for what in ("limit", "remaining"):
            text = headers.get(f"x-ratelimit-{what}-{kind}", "")
            if text.isdecimal():
                found[f"{what}_{kind}"] = int(text)
        reset_s = parse_reset(headers.get(f"x-ratelimit-reset-{kind}", ""))
        if reset_s is not None:
            found[f"reset_{kind}_s"] = reset_s
    exact_ms = _number(headers.get("retry-after-ms"))
    after_s = _number(headers.get("retry-after"))
    if exact_ms is not None:
        found["retry_after_s"] = exact_ms / 1000
    elif after_s is not None:
        found["retry_after_s"] = after_s
    return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:  # an HTTP date, which the mock LLM never sends
        return None
    return value if 0 <= value < math.inf else None


def _failed(response: httpx.Response, body: bytes, answer: LlmAnswer) -> None:
    status = response.status_code
    if status == _TOO_MANY:
        answer.outcome = Outcome.HTTP_429
    elif status >= _SERVER_ERROR:
        answer.outcome = Outcome.HTTP_5XX
    elif status >= _BAD_REQUEST:
        answer.outcome = Outcome.HTTP_4XX
    else:
        answer.outcome = Outcome.PROTOCOL_ERROR
    try:
        message = orjson.loads(body)["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")
    answer.detail = f"HTTP {status}: {message}"[:_DETAIL_CHARACTERS]


def _usage(block: Any) -> dict[str, int] | None:
    usage = usage_from(block)
    if usage is None:
        return None
    return {name: count for name, count in asdict(usage).items() if count is not None}


async def _read_plain(response: httpx.Response, answer: LlmAnswer, on_text: OnText) -> None:
    try:
        body = orjson.loads(await response.aread())
        choice = body["choices"][0]
        message = choice["message"]
        content, calls = message.get("content"), message.get("tool_calls")
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise LlmBrokenError("no JSON object with choices[0].message") from exc
    answer.message = {"role": "assistant", "content": content}
    if calls:
        answer.message["tool_calls"] = calls
    answer.finish_reason = choice.get("finish_reason")
    answer.usage = _usage(body.get("usage"))
    if content:
        await on_text(content)


async def _read_stream(response: httpx.Response, answer: LlmAnswer, on_text: OnText) -> None:
    parser = SseParser()
    deltas = _Deltas(answer)
    done = False
    async for chunk in response.aiter_bytes():
        at_ns = monotonic_ns()
        text = ""
        for event in parser.feed(chunk):
            if event.data == b"[DONE]":
                done = True
            else:
                text += deltas.read(event.data, at_ns)
        if text:
            await on_text(text)
    if not done:
        raise LlmBrokenError("the stream ended without [DONE]")
    deltas.finish()


class _Deltas:
    """Puts a streamed message together."""

    def __init__(self, answer: LlmAnswer) -> None:
        self._answer = answer
        self._content: list[str] = []
        self._has_content = False
        self._calls: dict[int, dict[str, Any]] = {}

    def read(self, data: bytes, at_ns: int) -> str:
        """Take one chunk; return the text in it."""
        try:
            chunk = orjson.loads(data)
            if chunk.get("error") is not None:
                raise LlmBrokenError(f"an error in the stream: {chunk['error']}")
            if chunk.get("usage") is not None:
                self._answer.usage = _usage(chunk["usage"])
            return "".join([self._choice(choice, at_ns) for choice in chunk.get("choices", ())])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
            raise LlmBrokenError("a chunk of the stream is not one of a chat completion") from exc

    def _choice(self, choice: dict[str, Any], at_ns: int) -> str:
        delta = choice["delta"]
        if choice.get("finish_reason") is not None:
            self._answer.finish_reason = choice["finish_reason"]
        text: str = delta.get("content") or ""
        self._has_content = self._has_content or delta.get("content") is not None
        self._content.append(text)
        for part in delta.get("tool_calls") or ():
            self._call(part)
        if self._answer.first_token_ns is None and (text or delta.get("tool_calls")):
            self._answer.first_token_ns = at_ns
        return text

    def _call(self, part: dict[str, Any]) -> None:
        call = self._calls.setdefault(
            part["index"],
            {"id": None, "type": "function", "function": {"name": "", "arguments": ""}},
        )
        if part.get("id"):
            call["id"] = part["id"]
        function = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

    def finish(self) -> None:
        """Put the message into the answer."""
        content = "".join(self._content) if self._has_content else None
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        self._answer.message = message
