"""A2A (Agent2Agent) over JSON-RPC: versions 1.0 and 0.3 (https://a2a-protocol.org, `a2a.proto`).

1.0 says its version in the header `A2A-Version`, and calls `SendStreamingMessage` or `SendMessage`;
0.3 calls `message/stream` or `message/send`. Answers are read in either form. An agent answers with
one message, or with a task whose artifacts and status messages are what the user sees. The server
names the context of a conversation, which every later message carries; a task takes another message
only while it waits for the user's input, and is named then. The protocol shows neither LLM calls
nor tools nor tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.event_stream import (
    DONE,
    BrokenStreamError,
    ending,
    in_one_line,
    json_events,
    text_of,
)
from profiler.endpoints.events import STREAM_TYPE, json_object
from profiler.endpoints.exchange import Outgoing, Reply
from profiler.endpoints.json_values import mapping, mappings
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader

_TEXTS_JOINED = "\n\n"
_SUCCEEDED = frozenset({"completed", "input-required"})
_FAILED = frozenset({"failed", "canceled", "rejected", "auth-required"})
_KINDS = {
    "task": "task",
    "message": "message",
    "status-update": "statusUpdate",
    "artifact-update": "artifactUpdate",
}
"""What 0.3 says in `kind`, by the keys of 1.0."""


class A2a:
    """The `a2a` protocol for one target; `url` is that of its JSON-RPC interface."""

    def __init__(
        self,
        *,
        url: str,
        stream: bool,
        headers: Mapping[str, str],
        version: Literal["1.0", "0.3"] = "1.0",
    ) -> None:
        self.url = url
        self.stream = stream
        self.version = version
        self.headers = {
            "content-type": "application/json",
            "accept": STREAM_TYPE if stream else "application/json",
            **({"a2a-version": version} if version != "0.3" else {}),
            **headers,
        }

    def begin(self, session_id: str) -> A2aDialogue:
        """Start a session: a context that the server will name."""
        return A2aDialogue(self, session_id)


@value
class Carried:
    """What the next message needs. The task is the one that waits for input; None: none does.

    `artifacts` and `status` are what this task had by then: it will be told again.
    """

    context: str | None
    task: str | None = None
    artifacts: Mapping[str, str]
    status: tuple[str, ...] = ()


_NOTHING = Carried(context=None, artifacts={})


class A2aDialogue:
    """One context, and the task in it that waits for the user."""

    def __init__(self, endpoint: A2a, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_id = session_id
        self._session_headers = {"x-session-id": session_id}
        self._carried = _NOTHING
        self._messages = 0

    def request(self, user: str) -> Outgoing:
        """Return the request that sends `user`."""
        self._messages += 1
        name = f"{self._session_id}-message-{self._messages}"
        stream, carried = self._endpoint.stream, self._carried
        message: dict[str, Any] = {
            "messageId": name,
            "role": "ROLE_USER",
            "parts": [{"text": user}],
        }
        params: dict[str, Any] = {"message": message}
        method = "SendStreamingMessage" if stream else "SendMessage"
        if self._endpoint.version == "0.3":
            method = "message/stream" if stream else "message/send"
            part = {"kind": "text", "text": user}
            message |= {"kind": "message", "role": "user", "parts": [part]}
            if not stream:
                params["configuration"] = {"blocking": True}
        if carried.context is not None:
            message["contextId"] = carried.context
        if carried.task is not None:
            message["taskId"] = carried.task
        body = {"jsonrpc": "2.0", "id": name, "method": method, "params": params}
        return Outgoing(
            url=self._endpoint.url,
            headers=self._endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(body),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:  # noqa: ARG002 - errors are JSON-RPC too
        """Return a reader of the events of a stream, else of one response."""
        if content_type.startswith(STREAM_TYPE):
            return A2aStreamReader(self._carried)
        return A2aPlainReader(self._carried)

    def accept(self, user: str, reply: Reply) -> None:  # noqa: ARG002 - the server keeps it
        """Remember the context, and the task if it waits."""
        if isinstance(reply.carried, Carried):
            self._carried = reply.carried


class A2aPlainReader(Body):
    """Reads one JSON-RPC response. A task that is not over is no answer to a call that waits."""

    __slots__ = ("_before",)

    def __init__(self, before: Carried) -> None:
        super().__init__()
        self._before = before

    def finish(self) -> Reply:
        """Parse the body."""
        body = json_object(self.whole())
        if isinstance(body, Reply):
            return body
        answer = _Answer(self._before)
        try:
            answer.take(body, None)
        except BrokenStreamError as exc:
            return answer.reply(exc.kind, str(exc), is_protocol_error=True, body=body)
        if answer.error is not None:
            return answer.reply("error_in_body", answer.error, body=body)
        if not answer.is_over:
            said = f"the answer has no task that is over: {answer.state or 'nothing'}"
            return answer.reply("unfinished", said, is_protocol_error=True, body=body)
        return answer.reply(None, None, body=body)


class A2aStreamReader(Body):
    """Reads JSON-RPC responses up to a message, or to a state of the task in which it rests.

    Time to first token is the arrival of the first text: of an artifact, a status or a message.
    """

    __slots__ = ("_before",)

    def __init__(self, before: Carried) -> None:
        super().__init__()
        self._before = before

    def finish(self) -> Reply:
        """Say what the stream meant."""
        answer = _Answer(self._before)
        broken = None
        try:
            for event, at_ns in json_events(self):
                if event.get("type") != DONE:  # not of this protocol, and some servers send it
                    answer.take(event, at_ns)
        except BrokenStreamError as exc:
            broken = exc
        missing = None if answer.is_over else "a message or the final state of a task"
        end = ending(broken, answer.error, missing)
        return answer.reply(end.kind, end.detail, is_protocol_error=end.is_protocol_error)


class _Answer:
    """What the responses to one message come to."""

    def __init__(self, before: Carried) -> None:
        self.state = ""
        self._rpc_error: str | None = None
        self._before = before
        self._context = before.context
        self._task: str | None = None
        self._status: tuple[str, ...] = ()
        self._final = ""
        self._said: list[str] = []
        self._artifacts: dict[str, list[str]] = {}
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether it ended as an answer does: with a message, or a task that rests."""
        return self.state in _SUCCEEDED or self.state in _FAILED

    @property
    def error(self) -> str | None:
        """Why it is no success; None where it is one, or broke off."""
        if self._rpc_error is not None or self.state not in _FAILED:
            return self._rpc_error
        return in_one_line(f"the task is {self.state}: {self._final}").removesuffix(":")

    def take(self, response: dict[str, Any], at_ns: int | None) -> None:
        """Take the next response. Raises `BrokenStreamError`; an unknown result means nothing."""
        if response.get("error") is not None:
            self._rpc_error = _told(response["error"])
            return
        result = response.get("result")
        if not isinstance(result, dict):
            raise BrokenStreamError("wrong_shape", "a response has neither a result nor an error")
        if kind := _KINDS.get(text_of(result, "kind")):
            result = {kind: result}
        for kind in _KINDS.values():
            item = result.get(kind)
            if isinstance(item, dict):
                self._context = text_of(item, "contextId") or self._context
                self._take_item(kind, item, at_ns)

    def _take_item(self, kind: str, item: dict[str, Any], at_ns: int | None) -> None:
        if kind == "message":
            self._final = _text(item, "\n")
            self.state = "completed"
            self._arrived(self._final, at_ns)
            return
        self._task = text_of(item, "id" if kind == "task" else "taskId") or self._task
        if kind == "artifactUpdate":
            artifact = mapping(item.get("artifact"))
            self._take_artifact(artifact, at_ns, is_more=item.get("append") is True)
            return
        for artifact in mappings(item.get("artifacts")):
            self._take_artifact(artifact, at_ns, is_more=False)
        self._take_status(item.get("status"), at_ns)

    def _take_artifact(self, artifact: dict[str, Any], at_ns: int | None, *, is_more: bool) -> None:
        name, text = text_of(artifact, "artifactId"), _text(artifact, "")
        if not is_more and self._before.artifacts.get(name) == text:
            return
        pieces = self._artifacts.setdefault(name, [])
        if not is_more:
            pieces.clear()
        pieces.append(text)
        self._arrived(text, at_ns)

    def _take_status(self, status: Any, at_ns: int | None) -> None:
        if not isinstance(status, dict):
            return
        message = mapping(status.get("message"))
        state, said = text_of(status, "state"), _text(message, "\n")
        mark = (state, text_of(status, "timestamp"), text_of(message, "messageId"), said)
        if mark == self._before.status:
            return
        self._status, self._final = mark, said
        state = state.lower().removeprefix("task_state_").replace("_", "-")
        self.state = "canceled" if state == "cancelled" else state
        if self._final and not self.is_over:
            self._said.append(self._final)
        self._arrived(self._final, at_ns)

    def _arrived(self, text: str, at_ns: int | None) -> None:
        if text:
            self._first_ns = at_ns if self._first_ns is None else self._first_ns
            self._last_ns = at_ns

    def _text(self) -> str:
        """Return artifacts and the last word; without any, what was said on the way."""
        texts = list(filter(None, ("".join(pieces) for pieces in self._artifacts.values())))
        if self.is_over and self._final and self._final not in texts:
            texts.append(self._final)
        return _TEXTS_JOINED.join(texts or self._said)

    def reply(
        self,
        kind: str | None,
        detail: str | None,
        *,
        is_protocol_error: bool = False,
        body: Any = None,
    ) -> Reply:
        """Return what it comes to, with the error that ended it."""
        return Reply(
            text=self._text(),
            first_token_ns=self._first_ns,
            last_token_ns=self._last_ns,
            body=body,
            carried=self._carried() if kind is None else None,
            error_kind=kind,
            error_detail=None if detail is None else in_one_line(detail),
            is_protocol_error=is_protocol_error,
        )

    def _carried(self) -> Carried:
        if self.state != "input-required":
            return Carried(context=self._context, artifacts={})
        texts = {name: "".join(pieces) for name, pieces in self._artifacts.items()}
        artifacts = {**self._before.artifacts, **texts}
        return Carried(
            context=self._context, task=self._task, artifacts=artifacts, status=self._status
        )


def _text(holder: dict[str, Any], between: str) -> str:
    """Return the texts among the parts of a message or an artifact."""
    return between.join(filter(None, (text_of(p, "text") for p in mappings(holder.get("parts")))))


def _told(error: Any) -> str:
    """Return a JSON-RPC error in one line: its message and its code."""
    if not isinstance(error, dict):
        return in_one_line(error)
    code = error.get("code")
    said = in_one_line(error.get("message") or error)
    return f"{said} ({code})" if isinstance(code, int) else said
