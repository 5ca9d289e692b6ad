"""What a trace of requests holds, and which stretch of it to take: one or two passes, streaming.

A sample of single requests would thin the arrivals out, which makes any of them look like Poisson,
and tear apart prompts that share a beginning. So the sample is a stretch: consecutive requests from
a random place on.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.workload.dispersion import MINUTE_S, Windows
from profiler.workload.importers.requests import Request, requests
from profiler.workload.importers.survey import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from profiler.workload.importers.kinds import ImportKind
    from profiler.workload.importers.streaming import Problem

_MOST_TRACKED_ID = 2**26
_DIGITS = 1000


def rounded(number: int) -> int:
    """Return a number with its first three digits: so few are different that all can be counted."""
    unit = 1
    while number >= _DIGITS * unit:
        unit *= 10
    return number // unit * unit


@dataclass(slots=True)
class RequestTally:
    """Requests, by their lengths (three digits) and gaps, with how bursty they came.

    `reused_tokens` are those of whole blocks at a prompt's beginning that stood in an earlier one,
    None where ids are too large to be kept; `continuing` the requests with two such blocks or more.
    """

    inputs: Counter[int] = field(default_factory=Counter)
    outputs: Counter[int] = field(default_factory=Counter)
    gaps_us: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    with_blocks: int = 0
    input_tokens: int = 0
    output_tokens: int | None = None
    reused_blocks: int | None = 0
    blocks: int = 0
    continuing: int = 0
    first_ns: int = 0
    last_ns: int = 0
    second: Windows = field(default_factory=lambda: Windows(NS_PER_S))
    minute: Windows = field(default_factory=lambda: Windows(MINUTE_S * NS_PER_S))
    _seen: bytearray = field(default_factory=bytearray)

    def add(self, request: Request) -> None:
        """Count a request; in order of time."""
        at_ns, lengths = request.at_ns, request.lengths
        if self.requests:
            self.gaps_us[rounded((at_ns - self.last_ns) // 1000)] += 1
        else:
            self.first_ns = at_ns
        self.last_ns = at_ns
        self.requests += 1
        self.inputs[rounded(lengths.input_tokens)] += 1
        self.input_tokens += lengths.input_tokens
        if lengths.output_tokens is not None:
            self.outputs[rounded(lengths.output_tokens)] += 1
            self.output_tokens = (self.output_tokens or 0) + lengths.output_tokens
        self.second.add(at_ns - self.first_ns)
        self.minute.add(at_ns - self.first_ns)
        if lengths.blocks:
            self._add_blocks(lengths.blocks)

    def _add_blocks(self, blocks: tuple[int, ...]) -> None:
        self.with_blocks += 1
        self.blocks += len(blocks)
        if self.reused_blocks is None:
            return
        highest = max(blocks)
        if highest >= _MOST_TRACKED_ID:
            self.reused_blocks = None
            self._seen = bytearray()
            return
        seen = self._seen
        if highest >= len(seen):
            seen.extend(bytes(max(highest + 1, 2 * len(seen)) - len(seen)))
        known = 0
        for block in blocks:  # an id stands for all before it, too: behind a new one all are new
            if not seen[block]:
                break
            known += 1
        for block in blocks[known:]:
            seen[block] = 1
        self.reused_blocks += known
        self.continuing += known > 1

    @property
    def rate_per_s(self) -> float | None:
        """Arrivals per second, None where all came at one time."""
        length_ns = self.last_ns - self.first_ns
        return (self.requests - 1) * NS_PER_S / length_ns if length_ns else None


@dataclass(slots=True)
class RequestSurvey:
    """What a trace holds. `skip` is how many requests stand before the stretch to take."""

    whole: RequestTally = field(default_factory=RequestTally)
    skipped: Findings = field(default_factory=Findings)
    odd: Findings = field(default_factory=Findings)
    skip: int = 0
    take: int = 0


def survey_requests(
    stream: BinaryIO,
    kind: ImportKind,
    *,
    size: int | None,
    seed: int,
    advanced: Callable[[int], None] | None = None,
    told: Callable[[Problem], None] | None = None,
) -> RequestSurvey:
    """Read a whole trace, and choose a stretch of `size` requests (None: all).

    `advanced` is told how many bytes were read so far, `told` of each line that is skipped.
    """
    found = RequestSurvey()
    for number, item in enumerate(requests(stream, kind)):
        if advanced is not None and number % _EVERY == 0:
            advanced(stream.tell())
        if isinstance(item, Request):
            found.whole.add(item)
            for note in item.notes:
                found.odd.add(note, item.line)
        else:
            found.skipped.add(item.what, item.line)
            if told is not None:
                told(item)
    total = found.whole.requests
    found.take = total if size is None else min(size, total)
    found.skip = random.Random(seed).randrange(total - found.take + 1)
    return found


_EVERY = 1024


class Stretch:
    """Yields the requests that were chosen, and keeps in `taken` what they were."""

    def __init__(self) -> None:
        self.taken = RequestTally()

    def requests(
        self, stream: BinaryIO, kind: ImportKind, *, skip: int, take: int
    ) -> Iterator[Request]:
        """Yield `take` requests after the first `skip`."""
        for item in requests(stream, kind):
            if not isinstance(item, Request):
                continue
            if skip:
                skip -= 1
                continue
            if self.taken.requests == take:
                return
            self.taken.add(item)
            yield item
