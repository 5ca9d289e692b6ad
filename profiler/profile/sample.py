"""Values of one metric, as what can be added: a `Distribution` before it is summed up.

Every field adds exactly (integers, histograms) or is a minimum or maximum. So a profile of merged
samples does not depend on the order or the grouping of the merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from profiler.errors import ProfileError
from profiler.measure.histogram import COUNT, DURATION, TOKENS, Histogram, HistogramSpec
from profiler.profile.distribution import (
    MEAN_TOLERANCE,
    P95_TOLERANCE,
    Clusters,
    Distribution,
    Hdr,
    Stable,
)
from profiler.profile.statistics import (
    ClusterSums,
    effective_size,
    is_narrow,
    mean_interval,
    quantile_ranks,
    sample_stddev,
)

Unit = Literal["s", "tokens", "count", "tokens/s"]
Method = Literal["measured", "reported", "counted"]
HdrUnit = Literal["us", "tokens", "count", "millitokens/s"]

RATE = HistogramSpec(name="rate", value_unit="tokens", lowest=1, highest=1_000_000_000)
"""Thousandths of a token per second, up to a million tokens per second."""

ENCODING: Literal["HdrHistogram V2 compressed, base64"] = "HdrHistogram V2 compressed, base64"

P95 = 0.95
_PERCENTILES = {"p50": (50, 2), "p90": (90, 10), "p95": (95, 20), "p99": (99, 368)}
"""Field: (percent, fewest values): 1/(1-p), but for p99 as many as its own interval would need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a unit of the summary is kept as integers: `per_unit` of the histogram's unit are one."""

    spec: HistogramSpec
    hdr_unit: HdrUnit
    per_unit: int


SCALES: dict[Unit, Scale] = {
    "s": Scale(spec=DURATION, hdr_unit="us", per_unit=1_000_000),
    "tokens": Scale(spec=TOKENS, hdr_unit="tokens", per_unit=1),
    "count": Scale(spec=COUNT, hdr_unit="count", per_unit=1),
    "tokens/s": Scale(spec=RATE, hdr_unit="millitokens/s", per_unit=1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """At least one value of a metric, in integers of the histogram's unit, and who saw it."""

    unit: Unit
    method: Method
    sources: frozenset[str]
    eligible: int
    smallest: int
    largest: int
    histogram: Histogram
    sums: ClusterSums
    sum_squares: int
    p95_sums: ClusterSums


def add_samples(first: Sample, second: Sample, name: str) -> Sample:
    """Merge two samples of the metric `name`. Raises `ProfileError` if they are not of one kind."""
    for what in ("unit", "method"):
        mine, other = getattr(first, what), getattr(second, what)
        if mine != other:
            raise ProfileError(
                f"the profiles differ in the {what} of {name}: {mine!r} and {other!r}",
                fix="Merge only profiles that measured the same thing in the same way",
            )
    histogram = Histogram(first.histogram.spec)
    histogram.merge(first.histogram)
    histogram.merge(second.histogram)
    return Sample(
        unit=first.unit,
        method=first.method,
        sources=first.sources | second.sources,
        eligible=first.eligible + second.eligible,
        smallest=min(first.smallest, second.smallest),
        largest=max(first.largest, second.largest),
        histogram=histogram,
        sums=first.sums + second.sums,
        sum_squares=first.sum_squares + second.sum_squares,
        p95_sums=first.p95_sums + second.p95_sums,
    )


def distribution_of(sample: Sample) -> Distribution:
    """Compute the summary that people and planners read.

    The p95's interval takes its ranks from the number of values and the design effect of the
    indicator (value <= p95), and its ends from the histogram. After a merge the indicator's sums
    are those of the parts, each with its own p95: its design effect is then an average of theirs.
    """
    scale = SCALES[sample.unit]
    reasons: dict[str, str] = {}
    mean = _ratio(sample.sums.sum_s, sample.sums.sum_n * scale.per_unit)
    stddev = sample_stddev(sample.sums.sum_n, sample.sums.sum_s, sample.sum_squares)
    if stddev is None:
        reasons["stddev"] = "one value has no spread"
    percentiles = _percentiles(sample, reasons)
    mean_ci95 = _mean_interval(sample, reasons)
    p95_ci95 = _p95_interval(sample, reasons)
    p95 = percentiles["p95"]
    p95_stable = None
    if p95 is not None and p95_ci95 is not None:
        p95_stable = is_narrow(p95, p95_ci95, P95_TOLERANCE)
    return Distribution(
        unit=sample.unit,
        count=sample.sums.sum_n,
        mean=mean,
        stddev=None if stddev is None else stddev / scale.per_unit,
        min=_ratio(sample.smallest, scale.per_unit),
        max=_ratio(sample.largest, scale.per_unit),
        **percentiles,
        mean_ci95=mean_ci95,
        p95_ci95=p95_ci95,
        stable=Stable(
            mean=mean_ci95 is not None and is_narrow(mean, mean_ci95, MEAN_TOLERANCE),
            p95=p95_stable,
        ),
        source="+".join(sorted(sample.sources)),
        method=sample.method,
        eligible=sample.eligible,
        coverage=_ratio(sample.sums.sum_n, sample.eligible),
        reasons=reasons,
        out_of_range=sample.histogram.out_of_range,
        clusters=_clusters(sample.sums),
        sum_squares=sample.sum_squares,
        p95_clusters=_clusters(sample.p95_sums),
        hdr=Hdr(encoding=ENCODING, value_unit=scale.hdr_unit, payload=sample.histogram.encode()),
    )


def _ratio(numerator: int, divisor: int) -> float:
    """Divide exact integers, rounded once, however large they are."""
    return float(Fraction(numerator, divisor))


def _percentiles(sample: Sample, reasons: dict[str, str]) -> dict[str, float | None]:
    n = sample.histogram.count
    found: dict[str, float | None] = {}
    for field, (percent, fewest) in _PERCENTILES.items():
        value = sample.histogram.percentile(percent) if n >= fewest else None
        found[field] = None if value is None else _within(sample, value)
        if value is None:
            reasons[field] = f"needs {fewest} values within the histogram's range, there are {n}"
    return found


def _within(sample: Sample, value: int) -> float:
    """Return a histogram's value in units, not beyond the true extremes (buckets round up)."""
    inside = min(max(value, sample.smallest), sample.largest)
    return inside / SCALES[sample.unit].per_unit


def _mean_interval(sample: Sample, reasons: dict[str, str]) -> tuple[float, float] | None:
    interval = mean_interval(sample.sums)
    if interval is None:
        reasons["mean_ci95"] = "one session: there is no variance between sessions"
        return None
    per_unit = SCALES[sample.unit].per_unit
    return interval[0] / per_unit, interval[1] / per_unit


def _p95_interval(sample: Sample, reasons: dict[str, str]) -> tuple[float, float] | None:
    n = sample.histogram.count
    if n != sample.p95_sums.sum_n:
        reasons["p95_ci95"] = f"{sample.histogram.out_of_range} values are out of range"
        return None
    ranks = quantile_ranks(sample.p95_sums, P95)
    if ranks is None:
        worth = effective_size(sample.p95_sums)
        reasons["p95_ci95"] = (
            f"needs 72 independent values, there are {n}"
            if worth == n
            else f"needs 72 independent values: {n} of {sample.sums.sessions} session(s) "
            f"are worth {worth}"
        )
        return None
    lower, upper = (sample.histogram.percentile(100 * (rank - 0.5) / n) for rank in ranks)
    assert lower is not None  # noqa: S101 - for the type checker: n > 0
    assert upper is not None  # noqa: S101 - as above
    return _within(sample, lower), _within(sample, upper)


def _clusters(sums: ClusterSums) -> Clusters:
    return Clusters(
        sessions=sums.sessions,
        sum_n=sums.sum_n,
        sum_s=sums.sum_s,
        sum_nn=sums.sum_nn,
        sum_ss=sums.sum_ss,
        sum_ns=sums.sum_ns,
    )


def sample_of_distribution(distribution: Distribution) -> Sample:
    """Read back what `distribution_of` summed up; nothing is lost.

    Raises `ProfileError` for a histogram that is corrupt, of another unit, or that holds another
    number of values than its summary says.
    """
    scale = SCALES[distribution.unit]
    if distribution.hdr.value_unit != scale.hdr_unit:
        raise ProfileError(
            f"a histogram in {distribution.hdr.value_unit} under a summary in {distribution.unit}"
        )
    histogram = Histogram.decode(scale.spec, distribution.hdr.payload, distribution.out_of_range)
    held = histogram.count + histogram.out_of_range
    if not held == distribution.count == distribution.clusters.sum_n > 0:
        raise ProfileError(
            f"it holds {held} values, its summary says {distribution.count} and its session sums "
            f"{distribution.clusters.sum_n}"
        )
    return Sample(
        unit=distribution.unit,
        method=distribution.method,
        sources=frozenset(distribution.source.split("+")),
        eligible=distribution.eligible,
        smallest=round(distribution.min * scale.per_unit),
        largest=round(distribution.max * scale.per_unit),
        histogram=histogram,
        sums=ClusterSums(**distribution.clusters.model_dump()),
        sum_squares=distribution.sum_squares,
        p95_sums=ClusterSums(**distribution.p95_clusters.model_dump()),
    )


def zeros_like(sample: Sample) -> Sample:
    """Return a sample of as many zeros, in the same sessions.

    A run that watched tool calls and saw none of some tool observed it zero times in each
    interaction: this is what it contributes when it is merged with a run that saw the tool.
    """
    count = sample.histogram.count + sample.histogram.out_of_range
    histogram = Histogram(sample.histogram.spec)
    histogram.record(0, count)
    sums = sample.sums
    shape = {"sessions": sums.sessions, "sum_n": sums.sum_n, "sum_nn": sums.sum_nn}
    return Sample(
        unit=sample.unit,
        method=sample.method,
        sources=sample.sources,
        eligible=sample.eligible,
        smallest=0,
        largest=0,
        histogram=histogram,
        sums=ClusterSums(**shape),
        sum_squares=0,
        p95_sums=ClusterSums(**shape, sum_s=sums.sum_n, sum_ss=sums.sum_nn, sum_ns=sums.sum_nn),
    )
