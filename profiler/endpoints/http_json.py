"""`http-json`: a template for an agent with an HTTP protocol of its own.

The workload says how a request body is made (`{{ user }}`, `{{ session_id }}`, `{{ turn }}`), and,
as JMESPath, where in the answer the reply, the session id, the usage and an error are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.exchange import Outgoing, Reply
from profiler.measure.records import Usage
from profiler.workload.expressions import JmesPath
from profiler.workload.templates import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.workload.target import HttpJson as Template

_DETAIL_CHARACTERS = 200


class HttpJson:
    """The `http-json` protocol for one target."""

    def __init__(self, *, url: str, template: Template, headers: Mapping[str, str]) -> None:
        self.url = url
        self.headers = {
            "content-type": "application/json",
            "accept": "application/json",
            **headers,
        }
        self.body = template.body
        self.reply = JmesPath.parse(template.reply)
        self.session_id = _parsed(template.session_id)
        self.error = _parsed(template.error)
        self.trace = _parsed(template.trace)
        paths = {} if template.usage is None else template.usage.paths()
        self.usage = {name: JmesPath.parse(path) for name, path in paths.items()}

    def begin(self, session_id: str) -> HttpJsonDialogue:
        """Start a session; `session_id` is ours until the agent gives one of its own."""
        return HttpJsonDialogue(self, session_id)


def _parsed(expression: str | None) -> JmesPath | None:
    return None if expression is None else JmesPath.parse(expression)


class HttpJsonDialogue:
    """One session: its id and turn number are all that it carries."""

    def __init__(self, endpoint: HttpJson, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_id = session_id
        self._turn = 0

    def request(self, user: str) -> Outgoing:
        """Fill the body template."""
        values = {"user": user, "session_id": self._session_id, "turn": str(self._turn)}
        body = orjson.dumps(_filled(self._endpoint.body, values))
        return Outgoing(
            url=self._endpoint.url,
            headers=self._endpoint.headers,
            session_headers={"x-session-id": self._session_id},
            body=body,
        )

    def reader(self, *, status: int, content_type: str) -> HttpJsonReader:  # noqa: ARG002 - seam
        """Return a reader of one JSON body."""
        return HttpJsonReader(self._endpoint)

    def accept(self, user: str, reply: Reply) -> None:  # noqa: ARG002 - the agent has the history
        """Take over the session id that the agent gave, where it gave one."""
        self._turn += 1
        expression = self._endpoint.session_id
        if expression is not None:
            given = _search(expression, reply.body)
            if isinstance(given, str | int) and not isinstance(given, bool):
                self._session_id = str(given)


class HttpJsonReader(Body):
    """Reads one JSON body by the template."""

    __slots__ = ("_endpoint",)

    def __init__(self, endpoint: HttpJson) -> None:
        super().__init__()
        self._endpoint = endpoint

    def finish(self) -> Reply:
        """Parse the body and search it."""
        endpoint = self._endpoint
        try:
            body = orjson.loads(self.whole())
        except orjson.JSONDecodeError:
            return Reply(
                error_kind="not_json",
                error_detail="the response body is no JSON",
                is_protocol_error=True,
            )
        usage = self._usage(body)
        trace = _search(endpoint.trace, body)
        trace = trace if isinstance(trace, dict) else None
        error = _search(endpoint.error, body)
        if error is not None and error is not False:
            detail = " ".join(str(error).split())[:_DETAIL_CHARACTERS]
            return Reply(
                usage=usage, trace=trace, body=body, error_kind="error_in_body", error_detail=detail
            )
        text = _search(endpoint.reply, body)
        if text is None:
            return Reply(
                usage=usage,
                trace=trace,
                body=body,
                error_kind="no_reply",
                error_detail=f"nothing at `{endpoint.reply.text}` in the response",
                is_protocol_error=True,
            )
        reply = text if isinstance(text, str) else orjson.dumps(text).decode()
        return Reply(text=reply, usage=usage, trace=trace, body=body)

    def _usage(self, body: Any) -> Usage | None:
        found = {name: _search(path, body) for name, path in self._endpoint.usage.items()}
        counts = {
            name: value
            for name, value in found.items()
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0
        }
        return Usage(**counts) if counts else None


def _search(expression: JmesPath | None, body: Any) -> Any:
    return None if expression is None else expression.search(body)


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    """Fill in the placeholders of every string in a JSON value."""
    if isinstance(template, str):
        return render(template, values)
    if isinstance(template, dict):
        return {key: _filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, values) for value in template]
    return template
