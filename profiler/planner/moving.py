"""The planned agent with one input moved to what it is now, all else as planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from profiler.planner.review_inputs import (
    ATTEMPTS,
    CACHED,
    CALLS,
    INPUT,
    LATENCY,
    LLM_TIME,
    MONTH,
    OUTPUT,
    OWN_TIME,
    PARTS,
    PEAK,
    READS,
    SESSION,
    TOOL_CALLS,
    TOOL_TIME,
    WRITES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.planner.behaviour import Behaviour, ModelUse
    from profiler.planner.sides import Recomputing, Side

_SHORTEST_S = 1e-6
_USES = {INPUT: "inputs", CACHED: "cached", OUTPUT: "outputs", ATTEMPTS: "attempts"}
_TIMES = frozenset({LATENCY, LLM_TIME, TOOL_TIME, OWN_TIME})


def moved(
    recomputing: Recomputing,
    name: str,
    *,
    driven_to: float,
    actual: float,
    planned: Mapping[str, float],
) -> Side:
    """Return the planned side with the input `name` moved from `driven_to` to `actual`.

    `driven_to` is what its drivers make of the plan's value, so that their part is not counted
    again; `planned` are the means of the plan. Tokens of a part move those of all calls.
    """
    side = recomputing.planned
    if name in {PEAK, MONTH}:
        factor = actual / driven_to
        numbers = traffic(recomputing, **{"peak" if name == PEAK else "month": factor})
        return replace(side, numbers=numbers)
    behaviour = _behaviour(side.behaviour, name, driven_to, actual, planned)
    return replace(side, behaviour=behaviour, usd_per_interaction=recomputing.usd_moved(behaviour))


def traffic(recomputing: Recomputing, *, peak: float = 1.0, month: float = 1.0) -> dict[str, float]:
    """Return the numbers of the demand that factors on the peak and on the month change."""
    users, given = recomputing.demand.users, recomputing.demand.traffic
    numbers = {"users.peak_concurrent": users.peak_concurrent.likely * peak}
    if given.interactions_per_day is not None:
        numbers["traffic.interactions_per_day"] = given.interactions_per_day.likely * month
    elif given.peak_to_average is not None:  # the month is made of the peak, divided by this
        numbers["traffic.peak_to_average"] = given.peak_to_average.likely * peak / month
    return numbers


def with_means(
    before: Behaviour, planned: Mapping[str, float], actual: Mapping[str, float]
) -> Behaviour:
    """Return the planned agent with all the means that are known now.

    What is not known stays as planned: per LLM call for tokens and requests.
    """

    def ratio(name: str) -> float | None:
        was, now = planned.get(name), actual.get(name)
        return None if was is None or now is None or was <= 0 else now / was

    calls = ratio(CALLS) or 1.0
    inputs = ratio(INPUT)
    if inputs is None and planned.get(INPUT):
        inputs = (planned[INPUT] + _change(PARTS, planned, actual)) / planned[INPUT]
    per_call = {"inputs": inputs, "outputs": ratio(OUTPUT), "attempts": ratio(ATTEMPTS)}
    found = _with_uses(
        before,
        calls=calls,
        cached=(ratio(CACHED) or 1.0) / (inputs or 1.0) if ratio(CACHED) else 1.0,
        **{name: value / calls for name, value in per_call.items() if value is not None},
    )
    latency_s = actual.get(LATENCY)
    if latency_s is None:
        latency_s = before.latency_s + _change((LLM_TIME, TOOL_TIME, OWN_TIME), planned, actual)
    sessions = ratio(SESSION)
    return replace(
        found,
        latency_s=max(_SHORTEST_S, latency_s),
        state_reads=actual.get(READS, before.state_reads),
        state_writes=actual.get(WRITES, before.state_writes),
        session_interactions=before.session_interactions * (1.0 if sessions is None else sessions),
    )


def _change(
    names: Iterable[str], planned: Mapping[str, float], actual: Mapping[str, float]
) -> float:
    return sum(actual[name] - planned[name] for name in names if name in planned and name in actual)


def _behaviour(
    before: Behaviour,
    name: str,
    driven_to: float,
    actual: float,
    planned: Mapping[str, float],
) -> Behaviour:
    ratio = actual / driven_to if driven_to > 0 else 1.0
    if name == CALLS:
        latency_s = before.latency_s + (ratio - 1) * planned.get(LLM_TIME, 0.0)
        return replace(_with_uses(before, calls=ratio), latency_s=latency_s)
    if name == TOOL_CALLS:
        return _later(before, (ratio - 1) * planned.get(TOOL_TIME, 0.0))
    if name in _TIMES:
        return _later(before, actual - driven_to)
    if name in PARTS:
        share = (actual - driven_to) / planned[INPUT] if planned.get(INPUT) else 0.0
        return _with_uses(before, inputs=1 + share)
    return _of_rest(before, name, ratio)


def _of_rest(before: Behaviour, name: str, ratio: float) -> Behaviour:
    if name in _USES:
        return _with_uses(before, **{_USES[name]: ratio})
    if name == READS and before.state_reads is not None:
        return replace(before, state_reads=before.state_reads * ratio)
    if name == WRITES and before.state_writes is not None:
        return replace(before, state_writes=before.state_writes * ratio)
    if name == SESSION:
        return replace(before, session_interactions=before.session_interactions * ratio)
    return before


def _later(before: Behaviour, seconds: float) -> Behaviour:
    return replace(before, latency_s=max(_SHORTEST_S, before.latency_s + seconds))


def _with_uses(
    before: Behaviour,
    *,
    calls: float = 1.0,
    attempts: float = 1.0,
    inputs: float = 1.0,
    cached: float = 1.0,
    outputs: float = 1.0,
) -> Behaviour:
    def changed(use: ModelUse) -> ModelUse:
        tokens = use.input_tokens * inputs
        return replace(
            use,
            calls_per_interaction=use.calls_per_interaction * calls,
            attempts_per_call=use.attempts_per_call * attempts,
            input_tokens=tokens,
            cached_input_tokens=min(tokens, use.cached_input_tokens * inputs * cached),
            output_tokens=use.output_tokens * outputs,
        )

    return replace(before, models={name: changed(use) for name, use in before.models.items()})
