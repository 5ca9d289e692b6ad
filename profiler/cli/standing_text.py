"""How far a run is, as lines for people and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.measure.records import Phase
from profiler.report.quantities import percent, printable, quantity, whole

if TYPE_CHECKING:
    from profiler.cli.standing import Harness, Seen, Standing
    from profiler.load.so_far import CallsSoFar

BAR_WIDTH = 24
_BARS = "▁▂▃▄▅▆▇█"
_MOST_ERRORS = 4
_LAG_S, _CPU = 0.05, 0.95
"""What `profile.trust` calls lagging and saturated."""
_S_PER_MIN = 60


def sparkline(values: tuple[float | None, ...]) -> str:
    """Draw values from zero to the largest; a gap where there is none."""
    most = max((value for value in values if value is not None), default=0.0)
    steps = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[round(value / most * steps) if most else 0]
        for value in values
    )


def line(standing: Standing) -> str:
    """Write the whole of it in one line, for logs: `measuring 40/120 (33 %), 0:12 left, ...`."""
    parts = [_head(standing)]
    if standing.left_s is not None:
        parts.append(f"{clock_time(standing.left_s)} left")
    parts += [rates(standing), f"{whole(standing.in_flight)} in flight"]
    seen = standing.seen
    if seen is not None and seen.p50_s is not None:
        parts.append(f"p50 {quantity(seen.p50_s, 's')}, p95 {quantity(seen.p95_s, 's')}")
    if standing.failed:
        detail = "" if seen is None or not seen.errors else f" ({errors(seen)})"
        parts.append(f"{whole(standing.failed)} failed{detail}")
    if seen is not None and seen.calls is not None:
        parts.append(calls(seen.calls))
    if standing.harness is not None and is_strained(standing.harness):
        parts.append(f"harness strained: {health(standing.harness)}")
    return ", ".join(part for part in parts if part)


def _head(standing: Standing) -> str:
    what = phase_name(standing)
    total = "" if standing.total is None else f"/{whole(standing.total)}"
    share = "" if standing.share is None else f" ({standing.share:.0%})"
    return f"{what} {whole(standing.ended)}{total}{share}"


def phase_name(standing: Standing) -> str:
    """Name the phase."""
    return "warming up" if standing.phase is Phase.WARMUP else "measuring"


def bar(share: float | None, width: int = BAR_WIDTH) -> str:
    """Draw how much is done; nothing where that is not known."""
    if share is None:
        return ""
    done = round(share * width)
    return "━" * done + "╌" * (width - done)


def clock_time(seconds: float) -> str:
    """Write a duration as a clock does: `0:12`, `1:02:03`."""
    left = max(0, round(seconds))
    hours, minutes = divmod(left // _S_PER_MIN, _S_PER_MIN)
    tail = f"{minutes:02}:{left % _S_PER_MIN:02}"
    return f"{hours}:{tail}" if hours else f"{minutes}:{left % _S_PER_MIN:02}"


def rates(standing: Standing) -> str:
    """Write what was asked for and what came: `5 sessions/s asked, 4.9 begun, 31.2/s ended`."""
    parts = []
    if standing.asked_per_s is not None:
        parts.append(f"{standing.asked_per_s:.3g} {standing.asked_of}/s asked")
        if standing.asked_of == "sessions" and standing.sessions_per_s is not None:
            parts.append(f"{standing.sessions_per_s:.3g} begun")
    if standing.achieved_per_s is not None:
        parts.append(f"{standing.achieved_per_s:.3g} interactions/s")
    if standing.backing_off_s is not None:
        left = quantity(standing.backing_off_s, "s")
        parts.append(f"backing off for {left} (only 429 and 503)")
    if standing.dropped:
        parts.append(f"{whole(standing.dropped)} dropped")
    return ", ".join(parts)


def errors(seen: Seen) -> str:
    """Write the commonest kinds of errors with their counts."""
    kinds = list(seen.errors.items())
    shown = [f"{printable(kind)} {whole(times)}" for kind, times in kinds[:_MOST_ERRORS]]
    if len(kinds) > _MOST_ERRORS:
        shown.append(f"{len(kinds) - _MOST_ERRORS} more kinds")
    return ", ".join(shown)


def calls(found: CallsSoFar) -> str:
    """Write what an interaction took, of those that the observer could judge."""
    text = f"{found.llm_calls / found.interactions:.2f} LLM calls"
    for name, tokens in (("in", found.input_tokens), ("out", found.output_tokens)):
        if tokens is not None:
            text += f", {quantity(tokens / found.interactions, 'tokens')} tokens {name}"
    return f"{text} an interaction ({found.observer})"


def is_strained(harness: Harness) -> bool:
    """Say whether the harness itself is what is measured, as the verdict of a profile would."""
    return harness.loop_lag_s > _LAG_S or harness.cpu_share >= _CPU


def health(harness: Harness) -> str:
    """Write `loop lag 1.2 ms, CPU 34 %`, of several shards the worst."""
    lag = quantity(harness.loop_lag_s, "s")
    of = "" if harness.shards == 1 else f" (worst of {harness.shards} shards)"
    return f"loop lag {lag}, CPU {percent(round(harness.cpu_share, 2))}{of}"


def as_event(standing: Standing) -> dict[str, Any]:
    """Return it as the `progress` event of `--json`. What is not known is absent."""
    event: dict[str, Any] = {"event": "progress", "phase": standing.phase.value}
    for name in _NUMBERS:
        value = getattr(standing, name)
        if value is not None:
            event[name] = round(value, 6) if isinstance(value, float) else value
    seen, harness = standing.seen, standing.harness
    if seen is not None:
        event["errors"] = seen.errors
        if seen.p50_s is not None and seen.p95_s is not None:
            event["latency_s"] = {"p50": round(seen.p50_s, 6), "p95": round(seen.p95_s, 6)}
        if seen.calls is not None:
            event["per_interaction"] = _per_interaction(seen.calls)
    if harness is not None:
        event["harness"] = {
            "loop_lag_s": round(harness.loop_lag_s, 6),
            "cpu_share": harness.cpu_share,
            **({} if harness.shards == 1 else {"shards": harness.shards}),
        }
    return event


_NUMBERS = (
    *("ended", "failed", "in_flight", "dropped", "total", "elapsed_s", "share", "left_s"),
    *("asked_per_s", "asked_of", "achieved_per_s", "sessions_per_s", "backing_off_s"),
)


def _per_interaction(found: CallsSoFar) -> dict[str, Any]:
    event: dict[str, Any] = {"observer": found.observer.value, "interactions": found.interactions}
    totals = {
        "llm_calls": found.llm_calls,
        "input_tokens": found.input_tokens,
        "output_tokens": found.output_tokens,
    }
    means = {
        name: round(total / found.interactions, 6)
        for name, total in totals.items()
        if total is not None
    }
    return event | means
