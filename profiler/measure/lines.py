"""One record as one line of JSON, and back: `"event"` first, what is None left out."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import orjson

from profiler.measure.records import (
    Backoff,
    Began,
    ClientTokens,
    DriverSample,
    End,
    Interaction,
    LlmAttempt,
    LlmCall,
    ObserverNote,
    RateLimit,
    Record,
    Resumed,
    Run,
    StateDelta,
    StateOp,
    TokenParts,
    ToolCall,
    ToolRoundTrip,
    Usage,
    Watched,
)

if TYPE_CHECKING:
    from collections.abc import Callable


EVENTS: dict[str, type[Any]] = {
    "run": Run,
    "interaction": Interaction,
    "llm_call": LlmCall,
    "llm_attempt": LlmAttempt,
    "tool_call": ToolCall,
    "tool_round_trip": ToolRoundTrip,
    "state_op": StateOp,
    "state_delta": StateDelta,
    "watched": Watched,
    "observer_note": ObserverNote,
    "driver": DriverSample,
    "backoff": Backoff,
    "began": Began,
    "resumed": Resumed,
    "end": End,
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one kind of record is written and read, found out once and not for each line."""

    names: tuple[str, ...]
    readers: tuple[tuple[str, Callable[[Any], Any]], ...]
    fill: Callable[[Any, dict[str, Any]], dict[str, Any]]


def _shape_of(kind: type[Any]) -> _Shape:
    names = tuple(f.name for f in fields(kind))
    hints = get_type_hints(kind)
    nested = {name for name in names if is_dataclass(_plain_type(hints[name]))}
    readers = ((name, reader) for name in names if (reader := _reader_for(hints[name])))
    return _Shape(names, tuple(readers), _compile_fill(names, nested))


def _compile_fill(
    names: tuple[str, ...], nested: set[str]
) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    """Make the function that puts a record's fields into a dict, but for its None ones.

    Written out field by field, as `dataclasses` writes `__init__`: a loop over the fields costs
    four times as much, and this runs for every line of a run.
    """
    lines = ["def fill(record, plain):"]
    for name in names:
        value = "_plain(value)" if name in nested else "value"
        lines.append(f" value = record.{name}")
        lines.append(f" if value is not None: plain[{name!r}] = {value}")
    lines.append(" return plain")
    namespace: dict[str, Any] = {"_plain": _plain}
    exec("\n".join(lines), namespace)  # noqa: S102 - made of our own records' field names only
    fill: Callable[[Any, dict[str, Any]], dict[str, Any]] = namespace["fill"]
    return fill


def _plain(record: Any) -> dict[str, Any]:
    return _SHAPES[type(record)].fill(record, {})


def _plain_type(hint: Any) -> Any:
    """Return `X` for `X | None`, and any other type as it is."""
    if get_origin(hint) in (Union, UnionType):
        return next(arg for arg in get_args(hint) if arg is not type(None))
    return hint


def _reader_for(hint: Any) -> Callable[[Any], Any] | None:
    """Return what turns a JSON value into `hint`, or None where JSON already has the type."""
    kind = _plain_type(hint)
    if get_origin(kind) is tuple:
        return tuple
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if isinstance(kind, type) and is_dataclass(kind):
        return lambda value: build(kind, value)
    return None


_SHAPES = {
    kind: _shape_of(kind) for kind in (*EVENTS.values(), Usage, TokenParts, ClientTokens, RateLimit)
}
_WRITERS = {kind: (name, _SHAPES[kind].fill) for name, kind in EVENTS.items()}


def to_line(record: Record) -> bytes:
    """Encode a record as one journal line, newline included.

    Lone surrogates, which UTF-8 cannot hold, become `?`; infinite and undefined floats `null`.
    """
    name, fill = _WRITERS[type(record)]
    event = fill(record, {"event": name})
    try:
        return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A text from the target with a lone surrogate in it, or an integer beyond 64 bits: both
        # can come out of JSON, and neither may end a run.
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"


def build(kind: type[Any], value: dict[str, Any]) -> Any:
    """Return the record of a kind whose fields are `value`, which is used up.

    Raises `TypeError`, `ValueError` or `AttributeError` where they do not make one.
    """
    for name, reader in _SHAPES[kind].readers:
        if name in value:
            value[name] = reader(value[name])
    try:
        return kind(**value)
    except TypeError:
        # A newer version of this schema may have added fields: what we know is still true.
        return kind(**{name: value[name] for name in _SHAPES[kind].names if name in value})
