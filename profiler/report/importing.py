"""What an import saw, in words: counts, what was skipped, and how well the sample keeps the mix."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from profiler.workload.importers.redact import KINDS
from profiler.workload.importers.sample import largest_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from profiler.workload.dispersion import Dispersion
    from profiler.workload.importers.beginnings import Beginnings
    from profiler.workload.importers.request_survey import RequestSurvey, RequestTally
    from profiler.workload.importers.survey import Findings, Survey, Tally

KEPT, CLOSE = 0.01, 0.05
"""Up to which largest difference a sample is said to keep the mix, or to be close to it."""


def import_summary(
    source: str,
    found: Survey,
    taken: Tally,
    *,
    seed: int,
    redacted: Mapping[str, int] | None,
) -> list[str]:
    """Return the lines to print; `redacted` is None where nothing was to be redacted."""
    out = [f"{source}: {_sized(found.whole)}", f"  {_lengths(found.whole)}"]
    if found.whole.tokens is None:
        out.append("  tokens: not counted; --count-tokens counts them")
    out.extend(_beginnings(found.begun, found.whole.sessions))
    if found.recognised.total:
        out.append("recognised:")
        out.extend(_findings(found.recognised, found.unit))
    if found.skipped.total:
        out.append(f"skipped: {found.skipped.total:,}")
        out.extend(_findings(found.skipped, found.unit))
    if found.odd.total:
        out.append("taken, but odd:")
        out.extend(_findings(found.odd, found.unit))
    if found.chosen is None or taken.sessions == found.whole.sessions:
        out.append("taken: every session")
    else:
        out.append(f"taken: {_sized(taken)} (seed {seed})")
        out.append(f"  {mix_sentence(found.whole.turns, taken.turns)}")
    if pauses := taken.think_times_s:
        low, high = quantile(pauses, 0.5), quantile(pauses, 0.95)
        out.append(
            f"think time: {_plural(len(pauses), 'pause')} before a message, "
            f"median {low:.3g} s, 95th percentile {high:.3g} s"
        )
    if redacted is None:
        out.append("not redacted: --redact replaces e-mail addresses, phone numbers, keys, cards")
    else:
        replaced = [f"{redacted[kind]:,} {KINDS[kind]}" for kind in KINDS if redacted.get(kind)]
        out.append(f"redacted: {', '.join(replaced) or 'nothing was found'}")
    return out


def mix_sentence(whole: Mapping[int, int], part: Mapping[int, int]) -> str:
    """Say by how much the turns per session of a sample differ from the whole's."""
    difference, turns = largest_difference(whole, part)
    if difference <= KEPT:
        verdict = "keeps the mix of long and short sessions"
    elif difference <= CLOSE:
        verdict = "is close to the mix of long and short sessions"
    else:
        verdict = "is only roughly the mix of long and short sessions; take more with --sessions"
    if difference == 0:
        return f"the sample {verdict}: turns per session are distributed alike"
    return (
        f"the sample {verdict}: the share of sessions with at most {_plural(turns, 'turn')} "
        f"is off by {difference * 100:.2g} percentage points, all others by less or as much"
    )


def _sized(tally: Tally) -> str:
    parts = [_plural(tally.sessions, "session"), _plural(tally.interactions, "turn")]
    if tally.tokens is not None:
        parts.append(_plural(tally.tokens, "token"))
    return ", ".join(parts)


def _lengths(tally: Tally) -> str:
    turns = tally.turns
    half, passed = tally.sessions / 2, 0
    median = 0
    for length in sorted(turns):
        passed += turns[length]
        median = length
        if passed >= half:
            break
    return f"turns per session: {min(turns)} to {max(turns)}, median {median}"


def _beginnings(begun: Beginnings, sessions: int) -> Iterator[str]:
    """Say when sessions began, how often, and how bursty."""
    if begun.first_s is None or begun.last_s is None:
        yield "  arrivals: not observed, no session has a time"
        return
    yield f"  recorded from {_time(begun.first_s)} to {_time(begun.last_s)}"
    of = "" if begun.count == sessions else f" (of {_plural(begun.count, 'session')} with a time)"
    yield _arrivals(begun.last_s - begun.first_s, begun.rate_per_s, "sessions ", of)
    found = begun.dispersion()
    if found is None:
        yield "  burstiness: not observed, there are too many sessions to keep their times"
    else:
        yield from _burstiness(*found)


def _arrivals(length_s: float, rate_per_s: float | None, what: str = "", of: str = "") -> str:
    rate = "" if rate_per_s is None else f", {rate_per_s:.3g} {what}per second"
    return f"  arrivals: over {length_s:,.1f} s{rate}{of}"


def _burstiness(second: Dispersion, minute: Dispersion) -> Iterator[str]:
    yield f"  burstiness: {dispersion_words(second, 'second')}"
    yield f"              {dispersion_words(minute, 'minute')}"


def _findings(findings: Findings, unit: str) -> Iterator[str]:
    for what, count in findings.counts.most_common():
        lines = findings.first_lines[what]
        named = ", ".join(map(str, lines)) + (", ..." if lines and count > len(lines) else "")
        yield f"  {count:>7,}  {what}" + (f" ({unit} {named})" if named else "")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of all is not above; there must be one."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def trace_summary(
    source: str, found: RequestSurvey, taken: RequestTally, *, seed: int
) -> list[str]:
    """Return the lines to print of an imported trace."""
    whole = found.whole
    out = [f"{source}: {_requests(whole)}", *_trace_facts(whole)]
    if found.skipped.total:
        out.append(f"skipped: {found.skipped.total:,}")
        out.extend(_findings(found.skipped, "line"))
    if found.odd.total:
        out.append("taken, but odd:")
        out.extend(_findings(found.odd, "line"))
    if taken.requests == whole.requests:
        out.append("taken: every request")
        return out
    first, last = found.skip + 1, found.skip + found.take
    out.append(f"taken: {_requests(taken)}, the {first:,}th to the {last:,}th (seed {seed})")
    out.extend(_trace_facts(taken))
    out.append(f"  {_stretch_sentence(whole, taken)}")
    return out


def _requests(tally: RequestTally) -> str:
    parts = [
        f"{_plural(tally.requests, 'request')} (each a session of 1 turn)",
        f"{_plural(tally.input_tokens, 'input token')}",
    ]
    if tally.output_tokens is not None:
        parts.append(_plural(tally.output_tokens, "output token"))
    return ", ".join(parts)


def _trace_facts(tally: RequestTally) -> Iterator[str]:
    for name, counts in (("input", tally.inputs), ("output", tally.outputs)):
        if counts:
            p50, p95 = _quantile(counts, 0.5), _quantile(counts, 0.95)
            yield f"  {name} tokens: median {p50:,}, p95 {p95:,}, most {max(counts):,} (3 digits)"
    yield _arrivals((tally.last_ns - tally.first_ns) / 1e9, tally.rate_per_s)
    yield from _burstiness(tally.second.dispersion, tally.minute.dispersion)
    if not tally.with_blocks:
        return
    if tally.reused_blocks is None:
        yield "  shared prefixes: not observed, the hash_ids are too large to keep track of"
    else:
        share = tally.reused_blocks / tally.blocks
        yield (
            f"  shared prefixes: {share:.1%} of the prompts' blocks stood at the beginning of an "
            f"earlier prompt; {_plural(tally.continuing, 'request')} began with 2 such blocks or "
            "more (conversations that go on)"
        )


def dispersion_words(found: Dispersion, unit: str) -> str:
    """Say how bursty arrivals are, or why that cannot be told."""
    index = found.index
    if index is None:
        return f"per {unit} not observed ({found.lacking})"
    low, high = found.poisson_range95
    return f"index of dispersion {index:.2f} per {unit} (Poisson {low:.2f} to {high:.2f})"


def _stretch_sentence(whole: RequestTally, taken: RequestTally) -> str:
    parts = [
        f"{name} {largest_difference(mine, theirs)[0] * 100:.2g}"
        for name, mine, theirs in (
            ("input tokens", whole.inputs, taken.inputs),
            ("output tokens", whole.outputs, taken.outputs),
            ("gaps", whole.gaps_us, taken.gaps_us),
        )
        if mine and theirs
    ]
    return (
        "a stretch keeps bursts and shared prefixes; its distributions differ from the whole's "
        f"by at most (percentage points): {', '.join(parts) or 'nothing to compare'}"
    )


def _quantile(counts: Mapping[int, int], share: float) -> int:
    needed, passed = share * sum(counts.values()), 0
    for value in sorted(counts):
        passed += counts[value]
        if passed >= needed:
            return value
    return max(counts)
