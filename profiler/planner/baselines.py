"""What is normal, as measured, and from where on it no longer is: triggers on every metric.

A percentile of times is watched from half above the measured one on, means of what is paid for
from a quarter above. Significance, not noise: a threshold is never within the 95 % interval of the
measured number, and a value counts only with enough observations in its window: so many that the
measured agent itself would hardly ever be beyond it (`significance`). Where the planned traffic
does not bring them in half an hour, the window is longer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from profiler.planner import metric_names as names
from profiler.planner import promql
from profiler.planner.significance import fewest_for_mean, fewest_for_p95
from profiler.planner.triggers import Trigger
from profiler.profile.model import named_distributions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profiler.planner.measured import Measured
    from profiler.profile.distribution import Distribution

SLOWER = 1.5
"""Times the measured p95 (or mean, where there is no p95)."""
DEARER = 1.25
"""Times a measured mean of what is paid for: calls, tokens, state operations."""
WINDOW, HOLD = "30m", "15m"
_WINDOW_MINUTES = {WINDOW: 30, "1h": 60, "6h": 360, "1d": 1440}
OF_MEAN = 30
"""Observations of what has no spread in the profile: shares and counts per interaction."""
_FEWEST = 10
"""Measured values below which nothing is called normal."""
_MORE_ERRORS, _LEAST_ERRORS = 2.0, 0.05

Statistic = Literal["p95", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """A metric of the profile (`path`) and the histogram of production that shows it."""

    path: str
    metric: str
    title: str
    unit: str
    statistic: Statistic
    labels: promql.Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unwatched:
    """A metric without a trigger, and why."""

    metric: str
    reason: str

    def __str__(self) -> str:
        return f"{self.metric}: {self.reason}"


def baselines(
    measured: Measured, interactions_per_minute: float = math.inf
) -> Iterator[Trigger | Unwatched]:
    """Yield a trigger for every metric of the profile that production can show.

    `interactions_per_minute` are those of the plan's average minute, which decide on windows.
    """
    known = dict(named_distributions(measured.profile))
    for watched in (*_OF_INTERACTIONS, *_of_models(measured), *_of_tools(measured)):
        found = known.get(watched.path)
        if found is not None:
            each = found.count / measured.profile.sample.interactions
            yield _histogram(watched, found, each * interactions_per_minute)
    yield from _tool_errors(measured)
    yield from _stores(measured, known)


def _interaction(name: str, metric: str, title: str, **part: str) -> _Watched:
    is_time = not part and metric != names.INTERACTION_LLM_CALLS
    return _Watched(
        path=f"interaction.{name}",
        metric=metric,
        title=title,
        unit="s" if is_time else ("tokens" if part else "count"),
        statistic="p95" if is_time else "mean",
        labels=part,
    )


_OF_INTERACTIONS = (
    _interaction("latency", names.INTERACTION_DURATION, "answers are slow"),
    _interaction("time_to_first_token", names.TIME_TO_FIRST_TOKEN, "first words are slow"),
    _interaction("llm_calls", names.INTERACTION_LLM_CALLS, "more LLM calls per interaction"),
    *(
        _interaction(f"{part}_tokens", names.INTERACTION_TOKENS, title, part=part)
        for part, title in (
            ("input", "more input tokens per interaction"),
            ("output", "more output tokens per interaction"),
            ("system", "longer system prompts"),
            ("history", "longer histories"),
            ("user", "longer messages of users"),
        )
    ),
)


def _of_models(measured: Measured) -> Iterator[_Watched]:
    for model in sorted(measured.profile.models):
        labels = {"gen_ai_request_model": model}
        yield _Watched(
            path=f"models.{model}.latency",
            metric=names.LLM_DURATION,
            title=f"LLM calls of {model} are slow",
            unit="s",
            statistic="p95",
            labels=labels,
        )
        for kind in ("input", "output"):
            yield _Watched(
                path=f"models.{model}.{kind}_tokens",
                metric=names.LLM_TOKENS,
                title=f"more {kind} tokens per call of {model}",
                unit="tokens",
                statistic="mean",
                labels={**labels, "gen_ai_token_type": kind},
            )


def _of_tools(measured: Measured) -> Iterator[_Watched]:
    for tool in sorted(measured.profile.tools):
        yield _Watched(
            path=f"tools.{tool}.duration",
            metric=names.TOOL_DURATION,
            title=f"tool {tool} is slow",
            unit="s",
            statistic="p95",
            labels={"gen_ai_tool_name": tool},
        )


def _histogram(
    watched: _Watched, found: Distribution, observed_per_minute: float
) -> Trigger | Unwatched:
    statistic = watched.statistic
    if statistic == "p95" and found.p95_ci95 is None:
        statistic = "mean"  # a p95 that may be anywhere is no baseline
    value = found.p95 if statistic == "p95" else found.mean
    interval = found.p95_ci95 if statistic == "p95" else found.mean_ci95
    if value is None or interval is None or found.count < _FEWEST:
        return Unwatched(watched.path, f"{found.count} measured, too few to call anything normal")
    if value == 0:
        return Unwatched(watched.path, "it was always zero when measured")
    factor = SLOWER if watched.unit == "s" else DEARER
    metric, labels = watched.metric, watched.labels
    of_p95 = statistic == "p95"
    threshold = max(factor * value, interval[1])
    least = (fewest_for_p95 if of_p95 else fewest_for_mean)(found, threshold)
    if least is None:
        return Unwatched(watched.path, "it varies too much to tell a change from chance")
    window = _window(least, observed_per_minute)
    return Trigger(
        id=identifier("baseline", watched.path),
        title=watched.title,
        metric=metric,
        expression=promql.percentile(metric, window, 0.95, labels)
        if of_p95
        else promql.mean(metric, window, labels),
        comparison=">",
        threshold=threshold,
        unit=watched.unit,
        window=window,
        hold=HOLD,
        severity="ticket",
        source=_source(f"{watched.path}.{statistic}", factor, value, interval),
        baseline=value,
        samples=promql.observed(metric, window, labels),
        least_samples=least,
    )


def _window(least: int, observed_per_minute: float) -> str:
    """Return the shortest window in which as many are observed; the longest where none is."""
    for window, minutes in _WINDOW_MINUTES.items():
        if observed_per_minute * minutes >= least:
            return window
    return max(_WINDOW_MINUTES, key=_WINDOW_MINUTES.__getitem__)


def _source(path: str, factor: float, value: float, interval: tuple[float, float] | None) -> str:
    above = f"{(factor - 1) * 100:.0f} %"
    if interval is not None and interval[1] > factor * value:
        return (
            f"the upper end of the 95 % interval of the profile's {path}, {value:.4g}: more than "
            f"{above} above it"
        )
    return f"{above} above the profile's {path}, {value:.4g}"


def _tool_errors(measured: Measured) -> Iterator[Trigger | Unwatched]:
    for name, tool in sorted(measured.profile.tools.items()):
        path = f"tools.{name}.error_rate"
        if tool.error_rate is None or tool.calls < _FEWEST:
            yield Unwatched(path, f"{tool.calls} calls measured, too few to call anything normal")
            continue
        labels = {"gen_ai_tool_name": name}
        calls = promql.selector(f"{names.TOOL_DURATION}_count", labels)
        errors = promql.selector(names.TOOL_ERRORS, labels)
        yield Trigger(
            id=identifier("baseline", path),
            title=f"tool {name} fails",
            metric=names.TOOL_ERRORS,
            expression=promql.ratio(errors, calls, WINDOW),
            comparison=">",
            threshold=min(1.0, max(_MORE_ERRORS * tool.error_rate, _LEAST_ERRORS)),
            unit="share",
            window=WINDOW,
            hold=HOLD,
            severity="ticket",
            source=f"twice the profile's {path}, {tool.error_rate:.3g}, and 5 % at the least",
            baseline=tool.error_rate,
            samples=promql.observed(names.TOOL_DURATION, WINDOW, labels),
            least_samples=OF_MEAN,
        )


def _stores(measured: Measured, known: Mapping[str, Distribution]) -> Iterator[Trigger | Unwatched]:
    for use in measured.stores:
        for operation, value in (("read", use.reads), ("write", use.writes)):
            path = f"state.{use.store}.{operation}s"
            if value is None:
                continue
            if value == 0:
                yield Unwatched(path, "it was always zero when measured")
                continue
            found = known.get(path)
            interval = None if found is None else found.mean_ci95
            labels = {"store": use.store, "operation": operation}
            counter = promql.selector(names.STATE_OPERATIONS, labels)
            yield Trigger(
                id=identifier("baseline", path),
                title=f"more {operation}s of {use.store} per interaction",
                metric=names.STATE_OPERATIONS,
                expression=promql.ratio(counter, names.INTERACTIONS, WINDOW),
                comparison=">",
                threshold=max(DEARER * value, 0.0 if interval is None else interval[1]),
                unit="count",
                window=WINDOW,
                hold=HOLD,
                severity="ticket",
                source=_source(path, DEARER, value, interval),
                baseline=value,
                samples=promql.counted(names.INTERACTIONS, WINDOW),
                least_samples=OF_MEAN,
            )


def identifier(*parts: str) -> str:
    """Return a name for files and labels: letters, digits and `_`."""
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")
