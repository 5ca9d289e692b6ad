"""LangGraph's Agent Server: `POST /threads/{thread}/runs/stream`, or `runs/wait` without streaming.

API: https://docs.langchain.com/langsmith/server-api-ref; checked with langgraph-api 0.16. A session
is a thread, made by its first run (`if_not_exists: create`); the server keeps its messages.

An `ai` message that a model wrote is an LLM call, with `usage_metadata`; one that a node wrote
itself is none. LLM calls that leave no message are in the stream only (`messages-tuple`), with
those of subgraphs. A tool call lasts from the message that asks for it being whole to its `tool`
message. The stream has no final event: nodes report in `updates` when they end, so that one after
which nothing of its graph was open is the last (older servers send `end`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.event_stream import (
    BrokenStreamError,
    Ending,
    NoStreamReader,
    ending,
)
from profiler.endpoints.events import FIRST_ERROR_STATUS, STREAM_TYPE, json_object
from profiler.endpoints.exchange import Outgoing, Reply
from profiler.endpoints.langgraph_run import Carried, Run
from profiler.endpoints.sse import EventTooLongError, named_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profiler.endpoints.exchange import Reader

_READ = frozenset({"updates", "messages", "error", "end"})


class LangGraph:
    """The `langgraph` protocol for one target; `url` is the server's, above `/threads`.

    A run that an interrupt stopped is the agent's error; with `resume` its question is the reply,
    and the user's next message what the run goes on with.
    """

    def __init__(
        self,
        *,
        url: str,
        stream: bool,
        headers: Mapping[str, str],
        assistant: str,
        resume: bool = False,
    ) -> None:
        self.url = url
        self.stream = stream
        self.assistant = assistant
        self.resume = resume
        self.headers = {
            "content-type": "application/json",
            "accept": STREAM_TYPE if stream else "application/json",
            **headers,
        }

    def begin(self, session_id: str) -> LangGraphDialogue:
        """Start a session: a thread that the server does not know yet."""
        return LangGraphDialogue(self, session_id)

    def run_url(self, thread: str) -> str:
        """Return where runs of a thread are posted to."""
        base, mark, query = self.url.partition("?")
        how = "stream" if self.stream else "wait"
        return f"{base.rstrip('/')}/threads/{thread}/runs/{how}{mark}{query}"


class LangGraphDialogue:
    """One thread. Every request is a run of it."""

    def __init__(self, endpoint: LangGraph, session_id: str) -> None:
        self._endpoint = endpoint
        self._url = endpoint.run_url(_thread(session_id))
        self._session_headers = {"x-session-id": session_id}
        self._carried = Carried(known=frozenset(), is_interrupted=False)

    def request(self, user: str) -> Outgoing:
        """Return the request for a run that answers `user`."""
        body: dict[str, Any] = {
            "assistant_id": self._endpoint.assistant,
            "if_not_exists": "create",
        }
        if self._carried.is_interrupted:
            body["command"] = {"resume": user}
        else:
            body["input"] = {"messages": [{"role": "user", "content": user}]}
        if self._endpoint.stream:
            body |= {"stream_mode": ["updates", "messages-tuple"], "stream_subgraphs": True}
        return Outgoing(
            url=self._url,
            headers=self._endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(body),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return a reader of the run's events, of the thread's last state, or of an error."""
        known, resume = self._carried.known, self._endpoint.resume
        if status < FIRST_ERROR_STATUS:
            if content_type.startswith(STREAM_TYPE):
                return RunStreamReader(known, resume=resume)
            if not self._endpoint.stream:
                return RunWaitReader(known, resume=resume)
        return NoStreamReader()

    def accept(self, user: str, reply: Reply) -> None:  # noqa: ARG002 - the thread has it
        """Remember which messages are no news any more."""
        if isinstance(reply.carried, Carried):
            self._carried = reply.carried


class RunStreamReader(Body):
    """Reads the events of a run.

    Time to first token is the arrival of the first text of a message of the reply: one that the
    graph keeps; of any message, where it keeps none.
    """

    __slots__ = ("_known", "_resume")

    def __init__(self, known: frozenset[str], *, resume: bool) -> None:
        super().__init__()
        self._known = known
        self._resume = resume

    def finish(self) -> Reply:
        """Say what the stream meant."""
        run = Run(self._known)
        broken = None
        try:
            for name, data, at_ns in _events(self):
                run.take(name, data, at_ns)
        except BrokenStreamError as exc:
            broken = exc
        error = run.error or run.interruption(resume=self._resume)
        end = ending(broken, error, None if run.is_settled else "the end of a node")
        return run.reply(end, self.times_ns[0] if self.times_ns else 0)


class RunWaitReader(Body):
    """Reads the state of the thread after a run. No times inside it are observed.

    Messages that the run made and took away again are not in it.
    """

    __slots__ = ("_known", "_resume")

    def __init__(self, known: frozenset[str], *, resume: bool) -> None:
        super().__init__()
        self._known = known
        self._resume = resume

    def finish(self) -> Reply:
        """Parse the body."""
        state = json_object(self.whole())
        if isinstance(state, Reply):
            return state
        run = Run(self._known)
        run.take_state(state)
        error = run.error or run.interruption(resume=self._resume)
        kind = None if error is None else "error_in_body"
        return run.reply(Ending(kind, error, is_protocol_error=False), 0, body=state)


def _events(body: Body) -> Iterator[tuple[str, Any, int]]:
    """Yield the events that are read, with names and arrivals. Raises `BrokenStreamError`."""
    try:
        for name, data, at_ns in named_events(body.pieces, body.times_ns):
            if name.partition("|")[0] in _READ:
                yield name, orjson.loads(data), at_ns
    except orjson.JSONDecodeError as exc:
        raise BrokenStreamError("event_not_json", "an event is no JSON") from exc
    except EventTooLongError as exc:
        raise BrokenStreamError("event_too_long", str(exc)) from exc


def _thread(session_id: str) -> str:
    """Return the id of a session's thread, which must be a UUID."""
    try:
        return str(UUID(session_id))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, session_id))
