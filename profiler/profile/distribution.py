"""One measured quantity: its summary, its histogram, and what merging needs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

MEAN_TOLERANCE = 0.05
P95_TOLERANCE = 0.10
"""Half an interval's width, as a share of the number, up to which the number is `stable`."""


class Strict(BaseModel):
    """Frozen, nothing coerced, no NaN: what every part of a profile is.

    A field that is not known is one of a newer version: it is kept, and written again.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)


def _from_digits(value: Any) -> Any:
    if isinstance(value, str):
        return int(value)  # a ValueError here is a validation error with its key
    return value


ExactInt = Annotated[
    int,
    BeforeValidator(_from_digits),
    PlainSerializer(str, return_type=str, when_used="json"),
]
"""An integer that may pass 2**53: decimal digits in a JSON string, so that no reader rounds it."""


class Hdr(Strict):
    """The values as an HdrHistogram, to 3 significant digits."""

    encoding: Literal["HdrHistogram V2 compressed, base64"] = Field(
        description="readable by every implementation of HdrHistogram"
    )
    value_unit: Literal["us", "tokens", "count", "millitokens/s"] = Field(
        description="what the recorded integers are: us is microseconds"
    )
    payload: str = Field(description="the encoded histogram")


class Clusters(Strict):
    """Sums over sessions, in the histogram's unit: all that the mean and its interval need.

    A session i contributed n_i values with the sum s_i. The sums are exact integers and add up
    when profiles are merged, so that no precision and no dependence is lost.
    """

    sessions: int = Field(description="sessions with at least one value")
    sum_n: int = Field(description="sum of n_i: the number of values")
    sum_s: ExactInt = Field(description="sum of s_i: the sum of the values")
    sum_nn: int = Field(description="sum of n_i squared")
    sum_ss: ExactInt = Field(description="sum of s_i squared")
    sum_ns: ExactInt = Field(description="sum of n_i times s_i")


class Stable(Strict):
    """Whether the sample is large enough for the number to be used."""

    mean: bool = Field(description="the mean's interval is within 5 % of it; false without one")
    p95: bool | None = Field(
        description="the p95's interval is within 10 % of it; null where there is no interval"
    )


class Distribution(Strict):
    """The distribution of one metric.

    Percentiles come from the histogram (to 0.1 %), mean, stddev, min and max from the values.
    A percentile is given from n >= 1/(1-p) values on, p99 only where its own interval would exist
    (n >= 368); intervals are of 95 % and allow for values of one session being alike.
    """

    unit: Literal["s", "tokens", "count", "tokens/s"] = Field(
        description="unit of every number of the summary"
    )
    count: int = Field(ge=1, description="values observed")
    mean: float = Field(description="sum of the values / count")
    stddev: float | None = Field(description="sample standard deviation; null for one value")
    min: float = Field(description="smallest value")
    max: float = Field(description="largest value")
    p50: float | None = Field(description="median")
    p90: float | None = Field(description="90th percentile")
    p95: float | None = Field(description="95th percentile")
    p99: float | None = Field(description="99th percentile")
    mean_ci95: tuple[float, float] | None = Field(
        description="95 % confidence interval of the mean: Student t over sessions"
    )
    p95_ci95: tuple[float, float] | None = Field(
        description="95 % confidence interval of the p95: order statistics, by design effect"
    )
    stable: Stable = Field(description="whether the intervals are narrow enough")
    source: str = Field(description="who observed it; several joined by '+' after a merge")
    method: Literal["measured", "reported", "counted"] = Field(
        description="measured by a clock or by counting events; reported by the agent or provider; "
        "counted by our tokenizer"
    )
    eligible: int = Field(ge=1, description="what the metric could have been observed on")
    coverage: float = Field(description="count / eligible: below 1, some were not observed")
    reasons: dict[str, str] = Field(description="field: why it is null")
    out_of_range: int = Field(
        description="values the histogram cannot hold: in mean, min and max, in no percentile"
    )
    clusters: Clusters = Field(description="sums over sessions, for the mean's interval")
    sum_squares: ExactInt = Field(description="sum of the squared values, in the histogram's unit")
    p95_clusters: Clusters = Field(
        description="the same sums of the indicator (value <= p95): the p95's design effect"
    )
    hdr: Hdr = Field(description="the values as a histogram")
