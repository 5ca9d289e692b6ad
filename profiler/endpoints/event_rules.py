"""The rules of an `http-json` workload, ready to be applied to events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from profiler.endpoints.json_values import count
from profiler.measure.records import Usage
from profiler.workload.expressions import JmesPath, is_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from profiler.workload.http_json import Events, Found, Seen, UsagePaths, When


_LONGEST_KEY = 1000


class Event(NamedTuple):
    """One event: the stream's name for it (`message` where it has none), what it says, and when."""

    name: str
    data: Any
    at_ns: int | None


def compiled(expression: str | None) -> JmesPath | None:
    """Compile a path that may be left out."""
    return None if expression is None else JmesPath.parse(expression)


def search(expression: JmesPath | None, document: Any) -> Any:
    """Return what is at a path; nothing without one."""
    return None if expression is None else expression.search(document)


def is_same(found: Any, wanted: Any) -> bool:
    """Compare as JSON does: 1 is 1.0, and neither is true."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


class Condition:
    """Which events a rule is for."""

    __slots__ = ("_names", "_path", "_test")

    def __init__(self, when: When) -> None:
        self._names = None if when.event is None else frozenset(when.event)
        self._path = compiled(when.path)
        self._test = _test_of(when)

    def holds(self, event: Event) -> bool:
        """Tell whether an event is one."""
        if self._names is not None and event.name not in self._names:
            return False
        return self._path is None or self._test(self._path.search(event.data))


def _test_of(when: When) -> Callable[[Any], bool]:
    match when.tests():
        case ("equals",):
            return lambda found: is_same(found, when.equals)
        case ("in",):
            return lambda found: any(is_same(found, one) for one in when.one_of or ())
        case ("exists",):
            return lambda found: (found is not None) is when.exists
    return is_true


def _condition(when: When | None) -> Condition | None:
    return None if when is None else Condition(when)


class Rule:
    """Which events, and the paths into each of them, by name. `each` leads to several items."""

    __slots__ = ("_each", "_when", "paths")

    def __init__(
        self, when: When | None, paths: Mapping[str, str | None], each: str | None = None
    ) -> None:
        self._when = _condition(when)
        self._each = compiled(each)
        self.paths = {name: JmesPath.parse(path) for name, path in paths.items() if path}

    def holds(self, event: Event) -> bool:
        """Tell whether the rule is for an event."""
        return self._when is None or self._when.holds(event)

    def items(self, event: Event) -> Iterable[Any]:
        """Return what in an event the paths start from."""
        if self._each is None:
            return (event.data,)
        found = self._each.search(event.data)
        if isinstance(found, list):
            return found
        return () if found is None else (found,)

    def at(self, name: str, item: Any) -> Any:
        """Return what is at one of the paths."""
        return search(self.paths.get(name), item)


def key_of(found: Any) -> str | None:
    """Return a text or a number as a text: an id, a name. None: it is neither, or far too long."""
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    key = str(found)
    return key if 0 < len(key) <= _LONGEST_KEY else None


class TokenPaths:
    """Where the tokens are."""

    __slots__ = ("_paths",)

    def __init__(self, usage: UsagePaths | None) -> None:
        paths = {} if usage is None else usage.paths()
        self._paths = {name: JmesPath.parse(path) for name, path in paths.items()}

    def counts(self, document: Any) -> dict[str, int]:
        """Return the counts that are there, by name; a wrong type is none."""
        found = ((name, count(path.search(document))) for name, path in self._paths.items())
        return {name: value for name, value in found if value is not None}

    def usage(self, document: Any) -> Usage | None:
        """Return the counts as usage, None where there are none."""
        counts = self.counts(document)
        return Usage(**counts) if counts else None


class EventRules:
    """All rules of a workload. One that was not written is None."""

    def __init__(self, events: Events) -> None:
        self.is_text = events.data == "text"
        self.each = JmesPath.parse(events.each)
        self.text, self.reply = _found(events.text), _found(events.reply)
        self.session_id, self.trace = _found(events.session_id), _found(events.trace)
        self.first_content, self.final = _seen(events.first_content), _seen(events.final)
        self.tokens = TokenPaths(events.usage)
        self.usage = None if events.usage is None else Rule(events.usage.when, {})
        self.sums_usage = events.usage is not None and events.usage.combine == "sum"
        error = events.error
        self.error = None if error is None else Rule(error.when, {"message": error.message})
        self.error_is_told = error is not None and error.when is not None
        start, end = events.llm_start, events.llm_end
        self.llm_start = None if start is None else Rule(start.when, {"id": start.id})
        self.llm_end = None
        self.llm_tokens = TokenPaths(None if end is None else end.usage)
        if end is not None:
            names = ("id", "model", "tool_calls", "failed")
            self.llm_end = Rule(end.when, {name: getattr(end, name) for name in names})
        tool, done = events.tool_start, events.tool_end
        self.tool_start = self.tool_end = None
        if tool is not None:
            self.tool_start = Rule(tool.when, {"id": tool.id, "name": tool.name}, tool.each)
        if done is not None:
            ends = {"id": done.id, "name": done.name, "failed": done.failed}
            self.tool_end = Rule(done.when, ends, done.each)

    @property
    def tells_llm_calls(self) -> bool:
        """Whether the events tell LLM calls."""
        return self.llm_start is not None or self.llm_end is not None

    @property
    def tells_tools(self) -> bool:
        """Whether the events tell tool calls."""
        return self.tool_start is not None or self.tool_end is not None


def _found(found: Found | None) -> Rule | None:
    return None if found is None else Rule(found.when, {"value": found.value})


def _seen(seen: Seen | None) -> Rule | None:
    return None if seen is None else Rule(seen.when, {})
