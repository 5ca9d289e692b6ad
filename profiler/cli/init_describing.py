"""An agent with a protocol of its own: from one answer to its description for `http-json`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from profiler.cli.init_seen import beginning
from profiler.endpoints.answers import guessed
from profiler.endpoints.exchange import Reply
from profiler.endpoints.http_json import HttpJson
from profiler.measure.records import Outcome
from profiler.workload.http_json import HttpJson as Template

if TYPE_CHECKING:
    from profiler.endpoints.exchange import Exchange
    from profiler.endpoints.probe import Answer
    from profiler.workload.starter import Starter

UNKNOWN_BODY = {"message": "{{ user }}", "session_id": "{{ session_id }}"}
"""What is sent where nothing tells what the agent accepts."""
ANYTHING = {"reply": "@"}
"""Whatever comes is the reply: for the first look at an answer."""
UNKNOWN_REPLY = {"reply": "reply"}

_UNREAD = frozenset({None, "not_json"})
"""What is wrong with an answer that came whole, and was read as JSON though it is a stream."""


def described(
    exchange: Exchange, answer: Answer, starter: Starter
) -> tuple[Exchange, Reply, Starter]:
    """Guess what the answer means and read it so: exchange, reply, and what is to be written."""
    is_whole = exchange.http_status is not None and exchange.http_status < 300  # noqa: PLR2004 - HTTP
    if not is_whole or exchange.error_kind not in _UNREAD:
        return exchange, exchange.reply, starter
    body = dict((starter.http_json or {}).get("body", UNKNOWN_BODY))
    found = guessed(answer.content_type, answer.body, starter.message)
    if found is None:
        whole = answer.body.whole()[:2000].decode("utf-8", "replace")
        typer.echo(f"no reply is to be recognised in the answer: {beginning(whole)}")
        written = _with(starter, {"body": body, **UNKNOWN_REPLY})
        written = replace(written, to_fill=(*starter.to_fill, "reply"))
        return replace(exchange, outcome=Outcome.OK, error_kind=None), Reply(), written
    template: dict[str, Any] = {"body": body, **found}
    reader = HttpJson(url="http://agent", template=Template.model_validate(template), headers={})
    reply = answer.read_by(reader, "session")
    outcome = Outcome.OK
    if reply.error_kind is not None:
        outcome = Outcome.PROTOCOL_ERROR if reply.is_protocol_error else Outcome.AGENT_ERROR
    seen = replace(
        exchange, outcome=outcome, error_kind=reply.error_kind, error_detail=reply.error_detail
    )
    written = replace(_with(starter, template), to_check=(*starter.to_check, *found))
    return seen, reply, written


def _with(starter: Starter, template: dict[str, Any]) -> Starter:
    return replace(starter, http_json=template)
