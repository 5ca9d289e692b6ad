"""`http-json`: a template for an agent with an HTTP protocol of its own.

The workload says how a request is made (`{{ user }}`, `{{ session_id }}`, `{{ turn }}`), and, as
JMESPath, where in the answer the reply, the session id, the usage and an error are; or what each
kind of event in it means (`http_json_events.py`). A session may have to be opened first (`setup`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from profiler.endpoints.body import Body
from profiler.endpoints.event_rules import EventRules, TokenPaths, compiled, key_of, search
from profiler.endpoints.event_stream import NoStreamReader, in_one_line, parsed
from profiler.endpoints.events import FIRST_ERROR_STATUS
from profiler.endpoints.exchange import Outgoing, Reply
from profiler.endpoints.http_json_events import EventsReader
from profiler.workload.templates import filled, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.exchange import Reader
    from profiler.workload.expressions import JmesPath
    from profiler.workload.http_json import HttpJson as Template
    from profiler.workload.http_json import Setup


class HttpJson:
    """The `http-json` protocol for one target. `path`s of the template are added to its URL."""

    def __init__(self, *, url: str, template: Template, headers: Mapping[str, str]) -> None:
        self.url = url
        self.path = template.path
        accept = "application/json"
        self.headers = {
            "content-type": "application/json",
            "accept": accept if template.events is None else f"text/event-stream, {accept}",
            **headers,
        }
        self.body = template.body
        self.setup = template.setup
        self.events = None if template.events is None else EventRules(template.events)
        self.reply = compiled(template.reply)
        self.session_id = compiled(template.session_id)
        self.error = compiled(template.error)
        self.trace = compiled(template.trace)
        self.tokens = TokenPaths(template.usage)

    def begin(self, session_id: str) -> HttpJsonDialogue:
        """Start a session; `session_id` is ours until the agent gives one of its own."""
        return HttpJsonDialogue(self, session_id)

    def url_of(self, path: str | None, values: Mapping[str, str]) -> str:
        """Return where a request goes: the target's URL, with a path after its own."""
        if path is None:
            return self.url
        quoted = {name: quote(value, safe="", errors="replace") for name, value in values.items()}
        path, _, query = render(path, quoted).partition("?")
        parts = urlsplit(self.url)
        query = "&".join(filter(None, (parts.query, query)))
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=query))


class HttpJsonDialogue:
    """One session: its id and turn number are all that it carries."""

    def __init__(self, endpoint: HttpJson, session_id: str) -> None:
        self._endpoint = endpoint
        self._session_id = session_id
        self._session_headers = _session_headers(session_id)
        self._fixed = {"client_session_id": session_id}
        self._turn = 0
        setup = endpoint.setup
        self._opening = None if setup is None else _Opening(endpoint, setup, session_id)

    def request(self, user: str) -> Outgoing:
        """Fill the body template."""
        opening = self._opening
        if opening is not None and opening.is_done:
            self._session_id = opening.session_id
            self._session_headers = _session_headers(self._session_id)
            opening = self._opening = None
        values = {**self._fixed, "session_id": self._session_id, "turn": str(self._turn)}
        endpoint = self._endpoint
        return Outgoing(
            url=endpoint.url_of(endpoint.path, values),
            headers=endpoint.headers,
            session_headers=self._session_headers,
            body=orjson.dumps(filled(endpoint.body, {**values, "user": user})),
            opening=opening,
        )

    def reader(self, *, status: int, content_type: str) -> Reader:
        """Return a reader of one JSON body, or of events; of an error where they are wanted."""
        rules = self._endpoint.events
        if rules is None:
            return HttpJsonReader(self._endpoint)
        if status >= FIRST_ERROR_STATUS:
            return NoStreamReader()
        return EventsReader(rules, content_type)

    def accept(self, user: str, reply: Reply) -> None:  # noqa: ARG002 - the agent has the history
        """Take over the session id that the agent gave, where it gave one."""
        self._turn += 1
        given = reply.answer_id
        if self._endpoint.events is None:
            given = key_of(search(self._endpoint.session_id, reply.body))
        if given is not None and given != self._session_id:
            self._session_id = given
            self._session_headers = _session_headers(given)


class _Opening:
    """The request that opens a session, as a dialogue of its own."""

    def __init__(self, endpoint: HttpJson, setup: Setup, session_id: str) -> None:
        self._endpoint = endpoint
        self._setup = setup
        self._path = compiled(setup.session_id)
        self.session_id = session_id
        self.is_done = False

    def request(self, user: str) -> Outgoing:  # noqa: ARG002 - nothing is said yet
        """Fill the templates of the setup."""
        values = {"session_id": self.session_id, "client_session_id": self.session_id}
        return Outgoing(
            url=self._endpoint.url_of(self._setup.path, values),
            headers=self._endpoint.headers,
            session_headers=_session_headers(self.session_id),
            body=orjson.dumps(filled(self._setup.body, values)),
        )

    def reader(self, *, status: int, content_type: str) -> Reader:  # noqa: ARG002 - seam
        """Return a reader of the answer."""
        return NoStreamReader() if status >= FIRST_ERROR_STATUS else _OpeningReader(self._path)

    def accept(self, user: str, reply: Reply) -> None:  # noqa: ARG002 - seam
        """Take the session's id, and be done."""
        if reply.answer_id is not None:
            self.session_id = reply.answer_id
        self.is_done = True


class _OpeningReader(Body):
    """Reads the id of a session that was opened; without a path to it, nothing."""

    __slots__ = ("_path",)

    def __init__(self, path: JmesPath | None) -> None:
        super().__init__()
        self._path = path

    def finish(self) -> Reply:
        """Search the body."""
        if self._path is None:
            return Reply()
        given = key_of(self._path.search(parsed(self.whole())))
        if given is None:
            return Reply(
                error_kind="no_session_id",
                error_detail=f"nothing at `{self._path.text}` in the answer",
                is_protocol_error=True,
            )
        return Reply(answer_id=given)


def _session_headers(session_id: str) -> dict[str, str]:
    """Return the header that names the session; an id from outside may have what no header may."""
    is_sendable = session_id.isascii() and session_id.isprintable()
    return {"x-session-id": session_id if is_sendable else quote(session_id, errors="replace")}


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
        usage = endpoint.tokens.usage(body)
        trace = search(endpoint.trace, body)
        trace = trace if isinstance(trace, dict) else None
        error = search(endpoint.error, body)
        if error is not None and error is not False:
            return Reply(
                usage=usage,
                trace=trace,
                body=body,
                error_kind="error_in_body",
                error_detail=in_one_line(error),
            )
        text = search(endpoint.reply, body)
        if text is None:
            where = "" if endpoint.reply is None else endpoint.reply.text
            return Reply(
                usage=usage,
                trace=trace,
                body=body,
                error_kind="no_reply",
                error_detail=f"nothing at `{where}` in the response",
                is_protocol_error=True,
            )
        try:
            reply = text if isinstance(text, str) else orjson.dumps(text).decode()
        except orjson.JSONEncodeError:  # what can be read can be nested too deeply to be written
            return Reply(
                error_kind="no_reply",
                error_detail="what is at the path of the reply is nested too deeply",
                is_protocol_error=True,
            )
        return Reply(text=reply, usage=usage, trace=trace, body=body)
