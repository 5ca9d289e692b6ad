"""The measured agent as the plan's arithmetic takes it: means, samples, and draws of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from profiler.errors import PlanError
from profiler.planner.behaviour import Behaviour, ModelUse
from profiler.planner.limit_risk import CallSample
from profiler.planner.resampling import SessionSums, session_sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from profiler.planner.estimates import Floats
    from profiler.planner.measured import Measured
    from profiler.planner.sampled import CallRows, InteractionRows
    from profiler.planner.sensitivity import Change

_PARTS = ("calls", "attempts", "input", "cached", "output")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agent:
    """A measured agent. `behaviour` holds the profile's own means; the rest is its sample.

    `service_times_s` are the latencies of the sampled interactions that succeeded.
    """

    behaviour: Behaviour
    rows: InteractionRows
    calls: CallRows
    service_times_s: Floats
    call_latency_s: Mapping[str, float]
    sums: SessionSums

    def drawn(self, rng: np.random.Generator) -> tuple[Behaviour, float, float]:
        """Return the averages of sessions drawn again, and two factors of theirs.

        Each average moves as its sample mean does. The factors are those of the API's cost of an
        interaction and of the squared service time's mean.
        """
        before, after = self.sums.totals(), self.sums.drawn(rng)
        moved = _Moved(before, after)
        models = {
            name: ModelUse(
                calls_per_interaction=use.calls_per_interaction * moved(f"{name}\tcalls", "n"),
                attempts_per_call=use.attempts_per_call
                * moved(f"{name}\tattempts", f"{name}\tcalls"),
                input_tokens=use.input_tokens * moved(f"{name}\tinput", f"{name}\tcalls"),
                cached_input_tokens=use.cached_input_tokens
                * moved(f"{name}\tcached", f"{name}\tcalls"),
                output_tokens=use.output_tokens * moved(f"{name}\toutput", f"{name}\tcalls"),
            )
            for name, use in self.behaviour.models.items()
        }
        reads, writes = self.behaviour.state_reads, self.behaviour.state_writes
        behaviour = Behaviour(
            models=models,
            latency_s=self.behaviour.latency_s * moved("latency", "n"),
            state_reads=None if reads is None else reads * moved("reads", "n"),
            state_writes=None if writes is None else writes * moved("writes", "n"),
            session_interactions=self.behaviour.session_interactions * moved("n", "sessions"),
        )
        return behaviour, moved("usd", "n"), moved("latency squared", "n")

    def changed(self, change: Change) -> Behaviour:
        """Return the averages of the agent changed so. `serves` is for whoever deals out models."""
        models = {name: _changed(use, change) for name, use in self.behaviour.models.items()}
        latency_s = self.behaviour.latency_s * change.latency
        return replace(self.behaviour, models=models, latency_s=latency_s)

    def sample_for(self, shares: Mapping[str, float], rng: np.random.Generator) -> CallSample:
        """Return the sampled calls of a model that serves these shares of measured models' calls.

        Which calls of a part are taken is drawn; of a whole, all are.
        """
        calls = self.calls
        share = np.array([shares.get(name, 0.0) for name in calls.models])[calls.model]
        whole = bool(np.isin(share, (0.0, 1.0)).all())
        kept = share > 0 if whole else rng.random(len(share)) < share
        kept &= calls.covered[calls.interaction]
        place = np.cumsum(calls.covered) - 1
        filled = self._filled()
        return CallSample(
            interactions=int(calls.covered.sum()),
            interaction=place[calls.interaction[kept]],
            start_s=filled["start_s"][kept],
            attempts=filled["attempts"][kept],
            input_tokens=filled["input_tokens"][kept],
            cached_input_tokens=filled["cached_input_tokens"][kept],
            output_tokens=filled["output_tokens"][kept],
        )

    def _filled(self) -> dict[str, Floats]:
        return filled_calls(self.calls)


class _Moved:
    """How far a ratio of sums has moved: 1 where there is nothing to move."""

    def __init__(self, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        self._before = before
        self._after = after

    def __call__(self, part: str, whole: str) -> float:
        old, new = self._before, self._after
        if old[part] == 0 or old[whole] == 0 or new[whole] == 0:
            return 1.0
        return (new[part] / new[whole]) / (old[part] / old[whole])


def _changed(use: ModelUse, change: Change) -> ModelUse:
    inputs = use.input_tokens * change.input_tokens
    cached = use.cached_input_tokens * change.input_tokens
    if change.cached_share is not None:
        cached = inputs * change.cached_share
    return replace(
        use,
        calls_per_interaction=use.calls_per_interaction * change.llm_calls,
        input_tokens=inputs,
        cached_input_tokens=cached,
        output_tokens=use.output_tokens * change.output_tokens,
    )


def filled_calls(calls: CallRows) -> dict[str, Floats]:
    """Return the calls' columns with what was not observed filled in, for sums over windows.

    Tokens: the mean of the model's calls that told (nothing, where none did: what is missing for a
    limit is asked for before). Attempts: 1. Starts: one call after the other, at the end of the one
    before it, or at once where latencies are not known either.
    """
    found: dict[str, Floats] = {"attempts": np.nan_to_num(calls.attempts, nan=1.0)}
    for name in ("input_tokens", "cached_input_tokens", "output_tokens"):
        found[name] = _with_means(getattr(calls, name), calls)
    found["start_s"] = _starts(calls)
    return found


def _with_means(values: Floats, calls: CallRows) -> Floats:
    filled = values.copy()
    for number in range(len(calls.models)):
        of_model = calls.model == number
        told = of_model & ~np.isnan(values)
        filled[of_model & np.isnan(values)] = values[told].mean() if told.any() else 0.0
    return filled


def _starts(calls: CallRows) -> Floats:
    if not np.isnan(calls.start_s).any():
        return calls.start_s
    latency = np.nan_to_num(calls.latency_s, nan=0.0)
    order = np.argsort(calls.interaction, kind="stable")
    before = np.concatenate(([0.0], np.cumsum(latency[order])[:-1])) if len(order) else latency
    first = np.searchsorted(calls.interaction[order], calls.interaction[order], side="left")
    one_by_one = np.empty(len(order))
    one_by_one[order] = before - before[first] if len(order) else before
    return np.where(np.isnan(calls.start_s), one_by_one, calls.start_s)


def agent_of(measured: Measured, usd_per_interaction: Floats) -> Agent:
    """Return the agent of a profile; `usd_per_interaction` as in `sums_of`.

    Raises PlanError for a metric that a plan cannot do without, and that nobody observed.
    """
    rows, calls = measured.interactions, measured.calls
    latency = measured.figure("interaction.latency.mean", calculation="the number of workers")
    session = measured.session_interactions
    reads, writes = (_operations(measured, name) for name in ("reads", "writes"))
    behaviour = Behaviour(
        models=_models(measured),
        latency_s=latency.value,
        state_reads=reads,
        state_writes=writes,
        session_interactions=1.0 if session is None else session.value,
    )
    succeeded = rows.ok & ~np.isnan(rows.latency_s)
    if not succeeded.any():
        fix = "Measure again: a plan is of answers that come"
        raise PlanError("the profile has no interaction that succeeded", fix=fix)
    return Agent(
        behaviour=behaviour,
        rows=rows,
        calls=calls,
        service_times_s=rows.latency_s[succeeded],
        call_latency_s=_call_latency(measured),
        sums=sums_of(rows, calls, usd_per_interaction),
    )


def _models(measured: Measured) -> dict[str, ModelUse]:
    calls, filled = measured.calls, filled_calls(measured.calls)
    inside = calls.covered[calls.interaction]
    found = {}
    for name, per_interaction in measured.calls_per_interaction().items():
        kept = inside & (calls.model == calls.models.index(name))
        attempts = filled["attempts"][kept]
        if per_interaction == 0 or not len(attempts):
            continue
        found[name] = ModelUse(
            calls_per_interaction=per_interaction,
            attempts_per_call=float(attempts.mean()),
            input_tokens=_tokens(measured, name, "input_tokens", filled, kept),
            cached_input_tokens=_tokens(measured, name, "cached_input_tokens", filled, kept),
            output_tokens=_tokens(measured, name, "output_tokens", filled, kept),
        )
    return found


def _tokens(
    measured: Measured,
    model: str,
    metric: str,
    filled: Mapping[str, Floats],
    kept: npt.NDArray[np.bool_],
) -> float:
    """Return tokens per call: the profile's mean over all calls, else that of the sample."""
    found = measured.figures.find(f"models.{model}.{metric}.mean")
    return float(filled[metric][kept].mean()) if found is None else found.value


def _call_latency(measured: Measured) -> dict[str, float]:
    paths = {name: f"models.{name}.latency.mean" for name in measured.calls.models}
    found = {name: measured.figures.find(path) for name, path in paths.items()}
    return {name: figure.value for name, figure in found.items() if figure is not None}


def _operations(measured: Measured, name: Literal["reads", "writes"]) -> float | None:
    figure = measured.state_reads if name == "reads" else measured.state_writes
    if figure is not None:
        return figure.value
    stores = [use.reads if name == "reads" else use.writes for use in measured.stores]
    known = [value for value in stores if value is not None]
    return sum(known) if known else None


def sums_of(rows: InteractionRows, calls: CallRows, usd_per_interaction: Floats) -> SessionSums:
    """Return the sums by session that draws are made of; of interactions whose calls are known.

    `usd_per_interaction` has an entry for each of these, in the order of `rows`.
    """
    kept = calls.covered
    filled = filled_calls(calls)
    columns: dict[str, Floats] = {
        "n": np.ones(int(kept.sum())),
        "latency": np.nan_to_num(rows.latency_s[kept]),
        "latency squared": np.nan_to_num(rows.latency_s[kept]) ** 2,
        "reads": np.nan_to_num(rows.state_reads[kept]),
        "writes": np.nan_to_num(rows.state_writes[kept]),
        "usd": usd_per_interaction,
    }
    for number, name in enumerate(calls.models):
        of_model = calls.model == number
        attempts = filled["attempts"][of_model]
        parts = {
            "calls": np.ones(int(of_model.sum())),
            "attempts": attempts,
            "input": filled["input_tokens"][of_model],
            "cached": filled["cached_input_tokens"][of_model],
            "output": filled["output_tokens"][of_model],
        }
        for part in _PARTS:
            summed = np.bincount(
                calls.interaction[of_model], weights=parts[part], minlength=len(kept)
            )
            columns[f"{name}\t{part}"] = summed[kept].astype(float)
    # Sessions are numbered densely again: some may have no interaction whose calls are known.
    _, session = np.unique(rows.session[kept], return_inverse=True)
    sums = session_sums(session.astype(np.int64), columns)
    ones = np.ones((len(sums.sums), 1))
    return SessionSums(names=(*sums.names, "sessions"), sums=np.hstack((sums.sums, ones)))
