"""The mock LLM: OpenAI Chat Completions over HTTP, with recorded or scripted answers.

Where a chat follows a recording, the answer is the recorded one. Two things to know:

- A recorded assistant message without tool calls that another assistant message follows at once is
  answered with `finish_reason: "length"`: an agent asks again, as it does for an answer that was
  cut off. So the calls are as many as the recorded assistant messages.
- `usage.prompt_tokens_details.cached_tokens` is the previous call's prompt in the same conversation
  (nothing for the first), rounded down to 128, if the prompt has 1024 tokens or more. It is worked
  out from the request alone, so it does not depend on what else the server was asked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import anyio.to_thread
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from profiler.clock import ClockAnchor, monotonic_ns
from profiler.mock import scripted
from profiler.mock.chat import ChatRequest, Envelope, previous_prompt, usage_block
from profiler.mock.limits import RateLimiter
from profiler.mock.metrics import LlmMetrics
from profiler.mock.recordings import calls_of, function_of, text_of
from profiler.mock.stream import PieceClock, TokenTimes, completion_texts, deltas_of, pieces_of
from profiler.mock.timing import Lognormal, Occurrences, Pace, random_for
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
from profiler.workload.words import words

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from profiler.measure.tokens import TokenCounter
    from profiler.mock.chat import Counters
    from profiler.mock.limits import Verdict
    from profiler.mock.matcher import Match, Matcher
    from profiler.mock.options import LlmOptions
    from profiler.mock.truth import TruthLog
    from profiler.mock.wire import TraceContext

CONVERSATION_HEADER = "x-mock-conversation"
FINGERPRINT = "fp_agent_profiler_mock"
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini")
_CACHE_FROM_TOKENS, _CACHE_STEP_TOKENS = 1024, 128


class Planned(NamedTuple):
    """What will be answered."""

    message: dict[str, Any]
    finish_reason: str
    match: Match | None


@dataclass(frozen=True, slots=True)
class Counted:
    """The tokens of one call: of the prompt by part, of the completion by text."""

    parts: dict[str, int]
    prompt: int
    texts: list[int]
    completion: int
    cached: int


class LlmServer:
    """The state of one mock LLM. `app` is its ASGI application."""

    def __init__(
        self,
        options: LlmOptions,
        *,
        matcher: Matcher,
        counters: Counters,
        truth: TruthLog | None = None,
    ) -> None:
        self.options = options
        self.pace = Pace(options.speed)
        self.anchor = ClockAnchor.now()
        self.occurrences = Occurrences()
        self._first = Lognormal(options.ttft_median_s, options.ttft_p95_s)
        self._matcher = matcher
        self._counters = counters
        self._truth = truth
        self._metrics = LlmMetrics()
        self._limiter = RateLimiter(
            rpm=options.rpm, tpm=options.tpm, window_s=options.limit_window_s
        )
        self.app = openai_app(
            Route("/v1/chat/completions", self.chat, methods=["POST"], name="chat"),
            Route("/v1/models", self._models, methods=["GET"]),
            self._metrics.route(),
        )

    async def _models(self, _: Request) -> JSONResponse:
        created = self.anchor.wall_ns // 10**9
        data = [
            {"id": name, "object": "model", "created": created, "owned_by": "agent-profiler"}
            for name in MODELS
        ]
        return JSONResponse({"object": "list", "data": data})

    @property
    def chat(self) -> _Chat:
        """The chat endpoint, an ASGI application."""
        return _Chat(self)

    def plan(self, request: ChatRequest, digest: str, context: TraceContext) -> Planned:
        """Choose the answer: the recorded one, else a scripted one (text only, if recorded).

        Where the baggage says how many tokens the recorded answer had, it is a text of so many.
        """
        match, recorded = self._matcher.answer(request.messages, context.hint)
        if match is None and context.output_tokens is not None:
            text = words(f"answer/{self.options.seed}/{digest}", context.output_tokens)
            return Planned({"role": "assistant", "content": text}, "stop", None)
        if match is None:
            message = scripted.answer(
                seed=self.options.seed,
                digest=digest,
                messages=request.messages,
                tools=() if recorded else request.tools,
                tool_call_probability=self.options.tool_call_probability,
            )
            return Planned(message, "tool_calls" if calls_of(message) else "stop", None)
        message = _servable(match.step.message, digest)
        if calls_of(message):
            return Planned(message, "tool_calls", match)
        return Planned(message, "length" if match.step.goes_on else "stop", match)

    async def count(self, request: ChatRequest, message: dict[str, Any]) -> Counted:
        """Count a call's tokens, off the event loop."""
        counter = self._counters.for_model(request.model)
        cache = self.options.prompt_cache
        return await anyio.to_thread.run_sync(_count, counter, request, message, cache)

    def admit(self, counted: Counted, model: str) -> Verdict:
        """Ask the rate limiter."""
        return self._limiter.admit(counted.prompt + counted.completion, model)

    def times(self, digest: str, number: int, tokens: int) -> TokenTimes:
        """Draw when the tokens of the `number`th answer to this very request are due."""
        random = random_for("latency", self.options.seed, digest, number)
        return TokenTimes.draw(random, self._first, self.options.gap_s, tokens)

    def log(self, line: dict[str, Any]) -> None:
        """Count a request, and write its line of the truth log, if there is one."""
        self._metrics.answered(line)
        if self._truth is not None:
            self._truth.write(line)


def _count(
    counter: TokenCounter,
    request: ChatRequest,
    message: dict[str, Any],
    cache: bool,  # noqa: FBT001 - to_thread passes by position
) -> Counted:
    parts = asdict(counter.count_parts(request.messages, request.tools))
    prompt = sum(parts.values())
    texts = [counter.count_text(text) for text in completion_texts(message)]
    cached = 0
    if cache and prompt >= _CACHE_FROM_TOKENS:
        previous = previous_prompt(request.messages)
        if previous:
            since = sum(map(counter.count_message, request.messages[previous:]))
            cached = (prompt - since) // _CACHE_STEP_TOKENS * _CACHE_STEP_TOKENS
    return Counted(parts, prompt, texts, sum(texts), cached)


def _servable(recorded: dict[str, Any], digest: str) -> dict[str, Any]:
    """Return a recorded message as a provider would send it; calls without an id get one."""
    content = recorded.get("content")
    text = text_of(content) if content is not None else None
    message: dict[str, Any] = {"role": "assistant", "content": text}
    calls = calls_of(recorded)
    if calls:
        message["tool_calls"] = [
            {
                "id": call.get("id") or f"call_{digest[:20]}{number:02d}",
                "type": "function",
                "function": dict(zip(("name", "arguments"), function_of(call), strict=True)),
            }
            for number, call in enumerate(calls)
        ]
    return message


class _Chat:
    """`POST /v1/chat/completions`."""

    def __init__(self, server: LlmServer) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received_ns = monotonic_ns()
        context = trace_context(headers_of(scope))
        line: dict[str, Any] = {
            "kind": "llm_request",
            "trace_id": context.trace_id,
            "conversation": None,
            "model": None,
            "status": 500,
            "stream": False,
            "prompt_tokens": None,
            "completion_tokens": None,
            "cached_tokens": None,
            "tool_calls": [],
            "parts": None,
            "decided_s": None,
        }
        try:
            request = ChatRequest.of(await read_json(scope, receive))
            await self._answer(request, context, received_ns, line, send)
        except HttpError as error:
            line["status"] = error.status
            await send_json(send, error.status, error.body, error.headers)
        finally:
            end_ns = monotonic_ns()
            line["received_s"] = received_ns / 1e9
            line["duration_s"] = (end_ns - received_ns) / 1e9
            self._server.log(line)

    async def _answer(
        self,
        request: ChatRequest,
        context: TraceContext,
        received_ns: int,
        line: dict[str, Any],
        send: Send,
    ) -> None:
        server = self._server
        digest = request.digest()
        planned = server.plan(request, digest, context)
        counted = await server.count(request, planned.message)
        verdict = server.admit(counted, request.model)
        line |= {"model": request.model, "stream": request.stream}
        line |= {"prompt_tokens": counted.prompt, "parts": counted.parts}
        line["decided_s"] = verdict.at_ns / 1e9
        if planned.match is not None:
            line["conversation"] = planned.match.conversation
        if not verdict.admitted:
            if planned.match is not None:
                planned.match.release()
            line |= {"completion_tokens": 0, "cached_tokens": 0}
            raise HttpError(
                429,
                verdict.message or "",
                kind=verdict.kind or "requests",
                code="rate_limit_exceeded",
                headers=verdict.headers,
            )
        number = server.occurrences.next(digest)
        answer = _Answer(
            server,
            request,
            planned=planned,
            counted=counted,
            headers=verdict.headers,
            answer_id=f"{digest[:24]}{number:05x}",
        )
        times = server.times(digest, number, counted.completion)
        if request.stream:
            await answer.stream(times, received_ns, send)
        else:
            await answer.plain(times, received_ns, send)
        line |= {"status": 200, "completion_tokens": counted.completion}
        line |= {"cached_tokens": counted.cached}
        line["tool_calls"] = [function_of(call)[0] for call in calls_of(planned.message)]


class _Answer:
    """Sends one answer, plain or streamed, at its time."""

    def __init__(
        self,
        server: LlmServer,
        request: ChatRequest,
        *,
        planned: Planned,
        counted: Counted,
        headers: dict[str, str],
        answer_id: str,
    ) -> None:
        self._pace = server.pace
        self._request = request
        self._planned = planned
        self._counted = counted
        elapsed_ns = monotonic_ns() - server.anchor.monotonic_ns
        self._envelope = Envelope(
            id=f"chatcmpl-{answer_id}",
            created=(server.anchor.wall_ns + elapsed_ns) // 10**9,
            model=request.model,
            fingerprint=FINGERPRINT,
        )
        self._headers = {"x-request-id": f"req_{answer_id}", **headers}
        if planned.match is not None:
            self._headers[CONVERSATION_HEADER] = quote(planned.match.conversation)

    @property
    def _usage(self) -> dict[str, Any]:
        counted = self._counted
        return usage_block(counted.prompt, counted.completion, counted.cached)

    async def plain(self, times: TokenTimes, received_ns: int, send: Send) -> None:
        """Answer in one piece, when the last token is due."""
        await self._pace.until(self._pace.after_ns(received_ns, times.last_s))
        message = {"refusal": None, **self._planned.message}
        body = self._envelope.completion(message, self._planned.finish_reason, self._usage)
        await send_json(send, 200, body, self._headers)

    async def stream(self, times: TokenTimes, received_ns: int, send: Send) -> None:
        """Answer in chunks, each when its tokens are due."""
        pieces = pieces_of(self._planned.message, self._counted.texts, whole=self._pace.instant)
        clock = PieceClock(pieces, times, self._pace, received_ns)
        content = "" if self._planned.message.get("content") is not None else None
        chunks = [sse(self._envelope.chunk({"role": "assistant", "content": content}))]
        await self._pace.until(self._pace.after_ns(received_ns, times.of_token(0)))
        await send_start(send, 200, "text/event-stream; charset=utf-8", self._headers)
        while due := await clock.due():
            chunks.extend(sse(self._envelope.chunk(delta)) for delta in deltas_of(due))
            if not self._pace.instant:  # else all goes out at once, with the end
                await send_chunk(send, b"".join(chunks))
                chunks = []
        await self._pace.until(self._pace.after_ns(received_ns, times.last_s))
        chunks.append(sse(self._envelope.chunk({}, self._planned.finish_reason)))
        if self._request.include_usage:
            chunks.append(sse(self._envelope.last_chunk(usage=self._usage)))
        await send_chunk(send, b"".join([*chunks, DONE]), last=True)


def openai_app(*routes: Route) -> Starlette:
    """Return an application whose errors have OpenAI's shape, with `GET /healthz`."""

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def unknown(request: Request, error: Exception) -> JSONResponse:
        status = getattr(error, "status_code", 404)
        message = f"Invalid URL ({request.method} {request.url.path})"
        return JSONResponse(HttpError(status, message).body, status_code=status)

    return Starlette(
        routes=[*routes, Route("/healthz", healthz, methods=["GET"])],
        exception_handlers={404: unknown, 405: unknown},
    )
