"""A workload before it runs, for programs: what `agent-profiler workload --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from profiler.report.outlook import NS_PER_MS, Estimate, series
from profiler.workload.dispersion import MINUTE_S
from profiler.workload.distance import MATTERS, SIGNIFICANCE, Sample
from profiler.workload.outlook import NOT_OBSERVED, Arrivals, figures, histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.planner.expected_spend import ListedSpend
    from profiler.workload.dispersion import Dispersion
    from profiler.workload.likeness import Dimension, Likeness
    from profiler.workload.model import Workload
    from profiler.workload.outlook import Drawn, Outlook

KIND, SCHEMA_VERSION = "workload_outlook", 1


def outlook_json(
    workload: Workload, outlook: Outlook, estimate: Estimate, *, encoding: str
) -> dict[str, Any]:
    """Return what JSON holds: durations in seconds, histograms as `[from, below, count]`.

    What is not known is null. Histograms of durations are in milliseconds.
    """
    expected = outlook.expected
    is_generated = any(scenario.generated is not None for scenario in workload.scenarios)
    total = sum(scenario.weight for scenario in workload.scenarios)
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "workload": workload.name,
        "digest": workload.digest(),
        "target": workload.redacted_target(),
        "seed": workload.load.seed,
        "encoding": encoding,
        "expected": {
            "sessions": outlook.drawn.sessions,
            "cut_sessions": outlook.drawn.cut_sessions,
            "interactions": expected.interactions,
            "interactions_are_upper_bound": expected.is_bound,
            "warmup": expected.warmup,
            "dropped": expected.dropped,
            "goes_on": expected.is_cut,
            "duration_s": expected.duration_s,
            "duration_is_lower_bound": expected.latency_s is None or expected.is_cut,
            "latency_s": expected.latency_s,
            "profile": estimate.profile,
            "profile_is_of_another_workload": estimate.is_other_workload,
            "spend_usd": None if estimate.spend is None else asdict(estimate.spend),
            "spend_at_list_prices": _listed(estimate.listed),
        },
        "scenarios": {
            scenario.name: {
                "share": scenario.weight / total,
                **_scenario(outlook.scenarios[scenario.name]),
            }
            for scenario in workload.scenarios
        },
        "distributions": [
            {
                "name": one.name,
                "unit": one.unit,
                **_figures(one.values),
                "histogram": [[b.low, b.high, b.count] for b in histogram(one.values)],
            }
            for one in series(outlook, is_generated=is_generated)
        ],
        "arrivals": None if outlook.arrivals is None else _arrivals(outlook.arrivals),
        "not_observed": list(NOT_OBSERVED),
    }


def likeness_json(source: str, found: Likeness) -> dict[str, Any]:
    """Return the comparison: distances, what chance explains, verdicts."""
    production = found.production
    return {
        "source": source,
        "sessions": production.sessions,
        "messages": production.messages,
        "is_trace": production.is_trace,
        "skipped": dict(production.skipped.counts),
        "odd": dict(production.odd.counts),
        "sessions_by_hour_utc": production.hours,
        "arrivals": None if found.arrivals is None else _arrivals(found.arrivals),
        "significance": SIGNIFICANCE,
        "distance_that_matters": MATTERS,
        "dimensions": [_dimension(dimension) for dimension in found.dimensions],
    }


def _dimension(dimension: Dimension) -> dict[str, Any]:
    comparison = dimension.comparison
    out: dict[str, Any] = {"name": dimension.name, "unit": dimension.unit}
    if comparison is None:
        return {**out, "verdict": None, "reason": dimension.reason}
    return {
        **out,
        "verdict": comparison.verdict.value,
        "ks_distance": comparison.distance,
        "at": comparison.where,
        "critical_distance": comparison.critical,
        "earth_movers_distance": comparison.moved,
        "workload": _sample(comparison.ours),
        "production": _sample(comparison.theirs),
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "count": sample.total,
        "independent": sample.independent,
        "mean": sample.mean,
        "p50": sample.quantile(0.5),
        "p95": sample.quantile(0.95),
    }


def _scenario(drawn: Drawn) -> dict[str, Any]:
    return {
        "sessions": drawn.sessions,
        "interactions": drawn.interactions,
        "turns": _figures(drawn.turns) or None,
        "user_tokens": _figures(drawn.user_tokens) or None,
        "think_time_ms": _figures([ns // NS_PER_MS for ns in drawn.think_times_ns]) or None,
    }


def _listed(spend: ListedSpend | None) -> dict[str, Any] | None:
    if spend is None:
        return None
    models = [{"model": name, "provider": provider} for name, provider in spend.models]
    return {
        "usd": float(spend.usd),
        "models": models,
        "coverage": spend.coverage,
        "source": spend.source,
    }


def _figures(values: Sequence[int]) -> dict[str, Any]:
    found = figures(values)
    return {} if found is None else asdict(found)


def _arrivals(arrivals: Arrivals) -> dict[str, Any]:
    return {
        "of": arrivals.of,
        "count": len(arrivals.offsets_ns),
        "rate_per_s": arrivals.rate_per_s,
        "index_of_dispersion": {
            "per_second": _dispersion(arrivals.dispersion(1)),
            "per_minute": _dispersion(arrivals.dispersion(MINUTE_S)),
        },
    }


def _dispersion(found: Dispersion) -> dict[str, Any]:
    if found.index is None:
        return {"index": None, "reason": found.lacking}
    return {"index": found.index, "poisson_range95": list(found.poisson_range95)}
