"""The workload file: strict models of what a person wrote.

Validation wants a context: `base` (the folder that paths are relative to), `environ`, and `tables`
(a dict that keeps each CSV file from being read twice). `load.load_workload` provides it.
"""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import orjson
from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from profiler.workload.arrivals import POISSON, ArrivalsSpec, RateSpec
from profiler.workload.checks import Check, JsonPathCheck, TemplateText
from profiler.workload.conversations import Recordings, read_recordings
from profiler.workload.http_json import HttpJson, UsagePaths
from profiler.workload.near import did_you_mean
from profiler.workload.scenario_values import Generated, ThinkTime, VariableSpec, data_file
from profiler.workload.strict import (
    Count,
    Duration,
    PositiveCount,
    PositiveDuration,
    Strict,
    Text,
    problem,
)
from profiler.workload.target import Target
from profiler.workload.templates import placeholder_names
from profiler.workload.units import dollars, token_count
from profiler.workload.variables import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "Check",
    "HttpJson",
    "JsonPathCheck",
    "Load",
    "Scenario",
    "Target",
    "ThinkTime",
    "TurnTemplate",
    "UsagePaths",
    "VariableSpec",
    "Workload",
]

Number = TypeVar("Number", int, Decimal)

DEFAULT_REQUESTS = 100


def _share(value: Any) -> float | None:
    if value is None or value == "never":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise problem(f"{value!r} is not a share from 0 to 1", "Write 0.5 for half, or never")
    return float(value)


def _speed(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise problem(f"{value!r} is no speed", "Write 2 for twice as fast as recorded")
    return float(value)


def _is_trace(arrivals: Any) -> bool:
    return isinstance(arrivals, dict) and "trace" in arrivals


def _weight(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        fix = (
            "Write a number of 0 or more: weights are relative, 5 is drawn five times as often as 1"
        )
        raise problem(f"{value!r} is not a weight", fix)
    return float(value)


_FIRST_OPTIONAL = frozenset({"model", "http_json"})
"""What `target` could leave out from the first version on. What came later is in no digest of a
workload without it, so digests stay as they were."""


def _max_cost(value: Any) -> Decimal | None:
    return None if value is None else _positive(dollars, value, "Write it like 5USD, $5 or 0.50")


def _max_tokens(value: Any) -> int | None:
    return None if value is None else _positive(token_count, value, "Write it like 2M or 500k")


def _positive(read: Callable[[Any], Number], value: Any, fix: str) -> Number:
    try:
        found = read(value)
    except ValueError as exc:
        raise problem(str(exc), fix) from exc
    if not found:
        raise problem("a limit of zero lets nothing be sent", fix)
    return found


class Load(Strict):
    """How much is sent, and when. `users` makes a closed loop, `rate` or a trace an open one.

    The run ends after `requests` measured interactions, or after `sessions` whole sessions (one of
    the two is None), or after `duration_s`, or at the end of a trace, whichever comes first. With a
    duration or a trace alone, both are None. It also ends where what it spent (US dollars, tokens)
    reaches a limit. Users begin evenly over `ramp_up_s`. With `backoff`, nothing is started for a
    while where the target answers nothing but 429 and 503.
    """

    users: PositiveCount | None = None
    rate: RateSpec | None = None
    arrivals: ArrivalsSpec = POISSON
    arrivals_of: Literal["sessions", "interactions"] = "sessions"
    speed: Annotated[float, BeforeValidator(_speed)] = 1.0
    max_in_flight: PositiveCount | None = None
    requests: PositiveCount | None = None
    sessions: PositiveCount | None = None
    duration_s: PositiveDuration | None = Field(default=None, alias="duration")
    warmup: Count = 0
    seed: Count = 1
    max_requests: PositiveCount | None = None
    error_limit: Annotated[float | None, BeforeValidator(_share)] = 0.5
    ramp_up_s: Duration | None = Field(default=None, alias="ramp_up")
    max_cost_usd: Annotated[Decimal | None, BeforeValidator(_max_cost)] = Field(
        default=None, alias="max_cost"
    )
    max_tokens: Annotated[int | None, BeforeValidator(_max_tokens)] = None
    backoff: StrictBool = True

    @property
    def is_open(self) -> bool:
        """Whether arrivals follow a schedule, whatever the agent does."""
        return self.users is None

    @property
    def rate_per_s(self) -> float | None:
        """The rate, where it is one number; None for a shape, a trace and a closed loop."""
        return None if self.rate is None else self.rate.flat_per_s

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = {key for key, value in data.items() if value is not None}
        filled = dict(data)
        if not given & {"users", "rate"} and not _is_trace(filled.get("arrivals")):
            filled["users"] = 1
        if not given & {"requests", "sessions", "duration"} and not _is_trace(
            filled.get("arrivals")
        ):
            filled["requests"] = DEFAULT_REQUESTS
        return filled

    @model_validator(mode="after")
    def _one_of_each(self) -> Load:
        traced = self.arrivals.trace is not None
        if self.users is not None and (self.rate is not None or traced):
            fix = "Keep users for a closed loop, rate or a trace for an open one"
            other = "arrivals" if traced else "rate"
            raise problem(f"users and {other} exclude each other", fix, below=(other,))
        if traced and self.rate is not None:
            fix = "Remove rate; speed: 2 replays the trace twice as fast"
            raise problem("a trace has its own rate", fix, below=("rate",))
        if not traced and "speed" in self.model_fields_set:
            raise problem("speed has no use without a trace", "Remove it", below=("speed",))
        if self.requests is not None and self.sessions is not None:
            raise problem(
                "requests and sessions exclude each other", "Keep one", below=("sessions",)
            )
        for name in ("arrivals", "arrivals_of", "max_in_flight"):
            if not self.is_open and name in self.model_fields_set:
                fix = f"Give a rate, or remove {name}"
                raise problem(f"{name} has no use without a rate", fix, below=(name,))
        if self.is_open and self.ramp_up_s is not None:
            fix = "Write rate: {ramp: {from: 0/s, to: 5/s, over: 30s}}, or remove ramp_up"
            raise problem("ramp_up has no use without users", fix, below=("ramp_up",))
        if self.max_requests is not None and self.max_requests < (self.requests or 0):
            fix = f"Raise it to {self.requests} or more, or lower requests"
            what = f"max_requests is {self.max_requests}, less than requests"
            raise problem(what, fix, below=("max_requests",))
        return self


class TurnTemplate(Strict):
    """One message of the user, with `{{ name }}` in it, and what its reply must be."""

    user: TemplateText
    checks: tuple[Check, ...] = Field(default=(), alias="check")

    def names(self) -> frozenset[str]:
        """Return the variables that it uses."""
        texts = [self.user, *(check.contains or "" for check in self.checks)]
        return frozenset[str]().union(*map(placeholder_names, texts))

    @field_validator("checks", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) else [value]


def _recordings(value: Any, info: ValidationInfo) -> Recordings:
    return value if isinstance(value, Recordings) else read_recordings(data_file(value, info))


class Scenario(Strict):
    """A template of a session (`turns`), recorded ones (`conversations`), or `generated` ones."""

    name: Text
    weight: Annotated[float, BeforeValidator(_weight)] = 1.0
    think_time: ThinkTime | None = None
    taggable: bool = False
    variables: dict[str, VariableSpec] = Field(default_factory=dict)
    turns: tuple[TurnTemplate, ...] | None = None
    conversations: (
        Annotated[
            InstanceOf[Recordings],
            BeforeValidator(_recordings),
            PlainSerializer(lambda recordings: {"sha256": recordings.sha256}),
        ]
        | None
    ) = None
    generated: Generated | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Scenario:
        kinds = ("turns", "conversations", "generated")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) > 1:
            fix = "Keep one, or make two scenarios"
            what = f"{' and '.join(given)} exclude each other"
            raise problem(what, fix, below=(given[1],))
        if not given or (given == ["turns"] and not self.turns):
            fix = "Add turns, or conversations with a file of recorded sessions"
            raise problem(f"the scenario '{self.name}' has no turns", fix, below=("turns",))
        if self.turns is None and self.variables:
            fix = "Remove them: recorded sessions are sent as they are"
            what = f"variables have no use with {given[0]}"
            raise problem(what, fix, below=("variables",))
        if self.generated is not None and self.think_time is not None:
            what = "think_time has no use with generated: each request is a session of its own"
            raise problem(what, "Remove it", below=("think_time",))
        return self

    @model_validator(mode="after")
    def _has_recorded_think_times(self) -> Scenario:
        if self.think_time is None or self.think_time.recorded is None:
            return self
        recorded = self.conversations.conversations if self.conversations is not None else ()
        if all(time is None for c in recorded for time in c.think_times_s or ()):
            fix = "Write a duration, or import conversations that have times"
            raise problem("there are no recorded think times", fix, below=("think_time",))
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Scenario:
        for name in self.variables:
            if not name.isidentifier() or name in BUILT_IN:
                fix = "Use letters, digits and '_'; session_id and turn are built in"
                raise problem(f"a variable cannot be called '{name}'", fix, below=("variables",))
        known = BUILT_IN | self.variables.keys()
        for index, turn in enumerate(self.turns or ()):
            for name in sorted(turn.names() - known):
                what = f"turns[{index}] uses the unknown variable '{name}'"
                raise problem(what, did_you_mean(name, known), below=("turns", index, "user"))
        return self


class Workload(Strict):
    """A weighted mix of scenarios, where to send it, and how much of it."""

    name: Text
    target: Target = Field(default_factory=Target)
    load: Load = Field(default_factory=Load)
    scenarios: tuple[Scenario, ...]

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, data: Any) -> Any:
        """Take `target:` with nothing but comments below it for a section left out."""
        if not isinstance(data, dict):
            return data
        empty = {key for key in ("target", "load") if key in data and data[key] is None}
        return {key: value for key, value in data.items() if key not in empty}

    @field_validator("scenarios")
    @classmethod
    def _a_mix(cls, scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
        if not scenarios:
            raise problem("there is no scenario", "Add one with 'name' and 'turns'")
        names = [scenario.name for scenario in scenarios]
        for index, name in enumerate(names):
            if name in names[:index]:
                fix = "Give every scenario a name of its own"
                raise problem(f"two scenarios are called '{name}'", fix, below=(index, "name"))
        if not any(scenario.weight for scenario in scenarios):
            raise problem("the weights are all zero", "Give one scenario a weight above zero")
        return scenarios

    def digest(self) -> str:
        """Return the sha256 of what is sent: content and data files; secrets as `${NAME}`.

        The URL and the load are not part of it, so that one workload has one digest wherever, how
        much of it and with whichever seed it is sent; neither are names and places of data files.
        """
        content = self.model_dump(
            mode="json", by_alias=True, exclude={"target": {"endpoint"}, "load": True}
        )
        headers = {name: text.raw for name, text in self.target.header_texts.items()}
        content["target"]["headers"] = headers
        content["target"] = {
            name: section
            for name, section in content["target"].items()
            if section is not None or name in _FIRST_OPTIONAL
        }
        for scenario in content["scenarios"]:
            if scenario["generated"] is None:  # it came later, too
                del scenario["generated"]
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()

    def redacted_target(self) -> dict[str, Any]:
        """Return the target as a manifest may show it."""
        return self.target.redacted()

    def data_digests(self) -> dict[str, str]:
        """Return the sha256 of each data file, by its file name."""
        found: dict[str, str] = {}
        for scenario in self.scenarios:
            files: list[tuple[Path, str]] = []
            if scenario.conversations is not None:
                files.append((scenario.conversations.path, scenario.conversations.sha256))
            if scenario.generated is not None:
                files.append((scenario.generated.trace.path, scenario.generated.trace.sha256))
            tables = (spec.table for spec in scenario.variables.values() if spec.table is not None)
            files.extend((table.path, table.sha256) for table in tables)
            for path, sha256 in files:
                is_taken = found.get(path.name, sha256) != sha256
                found[f"{path.parent.name}/{path.name}" if is_taken else path.name] = sha256
        return found
