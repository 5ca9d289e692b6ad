"""When something starts in open loop: offsets from time zero, in nanoseconds. Pure arithmetic.

A schedule is a rate over time and the gaps of a process of rate one, which the rate then stretches:
the k-th arrival is where the rate's integral reaches the sum of the first k gaps (time rescaling,
Cox & Lewis 1966). So every kind of randomness goes with every shape of rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, assert_never

from profiler.clock import NS_PER_S

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantGaps:
    """Arrivals evenly spaced, the first at time zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonGaps:
    """A Poisson process: gaps are exponential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaGaps:
    """Gaps are gamma distributed; `burstiness` is their variance over their squared mean.

    1 is Poisson, more comes in bursts, less is more even. In the long run it is also the index of
    dispersion of the counts (Cox, Renewal Theory, 1962).
    """

    burstiness: float


Gaps = ConstantGaps | PoissonGaps | GammaGaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of time in which the rate goes in a straight line. Rates are per second."""

    start_per_s: float
    end_per_s: float
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate over time: pieces, and the rate at which it goes on after the last one."""

    pieces: tuple[Piece, ...] = ()
    then_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Arrivals that are drawn: a rate and its gaps."""

    rate: Rate
    gaps: Gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Arrivals that were recorded, in nanoseconds from the first, any speed-up included."""

    offsets_ns: tuple[int, ...]


Arrivals = Process | Trace


def flat(rate_per_s: float) -> Rate:
    """Return a rate that never changes."""
    return Rate(then_per_s=rate_per_s)


def ramp(*, start_per_s: float, end_per_s: float, duration_s: float) -> Rate:
    """Return a rate that climbs (or falls) in a straight line and then stays."""
    piece = Piece(start_per_s=start_per_s, end_per_s=end_per_s, duration_s=duration_s)
    return Rate(pieces=(piece,), then_per_s=end_per_s)


def rate_at(rate: Rate, elapsed_s: float) -> float:
    """Return the rate that is asked for so many seconds after the start, per second."""
    for piece in rate.pieces:
        if elapsed_s < piece.duration_s:
            share = elapsed_s / piece.duration_s
            return piece.start_per_s + share * (piece.end_per_s - piece.start_per_s)
        elapsed_s -= piece.duration_s
    return rate.then_per_s


def offsets_ns(arrivals: Arrivals, rng: random.Random) -> Iterator[int]:
    """Yield the offsets of arrivals, never decreasing; endless but for a trace."""
    match arrivals:
        case Trace(offsets_ns=recorded):
            yield from recorded
        case Process(rate=rate, gaps=gaps):
            yield from _process(rate, gaps, rng)
        case _:
            assert_never(arrivals)


def rest_of_trace(offsets_ns: Iterable[int], *, passed_ns: int, ended: int) -> Iterator[int]:
    """Yield what is left of a trace of which `passed_ns` have passed and `ended` starts have ended.

    A trace has an arrival for each start, and no more: those that had not ended arrive again, at
    once, and the others when they would have.
    """
    behind = -ended
    for offset_ns in offsets_ns:
        if offset_ns <= passed_ns:
            behind += 1
            continue
        yield from repeat(passed_ns, max(0, behind))
        behind = 0
        yield offset_ns
    yield from repeat(passed_ns, max(0, behind))


def _process(rate: Rate, gaps: Gaps, rng: random.Random) -> Iterator[int]:
    """Yield where the rate's integral reaches each arrival's place in the process of rate one."""
    pieces = list(rate.pieces)
    began_s, passed = 0.0, 0.0
    for place in _places(gaps, rng):
        while pieces and place - passed > _area(pieces[0]):
            passed += _area(pieces[0])
            began_s += pieces.pop(0).duration_s
        ahead = place - passed
        inside_s = _time_in(pieces[0], ahead) if pieces else ahead / rate.then_per_s
        yield round((began_s + inside_s) * NS_PER_S)


def _places(gaps: Gaps, rng: random.Random) -> Iterator[float]:
    """Yield the sums of the first gaps of mean one."""
    match gaps:
        case ConstantGaps():
            place = 0
            while True:  # counted, not summed: nothing drifts
                yield float(place)
                place += 1
        case PoissonGaps():
            draws: Iterator[float] = (rng.expovariate(1.0) for _ in repeat(None))
        case GammaGaps(burstiness=burstiness):
            shape = 1 / burstiness
            draws = (rng.gammavariate(shape, burstiness) for _ in repeat(None))
        case _:
            assert_never(gaps)
    reached = 0.0
    for draw in draws:
        reached += draw
        yield reached


def _area(piece: Piece) -> float:
    return (piece.start_per_s + piece.end_per_s) / 2 * piece.duration_s


def _time_in(piece: Piece, area: float) -> float:
    """Return when, within the piece, its integral reaches `area`.

    Solves area = start t + slope t² / 2 in the form that loses no digits to cancellation.
    """
    slope = (piece.end_per_s - piece.start_per_s) / piece.duration_s
    root = (piece.start_per_s**2 + 2 * slope * area) ** 0.5 if area else piece.start_per_s
    divisor = piece.start_per_s + root
    return 0.0 if divisor == 0 else 2 * area / divisor
