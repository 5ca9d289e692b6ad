"""`think_time:` and `variables:` in a workload file: what may be written for one value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from profiler.workload.distributions import Distribution, Exponential, Fixed, Lognormal, Uniform
from profiler.workload.near import did_you_mean
from profiler.workload.request_trace import RequestTrace, read_request_trace
from profiler.workload.strict import Duration, PositiveDuration, Strict, Text, problem
from profiler.workload.variables import (
    CsvVariable,
    FloatVariable,
    IntVariable,
    ListVariable,
    Table,
    Variable,
    read_table,
)

_RECORDED = "recorded"
_MOST_DECIMALS_MAGNITUDE = 1e15  # beyond it a float has no thousandths to speak of


class UniformSpec(Strict):
    """Anything from `low` to `high`."""

    low_s: Duration = Field(alias="low")
    high_s: Duration = Field(alias="high")

    @model_validator(mode="after")
    def _ordered(self) -> UniformSpec:
        if self.high_s < self.low_s:
            raise problem("high is below low", "Swap them", below=("high",))
        return self


class ExponentialSpec(Strict):
    """Memoryless, by its mean."""

    mean_s: PositiveDuration = Field(alias="mean")


class LognormalSpec(Strict):
    """By median and 95th percentile."""

    median_s: PositiveDuration = Field(alias="median")
    p95_s: PositiveDuration = Field(alias="p95")

    @model_validator(mode="after")
    def _ordered(self) -> LognormalSpec:
        if self.p95_s < self.median_s:
            raise problem("p95 is below the median", "Raise it", below=("p95",))
        return self


class ThinkTime(Strict):
    """A duration, one of `fixed`, `uniform`, `exponential`, `lognormal`, or `recorded`."""

    recorded: Literal[True] | None = None
    fixed_s: Duration | None = Field(default=None, alias="fixed")
    uniform: UniformSpec | None = None
    exponential: ExponentialSpec | None = None
    lognormal: LognormalSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_duration(cls, data: Any) -> Any:
        if data == _RECORDED:
            return {_RECORDED: True}
        return {"fixed": data} if isinstance(data, str | int | float) else data

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `recorded` out where it is not set: digests stay those of older versions."""
        dumped: dict[str, Any] = handler(self)
        if self.recorded is None:
            del dumped[_RECORDED]
        return dumped

    @model_validator(mode="after")
    def _exactly_one(self) -> ThinkTime:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            fix = "Keep one of fixed, uniform, exponential, lognormal, recorded"
            raise problem(f"{len(given)} distributions are given", fix)
        return self

    def distribution(self) -> Distribution:
        """Return what samples it; not for `recorded`, which is what the recordings say."""
        if self.uniform is not None:
            return Uniform(low_s=self.uniform.low_s, high_s=self.uniform.high_s)
        if self.exponential is not None:
            return Exponential(mean_s=self.exponential.mean_s)
        if self.lognormal is not None:
            return Lognormal(median_s=self.lognormal.median_s, p95_s=self.lognormal.p95_s)
        return Fixed(value_s=self.fixed_s if self.fixed_s is not None else 0.0)


def data_file(value: Any, info: ValidationInfo) -> Path:
    """Return the path that a file's name stands for, next to the workload file."""
    if not isinstance(value, str) or not value:
        raise problem("the path is empty or not text", "Write the name of a file")
    path = Path((info.context or {}).get("base", ".")) / value
    if not path.is_file():
        fix = "Paths are relative to the workload file"
        raise problem(f"there is no file '{value}'", fix)
    return path


def _table(value: Any, info: ValidationInfo) -> Table:
    if isinstance(value, Table):
        return value
    path = data_file(value, info)
    tables: dict[Path, Table] = (info.context or {}).get("tables", {})
    key = path.resolve()
    if key not in tables:
        tables[key] = read_table(path)
    return tables[key]


def _value_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise problem(f"{value!r} is neither text nor a number", "Put it in quotes")
    return str(value)


def _range(value: Any) -> Any:
    is_pair = isinstance(value, list | tuple) and len(value) == 2  # noqa: PLR2004 - low and high
    if not is_pair or any(isinstance(end, bool) for end in value):
        raise problem("a range is two numbers", "Write [low, high]")
    return tuple(value)


_Int = Annotated[int, Field(strict=True)]
_Float = Annotated[
    float,
    Field(
        strict=True,
        allow_inf_nan=False,
        ge=-_MOST_DECIMALS_MAGNITUDE,
        le=_MOST_DECIMALS_MAGNITUDE,
    ),
]


class VariableSpec(Strict):
    """One of `values`, `csv` with `column`, `int`, `float`."""

    values: tuple[Annotated[str, BeforeValidator(_value_text)], ...] | None = None
    table: (
        Annotated[
            InstanceOf[Table],
            BeforeValidator(_table),
            PlainSerializer(lambda table: {"sha256": table.sha256}),
        ]
        | None
    ) = Field(default=None, alias="csv")
    column: Text | None = None
    int_range: Annotated[tuple[_Int, _Int], BeforeValidator(_range)] | None = Field(
        default=None, alias="int"
    )
    float_range: Annotated[tuple[_Float, _Float], BeforeValidator(_range)] | None = Field(
        default=None, alias="float"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> VariableSpec:
        kinds = {
            "values": self.values,
            "csv": self.table,
            "int": self.int_range,
            "float": self.float_range,
        }
        given = [name for name, value in kinds.items() if value is not None]
        if len(given) != 1:
            fix = "Keep one of values, csv with column, int, float"
            raise problem(f"{len(given)} sources are given for one variable", fix)
        if self.values == ():
            raise problem("the list is empty", "Add a value", below=("values",))
        span = self.int_range or self.float_range
        if span is not None and span[1] < span[0]:
            raise problem("the range ends before it begins", "Swap the two", below=(given[0],))
        return self

    @model_validator(mode="after")
    def _has_column(self) -> VariableSpec:
        if self.table is None:
            if self.column is not None:
                fix = "Remove it, or add csv"
                raise problem("column has no use without csv", fix, below=("column",))
            return self
        if self.column is None:
            known = ", ".join(self.table.columns)
            raise problem("csv needs a column", f"Add column with one of: {known}", below=("csv",))
        if self.column not in self.table.columns:
            what = f"the CSV file has no column '{self.column}'"
            raise problem(what, did_you_mean(self.column, self.table.columns), below=("column",))
        return self

    def variable(self) -> Variable:
        """Return what samples it."""
        if self.values is not None:
            return ListVariable(values=self.values)
        if self.table is not None and self.column is not None:
            return CsvVariable(table=self.table, column=self.table.columns.index(self.column))
        if self.int_range is not None:
            return IntVariable(low=self.int_range[0], high=self.int_range[1])
        low, high = self.float_range if self.float_range is not None else (0.0, 0.0)
        return FloatVariable(low=low, high=high)


DEFAULT_BLOCK_TOKENS = 512


def _request_trace(value: Any, info: ValidationInfo) -> RequestTrace:
    return value if isinstance(value, RequestTrace) else read_request_trace(data_file(value, info))


class Generated(Strict):
    """Prompts made to the lengths of recorded requests, in their order; see `prompts`.

    `encoding` is what the lengths are tokens of; `block_tokens` how many an id of `blocks` is.
    """

    trace: Annotated[
        InstanceOf[RequestTrace],
        BeforeValidator(_request_trace),
        PlainSerializer(lambda trace: {"sha256": trace.sha256}),
    ]
    encoding: Literal["o200k_base", "cl100k_base"] = "o200k_base"
    block_tokens: Annotated[int, Field(strict=True, ge=1, le=2**16)] = DEFAULT_BLOCK_TOKENS
