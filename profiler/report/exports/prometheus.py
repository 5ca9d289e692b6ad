"""A profile in Prometheus' text format: for a textfile collector or a push gateway.

Each metric is a summary: quantiles as the profile has them, and the sum and number of values. One
that nobody observed, and a quantile that too few values support, is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

_PREFIX = "agent_profiler"
_QUANTILES = (("0.5", "p50"), ("0.9", "p90"), ("0.95", "p95"), ("0.99", "p99"))
_SUFFIX = {"s": "_seconds", "tokens": "", "count": "", "tokens/s": ""}
_SCALE = {"us": 1e-6, "tokens": 1, "count": 1, "millitokens/s": 1e-3}
_VERDICTS = ("trusted", "driver_limited", "inconclusive")


@dataclass(slots=True)
class _Family:
    """The samples of one name, which the format wants together."""

    kind: str
    meaning: str
    samples: list[str] = field(default_factory=list)


def prometheus_text(profile: WorkloadProfile) -> str:
    """Return the profile in text format 0.0.4. Every sample is labelled with the workload."""
    families: dict[str, _Family] = {}
    base = {"workload": profile.run.workload}
    _add_sample(profile, families, base)
    for scope, labels, name, distribution in _distributions(profile):
        full = f"{_PREFIX}_{scope}_{name}{_SUFFIX[distribution.unit]}"
        meaning = f"{name} of one {scope.replace('_', ' ')}, in {distribution.unit}"
        family = families.setdefault(full, _Family("summary", meaning))
        family.samples += _summary(full, {**base, **labels}, distribution)
    lines: list[str] = []
    for name, family in families.items():
        lines += [f"# HELP {name} {family.meaning}", f"# TYPE {name} {family.kind}"]
        lines += family.samples
    return "\n".join(lines) + "\n"


def _add_sample(
    profile: WorkloadProfile, families: dict[str, _Family], base: Mapping[str, str]
) -> None:
    run, sample = profile.run, profile.sample
    info = {**base, "run": run.id, "protocol": run.protocol or "", "version": run.tool_version}
    _gauge(families, "run_info", "Which run the profile is of.", {"": (info, 1)})
    ended = {"ok": sample.succeeded, **sample.failed}
    _gauge(
        families,
        "interactions",
        "Measured interactions, by how they ended.",
        {result: ({**base, "result": result}, number) for result, number in ended.items()},
    )
    _gauge(
        families,
        "verdict",
        "1 for the profile's verdict, 0 for the others.",
        {
            name: ({**base, "verdict": name}, int(name == profile.trust.verdict))
            for name in _VERDICTS
        },
    )
    for name, meaning, value in (
        ("offered_rate", "Starts per second that were asked for.", profile.load.offered_rate),
        ("achieved_rate", "Interactions ended per second.", profile.load.achieved_rate),
    ):
        if value is not None:
            _gauge(families, name, meaning, {"": (base, value)})


def _gauge(
    families: dict[str, _Family],
    name: str,
    meaning: str,
    samples: Mapping[str, tuple[Mapping[str, str], float]],
) -> None:
    full = f"{_PREFIX}_{name}"
    lines = [f"{full}{_labels(labels)} {value!r}" for labels, value in samples.values()]
    families[full] = _Family("gauge", meaning, lines)


def _distributions(
    profile: WorkloadProfile,
) -> Iterator[tuple[str, dict[str, str], str, Distribution]]:
    """Yield scope, labels, name and distribution."""
    for scope, metrics in (("interaction", profile.interaction), ("session", profile.session)):
        for name, found in metrics.items():
            yield scope, {}, name, found
    for model, metrics in profile.models.items():
        for name, found in metrics.items():
            yield "llm_call", {"model": model}, name, found
    for tool, of_tool in profile.tools.items():
        yield "tool", {"tool": tool}, "calls_per_interaction", of_tool.calls_per_interaction
        if of_tool.duration is not None:
            yield "tool", {"tool": tool}, "duration", of_tool.duration
    for store, of_store in profile.state.items():
        for name in ("reads", "writes", "other"):
            counted: Distribution | None = getattr(of_store, name)
            if counted is not None:
                yield "state", {"store": store}, f"{name}_per_interaction", counted


def _summary(name: str, labels: Mapping[str, str], found: Distribution) -> Iterator[str]:
    for quantile, attribute in _QUANTILES:
        value: float | None = getattr(found, attribute)
        if value is not None:
            yield f"{name}{_labels({**labels, 'quantile': quantile})} {value!r}"
    total = found.clusters.sum_s * _SCALE[found.hdr.value_unit]
    yield f"{name}_sum{_labels(labels)} {total!r}"
    yield f"{name}_count{_labels(labels)} {found.count}"


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}"


def _escaped(value: str) -> str:
    """Escape a label's value as the format asks for: backslash, quote and line feed."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
