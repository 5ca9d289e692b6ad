"""Checks: what a reply must be to count as good."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    model_validator,
)

from profiler.workload.expressions import JmesPath
from profiler.workload.patterns import SEARCH_LIMIT_S, TooSlowError, compiled, is_in
from profiler.workload.strict import PositiveDuration, Strict, Text, problem
from profiler.workload.templates import placeholder_names, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SEARCHED_CHARACTERS = 100_000
_SHOWN_CHARACTERS = 60


def _regex(value: Any) -> re.Pattern[str]:
    if isinstance(value, re.Pattern):
        return value
    if not isinstance(value, str) or not value:
        raise problem("the regular expression is empty or not text", "Put it in quotes")
    try:
        return compiled(value)
    except ValueError as exc:
        raise problem(str(exc), "See Python's re module for the syntax") from exc


def _expression(value: Any) -> JmesPath:
    if isinstance(value, JmesPath):
        return value
    if not isinstance(value, str):
        raise problem("the path is not text", "Write a JMESPath expression")
    try:
        return JmesPath.parse(value)
    except ValueError as exc:
        raise problem(str(exc), "See jmespath.org for the syntax") from exc


def _template(value: str) -> str:
    try:
        placeholder_names(value)
    except ValueError as exc:
        raise problem(str(exc), "Write {{ name }}") from exc
    return value


TemplateText = Annotated[Text, AfterValidator(_template)]
"""A text whose `{{ name }}` are well formed; which names there are, the scenario knows."""


class JsonPathCheck(Strict):
    """A JMESPath expression into the body: what it finds must be true, or equal to a value."""

    path: Annotated[
        InstanceOf[JmesPath], BeforeValidator(_expression), PlainSerializer(lambda path: path.text)
    ]
    equals: Any = None

    @model_validator(mode="before")
    @classmethod
    def _bare_path(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    def failure(self, body: Any) -> str | None:
        """Return what is wrong with `body`, None where nothing is."""
        found = self.path.search(body)
        shown = _short(self.path.text)
        if "equals" in self.model_fields_set:
            same = found == self.equals and isinstance(found, bool) == isinstance(self.equals, bool)
            return None if same else f"json_path: {shown} is not {_short(repr(self.equals))}"
        return f"json_path: nothing true at {shown}" if _is_false(found) else None


class Check(Strict):
    """Conditions on one reply; all that are given must hold."""

    status: Annotated[int, Field(strict=True, ge=100, le=599)] | None = None
    contains: TemplateText | None = None
    regex: Annotated[re.Pattern[str], BeforeValidator(_regex)] | None = None
    json_path: JsonPathCheck | None = None
    max_latency_s: PositiveDuration | None = Field(default=None, alias="max_latency")

    @model_validator(mode="after")
    def _not_empty(self) -> Check:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise problem("the check checks nothing", "Add a condition, such as status: 200")
        return self

    def rendered(self, values: Mapping[str, str]) -> Check:
        """Return the check with the variables of a session filled in."""
        if self.contains is None or "{{" not in self.contains:
            return self
        return self.model_copy(update={"contains": render(self.contains, values)})

    def failure(
        self, *, reply: str, http_status: int, body: Any | None, latency_s: float
    ) -> str | None:
        """Return the first condition that does not hold, None where all do."""
        if self.status is not None and http_status != self.status:
            return f"status: {http_status} is not {self.status}"
        if self.contains is not None and self.contains not in reply:
            return f"contains: {_short(self.contains)} is not in the reply"
        if self.regex is not None and (wrong := _unmatched(self.regex, reply)):
            return wrong
        if self.json_path is not None and (wrong := self.json_path.failure(body)):
            return wrong
        if self.max_latency_s is not None and latency_s > self.max_latency_s:
            return f"max_latency: {latency_s:.3f} s is over {self.max_latency_s:g} s"
        return None


def failed_check(
    checks: Sequence[Check], *, reply: str, http_status: int, body: Any | None, latency_s: float
) -> str | None:
    """Return a short description of the first check that failed, None where all hold.

    It quotes the check and never the reply. `body` is the parsed JSON body, None where there is
    none: a stream of events has none, so a `json_path` fails on it.
    """
    for check in checks:
        wrong = check.failure(reply=reply, http_status=http_status, body=body, latency_s=latency_s)
        if wrong is not None:
            return wrong
    return None


def _unmatched(pattern: re.Pattern[str], reply: str) -> str | None:
    """Return what is wrong with a reply, None where the pattern is in it."""
    try:
        found = is_in(pattern, reply[:_SEARCHED_CHARACTERS])
    except TooSlowError:
        return (
            f"regex: gave up after {SEARCH_LIMIT_S:g} s on {_short(pattern.pattern)}: "
            "repeats within repeats, as in (a+)+, take that long; write it without"
        )
    return None if found else f"regex: no match for {_short(pattern.pattern)}"


def _is_false(value: Any) -> bool:
    """Say whether JMESPath takes a value for false; zero is true there."""
    return value is None or value is False or value in ("", [], {})


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"
