"""What a person would say changed: metrics that moved for real, and what came or went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from profiler.comparison.model import Change
from profiler.profile.objectives import ERROR_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from profiler.comparison.model import MetricComparison
    from profiler.profile.model import WorkloadProfile

_FIRST = (
    *("interaction.llm_calls", "interaction.tool_calls", ERROR_RATE, "interaction.input_tokens"),
    *("interaction.system_tokens", "interaction.tool_schema_tokens", "interaction.history_tokens"),
    *("interaction.user_tokens", "interaction.tool_result_tokens", "interaction.output_tokens"),
    *("interaction.cached_input_tokens", "interaction.reasoning_tokens", "interaction.latency"),
    *("interaction.time_to_first_token", "interaction.own_time", "interaction.tool_time"),
    *("interaction.attempts", "interaction.state_reads", "interaction.state_writes"),
)
"""The shape of an interaction, in the order in which one thing explains the next."""

_SAID_ELSEWHERE = (
    *("interaction.counted_input_tokens", "interaction.overhead_tokens", "interaction.llm_time"),
    *("interaction.client_history_tokens", "interaction.client_output_tokens"),
)
"""What moves only with what is said already."""


def changes_of(
    metrics: Sequence[MetricComparison], baseline: WorkloadProfile, candidate: WorkloadProfile
) -> tuple[Change, ...]:
    """Return what came and went, then the means (p95s of times) that moved for real."""
    by_name = {each.metric: each for each in metrics}
    return (*_came_and_went(by_name, baseline, candidate), *_moved(by_name))


def _came_and_went(
    metrics: Mapping[str, MetricComparison], baseline: WorkloadProfile, candidate: WorkloadProfile
) -> Iterator[Change]:
    if "tool_calls" in baseline.interaction and "tool_calls" in candidate.interaction:
        yield from _named("tool", baseline.tools.keys(), candidate.tools.keys(), metrics)
    if baseline.models and candidate.models:
        yield from _named("model", baseline.models.keys(), candidate.models.keys(), metrics)
    if baseline.state and candidate.state:
        yield from _named("store", baseline.state.keys(), candidate.state.keys(), metrics)
    yield from _named(
        "failure", baseline.sample.failed.keys(), candidate.sample.failed.keys(), metrics
    )


def _named(
    what: Literal["tool", "model", "store", "failure"],
    before: AbstractSet[str],
    after: AbstractSet[str],
    metrics: Mapping[str, MetricComparison],
) -> Iterator[Change]:
    sides: tuple[tuple[Literal["appeared", "disappeared"], AbstractSet[str]], ...]
    sides = (("appeared", after - before), ("disappeared", before - after))
    for kind, names in sides:
        for name in sorted(names):
            yield Change(
                kind=kind,
                what=what,
                subject=name,
                statistic=None,
                real=_is_real(what, name, metrics),
            )


def _is_real(what: str, name: str, metrics: Mapping[str, MetricComparison]) -> bool:
    """Whether it is more than chance. A model or a store is chosen by whoever set the agent up."""
    if what in ("model", "store"):
        return True
    metric = f"tools.{name}.calls_per_interaction" if what == "tool" else ERROR_RATE
    found = metrics.get(metric)
    return found is not None and any(each.real for each in found.differences)


def _moved(metrics: Mapping[str, MetricComparison]) -> Iterator[Change]:
    first = [name for name in _FIRST if name in metrics]
    others = [name for name in metrics if name not in {*_FIRST, *_SAID_ELSEWHERE}]
    gone = [name for name in others if 0 in _means(metrics[name])]  # said as what came and went
    for name in (*first, *(name for name in others if name not in gone)):
        for each in metrics[name].differences:
            if each.real and (each.statistic != "p95" or metrics[name].unit == "s"):
                yield Change(
                    kind="metric",
                    what="metric",
                    subject=name,
                    statistic=each.statistic,
                    real=True,
                )


def _means(metric: MetricComparison) -> tuple[float, ...]:
    return next(
        (
            (each.baseline, each.candidate)
            for each in metric.differences
            if each.statistic == "mean"
        ),
        (),
    )
