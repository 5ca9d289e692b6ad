"""`load.rate` and `load.arrivals` in a workload file: when things arrive in an open loop."""

from __future__ import annotations

import csv
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

from profiler.errors import WorkloadError
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
    """Read one time in seconds a line (the first column, after an optional header).

    Raises `WorkloadError` with file and line for a time that is none or that goes backwards.
    """
    data = path.read_bytes()
    times: list[float] = []
    for number, row in enumerate(csv.reader(data.decode("utf-8", "replace").splitlines()), 1):
        if not row or not row[0].strip():
            continue
        try:
            at_s = float(row[0])
        except ValueError:
            if number == 1:
                continue  # a header
            raise _bad_time(path, number, f"{row[0][:40]!r} is no time in seconds") from None
        if times and not at_s >= times[-1]:
            raise _bad_time(path, number, "time goes backwards")
        times.append(at_s)
    if not times:
        raise _bad_time(path, 1, "there is no time in the file")
    return RecordedArrivals(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        offsets_s=tuple(at_s - times[0] for at_s in times),
    )


def _bad_time(path: Path, line: int, what: str) -> WorkloadError:
    fix = "Write one time in seconds a line, in order"
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
