"""Profiles of shards or of several runs, combined without loss.

Counts, sums and histograms add exactly, so every number is what it would be however the profiles
were ordered or grouped; means and mean intervals are those of all sessions together. Percentiles
come from the merged histogram. The p95's interval takes its ranks from the merged counts and the
sum of each part's design-effect sums, each taken at its own part's p95.

Where one profile lacks a metric of interactions that another has, its interactions lower the
coverage. Where it watched tool calls and saw none of some tool, it contributes zeros. LLM-call
metrics, whose calls nobody saw, are covered relative to the profiles that have them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from profiler.errors import ProfileError
from profiler.profile.burstiness import merge_burstiness
from profiler.profile.causes import with_causes
from profiler.profile.goodput import merge_goodputs
from profiler.profile.joint import largest_key, merge_joints
from profiler.profile.joint_calls import merge_joint_calls
from profiler.profile.ledger import merge_ledgers
from profiler.profile.load import load_of_parts
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.model import (
    RunInfo,
    SampleInfo,
    StoreProfile,
    ToolProfile,
    WholeRun,
    WorkloadProfile,
)
from profiler.profile.observing import merge_observers
from profiler.profile.rate_limits import merge_rate_limits
from profiler.profile.reconciling import merge_reconciliations
from profiler.profile.sample import (
    Sample,
    add_samples,
    distribution_of,
    sample_of_distribution,
    zeros_like,
)
from profiler.profile.trust import add_loop_lags, trust_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from profiler.profile.distribution import Distribution

_SAME_WORKLOAD = "Merge only runs of the same workload against the same kind of target"


def merge_profiles(profiles: Sequence[WorkloadProfile]) -> WorkloadProfile:
    """Combine profiles of one workload. Associative and commutative in every number.

    Raises `ProfileError` for none at all, for one given twice, and for profiles of different
    workloads, protocols, models, tokenizers, load modes, goodput objectives or units, naming the
    difference.
    """
    if not profiles:
        raise ProfileError("there is nothing to merge", fix="Give at least one profile")
    # In a fixed order, so that also what is listed does not depend on the order given.
    every = sorted(profiles, key=lambda profile: _part_order(profile.run))
    _check_compatible(every)
    run = _merge_runs(every)
    sample = _merge_sample_infos([profile.sample for profile in every])
    interaction = _merge_interaction(every)
    first = every[0]
    ledger = {
        model: merge_ledgers(p.ledger[model] for p in every if model in p.ledger)
        for model in _keys(profile.ledger for profile in every)
    }
    observers = merge_observers(
        [profile.observers for profile in every],
        [profile.sample.interactions for profile in every],
    )
    joint = merge_joints(profile.joint for profile in every)
    load = load_of_parts(first.load.mode, first.load.arrivals, run.parts)
    return WorkloadProfile(
        schema_version=first.schema_version,
        kind=first.kind,
        run=run,
        sample=sample,
        load=load,
        interaction=interaction,
        llm_call=_merge_sections([profile.llm_call for profile in every], "llm_call"),
        models={
            model: _merge_sections(
                [profile.models.get(model, {}) for profile in every], f"models.{model}"
            )
            for model in _keys(profile.models for profile in every)
        },
        tools={
            tool: _merge_tool(tool, every) for tool in _keys(profile.tools for profile in every)
        },
        tool_round_trips=_merge_sections(
            [profile.tool_round_trips for profile in every], "tool_round_trips"
        ),
        state={
            store: _merge_store(store, every) for store in _keys(profile.state for profile in every)
        },
        session=_merge_sections([profile.session for profile in every], "session"),
        rate_limits={
            model: merge_rate_limits(
                [profile.rate_limits[model] for profile in every if model in profile.rate_limits]
            )
            for model in _keys(profile.rate_limits for profile in every)
        },
        joint=joint,
        joint_calls=merge_joint_calls(
            (profile.joint_calls for profile in every), largest_key(joint)
        ),
        observers=observers,
        ledger=ledger,
        reconciliation=with_causes(
            merge_reconciliations(profile.reconciliation for profile in every), observers, ledger
        ),
        trust=trust_of(
            sample.succeeded,
            interaction,
            add_loop_lags(profile.trust.loop_lag for profile in every),
        ),
        burstiness=merge_burstiness([profile.burstiness for profile in every]),
        goodput=merge_goodputs([profile.goodput for profile in every], load.duration_s),
    )


def _part_order(run: RunInfo) -> tuple[str, str, str]:
    first = run.parts[0]
    return first.started_at, first.id, first.journal


def _keys(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Return all keys of the mappings, sorted."""
    return sorted({key for mapping in mappings for key in mapping})


def _check_compatible(profiles: list[WorkloadProfile]) -> None:
    first, *others = profiles
    for other in others:
        for what, mine, theirs in (
            ("workload", first.run.workload, other.run.workload),
            ("digests", first.run.digests, other.run.digests),
            ("protocol", first.run.protocol, other.run.protocol),
            ("model", first.run.target.get("model"), other.run.target.get("model")),
            ("tokenizer", first.run.encoding, other.run.encoding),
            ("load mode", first.load.mode, other.load.mode),
            ("arrivals", first.load.arrivals, other.load.arrivals),
            ("goodput objective", _goodput_objective(first), _goodput_objective(other)),
        ):
            if mine != theirs:
                raise ProfileError(
                    f"the profiles differ in {what}: {mine!r} and {theirs!r}",
                    where=f"runs {first.run.id} and {other.run.id}",
                    fix=_SAME_WORKLOAD,
                )
    twice = [
        journal
        for journal, times in Counter(
            journal for profile in profiles for journal in {p.journal for p in profile.run.parts}
        ).items()
        if times > 1
    ]
    if twice:
        name = next(p.id for profile in profiles for p in profile.run.parts if p.journal in twice)
        raise ProfileError(
            "the same journal is in two of the profiles, and would count twice",
            where=f"run {name}",
            fix="Give each run once",
        )


def _goodput_objective(profile: WorkloadProfile) -> str | None:
    return None if profile.goodput is None else profile.goodput.objective


def _merge_runs(profiles: list[WorkloadProfile]) -> RunInfo:
    parts = sorted(
        (part for profile in profiles for part in profile.run.parts),
        key=lambda part: (part.started_at, part.id, part.journal),
    )
    ids = sorted({part.id for part in parts})
    observers = {who for profile in profiles for who in profile.run.observers}
    return profiles[0].run.model_copy(
        update={
            "id": "+".join(ids),
            "observers": tuple(sorted(observers)),
            "parts": tuple(parts),
            "resumed": _sum_known(profile.run.resumed for profile in profiles),
        }
    )


def _sum_known(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _merge_sample_infos(infos: list[SampleInfo]) -> SampleInfo:
    failed: Counter[str] = Counter()
    for info in infos:
        failed.update(info.failed)
    reasons = {reason for info in infos for reason in info.partial_reasons}
    return SampleInfo(
        interactions=sum(info.interactions for info in infos),
        succeeded=sum(info.succeeded for info in infos),
        failed=dict(sorted(failed.items())),
        sessions=sum(info.sessions for info in infos),
        sessions_completed=sum(info.sessions_completed for info in infos),
        warmup_excluded=sum(info.warmup_excluded for info in infos),
        superseded=_sum_known(info.superseded for info in infos),
        unmatched_events=sum(info.unmatched_events for info in infos),
        partial=any(info.partial for info in infos),
        partial_reasons=tuple(sorted(reasons)),
    )


def _merge_samples(samples: list[Sample], name: str, unobserved: int = 0) -> Distribution:
    merged = reduce(lambda first, second: add_samples(first, second, name), samples)
    return distribution_of(replace(merged, eligible=merged.eligible + unobserved))


def _merge_sections(sections: list[dict[str, Distribution]], where: str) -> dict[str, Distribution]:
    """Merge metric by metric; a section without a metric has nothing to say of it."""
    return {
        name: _merge_samples(
            [sample_of_distribution(s[name]) for s in sections if name in s], f"{where}.{name}"
        )
        for name in _keys(sections)
    }


def _population(name: str, sample: SampleInfo) -> int:
    """Return on how many interactions a metric might have been observed."""
    metric = INTERACTION_METRICS.get(name)
    match None if metric is None else metric.population:
        case "succeeded":
            return sample.succeeded
        case "failed":
            return sample.interactions - sample.succeeded
        case _:
            return sample.interactions


def _merge_interaction(profiles: list[WorkloadProfile]) -> dict[str, Distribution]:
    return {
        name: _merge_per_interaction(
            [
                (profile.interaction.get(name), _population(name, profile.sample))
                for profile in profiles
            ],
            f"interaction.{name}",
        )
        for name in _keys(profile.interaction for profile in profiles)
    }


def _merge_per_interaction(found: list[tuple[Distribution | None, int]], name: str) -> Distribution:
    """Merge distributions; where there is none, so many interactions were not observed."""
    return _merge_samples(
        [sample_of_distribution(item) for item, _ in found if item is not None],
        name,
        sum(population for item, population in found if item is None),
    )


def _merge_tool(tool: str, profiles: list[WorkloadProfile]) -> ToolProfile:
    samples: list[Sample] = []
    unobserved = 0
    for profile in profiles:
        watched = profile.interaction.get("tool_calls")
        if tool in profile.tools:
            samples.append(sample_of_distribution(profile.tools[tool].calls_per_interaction))
        elif watched is not None:
            samples.append(zeros_like(sample_of_distribution(watched)))
        else:
            unobserved += profile.sample.interactions
    tools = [profile.tools[tool] for profile in profiles if tool in profile.tools]
    durations = [t.duration for t in tools if t.duration is not None]
    calls, failed = sum(t.calls for t in tools), sum(t.failed for t in tools)
    return ToolProfile(
        duration=_merge_samples(
            [sample_of_distribution(duration) for duration in durations], f"tools.{tool}.duration"
        )
        if durations
        else None,
        calls_per_interaction=_merge_samples(
            samples, f"tools.{tool}.calls_per_interaction", unobserved
        ),
        calls=calls,
        failed=failed,
        error_rate=failed / calls if calls else None,
    )


def _merge_store(store: str, profiles: list[WorkloadProfile]) -> StoreProfile:
    def kind(name: str) -> Distribution | None:
        found: list[tuple[Distribution | None, int]] = [
            (getattr(profile.state.get(store), name, None), profile.sample.interactions)
            for profile in profiles
        ]
        if all(item is None for item, _ in found):
            return None
        return _merge_per_interaction(found, f"state.{store}.{name}")

    whole = [
        profile.state[store].whole_run
        for profile in profiles
        if store in profile.state and profile.state[store].whole_run is not None
    ]
    return StoreProfile(
        reads=kind("reads"),
        writes=kind("writes"),
        other=kind("other"),
        whole_run=_merge_whole_runs([one for one in whole if one is not None]),
    )


def _merge_whole_runs(whole: list[WholeRun]) -> WholeRun | None:
    """Add what the stores counted; a number that one of them does not tell is not known."""
    if not whole:
        return None

    def total(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None

    return WholeRun(
        reads=total([one.reads for one in whole]),
        writes=total([one.writes for one in whole]),
        other=total([one.other for one in whole]),
        void_reasons=tuple(sorted({reason for one in whole for reason in one.void_reasons})),
    )
