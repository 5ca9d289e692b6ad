"""`load.rate` and `load.arrivals` in a workload file: when things arrive in an open loop."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - pydantic resolves the dataclass below
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from profiler.clock import NS_PER_S
from profiler.errors import WorkloadError
from profiler.workload.instants import instant_ns
from profiler.workload.near import did_you_mean
from profiler.workload.scenario_values import data_file
from profiler.workload.strict import PositiveDuration, Strict, problem
from profiler.workload.units import rate_per_s

_RATE_FIX = "Write it like 5/s or 300/min"


def _rate(value: Any) -> float:
    try:
        return rate_per_s(value)
    except ValueError as exc:
        raise problem(str(exc), _RATE_FIX) from exc


def _positive_rate(value: Any) -> float:
    rate = _rate(value)
    if rate == 0:
        raise problem("the rate is zero", _RATE_FIX)
    return rate


RatePerS = Annotated[float, BeforeValidator(_rate)]
PositiveRatePerS = Annotated[float, BeforeValidator(_positive_rate)]


class RampSpec(Strict):
    """A rate that goes in a straight line from one to another, and then stays."""

    from_per_s: RatePerS = Field(alias="from")
    to_per_s: PositiveRatePerS = Field(alias="to")
    over_s: PositiveDuration = Field(alias="over")


class StepSpec(Strict):
    """A rate that holds for some time."""

    rate_per_s: RatePerS = Field(alias="rate")
    for_s: PositiveDuration = Field(alias="for")


class RateSpec(Strict):
    """A rate, or one of `ramp` and `steps`. After the last step its rate goes on."""

    flat_per_s: PositiveRatePerS | None = Field(default=None, alias="flat")
    ramp: RampSpec | None = None
    steps: tuple[StepSpec, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_rate(cls, data: Any) -> Any:
        return data if isinstance(data, dict | RateSpec) else {"flat": data}

    @field_validator("steps")
    @classmethod
    def _steps_end_with_a_rate(cls, steps: tuple[StepSpec, ...] | None) -> Any:
        if steps is not None and (not steps or steps[-1].rate_per_s == 0):
            fix = "Add a step with a rate above zero: the last one's goes on"
            raise problem("the steps end without a rate", fix)
        return steps

    @model_validator(mode="after")
    def _exactly_one(self) -> RateSpec:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise problem(f"{len(given)} rates are given", "Keep one: a rate, ramp or steps")
        return self


class GammaSpec(Strict):
    """Gaps with a variance of `burstiness` times their squared mean; 1 is Poisson."""

    burstiness: float

    @field_validator("burstiness", mode="before")
    @classmethod
    def _in_range(cls, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0.001 <= value <= 1000:  # noqa: PLR2004 - beyond, gaps are 0 or ∞
            raise problem(f"{value!r} is no burstiness", "Write 1 for Poisson, up to 1000 for more")
        return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedArrivals:
    """Times of arrivals read from a file: seconds, the first one zero, never decreasing."""

    path: Path
    sha256: str
    offsets_s: tuple[float, ...]


def read_arrivals(path: Path) -> RecordedArrivals:
    """Read one time a line: what stands before the first comma, after an optional header.

    A time is seconds, or a date and time (ISO 8601). Raises `WorkloadError` with file and line for
    one that is neither, and for one that goes backwards.
    """
    digest = hashlib.sha256()
    times: list[float] = []
    first_ns: int | None = None
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                digest.update(line)
                cell = line.partition(b",")[0].decode("utf-8", "replace")
                text = cell.removeprefix("\ufeff").strip().strip('"')
                if not text:
                    continue
                at_ns = instant_ns(text)
                if at_ns is not None:
                    first_ns = at_ns if not times else first_ns
                    if first_ns is None:
                        raise _bad_time(path, number, "seconds and dates are mixed")
                    at_s: float | None = (at_ns - first_ns) / NS_PER_S
                else:
                    at_s = _seconds(text)
                if at_s is None:
                    if number == 1:
                        continue  # a header
                    raise _bad_time(path, number, f"{text[:40]!r} is no time")
                if (at_ns is None) != (first_ns is None):
                    raise _bad_time(path, number, "seconds and dates are mixed")
                if times and at_s < times[-1]:
                    raise _bad_time(path, number, "time goes backwards")
                times.append(at_s)
    except OSError as exc:
        what = f"cannot read the trace: {exc.strerror}"
        raise WorkloadError(what, where=str(path), fix="Check the path") from exc
    if not times:
        raise _bad_time(path, 1, "there is no time in the file")
    return RecordedArrivals(
        path=path,
        sha256=digest.hexdigest(),
        offsets_s=tuple(at_s - times[0] for at_s in times),
    )


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if abs(seconds) <= _MOST_SECONDS else None


_MOST_SECONDS = 1e12
"""Beyond 30,000 years it is no number of seconds: milliseconds since 1970, infinity."""


def _bad_time(path: Path, line: int, what: str) -> WorkloadError:
    fix = "Write one time a line, in order: seconds, or a date and time"
    return WorkloadError(what, where=f"{path}:{line}", fix=fix)


def _recorded(value: Any, info: ValidationInfo) -> RecordedArrivals:
    return value if isinstance(value, RecordedArrivals) else read_arrivals(data_file(value, info))


class ArrivalsSpec(Strict):
    """`poisson`, `constant`, or one of `gamma` and `trace`."""

    poisson: bool = False
    constant: bool = False
    gamma: GammaSpec | None = None
    trace: (
        Annotated[
            RecordedArrivals,
            BeforeValidator(_recorded),
            PlainSerializer(lambda recorded: {"sha256": recorded.sha256}),
        ]
        | None
    ) = None

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        if data not in ("poisson", "constant"):
            fix = did_you_mean(data, ("poisson", "constant", "gamma", "trace"))
            raise problem(f"there is no '{data}'", fix)
        return {data: True}

    @model_validator(mode="after")
    def _exactly_one(self) -> ArrivalsSpec:
        if sum((self.poisson, self.constant, self.gamma is not None, self.trace is not None)) != 1:
            raise problem("arrivals are of one kind", "Keep one of poisson, constant, gamma, trace")
        return self

    @property
    def kind(self) -> str:
        """The name of the kind that was given."""
        if self.trace is not None:
            return "trace"
        if self.gamma is not None:
            return "gamma"
        return "constant" if self.constant else "poisson"


POISSON = ArrivalsSpec(poisson=True)
