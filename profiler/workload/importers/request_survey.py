"""What a trace of requests holds, and which stretch of it to take: one or two passes, streaming.

A sample of single requests would thin the arrivals out, which makes any of them look like Poisson,
and tear apart prompts that share a beginning. So the sample is a stretch: consecutive requests from
a random place on.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.workload.dispersion import MINUTE_S, Windows
from profiler.workload.importers.block_sights import BlockSights
from profiler.workload.importers.request_batches import Batch
from profiler.workload.importers.requests import batches
from profiler.workload.importers.survey import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from profiler.workload.importers.kinds import ImportKind
    from profiler.workload.importers.streaming import Problem

_DIGITS = 1000


def rounded(number: int) -> int:
    """Return a number with its first three digits: so few are different that all can be counted."""
    unit = 1
    while number >= _DIGITS * unit:
        unit *= 10
    return number // unit * unit


def all_rounded(numbers: Sequence[int]) -> list[int]:
    """Return what `rounded` does of each, sooner for those below a million."""
    return [
        n
        if n < 1000  # noqa: PLR2004 - here and below, a digit more each time
        else n - n % 10
        if n < 10_000  # noqa: PLR2004
        else n - n % 100
        if n < 100_000  # noqa: PLR2004
        else n - n % 1000
        if n < 1_000_000  # noqa: PLR2004
        else rounded(n)
        for n in numbers
    ]


@dataclass(slots=True)
class RequestTally:
    """Requests, by their lengths (three digits) and gaps, with how bursty they came.

    `reused_blocks` is None where ids are too large to be kept track of.
    """

    inputs: Counter[int] = field(default_factory=Counter)
    outputs: Counter[int] = field(default_factory=Counter)
    gaps_us: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    with_blocks: int = 0
    input_tokens: int = 0
    output_tokens: int | None = None
    blocks: int = 0
    first_ns: int = 0
    last_ns: int = 0
    second: Windows = field(default_factory=lambda: Windows(NS_PER_S))
    minute: Windows = field(default_factory=lambda: Windows(MINUTE_S * NS_PER_S))
    _sights: BlockSights = field(default_factory=BlockSights)

    def add(self, batch: Batch) -> None:
        """Count requests; in order of time, at least one."""
        times = batch.at_ns
        if not self.requests:
            self.first_ns = times[0]
        before = [self.last_ns, *times] if self.requests else times
        self.gaps_us.update(all_rounded([(at - last) // 1000 for last, at in pairwise(before)]))
        self.last_ns = times[-1]
        self.requests += len(batch)
        self.inputs.update(all_rounded(batch.inputs))
        self.input_tokens += sum(batch.inputs)
        outputs = [tokens for tokens in batch.outputs if tokens is not None]
        if outputs:
            self.outputs.update(all_rounded(outputs))
            self.output_tokens = (self.output_tokens or 0) + sum(outputs)
        offsets_ns = [at - self.first_ns for at in times]
        self.second.add_all(offsets_ns)
        self.minute.add_all(offsets_ns)
        for blocks in filter(None, batch.blocks):
            self.with_blocks += 1
            self.blocks += len(blocks)
            self._sights.add(blocks.tolist())

    @property
    def reused_blocks(self) -> int | None:
        """Whole blocks at the beginning of prompts that stood in an earlier one."""
        return self._sights.reused

    @property
    def continuing(self) -> int:
        """Prompts that begin with two such blocks or more."""
        return self._sights.continuing

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
    for _ in surveyed(stream, kind, found, advanced=advanced, told=told):
        pass
    total = found.whole.requests
    found.take = total if size is None else min(size, total)
    found.skip = random.Random(seed).randrange(total - found.take + 1)
    return found


def surveyed(
    stream: BinaryIO,
    kind: ImportKind,
    found: RequestSurvey,
    *,
    advanced: Callable[[int], None] | None = None,
    told: Callable[[Problem], None] | None = None,
) -> Iterator[Batch]:
    """Yield all requests, in order, once `found` has counted them: for those who take every one."""
    for item in batches(stream, kind):
        if advanced is not None:
            advanced(stream.tell())
        if isinstance(item, Batch):
            found.whole.add(item)
            found.take += len(item)
            if any(item.notes):
                for line, notes in zip(item.lines, item.notes, strict=True):
                    for note in notes:
                        found.odd.add(note, line)
            yield item
        else:
            found.skipped.add(item.what, item.line)
            if told is not None:
                told(item)


class Stretch:
    """Yields the requests that were chosen, and keeps in `taken` what they were."""

    def __init__(self) -> None:
        self.taken = RequestTally()

    def requests(
        self, stream: BinaryIO, kind: ImportKind, *, skip: int, take: int
    ) -> Iterator[Batch]:
        """Yield `take` requests after the first `skip`."""
        for item in batches(stream, kind):
            if not isinstance(item, Batch):
                continue
            if skip >= len(item):
                skip -= len(item)
                continue
            part = item.part(skip, skip + take - self.taken.requests)
            skip = 0
            self.taken.add(part)
            yield part
            if self.taken.requests == take:
                return
