"""Which request of a recording is a user's message to an agent, by the shape of its body.

AG-UI's `RunAgentInput` (https://docs.ag-ui.com/sdk/js/core/types), the AI SDK's UI messages
(https://ai-sdk.dev/docs/ai-sdk-ui/transport), OpenAI's Chat Completions and Responses, runs of
LangGraph's server, and a plain object with one text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from profiler.workload.importers import foreign

if TYPE_CHECKING:
    from profiler.workload.conversations import Message

AG_UI, VERCEL, CHAT = "AG-UI", "AI SDK UI messages", "OpenAI chat messages"
RESPONSES, LANGGRAPH, PLAIN = "OpenAI Responses", "LangGraph run", "plain text in an object"
BY_URL = "a request without an id of its session: all of one URL are one session"

_PLAIN_KEYS = (
    "message",
    "query",
    "question",
    "prompt",
    "user_input",
    "userMessage",
    "input",
    "text",
)
_SESSION_KEYS = (
    "session_id",
    "sessionId",
    "conversation_id",
    "conversationId",
    "thread_id",
    "threadId",
    "chat_id",
    "chatId",
)
_NESTED = ("metadata", "configurable", "config", "context", "data")
_THREAD = re.compile(r"/threads/([\w-]+)/runs")
_MOST_ID = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A user's message. `users` has the user's texts in the request, the new one last.

    `carries_history`: the earlier ones are among them. `results` are those of tools that ran in the
    browser. `session` is None where nothing names it.
    """

    shape: str
    users: list[str]
    session: str | None
    carries_history: bool
    system: str | None = None
    results: list[Message] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def recognised(text: str, url: str) -> Request | None:
    """Return the user's message in the body of a request, None where there is none."""
    try:
        body = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    if not isinstance(body, dict):
        return None
    return _of_body(body, url)


def _of_body(body: dict[str, Any], url: str) -> Request | None:
    session = _session(body)
    messages, message, given = body.get("messages"), body.get("message"), body.get("input")
    if isinstance(messages, list):
        return _of_messages(body, messages, session)
    if isinstance(message, dict) and isinstance(message.get("parts"), list):
        return _request(VERCEL, [message], session or _id(body.get("id")), carries_history=False)
    if isinstance(given, dict) and isinstance(given.get("messages"), list):
        thread = _THREAD.search(url)
        session = thread[1] if thread else session
        return _request(LANGGRAPH, given["messages"], session, carries_history=session is None)
    if isinstance(given, list) or (isinstance(given, str) and "model" in body):
        return _of_responses(body, given, session or _id(body.get("conversation")))
    said = next((body[k] for k in _PLAIN_KEYS if isinstance(body.get(k), str) and body[k]), "")
    return _plainly(PLAIN, [{"role": "user", "content": said}], session)


def _of_responses(
    body: dict[str, Any], given: list[Any] | str, session: str | None
) -> Request | None:
    if isinstance(given, str):
        return _plainly(RESPONSES, [{"role": "user", "content": given}], session)
    if "previous_response_id" in body:
        return _plainly(RESPONSES, given, session)
    return _request(RESPONSES, given, session, carries_history=True)


def _of_messages(body: dict[str, Any], messages: list[Any], session: str | None) -> Request | None:
    if "threadId" in body and "runId" in body:
        return _request(AG_UI, messages, session, carries_history=True)
    with_parts = [m for m in messages if isinstance(m, dict) and "parts" in m]
    if any(isinstance(message["parts"], list) for message in with_parts):
        return _request(VERCEL, messages, session or _id(body.get("id")), carries_history=True)
    return _request(CHAT, messages, session, carries_history=True)


def _plainly(shape: str, messages: list[Any], session: str | None) -> Request | None:
    """Return a request that carries only the new message."""
    return _request(shape, messages, session, carries_history=False)


def _request(
    shape: str,
    messages: list[Any],
    session: str | None,
    *,
    carries_history: bool,
) -> Request | None:
    odd: dict[str, None] = {}
    found = foreign.messages(messages, odd)
    users = [m["content"] for m in found if m["role"] == "user" and m["content"].strip()]
    if not users:
        return None
    return Request(
        shape=shape,
        users=users,
        session=session,
        carries_history=carries_history,
        system=next((m["content"] for m in found if m["role"] == "system"), None),
        results=_results(found),
        notes=list(odd),
    )


def session_of_answer(text: str) -> str | None:
    """Return the id that an agent gave to a session with its first answer, None without one."""
    body = foreign.parsed(text)
    return _session(body) if isinstance(body, dict) else None


def _results(messages: list[Message]) -> list[Message]:
    """Return what tools gave since the agent has last spoken."""
    for at in reversed(range(len(messages))):
        if messages[at]["role"] != "tool":
            return messages[at + 1 :]
    return []


def _session(body: dict[str, Any]) -> str | None:
    config = body.get("config")
    within = config.get("configurable") if isinstance(config, dict) else None
    for holder in (body, within, *(body.get(key) for key in _NESTED)):
        if isinstance(holder, dict):
            for key in _SESSION_KEYS:
                if (found := _id(holder.get(key))) is not None:
                    return found
    return None


def _id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and 0 < len(value) <= _MOST_ID else None
