"""Triggers on what users are promised: targets, and how fast the error budget burns.

Burn rates and windows are those of the Site Reliability Workbook (Beyer et al., 2018), chapter 5,
table 5-8, for a budget of 30 days: a burn rate of 14.4 for an hour spends 2 % of it, 6 for six
hours 5 %, 3 for a day and 1 for three days 10 %. A short window, a twelfth of the long one, ends
the alert soon after the cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from profiler.planner import metric_names as names
from profiler.planner import promql
from profiler.planner.triggers import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.planner.demand import Demand

_Severity = Literal["page", "ticket"]
_BURNS: tuple[tuple[float, str, str, _Severity], ...] = (
    (14.4, "1h", "5m", "page"),
    (6.0, "6h", "30m", "page"),
    (3.0, "1d", "2h", "ticket"),
    (1.0, "3d", "6h", "ticket"),
)
"""Burn rate, long window, short window, severity."""
_LATE = 0.05
_WORKBOOK = "Site Reliability Workbook, table 5-8"


def service_levels(
    demand: Demand, *, llm_calls: float, answer_p95_s: float | None
) -> Iterator[Trigger]:
    """Yield the triggers of the demand's service level.

    `llm_calls` are those of an interaction; `answer_p95_s` is what the plan expects at launch.
    """
    level = demand.service_level
    if level.answer_latency_p95 is not None:
        yield from _answers(level.answer_latency_p95.likely, answer_p95_s)
    yield _waiting(level.worker_wait_p95.likely)
    share = 1 - (1 - level.rejected_share.likely) ** llm_calls
    failed = promql.selector(names.INTERACTIONS, {}, 'outcome!="ok"')
    yield from _burning(
        _Budget("failures", "interactions fail", names.INTERACTIONS, share),
        lambda window: promql.ratio(failed, names.INTERACTIONS, window),
        f"1 - (1 - service_level.rejected_share)^{llm_calls:.3g}: any of its LLM calls may fail",
    )


def _answers(promised_s: float, expected_s: float | None) -> Iterator[Trigger]:
    metric = names.INTERACTION_DURATION
    yield Trigger(
        id="service_level_answer_latency_p95",
        title="answers are slower than promised",
        metric=metric,
        expression=promql.percentile(metric, "10m", 0.95),
        comparison=">",
        threshold=promised_s,
        unit="s",
        window="10m",
        hold="10m",
        severity="page",
        source="service_level.answer_latency_p95 of the demand",
        baseline=expected_s,
        samples=promql.observed(metric, "10m"),
        least_samples=60,
    )
    yield from _burning(
        _Budget("slow", "answers come too late", metric, _LATE),
        lambda window: promql.slower_share(metric, window, promised_s),
        f"5 of 100 answers may take longer than {promised_s:g} s "
        "(service_level.answer_latency_p95); a bucket of the histogram has to end there",
    )


def _waiting(promised_s: float) -> Trigger:
    return Trigger(
        id="service_level_worker_wait",
        title="messages wait for workers",
        metric=names.QUEUE_OLDEST,
        expression=f"max(avg_over_time({names.QUEUE_OLDEST}[10m]))",
        comparison=">",
        threshold=promised_s,
        unit="s",
        window="10m",
        hold="10m",
        severity="ticket",
        source="service_level.worker_wait_p95 of the demand: the oldest waits longer on average",
    )


@dataclass(frozen=True, slots=True)
class _Budget:
    """The share of interactions that may go wrong so."""

    name: str
    title: str
    metric: str
    share: float


def _burning(budget: _Budget, share: Callable[[str], str], source: str) -> Iterator[Trigger]:
    for rate, long, short, severity in _BURNS:
        if rate * budget.share >= 1:
            continue  # not even an outage burns so fast
        yield Trigger(
            id=f"budget_{budget.name}_{long}",
            title=f"{budget.title}: the error budget burns {rate:g} times as fast as it may",
            metric=budget.metric,
            expression=share(long),
            short_expression=share(short),
            comparison=">",
            threshold=round(rate * budget.share, 12),  # not 0.7200000000000001
            unit="share",
            window=long,
            hold="0m",
            severity=severity,
            source=f"{rate:g} x budget ({_WORKBOOK}); budget: {source}",
        )
