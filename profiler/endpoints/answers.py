"""What an answer of an unknown shape most likely means: paths to its reply, for `http-json`.

A guess from one answer, for a person to check. Looks at 2,000 places at most (200 of an event),
6 levels deep.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from profiler.endpoints.event_rules import EventRules
from profiler.endpoints.event_source import DONE, UNNAMED, events_of, is_stream
from profiler.endpoints.event_stream import BrokenStreamError
from profiler.endpoints.json_values import count, mapping, string
from profiler.endpoints.openapi import SESSION_NAMES
from profiler.workload.http_json import Events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from profiler.endpoints.body import Body
    from profiler.endpoints.event_rules import Event

_REPLY_NAMES = (
    "reply",
    "answer",
    "final_output",
    "finaloutput",
    "response",
    "output",
    "output_text",
    "delta",
    "token",
    "chunk",
    "text",
    "content",
    "message",
    "result",
    "completion",
    "data",
)
"""Names under which the reply's text is, the likeliest first."""
_USAGE_NAMES = {
    "input_tokens": ("input_tokens", "prompt_tokens", "inputTokens", "promptTokens"),
    "output_tokens": ("output_tokens", "completion_tokens", "outputTokens", "completionTokens"),
}
_MOST_PLACES, _MOST_EVENTS, _MOST_PLACES_OF_EVENT, _DEPTH = 2_000, 2_000, 200, 6
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_RESPONSE_COMPLETED: dict[str, Any] = {
    "when": {"path": "type", "equals": "response.completed"},
    "model": "response.model",
    "tool_calls": "response.output[?type == 'function_call'].name",
    "usage": {
        "input_tokens": "response.usage.input_tokens",
        "output_tokens": "response.usage.output_tokens",
        "cached_input_tokens": "response.usage.input_tokens_details.cached_tokens",
        "reasoning_tokens": "response.usage.output_tokens_details.reasoning_tokens",
    },
}
"""An LLM call's end in the events of OpenAI's Responses API, which agents often pass on."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A value and the way to it: names, and -1 for the last item of a list."""

    path: tuple[str | int, ...]
    value: Any

    @property
    def name(self) -> str:
        """The last name on the way, in lower case."""
        return next((p.lower() for p in reversed(self.path) if isinstance(p, str)), "")

    @property
    def expression(self) -> str:
        """The way as JMESPath."""
        return _expression(self.path)


def guessed(content_type: str, body: Body, said: str) -> dict[str, Any] | None:
    """Return what belongs beside `body` in `http_json` to read such an answer; None: no guess.

    `said` is what the user sent, which the answer may repeat.
    """
    if is_stream(content_type):
        return _of_stream(content_type, body)
    try:
        document = orjson.loads(body.whole())
    except orjson.JSONDecodeError:
        return None
    if isinstance(document, str):
        return {"reply": "@"}
    places = _places(document)
    reply = _reply(places, said)
    if reply is None:
        return None
    found: dict[str, Any] = {"reply": reply.expression}
    session = next((p for p in places if p.name in SESSION_NAMES and _is_text(p.value)), None)
    if session is not None:
        found["session_id"] = session.expression
    if usage := _usage(places):
        found["usage"] = usage
    if isinstance(document, dict) and "error" in document:
        found["error"] = "error"
    trace = next((p for p in places if isinstance(mapping(p.value).get("llm_calls"), list)), None)
    if trace is not None:
        found["trace"] = trace.expression
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _reply(places: Sequence[_Place], said: str) -> _Place | None:
    texts = [p for p in places if _is_text(p.value) and p.name not in SESSION_NAMES]
    texts = [p for p in texts if p.value != said] or texts
    named = [p for p in texts if p.name in _REPLY_NAMES]
    if named:
        return min(named, key=lambda p: (_REPLY_NAMES.index(p.name), len(p.path)))
    return texts[0] if len(texts) == 1 else None


def _usage(places: Sequence[_Place]) -> dict[str, str]:
    for place in places:
        block = mapping(place.value)
        found = {
            ours: _expression((*place.path, theirs))
            for ours, names in _USAGE_NAMES.items()
            for theirs in names
            if count(block.get(theirs)) is not None
        }
        if len(found) == len(_USAGE_NAMES):
            return found
    return {}


def _places(document: Any, most: int = _MOST_PLACES) -> list[_Place]:
    """Return the values of a document, the outer ones first. Of a list, the last item alone."""
    found = [_Place((), document)]
    for place in found:  # it grows while it is read
        if len(found) > most:
            break
        if len(place.path) >= _DEPTH:
            continue
        if isinstance(place.value, dict):
            items = islice(place.value.items(), most)
            found += [_Place((*place.path, name), value) for name, value in items]
        elif isinstance(place.value, list) and place.value:
            found.append(_Place((*place.path, -1), place.value[-1]))
    return found[:most]


def _expression(path: tuple[str | int, ...]) -> str:
    """Return a way as JMESPath (https://jmespath.org/specification.html, identifiers)."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = step if _BARE.fullmatch(step) else orjson.dumps(step).decode()
        text += f".{name}" if text else name
    return text or "@"


def _of_stream(content_type: str, body: Body) -> dict[str, Any] | None:
    for data in ("json", "text"):
        rules = EventRules(Events.model_validate({"data": data, "text": {"value": "@"}}))
        try:
            events = list(islice(events_of(body, content_type, rules), _MOST_EVENTS))
        except BrokenStreamError:
            continue
        found = _of_texts(events) if data == "text" else _of_events(events)
        return None if found is None else {"events": found}
    return None


def _of_texts(events: Sequence[Event]) -> dict[str, Any] | None:
    texts = [event for event in events if event.name != DONE]
    if not texts:
        return None
    names = Counter(event.name for event in texts)
    text: dict[str, Any] = {"value": "@"}
    if len(names) > 1:
        text["when"] = {"event": names.most_common(1)[0][0]}
    return {"data": "text", "text": text} | _ended(events)


def _of_events(events: Sequence[Event]) -> dict[str, Any] | None:
    """Take for text what stands most often under one of the names of a reply."""
    kinds = {_kind(event) for event in events}
    often: Counter[tuple[tuple[str, str | None], tuple[str | int, ...]]] = Counter()
    for event in events:
        for place in _leaves(event.data):
            if place.name in _REPLY_NAMES and isinstance(place.value, str) and place.value:
                often[_kind(event), place.path] += 1
    if not often:
        return None
    ((name, kind), path), _ = min(
        often.items(), key=lambda item: (-item[1], _REPLY_NAMES.index(_Place(item[0][1], "").name))
    )
    text: dict[str, Any] = {"value": _expression(path)}
    if len(kinds - {(DONE, None)}) > 1:
        text["when"] = {"path": "type", "equals": kind} if kind is not None else {"event": name}
    found: dict[str, Any] = {"text": text}
    session = next(
        (
            p
            for e in events
            for p in _leaves(e.data)
            if p.name in SESSION_NAMES and _is_text(p.value)
        ),
        None,
    )
    if session is not None:
        found["session_id"] = {"value": session.expression}
    if any(_ends_llm_call(event) for event in events):
        found["llm_end"] = _RESPONSE_COMPLETED
    elif usage := _usage(_places(_last(events).data, _MOST_PLACES_OF_EVENT)):
        found["usage"] = usage
    return found | _ended(events)


def _ends_llm_call(event: Event) -> bool:
    data = mapping(event.data)
    return data.get("type") == "response.completed" and isinstance(data.get("response"), dict)


def _last(events: Sequence[Event]) -> Event:
    """Return the last event that says something. Usage in an earlier one may be of a part only."""
    return next((e for e in reversed(events) if e.name != DONE), events[-1])


def _leaves(data: Any) -> Iterator[_Place]:
    return (
        p
        for p in _places(data, _MOST_PLACES_OF_EVENT)
        if p.path and not isinstance(p.value, dict | list)
    )


def _kind(event: Event) -> tuple[str, str | None]:
    return event.name, string(mapping(event.data).get("type"))


def _ended(events: Sequence[Event]) -> dict[str, Any]:
    """Return a rule for the last event, if nothing else in the stream is of its kind."""
    if not events:
        return {}
    last = _kind(events[-1])
    if sum(_kind(event) == last for event in events) > 1:
        return {}
    name, kind = last
    if name != UNNAMED:
        return {"final": {"when": {"event": name}}}
    return {} if kind is None else {"final": {"when": {"path": "type", "equals": kind}}}
