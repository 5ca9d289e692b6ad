"""The mock agent's loop: load the session, ask the LLM, run its tools, until it has an answer.

Tools come from the recordings (names only) in a recorded conversation, else there are three
scripted ones. What the LLM writes beside its tool calls is part of the reply, as in a chat window:
the texts of one interaction are joined by an empty line, streamed or not.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from profiler.measure.records import Outcome
from profiler.mock.scripted import SCRIPTED_TOOLS, recorded_tools
from profiler.mock.session import Session
from profiler.mock.store import OperationCount
from profiler.mock.trace import TraceRecorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from profiler.mock.chat import Counters
    from profiler.mock.llm_client import LlmAnswer, LlmClient
    from profiler.mock.matcher import Matcher
    from profiler.mock.options import AgentOptions
    from profiler.mock.store import StateStore
    from profiler.mock.tools import ToolRunner
    from profiler.mock.wire import TraceContext

_PARAGRAPH = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """One user message, and what the request says about where it belongs."""

    session_id: str | None
    visible: list[dict[str, str]]
    text: str
    context: TraceContext
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer, as an HTTP response."""

    status: int
    message: str
    kind: str
    code: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Reply:
    """What became of a user message. `usage` is the sum over its LLM calls.

    `attempts` are model and outcome of each HTTP request for them.
    """

    session_id: str
    turn: int
    text: str
    usage: dict[str, int]
    trace: dict[str, Any]
    failure: Failure | None
    attempts: list[tuple[str, Outcome]]


@dataclass(slots=True)
class Work:
    """What was really done in one interaction, counted by those who did it: for the truth log."""

    turn: int = 0
    conversation: str | None = None
    llm_calls: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    state: OperationCount = field(default_factory=OperationCount)


class _Speech:
    """Passes on what the LLM writes, and keeps it."""

    def __init__(self, on_text: Callable[[str], Awaitable[None]]) -> None:
        self._on_text = on_text
        self._parts: list[str] = []
        self._between = False

    def pause(self) -> None:
        """Let the next text begin a paragraph."""
        self._between = bool(self._parts)

    async def say(self, text: str) -> None:
        """Pass a text on."""
        if self._between:
            text, self._between = _PARAGRAPH + text, False
        self._parts.append(text)
        await self._on_text(text)

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "".join(self._parts)


class Agent:
    """The mock agent, without its HTTP surface."""

    def __init__(
        self,
        options: AgentOptions,
        *,
        matcher: Matcher,
        counters: Counters,
        store: StateStore,
        runner: ToolRunner,
        llm: LlmClient,
    ) -> None:
        self.options = options
        self.store = store
        self._matcher = matcher
        self._counters = counters
        self._runner = runner
        self._llm = llm
        self._recorded_tools = recorded_tools(matcher.index.tool_names)
        # One more than the longest recorded turn: a recording may break off with a tool call.
        self._max_rounds = max(options.max_rounds, matcher.index.longest_turn + 1)

    async def answer(
        self, message: UserMessage, work: Work, on_text: Callable[[str], Awaitable[None]]
    ) -> Reply:
        """Answer one user message; `on_text` gets the reply's text as it comes."""
        trace = TraceRecorder(message.received_ns, self.options.model, self.store.name)
        session_id = message.session_id or f"session-{secrets.token_hex(8)}"
        session = await self._session(message, trace, work)
        work.turn = turn = session.turn
        session.messages.append({"role": "user", "content": message.text})
        tools = self._recorded_tools if session.recorded else SCRIPTED_TOOLS
        speech = _Speech(on_text)
        failure = await self._rounds(
            message, session=session, key=session_id, speech=speech, trace=trace, work=work
        )
        counter = self._counters.for_model(self.options.model)
        block = await anyio.to_thread.run_sync(trace.block, session.messages, tools, counter)
        return Reply(
            session_id=session_id,
            turn=turn,
            text=speech.text,
            usage=trace.usage(),
            trace=block,
            failure=failure,
            attempts=trace.attempts(),
        )

    async def _session(self, message: UserMessage, trace: TraceRecorder, work: Work) -> Session:
        """Load the session; one that the store does not know is made from what the client sent."""
        stored = None
        if message.session_id is not None:
            stored = await self.store.get(message.session_id, work.state)
            trace.reads += 1
        if stored is not None:
            return Session.load(stored)
        return Session.new(self._matcher, message.visible, message.text, message.context.hint)

    async def _rounds(
        self,
        message: UserMessage,
        *,
        session: Session,
        key: str,
        speech: _Speech,
        trace: TraceRecorder,
        work: Work,
    ) -> Failure | None:
        tools = self._recorded_tools if session.recorded else SCRIPTED_TOOLS
        for _ in range(self._max_rounds):
            speech.pause()
            sent = len(session.messages)
            work.llm_calls += 1
            answer = await self._llm.call(
                model=self.options.model,
                messages=session.messages,
                tools=tools,
                headers=message.context.onward(),
                on_text=speech.say,
            )
            trace.call(answer, sent)
            work.conversation = answer.conversation or work.conversation
            if answer.outcome is not Outcome.OK:
                return _failure(answer)
            session.messages.append(answer.message)
            final = not answer.calls and answer.finish_reason != "length"
            if final:
                session.end_turn()
            await self.store.set(key, session.dump(), work.state)
            trace.writes += 1
            if final:
                return None
            if answer.calls:
                await self._run_tools(message, session, answer, trace, work)
        return Failure(
            status=500,
            message=f"The agent found no answer within {self._max_rounds} LLM calls.",
            kind="server_error",
            code="too_many_rounds",
        )

    async def _run_tools(
        self,
        message: UserMessage,
        session: Session,
        answer: LlmAnswer,
        trace: TraceRecorder,
        work: Work,
    ) -> None:
        results = self._matcher.results(session.messages, message.context.hint)
        runs = await self._runner.run(answer.calls, results, work.tools)
        trace.tools.extend(runs)
        session.messages.extend(run.message for run in runs)


def _failure(answer: LlmAnswer) -> Failure:
    """Make the LLM's failure the agent's own: a rate limit is passed on, all else is a 502."""
    if answer.outcome is Outcome.HTTP_429:
        return Failure(
            status=429,
            message=f"The agent's LLM is at its rate limit. {answer.detail}",
            kind="requests",
            code="rate_limit_exceeded",
            headers=answer.retry_headers,
        )
    return Failure(
        status=502,
        message=f"The agent's LLM failed. {answer.detail}",
        kind="server_error",
        code=f"llm_{answer.outcome.value}",
    )
