"""`target.http_json` in a workload file: a protocol of the agent's own, described.

An answer is one JSON object into which paths lead (`reply`, `usage`, ...), or a list of events, as
a stream or as JSON, of which rules (`events`) say what each kind means. Every path is JMESPath.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, field_validator, model_validator

from profiler.workload.near import did_you_mean
from profiler.workload.strict import JmesPathText, Strict, Text, problem
from profiler.workload.templates import placeholder_names

BODY_NAMES = frozenset({"user", "session_id", "client_session_id", "turn"})
"""What the body of a request may use as `{{ name }}`."""
SETUP_NAMES = frozenset({"session_id", "client_session_id"})
"""What a path, and the body of a request that opens a session, may use."""

_TESTS = ("equals", "in", "exists")


class UsagePaths(Strict):
    """Where the tokens that the agent reports are, as JMESPath."""

    input_tokens: JmesPathText | None = None
    output_tokens: JmesPathText | None = None
    cached_input_tokens: JmesPathText | None = None
    cache_write_tokens: JmesPathText | None = None
    reasoning_tokens: JmesPathText | None = None

    def paths(self) -> dict[str, str]:
        """Return the expressions that were given, by name of the count."""
        given = ((name, getattr(self, name)) for name in UsagePaths.model_fields)
        return {name: path for name, path in given if path is not None}


def _event_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float | bool | None):
        raise problem("the value is not a text, a number, true, false or null", "Write one")
    return value


class When(Strict):
    """Which events a rule is for: by the stream's `event:` name, and by what is at a path.

    Without `equals`, `in` or `exists`, what is there must be true as JMESPath has it: no null, no
    false, nothing empty.
    """

    event: Annotated[tuple[Text, ...], BeforeValidator(_event_names)] | None = None
    path: JmesPathText | None = None
    equals: Annotated[Any, BeforeValidator(_scalar)] = None
    one_of: list[Annotated[Any, BeforeValidator(_scalar)]] | None = Field(
        default=None, alias="in", min_length=1
    )
    exists: StrictBool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> When:
        tests = [name for name in self.tests() if name != "path"]
        if self.event is None and self.path is None:
            what = f"'{tests[0]}' has no path to look at" if tests else "the condition is empty"
            fix = "Write {event: name}, {path: type, equals: delta}, {path: type, in: [a, b]} or"
            raise problem(what, f"{fix} {{path: usage, exists: true}}")
        if tests and self.path is None:
            raise problem(f"'{tests[0]}' has no path to look at", "Add 'path'", below=(tests[0],))
        if len(tests) > 1:
            fix = "Keep one, or write the condition as JMESPath in 'path'"
            raise problem(f"{tests[0]} and {tests[1]} exclude each other", fix, below=(tests[1],))
        return self

    def tests(self) -> tuple[str, ...]:
        """Return which tests of what is at the path were written; `equals: null` is one."""
        names = {"one_of": "in"}
        given = {names.get(name, name) for name in self.model_fields_set}
        return tuple(name for name in _TESTS if name in given)


class Found(Strict):
    """A value in the events that `when` selects (all of them without it)."""

    when: When | None = None
    value: JmesPathText


class Seen(Strict):
    """Events that mean something by being there."""

    when: When


class LlmStart(Seen):
    """An LLM call begins. With an `id`, its end is the event with the same one."""

    id: JmesPathText | None = None


class LlmEnd(Seen):
    """An LLM call is over, and what the event tells of it. Without `llm_start` it has no times."""

    id: JmesPathText | None = None
    model: JmesPathText | None = None
    usage: UsagePaths | None = None
    tool_calls: JmesPathText | None = None
    failed: JmesPathText | None = None


class ToolStart(Seen):
    """A tool begins to run. `each`: where in the event its calls are, if it may have several."""

    each: JmesPathText | None = None
    id: JmesPathText | None = None
    name: JmesPathText


class ToolEnd(Seen):
    """A tool has run. It needs an `id` or a `name` if tools may run at the same time."""

    each: JmesPathText | None = None
    id: JmesPathText | None = None
    name: JmesPathText | None = None
    failed: JmesPathText | None = None


class EventUsage(UsagePaths):
    """The tokens of the whole answer: those of the last event that has any, or of all, summed."""

    when: When | None = None
    combine: Literal["last", "sum"] = "last"


class EventError(Strict):
    """An error inside a 200. Without `when`, any event with something at `message` is one."""

    when: When | None = None
    message: JmesPathText | None = None

    @model_validator(mode="after")
    def _is_found(self) -> EventError:
        if self.when is None and self.message is None:
            raise problem("the rule says neither 'when' nor 'message'", "Write one of them")
        return self


class Events(Strict):
    """What the events of an answer mean. An event may match any number of rules."""

    data: Literal["json", "text"] = "json"
    each: JmesPathText = "@"
    text: Found | None = None
    reply: Found | None = None
    first_content: Seen | None = None
    session_id: Found | None = None
    trace: Found | None = None
    usage: EventUsage | None = None
    llm_start: LlmStart | None = None
    llm_end: LlmEnd | None = None
    tool_start: ToolStart | None = None
    tool_end: ToolEnd | None = None
    final: Seen | None = None
    error: EventError | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Events:
        if self.text is None and self.reply is None:
            fix = "Add 'text' for the pieces of the reply, or 'reply' for the whole of it"
            raise problem("no rule says where the reply's text is", fix)
        if self.usage is not None and not self.usage.paths():
            names = ", ".join(UsagePaths.model_fields)
            raise problem("the rule finds no tokens", f"Add one of {names}", below=("usage",))
        start, end = self.tool_start, self.tool_end
        if start is None and end is not None and end.name is None:
            what, fix = "without tool_start, nothing names the tool", "Add 'name'"
            raise problem(what, fix, below=("tool_end",))
        pairs = (("llm", self.llm_start, self.llm_end), ("tool", start, end))
        for kind, begin, over in pairs:
            if begin is not None and over is not None and begin.id is not None and over.id is None:
                what = f"{kind}_start has an id and {kind}_end has none"
                raise problem(what, "Give both one, or neither", below=(f"{kind}_end",))
        return self


class Setup(Strict):
    """A request that opens a session, sent before its first message and in no figure."""

    path: Text
    body: dict[str, Any] = Field(default_factory=dict)
    session_id: JmesPathText | None = None

    @field_validator("path")
    @classmethod
    def _path_names(cls, path: str) -> str:
        return _checked_path(path)

    @field_validator("body")
    @classmethod
    def _body_names(cls, body: dict[str, Any]) -> dict[str, Any]:
        _check_names(body, SETUP_NAMES)
        return body


class HttpJson(Strict):
    """A protocol of the agent's own: what to send, and what the answer means."""

    path: Text | None = None
    body: dict[str, Any]
    setup: Setup | None = None
    reply: JmesPathText | None = None
    session_id: JmesPathText | None = None
    usage: UsagePaths | None = None
    error: JmesPathText | None = None
    trace: JmesPathText | None = None
    events: Events | None = None

    @field_validator("path")
    @classmethod
    def _path_names(cls, path: str | None) -> str | None:
        return None if path is None else _checked_path(path)

    @field_validator("body")
    @classmethod
    def _body_names(cls, body: dict[str, Any]) -> dict[str, Any]:
        if "user" not in _check_names(body, BODY_NAMES):
            raise problem("the body never uses {{ user }}", "Put the user's message in it")
        return body

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> HttpJson:
        if self.events is None:
            if self.reply is None:
                what = "the key 'reply' is missing under target.http_json"
                raise problem(what, "Say where the reply's text is, or describe 'events'")
            return self
        for name in ("reply", "session_id", "usage", "error", "trace"):
            if getattr(self, name) is not None:
                what = f"{name} has no use beside events"
                raise problem(what, f"Write it as a rule in events.{name}", below=(name,))
        return self


def _checked_path(path: str) -> str:
    if not path.startswith("/") or path.startswith("//"):
        raise problem("the path does not begin with one '/'", "Write it like /sessions")
    if not (path.isascii() and path.isprintable()) or "#" in path:
        raise problem("the path has a character that no path has", "Write it %-encoded")
    _check_names(path, SETUP_NAMES)
    return path


def _check_names(template: Any, known: frozenset[str]) -> frozenset[str]:
    """Return the placeholders in a template, all of which are known."""
    allowed = " or ".join(f"{{{{ {name} }}}}" for name in sorted(known))
    try:
        names = frozenset[str]().union(*map(placeholder_names, _texts(template)))
    except ValueError as exc:
        raise problem(str(exc), f"Write {allowed}") from exc
    for name in sorted(names - known):
        raise problem(f"unknown variable '{name}'", did_you_mean(name, known))
    return names


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []
