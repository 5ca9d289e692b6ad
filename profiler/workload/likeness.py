"""How like production a workload is: what both have, compared, and why the rest cannot be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from profiler.workload.distance import Comparison, Sample, compare
from profiler.workload.importers.request_survey import rounded
from profiler.workload.outlook import Arrivals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.workload.importers.production import Production
    from profiler.workload.model import Workload
    from profiler.workload.outlook import Outlook

_NS_PER_MS = 1_000_000
_PERMILLE = 1000
_FEWEST_GAPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One thing that is compared, or cannot be: then `reason` says why. `unit` is of its values."""

    name: str
    unit: str
    comparison: Comparison | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """All dimensions; the arrivals of production, None where it has no times."""

    dimensions: tuple[Dimension, ...]
    production: Production
    arrivals: Arrivals | None


def likeness(workload: Workload, outlook: Outlook, production: Production) -> Likeness:
    """Compare what a run would send with what production data holds (at least one session)."""
    arrivals = _arrivals(production)
    nothing = None
    if not outlook.drawn.sessions:
        nothing = "the run would send nothing"
    elif _is_mixed(workload):
        nothing = "the workload mixes whole prompts and messages of users"
    if nothing is not None:
        return Likeness(
            dimensions=(Dimension(name="sessions", unit="sessions", reason=nothing),),
            production=production,
            arrivals=arrivals,
        )
    return Likeness(
        dimensions=(
            _turns(workload, outlook, production),
            _tokens(workload, outlook, production),
            _think_time(outlook, production),
            _gaps(outlook, production, arrivals),
            Dimension(
                name="hour of the day",
                unit="hour",
                reason="the production data has no dates"
                if production.hours is None
                else "a run has no hour of its own: it begins when you start it",
            ),
        ),
        production=production,
        arrivals=arrivals,
    )


def _turns(workload: Workload, outlook: Outlook, production: Production) -> Dimension:
    name, unit = "turns per session", "turns"
    if production.is_trace:
        reason = "a trace of requests does not say which belong to one session"
        return Dimension(name=name, unit=unit, reason=reason)
    if _is_generated(workload):
        return Dimension(name=name, unit=unit, reason=_OF_REQUESTS)
    ours = Sample(counts=Counter(outlook.drawn.turns), independent=outlook.independent_sessions)
    theirs = Sample(counts=production.turns, independent=production.sessions)
    return Dimension(name=name, unit=unit, comparison=compare(ours, theirs))


def _tokens(workload: Workload, outlook: Outlook, production: Production) -> Dimension:
    whole_prompts = _is_generated(workload)
    name = "prompt tokens" if whole_prompts else "user tokens per message"
    if whole_prompts != production.is_trace:
        reason = (
            "a trace has the tokens of whole prompts, the workload those of its users' messages"
            if production.is_trace
            else "the workload sends whole prompts, production has its users' messages"
        )
        return Dimension(name=name, unit="tokens", reason=reason)
    ours = Sample(
        counts=_rounded(outlook.drawn.user_tokens), independent=outlook.independent_sessions
    )
    theirs = Sample(counts=production.tokens, independent=production.sessions)
    return Dimension(name=name, unit="tokens", comparison=compare(ours, theirs))


def _think_time(outlook: Outlook, production: Production) -> Dimension:
    name, unit = "think time", "ms"
    times_ns = outlook.drawn.think_times_ns
    if not production.think_times_ms:
        reason = "the production data has no times of single messages"
        return Dimension(name=name, unit=unit, reason=reason)
    if not times_ns:
        reason = "no session of the workload has a second turn"
        return Dimension(name=name, unit=unit, reason=reason)
    ours = Sample(
        counts=_rounded(round(time / _NS_PER_MS) for time in times_ns),
        independent=min(outlook.independent_sessions, len(times_ns)),
    )
    theirs = Sample(counts=production.think_times_ms, independent=production.sessions_with_pauses)
    return Dimension(name=name, unit=unit, comparison=compare(ours, theirs))


def _gaps(outlook: Outlook, production: Production, theirs: Arrivals | None) -> Dimension:
    """Compare gaps in thousandths of their mean: the shape, whatever the rate."""
    name, unit = "arrivals (gaps as shares of their mean)", "permille"
    ours = outlook.arrivals
    reason = None
    if ours is None:
        reason = "a closed loop has no arrivals: users send when the agent has answered"
    elif production.starts_ns is None:
        reason = "the production data has more arrivals than are kept"
    elif theirs is None:
        reason = "the production data does not say when sessions began"
    elif ours.of != theirs.of:
        reason = f"what arrives is {ours.of} in the workload, {theirs.of} in production"
    if reason is not None or ours is None or theirs is None:
        return Dimension(name=name, unit=unit, reason=reason)
    samples = [_shape(arrivals.offsets_ns) for arrivals in (ours, theirs)]
    mine, other = samples
    if mine is None or other is None:
        reason = f"fewer than {_FEWEST_GAPS} gaps, or all at one time"
        return Dimension(name=name, unit=unit, reason=reason)
    return Dimension(name=name, unit=unit, comparison=compare(mine, other))


def _shape(offsets_ns: Sequence[int]) -> Sample | None:
    gaps = len(offsets_ns) - 1
    length_ns = offsets_ns[-1] - offsets_ns[0] if offsets_ns else 0
    if gaps < _FEWEST_GAPS or not length_ns:
        return None
    shares = (
        round((later - earlier) * gaps * _PERMILLE / length_ns)
        for earlier, later in pairwise(offsets_ns)
    )
    return Sample(counts=_rounded(shares), independent=gaps)


def _arrivals(production: Production) -> Arrivals | None:
    starts_ns = production.sorted_starts_ns()
    if not starts_ns:
        return None
    of = "requests" if production.is_trace else "sessions"
    return Arrivals(offsets_ns=starts_ns, of=of)


def _is_generated(workload: Workload) -> bool:
    return any(scenario.generated is not None for scenario in workload.scenarios)


def _is_mixed(workload: Workload) -> bool:
    kinds = {scenario.generated is not None for scenario in workload.scenarios if scenario.weight}
    return len(kinds) > 1


def _rounded(values: Iterable[int]) -> Counter[int]:
    return Counter(map(rounded, values))


_OF_REQUESTS = "prompts are generated: each request is a session of its own"
