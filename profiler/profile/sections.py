"""The sections of a profile, from columns: interactions, calls, models, tools, stores, sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.measure.records import StateKind
from profiler.profile.columns import MISSING, Columns, Flags, Ints, Table
from profiler.profile.interactions import (
    ByObserver,
    Measured,
    difference_us,
    interaction_values,
    measured_interactions,
    state_totals,
)
from profiler.profile.metrics import (
    CALL_METRICS,
    CALL_PREFERENCE,
    INTERACTION_METRICS,
    STATE_PREFERENCE,
    USAGE,
    Metric,
    preference_for,
    preferred,
)
from profiler.profile.model import StoreProfile, ToolProfile, WholeRun
from profiler.profile.sample import Method, Unit, distribution_of, sample_of_values

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution

_US_PER_S = 1_000_000
_MILLI = 1000


@dataclass(frozen=True, slots=True)
class View:
    """A journal's columns, its measured interactions, and which observer's values are believed."""

    columns: Columns
    measured: Measured
    values: dict[str, ByObserver]
    chosen: dict[str, str]
    """Interaction metric: the observer whose values the profile gives."""

    @classmethod
    def of(cls, columns: Columns) -> View:
        """Compute every metric of every observer, and choose."""
        measured = measured_interactions(columns)
        values = interaction_values(columns, measured)
        chosen = {
            name: preferred(
                {who: int((v != MISSING).sum()) for who, v in by_observer.items()},
                preference_for(name),
            )
            for name, by_observer in values.items()
        }
        return cls(columns, measured, values, chosen)

    def believed(self, metric: str) -> Ints | None:
        """Return the chosen observer's values of a metric, one a row; None: not observed."""
        who = self.chosen.get(metric)
        return None if who is None else self.values[metric][who]

    def population(self, metric: Metric) -> Flags:
        """Return which interactions a metric is taken of."""
        match metric.population:
            case "measured":
                return np.ones(self.measured.size, dtype=np.bool_)
            case "succeeded":
                return self.measured.ok
            case "failed":
                return ~self.measured.ok


def _distribution(
    values: Ints, sessions: Ints, eligible: Flags, *, unit: Unit, method: Method, source: str
) -> Distribution | None:
    """Sum up the values of the eligible rows; None if none of them was observed."""
    known = eligible & (values != MISSING)
    if not known.any():
        return None
    return distribution_of(
        sample_of_values(
            values[known],
            sessions[known],
            unit=unit,
            method=method,
            source=source,
            eligible=int(eligible.sum()),
        )
    )


def interaction_section(view: View) -> dict[str, Distribution]:
    """Return what one interaction costs; metrics that nobody observed are absent."""
    section: dict[str, Distribution] = {}
    for name, metric in INTERACTION_METRICS.items():
        values = view.believed(name)
        if values is None:
            continue
        found = _distribution(
            values,
            view.measured.session,
            view.population(metric),
            unit=metric.unit,
            method=metric.method,
            source=view.chosen[name],
        )
        if found is not None:
            section[name] = found
    return section


@dataclass(frozen=True, slots=True)
class _Calls:
    """One observer's LLM calls of measured interactions: the session of each, and each metric."""

    session: Ints
    model: Ints
    ok: Flags
    values: dict[str, Ints]


def _calls(table: Table, measured: Measured) -> _Calls:
    rows = measured.row_of_trace[table["trace"]]
    kept = rows >= 0
    latency = difference_us(table["end_ns"][kept], table["start_ns"][kept])
    output = table["output_tokens"][kept]
    values = {
        "latency": latency,
        "time_to_first_token": difference_us(
            table["first_token_ns"][kept], table["start_ns"][kept]
        ),
        "output_tokens_per_second": _rate(output, latency),
        "attempts": table["attempts"][kept],
    }
    values |= {name: table[name][kept] for name in USAGE}
    ok = table["ok"][kept] == 1
    return _Calls(measured.session[rows[kept]], table["model"][kept], ok, values)


def _rate(tokens: Ints, duration_us: Ints) -> Ints:
    """Return thousandths of a token per second."""
    known = (tokens != MISSING) & (duration_us > 0)
    rate = np.full(tokens.size, MISSING, dtype=np.int64)
    # 10^9 * tokens / us, rounded: exact integers up to 9 * 10^9 tokens.
    numerator = tokens[known] * _US_PER_S * _MILLI
    rate[known] = (numerator + duration_us[known] // 2) // duration_us[known]
    return rate


def llm_call_sections(
    view: View,
) -> tuple[dict[str, Distribution], dict[str, dict[str, Distribution]]]:
    """Return the metrics of one LLM call: of all, and by model.

    Each from the observer that is preferred for it. `attempts` is of all calls, the rest of those
    that succeeded: a refused call has no tokens and no honest time.
    """
    of_all: dict[str, Distribution] = {}
    by_model: dict[str, dict[str, Distribution]] = {}
    tables = {who: _calls(t, view.measured) for who, t in view.columns.llm_calls.items()}
    models = list(view.columns.models)
    for name, metric in CALL_METRICS.items():
        counts = {who: int((calls.values[name] != MISSING).sum()) for who, calls in tables.items()}
        if not any(counts.values()):
            continue
        source = preferred(counts, CALL_PREFERENCE)
        calls = tables[source]
        eligible = calls.ok if metric.population == "succeeded" else np.ones_like(calls.ok)
        for model in (None, *np.unique(calls.model).tolist()):
            of_model = eligible if model is None else eligible & (calls.model == model)
            found = _distribution(
                calls.values[name],
                calls.session,
                of_model,
                unit=metric.unit,
                method=metric.method,
                source=source,
            )
            if found is not None:
                section = of_all if model is None else by_model.setdefault(models[model], {})
                section[name] = found
    return of_all, by_model


def tool_section(view: View) -> dict[str, ToolProfile]:
    """Return each tool, as the observer saw it whose tool calls are believed."""
    source = view.chosen.get("tool_calls")
    table = None if source is None else view.columns.tool_calls.get(source)
    if source is None or table is None:
        return {}
    measured = view.measured
    rows = measured.row_of_trace[table["trace"]]
    kept = rows >= 0
    rows, number, ok = rows[kept], table["name"][kept], table["ok"][kept] == 1
    duration = difference_us(table["end_ns"][kept], table["start_ns"][kept])
    watched = view.values["tool_calls"][source] != MISSING
    names = list(view.columns.tools)
    section: dict[str, ToolProfile] = {}
    for tool in np.unique(number).tolist():
        mine = number == tool
        calls = np.bincount(rows[mine], minlength=measured.size)
        per_interaction = _distribution(
            np.where(watched, calls, MISSING),
            measured.session,
            np.ones(measured.size, dtype=np.bool_),
            unit="count",
            method="measured",
            source=source,
        )
        assert per_interaction is not None  # noqa: S101 - a call of it was seen
        failed = int((mine & ~ok).sum())
        section[names[tool]] = ToolProfile(
            duration=_distribution(
                duration,
                measured.session[rows],
                mine & ok,
                unit="s",
                method="measured",
                source=source,
            ),
            calls_per_interaction=per_interaction,
            calls=int(mine.sum()),
            failed=failed,
            error_rate=failed / int(mine.sum()),
        )
    return section


def state_section(view: View) -> dict[str, StoreProfile]:
    """Return operations per interaction on each store, and what the store itself counted."""
    deltas = {
        delta.store: WholeRun(
            reads=delta.reads,
            writes=delta.writes,
            other=delta.other,
            void_reasons=() if delta.void_reason is None else (delta.void_reason,),
        )
        for delta in view.columns.state_deltas
    }
    section: dict[str, StoreProfile] = {}
    for store, number in view.columns.stores.items():
        kinds = {kind.value: _store_kind(view, number, kind) for kind in StateKind}
        if any(kinds.values()) or store in deltas:
            section[store] = StoreProfile(
                reads=kinds["read"],
                writes=kinds["write"],
                other=kinds["other"],
                whole_run=deltas.get(store),
            )
    for store, delta in deltas.items():
        unseen = StoreProfile(reads=None, writes=None, other=None, whole_run=delta)
        section.setdefault(store, unseen)
    return section


def _store_kind(view: View, store: int, kind: StateKind) -> Distribution | None:
    values = {
        who: state_totals(table, view.measured, kind=kind, store=store)
        for who, table in view.columns.state_ops.items()
    }
    counts = {who: int((v != MISSING).sum()) for who, v in values.items()}
    if not any(counts.values()):
        return None
    source = preferred(counts, STATE_PREFERENCE)
    return _distribution(
        values[source],
        view.measured.session,
        np.ones(view.measured.size, dtype=np.bool_),
        unit="count",
        method="measured",
        source=source,
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions with a measured interaction, and those that were measured whole."""

    count: int
    completed: int
    section: dict[str, Distribution]


def session_section(view: View) -> Sessions:
    """Return interactions and duration of completed sessions, and think time before each turn.

    A session is completed if all its interactions were measured and 'ok', the last turn included.
    Those that a run's end or a failure cut short are left out of both: the few long ones among them
    are then missing, so with few interactions the means are rather too low.
    """
    table, measured = view.columns.interactions, view.measured
    size = len(view.columns.sessions)
    session = table["session"]
    whole = np.zeros(size, dtype=np.bool_)
    whole[session[table["last_turn"] == 1]] = True
    whole[session[(table["measured"] == 0) | (table["ok"] == 0)]] = False
    turns = np.bincount(session, minlength=size)
    # Sums of two extremes would overflow where a session is empty; only whole ones are used.
    first = np.full(size, 2**62, dtype=np.int64)
    last = np.full(size, -(2**62), dtype=np.int64)
    np.minimum.at(first, session, table["send_ns"])
    np.maximum.at(last, session, table["end_ns"])
    numbers = np.arange(size)
    section = {
        "interactions": _distribution(
            turns, numbers, whole, unit="count", method="measured", source="client"
        ),
        "duration": _distribution(
            difference_us(last, first), numbers, whole, unit="s", method="measured", source="client"
        ),
        "think_time": _think_time(view),
    }
    return Sessions(
        count=int(np.unique(measured.session).size),
        completed=int(whole.sum()),
        section={name: found for name, found in section.items() if found is not None},
    )


def _think_time(view: View) -> Distribution | None:
    think_ns = view.columns.interactions["think_time_ns"][view.measured.rows]
    think_us = difference_us(think_ns, np.where(think_ns == MISSING, MISSING, 0))
    between = think_us != MISSING
    return _distribution(
        think_us, view.measured.session, between, unit="s", method="measured", source="client"
    )
