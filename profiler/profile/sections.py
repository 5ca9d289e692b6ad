"""The sections of a profile, from what was folded: interactions, calls, models, tools, stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.measure.records import Observer, StateKind
from profiler.profile.interactions import CALL_METRICS_IN_ORDER
from profiler.profile.metrics import (
    CALL_PREFERENCE,
    INTERACTION_METRICS,
    STATE_PREFERENCE,
    preference_for,
    preferred,
)
from profiler.profile.model import StoreProfile, ToolProfile, WholeRun

if TYPE_CHECKING:
    from profiler.profile.distribution import Distribution
    from profiler.profile.fold import Fold, Series

_CLIENT = Observer.CLIENT.value


@dataclass(frozen=True, slots=True)
class View:
    """What was folded, each metric as each observer saw it, and which observer is believed."""

    folded: Fold
    series: dict[str, dict[str, Series]]
    from_inside: dict[str, set[str]]
    """Interaction metric: the observers that saw it inside interactions."""
    chosen: dict[str, str]
    """Interaction metric: the observer whose values the profile gives."""

    @classmethod
    def of(cls, folded: Fold) -> View:
        """Leave out what means nothing, and choose."""
        client = folded.client
        series = {
            name: {_CLIENT: one}
            for name, one in zip(client.metrics, client.series, strict=True)
            if one.seen
        }
        from_inside: dict[str, set[str]] = {}
        for observer, block in folded.blocks.items():
            watches_tools = observer in folded.tool_observers
            for name, one in zip(block.metrics, block.series, strict=True):
                is_believed = block.told.is_believed(name, observer, watches_tools=watches_tools)
                if one.seen and is_believed:
                    series.setdefault(name, {})[observer] = one
                    from_inside.setdefault(name, set()).add(observer)
        chosen = {
            name: preferred({who: s.seen for who, s in of_who.items()}, preference_for(name))
            for name, of_who in series.items()
        }
        return cls(folded, series, from_inside, chosen)

    def population(self, population: str) -> int:
        """Return on how many interactions a metric is taken."""
        match population:
            case "succeeded":
                return self.folded.succeeded
            case "failed":
                return self.folded.measured - self.folded.succeeded
            case _:
                return self.folded.measured


def interaction_section(view: View) -> dict[str, Distribution]:
    """Return what one interaction costs; metrics that nobody observed are absent."""
    section: dict[str, Distribution] = {}
    for name, metric in INTERACTION_METRICS.items():
        source = view.chosen.get(name)
        if source is None:
            continue
        found = view.series[name][source].tally.distribution(
            method=metric.method,
            source=source,
            eligible=view.population(metric.population),
        )
        if found is not None:
            section[name] = found
    return section


def llm_call_sections(
    view: View,
) -> tuple[dict[str, Distribution], dict[str, dict[str, Distribution]]]:
    """Return the metrics of one LLM call: of all, and by model.

    Each from the observer that is preferred for it. `attempts` is of all calls, the rest of those
    that succeeded: a refused call has no tokens and no honest time.
    """
    of_all: dict[str, Distribution] = {}
    by_model: dict[str, dict[str, Distribution]] = {}
    sessions, models = view.folded.sessions, list(view.folded.models)
    for place, name in enumerate(CALL_METRICS_IN_ORDER):
        counts = {who: calls.seen[place] for who, calls in view.folded.calls.items()}
        if not any(counts.values()):
            continue
        source = preferred(counts, CALL_PREFERENCE)
        calls = view.folded.calls[source]
        found = calls.of_all(place, source, sessions)
        if found is not None:
            of_all[name] = found
        for number, one in calls.by_model(place, source, sessions).items():
            by_model.setdefault(models[number], {})[name] = one
    return of_all, by_model


def tool_section(view: View) -> dict[str, ToolProfile]:
    """Return each tool, as the observer saw it whose tool calls are believed."""
    source = view.chosen.get("tool_calls")
    if source is None:
        return {}
    watched = view.series["tool_calls"][source].tally
    section: dict[str, ToolProfile] = {}
    for name, number in view.folded.tools.items():
        tool = view.folded.of_tool.get((source, number))
        if tool is None:
            continue
        calls, per_interaction = tool.calls, tool.per_interaction[1]
        per_interaction.add_zeros_of(watched)
        found = per_interaction.distribution(
            method="measured", source=source, eligible=view.folded.measured
        )
        assert found is not None  # noqa: S101 - a call of it was seen
        section[name] = ToolProfile(
            duration=tool.duration[1].distribution(
                method="measured", source=source, eligible=tool.succeeded
            ),
            calls_per_interaction=found,
            calls=calls,
            failed=calls - tool.succeeded,
            error_rate=(calls - tool.succeeded) / calls,
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
        for delta in view.folded.state_deltas
    }
    section: dict[str, StoreProfile] = {}
    for store, number in view.folded.stores.items():
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
    tallies = view.folded.store_kind(store, kind)
    if not tallies:
        return None
    source = preferred({who: tally.count for who, tally in tallies.items()}, STATE_PREFERENCE)
    return tallies[source].distribution(
        method="measured", source=source, eligible=view.folded.measured
    )


def session_section(view: View) -> dict[str, Distribution]:
    """Return interactions and duration of completed sessions, and think time before each turn.

    A session is completed if all its interactions were measured and 'ok', the last turn included.
    Those that a run's end or a failure cut short are left out of both: the few long ones among them
    are then missing, so with few interactions the means are rather too low.
    """
    sessions, think_time = view.folded.sessions, view.folded.think_time[1]
    tallies = {
        "interactions": (sessions.interactions, sessions.completed),
        "duration": (sessions.duration, sessions.completed),
        "think_time": (think_time, think_time.count),
    }
    section = {
        name: tally.distribution(method="measured", source=_CLIENT, eligible=eligible)
        for name, (tally, eligible) in tallies.items()
    }
    return {name: found for name, found in section.items() if found is not None}
