"""What a person should see of a profile in ten seconds, as text: one content, several forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.profile.guidance import interactions_needed, shown_by
from profiler.report.observations import Section, observer_facts, observer_sections
from profiler.report.quantities import (
    NOTHING,
    TIMES,
    mean_with_interval,
    percent,
    plural,
    printable,
    quantity,
    share_with_interval,
    value_with_interval,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.profile.burstiness import Burstiness
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import Goodput, WorkloadProfile

UNSTABLE = "≈"
_MOST_TOOLS = 12
_MOST_FAILURES = 5

_INTERACTION_ROWS = (
    ("latency", "latency", 0),
    ("time_to_first_token", "time to first token", 0),
    ("scheduled_latency", "latency from intended start", 0),
    ("llm_calls", "LLM calls", 0),
    ("attempts", "requests for them", 1),
    ("llm_time", "LLM time", 1),
    ("tool_calls", "tool calls", 0),
    ("tool_time", "tool time", 1),
    ("input_tokens", "input tokens", 0),
    ("cached_input_tokens", "of them cached", 1),
    ("cache_write_tokens", "of them written to a cache", 1),
    ("counted_input_tokens", "input tokens, counted", 0),
    ("system_tokens", "system", 1),
    ("history_tokens", "history", 1),
    ("user_tokens", "user", 1),
    ("tool_result_tokens", "tool results", 1),
    ("tool_schema_tokens", "tool schemas", 1),
    ("overhead_tokens", "chat format", 1),
    ("output_tokens", "output tokens", 0),
    ("client_output_tokens", "reply text, tokens", 0),
    ("state_reads", "state reads", 0),
    ("state_writes", "state writes", 0),
)
_STATE = frozenset({"state_reads", "state_writes"})
_ONLY_IF_ANY = frozenset({"cached_input_tokens", "cache_write_tokens"})
CALL_ROWS = (
    ("latency", "latency"),
    ("time_to_first_token", "time to first token"),
    ("output_tokens_per_second", "output tokens per s"),
    ("attempts", "requests"),
    ("retry_time", "failed requests and waits"),
)
_OF_RETRIES = frozenset({"attempts", "retry_time"})
_ASKED_FOR = (
    ("time_to_first_token", "time to first token"),
    ("llm_calls", "LLM calls"),
    ("tool_calls", "tool calls"),
    ("input_tokens", "reported tokens"),
    ("counted_input_tokens", "input tokens by part"),
    ("state_reads", "state reads"),
    ("state_writes", "state writes"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `label` may hold names from outside, printable but not escaped."""

    label: str
    indent: int
    mean: str
    p95: str
    source: str


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is shown: facts above the table, the table, lines and notes below it."""

    title: str
    facts: tuple[tuple[str, str], ...]
    verdict: str
    groups: tuple[Group, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]


def summarise(profile: WorkloadProfile) -> Summary:
    """Choose and format what is shown of a profile."""
    groups = (
        Group("One interaction", _interaction_rows(profile)),
        Group("One LLM call", _call_rows(profile)),
        Group("Tools", _tool_rows(profile)),
        Group("Tool round trips", _round_trip_rows(profile)),
        Group("State, per interaction", _state_rows(profile)),
    )
    shown = tuple(group for group in groups if group.rows)
    return Summary(
        title=f"Profile of {printable(profile.run.workload)}",
        facts=_facts(profile),
        verdict=profile.trust.verdict,
        groups=shown,
        sections=observer_sections(profile),
        notes=(*_unobserved(profile), *_legend(profile, shown)),
    )


def _facts(profile: WorkloadProfile) -> tuple[tuple[str, str], ...]:
    sample, trust = profile.sample, profile.trust
    verdict = {"driver_limited": "driver limited"}.get(trust.verdict, trust.verdict)
    if trust.reasons:
        verdict = f"{verdict}: {'; '.join(trust.reasons)}"
    facts = [
        ("target", _target(profile)),
        ("measured", _measured(profile)),
        ("load", _load(profile)),
        *_burstiness(profile),
        ("errors", failures(sample.failed, sample.interactions)),
        *observer_facts(profile),
        *((("goodput", _goodput(profile.goodput)),) if profile.goodput is not None else ()),
        ("verdict", verdict),
    ]
    if profile.run.resumed:
        facts.append(("resumed", _resumed(profile)))
    if sample.partial:
        facts.append(("partial", "; ".join(sample.partial_reasons)))
    return tuple((name, printable(text, 400)) for name, text in facts)


def _resumed(profile: WorkloadProfile) -> str:
    text = plural(profile.run.resumed or 0, "time")
    if profile.sample.superseded:
        begun = plural(profile.sample.superseded, "interaction")
        text += f"; {begun} of sessions that were cut off are left out: these were begun anew"
    return text


def _target(profile: WorkloadProfile) -> str:
    url = profile.run.target.get("url")
    parts = [str(url) if url is not None else "the mock agent"]
    if profile.run.protocol is not None:
        parts.append(profile.run.protocol)
    model = profile.run.target.get("model")
    if model is not None:
        parts.append(f"model {model}")
    return printable(" · ".join(parts), 200)


def _measured(profile: WorkloadProfile) -> str:
    sample = profile.sample
    text = f"{plural(sample.interactions, 'interaction')} in {plural(sample.sessions, 'session')}"
    text += f" over {quantity(profile.load.duration_s, 's')}"
    if sample.warmup_excluded:
        text += f", after {whole(sample.warmup_excluded)} of warm-up"
    return text


def _load(profile: WorkloadProfile) -> str:
    load = profile.load
    if load.mode == "closed":
        text = "closed loop"
        if load.users is not None:
            text += f", {plural(load.users, 'user')}"
    else:
        text = "open loop"
        if load.offered_rate is not None:
            text += f", {load.offered_rate:.3g} starts/s offered"
        if load.arrivals is not None:
            text += f" ({load.arrivals})"
    if load.achieved_rate is not None:
        text += f", {load.achieved_rate:.3g} interactions/s achieved"
    if load.dropped:
        text += f", {whole(load.dropped)} starts dropped"
    if load.backed_off_s is not None:
        text += f", paused for {quantity(load.backed_off_s, 's')} (it answered only 429 and 503)"
    return text


def _burstiness(profile: WorkloadProfile) -> tuple[tuple[str, str], ...]:
    """Write `index of dispersion per s 7.10 asked, 7.10 sent (Poisson 0.90 to 1.11); per min ...`.

    Nothing of a closed loop too short to tell: nobody asked for it to come at any time.
    """
    found = profile.burstiness
    if found is None or not found.sent.count:
        return ()
    if profile.load.mode == "closed" and found.sent.per_second is None:
        return ()
    parts = [_dispersion(found, "s", "per_second"), _dispersion(found, "min", "per_minute")]
    if found.asked is None and profile.load.mode == "open":
        parts.append(f"asked not observed ({found.reasons['asked']})")
    return (("burstiness", f"index of dispersion {'; '.join(parts)}"),)


def _dispersion(found: Burstiness, unit: str, name: str) -> str:
    sent = getattr(found.sent, name)
    if sent is None:
        return f"per {unit} not observed ({found.sent.reasons[name]})"
    asked = None if found.asked is None else getattr(found.asked, name)
    low, high = sent.poisson_range95
    text = "" if asked is None else f"{asked.index:.2f} asked, "
    return f"per {unit} {text}{sent.index:.2f} sent (Poisson {low:.2f} to {high:.2f})"


def failures(failed: Mapping[str, int], number_of_all: int) -> str:
    """Write `3 of 200 (1.5 %): timeout 2, http_5xx 1`."""
    if not failed:
        return "none"
    number = sum(failed.values())
    most = sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    kinds = [f"{printable(kind)} {whole(times)}" for kind, times in most[:_MOST_FAILURES]]
    if len(most) > _MOST_FAILURES:
        kinds.append(f"{len(most) - _MOST_FAILURES} more kinds")
    share = percent(number / number_of_all)
    return f"{whole(number)} of {whole(number_of_all)} ({share}): {', '.join(kinds)}"


def _goodput(goodput: Goodput) -> str:
    """Write `93 % [90, 95] of 200 interactions, 4.10/s (latency<2s)`."""
    if goodput.share is None:
        return f"{'; '.join(goodput.reasons.values())}"
    text = share_with_interval(goodput.share, goodput.share_ci95)
    text += f" of {plural(goodput.count, 'interaction')}"
    if goodput.per_s is not None:
        text += f", {goodput.per_s:.3g}/s"
    text += f" ({goodput.objective})"
    if goodput.unobserved:
        text += f"; {whole(goodput.unobserved)} more could not be judged"
    return text


def mean_cell(distribution: Distribution) -> str:
    """Write the mean with its interval, marked where that is wide."""
    mean = mean_with_interval(distribution.mean, distribution.mean_ci95, distribution.unit)
    return mean if distribution.stable.mean else f"{UNSTABLE} {mean}"


def p95_cell(distribution: Distribution) -> str:
    """Write the p95 with its interval, marked where that is wide."""
    p95 = value_with_interval(distribution.p95, distribution.p95_ci95, distribution.unit)
    return f"{UNSTABLE} {p95}" if distribution.stable.p95 is False else p95


def _row(label: str, distribution: Distribution, indent: int = 0) -> Row:
    return Row(
        label=label,
        indent=indent,
        mean=mean_cell(distribution),
        p95=p95_cell(distribution),
        source=_source(distribution),
    )


def _source(distribution: Distribution) -> str:
    text = printable(distribution.source)
    if distribution.coverage < 1:
        text += f" ({percent(distribution.coverage)})"
    return text


def _interaction_rows(profile: WorkloadProfile) -> tuple[Row, ...]:
    metrics = profile.interaction
    hidden = {"client_output_tokens"} if "output_tokens" in metrics else set()
    hidden |= {name for name in _ONLY_IF_ANY if name in metrics and not metrics[name].max}
    attempts, calls = metrics.get("attempts"), metrics.get("llm_calls")
    if attempts and calls and attempts.clusters.sum_s == calls.clusters.sum_s:
        hidden.add("attempts")
    # With one store, its name is all that a table of stores would add.
    store = f" ({printable(next(iter(profile.state)), 16)})" if len(profile.state) == 1 else ""
    return tuple(
        _row(label + store if name in _STATE else label, metrics[name], indent)
        for name, label, indent in _INTERACTION_ROWS
        if name in metrics and name not in hidden
    )


def _call_rows(profile: WorkloadProfile) -> tuple[Row, ...]:
    rows: list[Row] = []
    retried = "attempts" in profile.llm_call and profile.llm_call["attempts"].max > 1
    for name, label in CALL_ROWS:
        if name in _OF_RETRIES and not retried:
            continue
        if name in profile.llm_call:
            rows.append(_row(label, profile.llm_call[name]))
        if len(profile.models) > 1:
            rows += [
                _row(printable(model, 40), metrics[name], 1)
                for model, metrics in sorted(profile.models.items())
                if name in metrics
            ]
    return tuple(rows)


def _tool_rows(profile: WorkloadProfile) -> tuple[Row, ...]:
    most_used = sorted(profile.tools.items(), key=lambda item: (-item[1].calls, item[0]))
    rows: list[Row] = []
    for name, tool in most_used[:_MOST_TOOLS]:
        label = f"{printable(name, 30)} {TIMES}{quantity(tool.calls_per_interaction.mean, 'count')}"
        if tool.duration is None:
            source = _source(tool.calls_per_interaction)
            rows.append(Row(label, 0, "time not observed", "", source))
        else:
            rows.append(_row(label, tool.duration))
    if len(most_used) > _MOST_TOOLS:
        left = len(most_used) - _MOST_TOOLS
        rows.append(Row(f"… {left} more in profile.json", 0, "", "", ""))
    return tuple(rows)


def _round_trip_rows(profile: WorkloadProfile) -> tuple[Row, ...]:
    most = sorted(profile.tool_round_trips.items(), key=lambda item: (-item[1].count, item[0]))
    rows = [_row(printable(name, 30), duration) for name, duration in most[:_MOST_TOOLS]]
    if len(most) > _MOST_TOOLS:
        rows.append(Row(f"… {len(most) - _MOST_TOOLS} more in profile.json", 0, "", "", ""))
    return tuple(rows)


def _state_rows(profile: WorkloadProfile) -> tuple[Row, ...]:
    if len(profile.state) <= 1:
        return ()
    rows: list[Row] = []
    for name, store in sorted(profile.state.items()):
        kinds = (("reads", store.reads), ("writes", store.writes))
        rows += [
            _row(f"{printable(name, 30)} {kind}", distribution)
            for kind, distribution in kinds
            if distribution is not None
        ]
    return tuple(rows)


def _unobserved(profile: WorkloadProfile) -> tuple[str, ...]:
    """Say what was not observed and what would show it, one line for each way."""
    if not profile.sample.succeeded:
        return ()
    missing: dict[str, list[str]] = {}
    for name, label in _ASKED_FOR:
        if name not in profile.interaction:
            missing.setdefault(shown_by(f"interaction.{name}"), []).append(label)
    return tuple(
        f"not observed: {', '.join(labels)}. Would show it: {way}."
        for way, labels in missing.items()
    )


def _legend(profile: WorkloadProfile, groups: tuple[Group, ...]) -> tuple[str, ...]:
    cells = [cell for group in groups for row in group.rows for cell in (row.mean, row.p95)]
    notes: list[str] = []
    if any(cell.startswith(UNSTABLE) for cell in cells):
        notes.append(
            f"{UNSTABLE} rough: the interval is over ±5 % (mean) or ±10 % (p95). {_more(profile)}"
        )
    if any(cell.endswith(("[?]", "±?")) or cell == NOTHING for cell in cells):
        notes.append(f"[?], ±? or {NOTHING}: too few values (the reasons are in profile.json).")
    notes += _tool_notes(profile)
    if profile.tool_round_trips:
        notes.append(
            "tool round trips: from an LLM's answer that asks for tools to the request with their "
            "results. The tools' time and what the agent did beside, never a tool's own time."
        )
    return tuple(notes)


def _tool_notes(profile: WorkloadProfile) -> list[str]:
    if not profile.tools:
        return []
    notes = [f"{TIMES}: calls per interaction, those without any included."]
    failing = sorted(
        (-tool.error_rate, name) for name, tool in profile.tools.items() if tool.error_rate
    )
    if failing:
        shares = [
            f"{printable(name, 30)} {percent(-share)}" for share, name in failing[:_MOST_FAILURES]
        ]
        more = len(failing) - _MOST_FAILURES
        shares += [f"{more} more"] if more > 0 else []
        notes.append(f"tool calls that failed, in no tool time: {', '.join(shares)}.")
    return notes


def _more(profile: WorkloadProfile) -> str:
    key = "latency, LLM calls and input tokens"
    needed = interactions_needed(profile)
    if needed is None:
        return "More interactions help: --requests N, or --until-stable."
    if needed <= profile.sample.interactions:
        return f"The key numbers ({key}) are stable; the rough ones are rarer and need more."
    return (
        f"About {whole(needed)} interactions would settle {key}: "
        f"--requests {needed}, or --until-stable."
    )
