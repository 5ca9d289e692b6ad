"""One scale of the plan in full: the arithmetic, the chances, the simulations, the bill."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner import plan
from profiler.planner.attempts import Retrying
from profiler.planner.demand import LIMIT_KINDS
from profiler.planner.evaluate import evaluate, load_of
from profiler.planner.limit_fit import counting
from profiler.planner.limit_risk import risk
from profiler.planner.limits import bucket_rejection, retry_fixed_point
from profiler.planner.operations import operations
from profiler.planner.plan import WINDOWS_S
from profiler.planner.retrying import REQUESTS, simulate_calls
from profiler.planner.workers import Targets, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.planner.agent import Agent
    from profiler.planner.arithmetic import PeakLoad
    from profiler.planner.cost_tree import CostLine
    from profiler.planner.estimates import Estimate
    from profiler.planner.evaluate import Evaluation, Point, Setting
    from profiler.planner.infrastructure import RunBy
    from profiler.planner.limit_fit import LimitFit
    from profiler.planner.limit_risk import CallSample
    from profiler.planner.simulate_limits import LimitSimulation
    from profiler.planner.spread import Spread
    from profiler.planner.workers import Sizing


_WHOLE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """What all scales of a plan share. `samples` are the calls that each model serves."""

    setting: Setting
    point: Point
    agent: Agent
    samples: Mapping[str, CallSample]
    seed: int
    sizings: dict[float, Sizing] = field(default_factory=dict, repr=False)
    """By interactions per minute, as they are asked for: scales and stages ask for the same."""


def served_shares(setting: Setting, point: Point) -> dict[str, dict[str, float]]:
    """Return for each serving model the share of each measured model's calls that it takes."""
    measured = point.behaviour.models
    found: dict[str, dict[str, float]] = {name: {name: 1.0} for name in measured}
    for name, model in setting.demand.models.items():
        for replaced in model.replaces:
            if replaced in measured:
                share = point.numbers[f"models.{name}.replaces.{replaced}"]
                found.setdefault(name, {})[replaced] = share
                found[replaced][replaced] -= share
    return found


def build_scale(scaling: Scaling, factor: float, spread: Spread) -> plan.Scale:
    """Return everything about one growth factor."""
    setting, point = scaling.setting, scaling.point
    peak, _, _ = load_of(setting, point, factor)
    sizing = sizing_at(scaling, peak)
    found = evaluate(setting, point, factor, sizing.count)
    binding = found.binding
    return plan.Scale(
        factor=factor,
        demand=_demand(found, spread),
        limits=tuple(_limit(scaling, fit, spread) for fit in found.fits),
        binding=None if binding is None else _binding(binding),
        retries=tuple(_retries(scaling, found)),
        workers=_workers(sizing, spread),
        queue=_queue(sizing, found),
        state=_state(found, spread),
        cost=_cost(scaling, found, spread),
    )


def sizing_at(scaling: Scaling, peak: PeakLoad) -> Sizing:
    """Return the workers for a peak, within the service level."""
    rate = peak.interactions_per_minute
    if rate not in scaling.sizings:
        scaling.sizings[rate] = _sizing(scaling, rate / 60.0)
    return scaling.sizings[rate]


def _sizing(scaling: Scaling, rate_per_s: float) -> Sizing:
    numbers = scaling.point.numbers
    return size(
        rate_per_s=rate_per_s,
        service_times_s=scaling.agent.service_times_s,
        targets=Targets(
            wait_p95_s=numbers["service_level.worker_wait_p95"],
            answer_p95_s=numbers.get("service_level.answer_latency_p95"),
        ),
        slots=scaling.setting.demand.workers.slots,
        burstiness=numbers["traffic.burstiness"],
        seed=scaling.seed,
    )


def _demand(found: Evaluation, spread: Spread) -> plan.DemandAtScale:
    peak, volume = found.peak, found.volume
    inputs, outputs = peak.input_tokens_per_minute, peak.output_tokens_per_minute
    names = tuple(
        name for name in plan.DemandAtScale.model_fields if name not in {"models", "ranges90"}
    )
    return plan.DemandAtScale(
        users=peak.users,
        interactions_per_user_minute=peak.interactions_per_user_minute,
        interactions_per_minute=peak.interactions_per_minute,
        llm_calls_per_interaction=peak.llm_calls_per_interaction,
        llm_calls_per_minute=peak.llm_calls_per_minute,
        attempts_per_minute=peak.attempts_per_minute,
        input_tokens_per_minute=inputs,
        output_tokens_per_minute=outputs,
        tokens_per_minute=inputs + outputs,
        interactions_per_month=volume.interactions,
        sessions_per_month=volume.sessions,
        monthly_active_users=volume.active_users,
        models={
            name: plan.ModelDemand(
                calls_per_minute=load.calls_per_minute,
                attempts_per_minute=load.attempts_per_minute,
                input_tokens_per_minute=load.input_tokens_per_minute,
                cached_input_tokens_per_minute=load.cached_input_tokens_per_minute,
                output_tokens_per_minute=load.output_tokens_per_minute,
            )
            for name, load in peak.models.items()
        },
        ranges90=spread.of("demand", *names),
    )


def _limit(scaling: Scaling, fit: LimitFit, spread: Spread) -> plan.LimitAtScale:
    limits = scaling.setting.demand.models[fit.model].limits
    assert limits is not None  # noqa: S101 - a fit is of a limit
    how = counting(limits, scaling.setting.providers.get(fit.model))
    chances = {}
    if fit.limit in LIMIT_KINDS:
        chances = {
            f"{window_s:g}s": risk(
                kind=fit.limit,
                sample=scaling.samples[fit.model],
                how=how,
                demand_per_minute=fit.demand,
                allowed_per_minute=fit.allowed,
                window_s=window_s,
                burstiness=scaling.point.numbers["traffic.burstiness"],
                seed=scaling.seed,
            )
            for window_s in _windows(limits.window)
        }
    names = ("demand", "utilization", "max_users", "max_users_within_headroom", "calls_that_fit")
    return plan.LimitAtScale(
        model=fit.model,
        limit=fit.limit,
        demand=fit.demand,
        allowed=fit.allowed,
        utilization=fit.utilization,
        excess=fit.excess,
        max_users=fit.max_users,
        max_users_within_headroom=fit.max_users_within_headroom,
        calls_that_fit=fit.calls_that_fit,
        window_exceedance={name: each.window_exceedance for name, each in chances.items()},
        rejected_fraction={name: each.rejected_fraction for name, each in chances.items()},
        limited_time={name: each.limited_time for name, each in chances.items()},
        counting=how.source,
        ranges90=spread.of(f"limits {fit.model} {fit.limit}", *names),
    )


def _windows(stated: float | None) -> tuple[float, ...]:
    """Return the windows to show: both usual ones, and the stated one where it is another."""
    if stated is None or stated in WINDOWS_S:
        return WINDOWS_S
    return tuple(sorted((*WINDOWS_S, stated)))


def _binding(fit: LimitFit) -> plan.Binding:
    return plan.Binding(
        model=fit.model,
        limit=fit.limit,
        utilization=fit.utilization,
        max_users=fit.max_users,
        max_users_within_headroom=fit.max_users_within_headroom,
    )


def _retries(scaling: Scaling, found: Evaluation) -> list[plan.RetriesAtScale]:
    by_model: dict[str, dict[str, float]] = {}
    for fit in found.fits:
        if fit.limit in LIMIT_KINDS:
            by_model.setdefault(fit.model, {})[fit.limit] = fit.allowed
    return [
        each
        for model, allowed in by_model.items()
        for each in _retries_of(scaling, found, model, allowed)
    ]


def _retries_of(
    scaling: Scaling, found: Evaluation, model: str, allowed: Mapping[str, float]
) -> list[plan.RetriesAtScale]:
    limits = scaling.setting.demand.models[model].limits
    assert limits is not None  # noqa: S101 - it has a fit
    numbers = scaling.point.numbers
    retrying = Retrying(
        retries=scaling.setting.demand.retries.most,
        base_s=numbers["retries.wait"],
        multiplier=numbers["retries.multiplier"],
        longest_s=numbers["retries.longest_wait"],
    )
    is_window = limits.enforced == "window"
    fullest = max(
        (fit for fit in found.fits if fit.model == model and fit.limit in allowed),
        key=lambda fit: fit.utilization,
    )
    load = found.peak.models[model]
    fluid = retry_fixed_point(
        load.calls_per_minute, load.attempts_per_minute / fullest.utilization, retrying.retries
    )
    sample = scaling.samples[model]
    per_interaction = len(sample.interaction) / sample.interactions
    windows = WINDOWS_S if limits.window is None else (limits.window,)
    return [
        _simulated(
            simulate_calls(
                sample,
                allowed,
                counting(limits, scaling.setting.providers.get(model)),
                interactions_per_s=load.calls_per_minute / 60.0 / per_interaction,
                burstiness=numbers["traffic.burstiness"],
                retrying=retrying,
                is_window=is_window,
                window_s=window_s,
                seed=scaling.seed,
            ),
            model,
            (
                _enforcement(window_s, limits.enforced, is_stated=limits.window is not None),
                window_s,
            ),
            (fluid.rejection, fluid.attempts_per_minute),
            None
            if is_window or numbers["traffic.burstiness"] > 1
            else _closed_form(sample, load.calls_per_minute, allowed, window_s),
        )
        for window_s in windows
    ]


def _enforcement(window_s: float, enforced: str | None, *, is_stated: bool) -> str:
    if enforced == "window":
        text = f"windows of {window_s:g} s"
    else:
        text = f"a bucket of {window_s:g} s' worth, refilled continuously"
    return text if is_stated and enforced is not None else f"{text} (assumed)"


def _closed_form(
    sample: CallSample, rate: float, allowed: Mapping[str, float], window_s: float
) -> float | None:
    """Return what a bucket rejects, where a closed form has it: see `limits.bucket_rejection`."""
    limit = allowed.get(REQUESTS)
    one_call_each = len(np.unique(sample.interaction)) == len(sample.interaction)
    if limit is None or len(allowed) > 1 or not one_call_each:
        return None
    burst = limit * window_s / 60.0
    if burst < 1 or abs(burst - round(burst)) > _WHOLE:
        return None
    return bucket_rejection(rate, limit, round(burst))


def _simulated(
    found: LimitSimulation,
    model: str,
    enforcement: tuple[str, float],
    fluid: tuple[float, float],
    closed_form: float | None,
) -> plan.RetriesAtScale:
    return plan.RetriesAtScale(
        model=model,
        enforcement=enforcement[0],
        window_s=enforcement[1],
        rejected_attempts=_share(found.together.rejected, found.calls),
        attempts_per_call=_estimate(found.attempts_per_call),
        failed_calls=_share(found.failed_calls, found.calls),
        limited_time=_share(found.together.limited_time, found.calls),
        closed_form_rejection=closed_form,
        fluid_rejection=fluid[0],
        fluid_attempts_per_minute=fluid[1],
    )


def _estimate(found: Estimate) -> plan.Estimate:
    finite = bool(np.isfinite(found.low) and np.isfinite(found.high))
    low = max(0.0, found.low)  # nothing here can be below zero
    return plan.Estimate(value=found.value, ci95=(low, found.high) if finite else None)


def _share(found: Estimate, count: int) -> plan.Estimate:
    """Return a share of `count`. What was never seen may still be: the rule of three, 3 / count.

    Hanley and Lippman-Hand, If nothing goes wrong, is everything all right? (JAMA 249, 1983).
    """
    if found.value == 0 and count:
        return plan.Estimate(value=0.0, ci95=(0.0, min(1.0, 3 / count)))
    return plan.Estimate(value=found.value, ci95=(max(0.0, found.low), min(1.0, found.high)))


def _workers(sizing: Sizing, spread: Spread) -> plan.WorkersAtScale:
    queue = sizing.queue
    wait = queue.wait_percentiles_s[95]
    return plan.WorkersAtScale(
        count=sizing.count,
        slots=sizing.slots,
        method="simulation",
        by_erlang_c=sizing.by_erlang_c,
        by_allen_cunneen=sizing.by_allen_cunneen,
        decided_by=sizing.decided_by,
        meets_targets=sizing.meets_targets,
        service_mean_s=sizing.service_mean_s,
        service_cv2=sizing.service_cv2,
        utilization=queue.utilization.value,
        wait_mean_s=_estimate(queue.wait_mean_s),
        wait_p95_s=wait.value,
        wait_p95_ci95=_estimate(wait).ci95,
        answer_latency_p50_s=_estimate(queue.response_percentiles_s[50]),
        answer_latency_p95_s=_estimate(queue.response_percentiles_s[95]),
        simulated_interactions=queue.interactions,
        ranges90=_moved(spread.of("workers", "count"), sizing),
    )


def _moved(
    intervals: dict[str, tuple[float, float]], sizing: Sizing
) -> dict[str, tuple[float, float]]:
    """Move the closed form's interval by as much as the simulation's count is beside its own."""
    factor = sizing.count / sizing.by_allen_cunneen
    return {
        name: (float(round(low * factor)), float(round(high * factor)))
        for name, (low, high) in intervals.items()
    }


def _queue(sizing: Sizing, found: Evaluation) -> plan.QueueAtScale:
    queue = sizing.queue
    return plan.QueueAtScale(
        depth_mean=_estimate(queue.waiting_mean),
        depth_p95=_estimate(queue.waiting_percentiles[95]),
        depth_p99=_estimate(queue.waiting_percentiles[99]),
        threshold=sizing.threshold,
        probability_over_threshold=_share(
            queue.waiting_exceeds[sizing.threshold], queue.interactions
        ),
        operations_per_s=found.state.queue_operations_per_s,
    )


def _state(found: Evaluation, spread: Spread) -> plan.StateAtScale:
    state = found.state
    names = tuple(name for name in plan.StateAtScale.model_fields if name != "ranges90")
    return plan.StateAtScale(
        reads_per_s=state.reads_per_s,
        writes_per_s=state.writes_per_s,
        hot_sessions=state.hot_sessions,
        hot_memory_bytes=state.hot_memory_bytes,
        cold_growth_bytes_per_month=state.cold_growth_bytes_per_month,
        ranges90=spread.of("state", *names),
    )


def _cost(scaling: Scaling, found: Evaluation, spread: Spread) -> plan.CostAtScale:
    demand, volume = scaling.setting.demand, found.volume
    api, infra, people = found.tree.children
    total, users = float(found.tree.usd), volume.active_users
    per_user = None if users is None else total / users
    value = value_per_user(scaling.point, volume.interactions, users)
    names = ("api", "infrastructure", "operations", "total")
    return plan.CostAtScale(
        api=float(api.usd),
        infrastructure=float(infra.usd),
        operations=float(people.usd),
        total=total,
        per_user=per_user,
        per_session=total / volume.sessions,
        per_interaction=total / volume.interactions,
        run_by=demand.infrastructure.run_by,
        alternative=_alternative(scaling, found),
        value_per_user=value,
        margin_per_user=None if value is None or per_user is None else value - per_user,
        tree=_node(found.tree),
        ranges90=spread.of("cost", *names, "per_user", "per_session", "per_interaction"),
    )


def value_per_user(point: Point, interactions: float, users: float | None) -> float | None:
    """Return what an active user brings in per month; None where it is not said."""
    given = point.numbers.get("value.per_user_month")
    if given is not None:
        return given
    each = point.numbers.get("value.per_interaction")
    return None if each is None or not users else each * interactions / users


def _alternative(scaling: Scaling, found: Evaluation) -> dict[str, float]:
    demand, book = scaling.setting.demand, scaling.setting.book
    other: RunBy = "self" if demand.infrastructure.run_by == "managed" else "managed"
    further = sum((line.usd for line in found.infrastructure.further), start=Decimal(0))
    machines = float(sum((line.usd for line in found.infrastructure.ways[other]), start=further))
    people = float(operations(demand.operations, book, other).usd)
    api = float(found.tree.children[0].usd)
    return {
        "infrastructure": machines,
        "operations": people,
        "total": api + machines + people,
    }


def _node(line: CostLine) -> plan.CostNode:
    quantity = None
    if line.quantity is not None:
        quantity = f"{line.quantity.normalize():f} {line.unit or ''}".strip()
    unit_usd = None if line.unit_price_usd is None else f"{line.unit_price_usd:f}"
    return plan.CostNode(
        name=line.name,
        usd=f"{line.usd:f}",
        quantity=quantity,
        unit_usd=unit_usd,
        note=line.note,
        source=line.source,
        children=tuple(_node(child) for child in line.children),
    )
