"""The sampled interactions and their LLM calls, as columns: what a plan resamples and prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from profiler.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.profile.model import WorkloadProfile

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_Scalar = TypeVar("_Scalar", bound=np.generic)

UNKNOWN_MODEL = "(not reported)"
_TOKENS = (
    *("input_tokens", "cached_input_tokens", "cache_write_tokens"),
    *("output_tokens", "reasoning_tokens"),
)
_OLDER = (
    "the profile is from before LLM calls were kept one by one: every call of an interaction is "
    "taken to have the same part of its tokens (compute it again: agent-profiler profile RUN_DIR)"
)
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InteractionRows:
    """One element per sampled interaction in every array, in the order of `key`; NaN: not observed.

    `session` numbers the sessions from 0 to `sessions` - 1; `population` are the interactions that
    the rows were drawn from. Times and tokens are of failed ones too: `ok` tells them apart.
    """

    population: int
    sessions: int
    key: Integers
    session: Integers
    turn: Integers
    ok: Flags
    latency_s: Floats
    llm_calls: Floats
    llm_time_s: Floats
    tool_calls: Floats
    tool_time_s: Floats
    input_tokens: Floats
    cached_input_tokens: Floats
    output_tokens: Floats
    reasoning_tokens: Floats
    state_reads: Floats
    state_writes: Floats

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CallRows:
    """One element per LLM call of the sampled interactions in every array; NaN: not observed.

    `interaction` is the place of its interaction in `InteractionRows`. `covered` has an element per
    *interaction*: whether all its calls are here; means per interaction are over these only.
    `model` is a place in `models`. `input_tokens` include cached and cache-written ones,
    `output_tokens` include reasoning. `population` are the calls that the rows were drawn from.
    """

    population: int
    models: tuple[str, ...]
    covered: Flags
    interaction: Integers
    model: Integers
    ok: Flags
    attempts: Floats
    start_s: Floats
    latency_s: Floats
    input_tokens: Floats
    cached_input_tokens: Floats
    cache_write_tokens: Floats
    output_tokens: Floats
    reasoning_tokens: Floats

    def __len__(self) -> int:
        return len(self.interaction)

    @property
    def model_names(self) -> tuple[str, ...]:
        """Return the model's name of each call."""
        return tuple(self.models[place] for place in self.model)


def interaction_rows(profile: WorkloadProfile) -> InteractionRows:
    """Return the profile's `joint` as columns; one that it does not have was not observed."""
    joint = profile.joint
    cells = _Cells(joint.columns, joint.rows)
    sessions: dict[tuple[str, str], int] = {}
    pairs = zip(cells.plain("run"), cells.plain("session"), strict=True)
    numbers = [sessions.setdefault(pair, len(sessions)) for pair in pairs]
    return InteractionRows(
        population=joint.population,
        sessions=len(sessions),
        key=cells.integers("key"),
        session=_frozen(np.array(numbers, dtype=np.int64)),
        turn=cells.integers("turn"),
        ok=cells.flags("ok"),
        latency_s=cells.floats("latency_s"),
        llm_calls=cells.floats("llm_calls"),
        llm_time_s=cells.floats("llm_time_s"),
        tool_calls=cells.floats("tool_calls"),
        tool_time_s=cells.floats("tool_time_s"),
        input_tokens=cells.floats("input_tokens"),
        cached_input_tokens=cells.floats("cached_input_tokens"),
        output_tokens=cells.floats("output_tokens"),
        reasoning_tokens=cells.floats("reasoning_tokens"),
        state_reads=cells.floats("state_reads"),
        state_writes=cells.floats("state_writes"),
    )


def call_rows(profile: WorkloadProfile, rows: InteractionRows) -> tuple[CallRows, tuple[str, ...]]:
    """Return the calls one by one, and what of them is derived, in sentences; empty: nothing is.

    Where the profile has calls and not their tokens, which another observer told of the whole
    interaction, each call that succeeded gets an equal part of them. Raises `PlanError` for calls
    of interactions that are not among the rows.
    """
    calls = profile.joint_calls
    if calls is None:
        return _derived(profile, rows), (_OLDER,)
    cells = _Cells(calls.columns, calls.rows)
    place_of = {key: place for place, key in reversed(list(enumerate(rows.key.tolist())))}
    keys = cells.plain("key")
    if any(key not in place_of for key in keys):
        raise PlanError(
            "the profile has LLM calls of interactions that are not in its sample",
            where=profile.run.id,
            fix="Compute it again from its journal: `agent-profiler profile RUN_DIR`",
        )
    interaction = np.array([place_of[key] for key in keys], dtype=np.int64)
    names = cells.plain("model")
    models = tuple(sorted(set(names)))
    number_of = {name: number for number, name in enumerate(models)}
    covered = ~np.isnan(rows.llm_calls)
    if calls.left_out_from is not None:
        covered &= rows.key < calls.left_out_from
    ok = cells.flags("ok")
    tokens = {name: cells.floats(name) for name in _TOKENS}
    filled = [
        name
        for name in _TOKENS
        if hasattr(rows, name)
        and np.isnan(tokens[name]).all()
        and not np.isnan(getattr(rows, name)[interaction[ok]]).all()
    ]
    tokens |= {name: _divided(getattr(rows, name), interaction, ok) for name in filled}
    found = CallRows(
        population=calls.population,
        models=models,
        covered=_frozen(covered),
        interaction=_frozen(interaction),
        model=_frozen(np.array([number_of[name] for name in names], dtype=np.int64)),
        ok=ok,
        attempts=cells.floats("attempts"),
        start_s=cells.floats("start_s"),
        latency_s=cells.floats("latency_s"),
        **tokens,
    )
    if not filled:
        return found, ()
    silent = f"{calls.source} did not tell {', '.join(filled)} of single LLM calls"
    return found, (f"{silent}: every call of an interaction is taken to have the same part",)


def _divided(totals: Floats, interaction: Integers, ok: Flags) -> Floats:
    """Divide what interactions have among their calls that succeeded; NaN for the others."""
    succeeded = np.bincount(interaction[ok], minlength=len(totals))
    parts = np.full(len(interaction), np.nan)
    parts[ok] = totals[interaction[ok]] / succeeded[interaction[ok]]
    return _frozen(parts)


def _derived(profile: WorkloadProfile, rows: InteractionRows) -> CallRows:
    """Make calls of the interactions' sums: as many as there were, all alike, all succeeding.

    Models are dealt out in the proportion of their calls: which call was whose is not known.
    """
    covered = ~np.isnan(rows.llm_calls)
    number = np.where(covered, rows.llm_calls, 0).astype(np.int64)
    interaction = np.repeat(np.arange(len(rows)), number)
    size = len(interaction)
    ok = np.ones(size, dtype=np.bool_)
    counts = {name: limits.calls for name, limits in profile.rate_limits.items() if limits.calls}
    models = tuple(sorted(counts)) or (UNKNOWN_MODEL,)
    ends = np.cumsum([counts.get(name, 1) for name in models]) / max(sum(counts.values()), 1)
    # Ranks of multiples of the golden ratio: evenly spaced in every stretch of calls, too.
    ranks = np.argsort(np.argsort((np.arange(size) * _GOLDEN) % 1))
    model = np.searchsorted(ends, (ranks + 0.5) / max(size, 1), side="right")
    attempts = profile.llm_call.get("attempts")
    unknown = _frozen(np.full(size, np.nan))
    calls = profile.interaction.get("llm_calls")
    return CallRows(
        population=0 if calls is None else calls.clusters.sum_s,
        models=models,
        covered=_frozen(covered),
        interaction=_frozen(interaction),
        model=_frozen(np.minimum(model, len(models) - 1).astype(np.int64)),
        ok=_frozen(ok),
        attempts=unknown if attempts is None else _frozen(np.full(size, attempts.mean)),
        start_s=unknown,
        latency_s=unknown,
        input_tokens=_divided(rows.input_tokens, interaction, ok),
        cached_input_tokens=_divided(rows.cached_input_tokens, interaction, ok),
        cache_write_tokens=unknown,
        output_tokens=_divided(rows.output_tokens, interaction, ok),
        reasoning_tokens=_divided(rows.reasoning_tokens, interaction, ok),
    )


class _Cells:
    """The cells of rows, column by column."""

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self._rows = rows

    def plain(self, name: str) -> list[Any]:
        place = self._place[name]
        return [row[place] for row in self._rows]

    def floats(self, name: str) -> Floats:
        if name not in self._place:
            return _frozen(np.full(len(self._rows), np.nan))
        return _frozen(np.array(self.plain(name), dtype=np.float64))  # None becomes NaN

    def integers(self, name: str) -> Integers:
        return _frozen(np.array(self.plain(name), dtype=np.int64))

    def flags(self, name: str) -> Flags:
        return _frozen(np.array(self.plain(name), dtype=np.bool_))


def _frozen(values: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    values.setflags(write=False)
    return values
