"""What all models of a workload file share: strictness, and problems that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from profiler.workload.expressions import JmesPath
from profiler.workload.near import did_you_mean
from profiler.workload.units import duration_s, size_bytes

UNKNOWN_KEY = "unknown_key"
PROBLEM = "problem"


def problem(what: str, fix: str, *, below: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """Return what a validator raises; `below` leads from the value to what is to blame."""
    return PydanticCustomError(PROBLEM, "{what}", {"what": what, "fix": fix, "below": below})


class Strict(BaseModel):
    """A frozen model that names the nearest key to one that it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # most models are only ever part of one that is validated whole
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = cls.keys()
            for key in data:
                if key not in known:
                    fix = did_you_mean(str(key), known)
                    context = {"key": str(key), "fix": fix, "below": (key,)}
                    raise PydanticCustomError(UNKNOWN_KEY, "unknown key", context)
        return data

    @classmethod
    def keys(cls) -> frozenset[str]:
        """Return the keys that may be written in the file."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())


def _duration(value: Any) -> float:
    try:
        return duration_s(value)
    except ValueError as exc:
        raise problem(str(exc), "Write it like 120s, 500ms, 2m or 1h") from exc


def _positive_duration(value: Any) -> float:
    seconds = _duration(value)
    if seconds == 0:
        raise problem("the duration is zero", "Write it like 120s, 500ms, 2m or 1h")
    return seconds


def _positive_size(value: Any) -> int:
    fix = "Write it like 64MB or 512KiB"
    try:
        size = size_bytes(value)
    except ValueError as exc:
        raise problem(str(exc), fix) from exc
    if size == 0:
        raise problem("the size is zero", fix)
    return size


def _jmespath(value: str) -> JmesPath:
    try:
        return JmesPath.parse(value)
    except ValueError as exc:
        raise problem(str(exc), "See jmespath.org for the syntax") from exc


def _jmespath_text(value: str) -> str:
    return _jmespath(value).text


def _text(value: str) -> str:
    if not value.strip():
        raise problem("the text is empty", "Write something")
    return value


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds, 0 or more."""
PositiveDuration = Annotated[float, BeforeValidator(_positive_duration)]
"""Seconds, more than 0."""
PositiveSize = Annotated[int, BeforeValidator(_positive_size)]
"""Bytes, more than 0."""
Text = Annotated[StrictStr, AfterValidator(_text)]
"""A string with something in it."""
JmesPathText = Annotated[Text, AfterValidator(_jmespath_text)]
"""The text of a JMESPath expression that compiles."""
Count = Annotated[int, Field(strict=True, ge=0)]
PositiveCount = Annotated[int, Field(strict=True, ge=1)]
