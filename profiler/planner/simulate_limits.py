"""Rate limits simulated together: requests and tokens, windows and buckets, clients that retry.

A request has to fit every limit; then it takes from each, or from none. That is how OpenAI
enforces and how `agent-profiler mock llm` does (`mock/limits.py`, whose decisions these are).
Closed forms tell one limit alone (`limits`, `compound`); this tells what several do to each other,
to requests whose tokens go together, and to clients that come again.

Equal arguments give equal results.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.arrivals import BLOCK_S, arrival_times, given_times
from profiler.planner.attempts import Attempts, Retrying, RunningLimit, run_attempts
from profiler.planner.estimates import BATCHES, Estimate, Floats, Integers, of_ratio
from profiler.planner.queueing import positive, whole
from profiler.planner.simulate import LEAST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

REQUESTS = "requests"
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLimit:
    """One limit: `per_minute` of what it counts.

    `counts` is "requests" or a column of the sample of requests (`input_tokens`, ...). A `bucket`
    refills continuously and holds what comes in `window_s` seconds; a window (`is_window`) lets so
    much pass in each `window_s` seconds by the clock and forgets the rest. Raises `ValueError` for
    a limit that is not positive.
    """

    name: str
    per_minute: float
    counts: str = REQUESTS
    is_window: bool = False
    window_s: float = _MINUTE_S

    def __post_init__(self) -> None:
        positive(f"{self.name}: per_minute", self.per_minute)
        positive(f"{self.name}: window_s", self.window_s)

    @property
    def capacity(self) -> float:
        """What a full bucket holds, or a window lets pass, in what the limit counts."""
        return self.per_minute * self.window_s / _MINUTE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEffect:
    """What one limit, or all together, did; each with its 95 % interval."""

    rejected: Estimate
    """The share of attempts for which there was too little (of one limit, or of any)."""

    limited_time: Estimate
    """The share of time in which a request drawn from the sample would be refused."""

    exceeded_windows: Estimate | None
    """The share of windows (of the limit's `window_s`, by the clock) with an attempt refused.

    None: the run is shorter than a window.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSimulation:
    """What limits did to calls, each figure with its 95 % interval."""

    calls: int
    """How many the figures are of: without the warm-up."""

    limits: dict[str, LimitEffect]
    """By name of the limit."""

    together: LimitEffect
    """All limits; windows are of the longest `window_s`."""

    failed_calls: Estimate
    """The share of calls whose last attempt was refused too."""

    attempts_per_call: Estimate
    attempts_per_minute: Estimate


def simulate_limits(
    *,
    limits: Sequence[SimulatedLimit],
    rate_per_minute: float | None = None,
    arrivals_s: ArrayLike | None = None,
    requests: Mapping[str, ArrayLike] | None = None,
    fano: float = 1.0,
    fano_window_s: float = BLOCK_S,
    retrying: Retrying | None = None,
    calls: int = 200_000,
    warmup_share: float = 0.05,
    seed: int = 1,
) -> LimitSimulation:
    """Simulate `calls` against `limits`.

    They come at `rate_per_minute`, whose count in `fano_window_s` seconds has the `fano` factor (1:
    Poisson; above it the rate changes from window to window), or at the times of a trace,
    `arrivals_s` (seconds; then `calls` and `fano` play no part). `requests` is a sample, columns of
    equal length (`input_tokens`, `output_tokens`, ...), of which each call draws one row. A refused
    attempt comes again as `retrying` says; None: never.

    A run has to be long beside the windows: 20 batches of it tell the intervals. Raises
    `ValueError` for arguments outside their domain.
    """
    if not 0 <= warmup_share <= 0.9:  # noqa: PLR2004 - something has to be left
        raise ValueError(f"warmup_share is {warmup_share!r}: it has to be from 0 to 0.9")
    if not limits or len({limit.name for limit in limits}) < len(limits):
        raise ValueError("limits has to hold at least one limit, each of a name of its own")
    rng = np.random.default_rng(seed)
    times = _arrivals(rng, rate_per_minute, arrivals_s, fano, fano_window_s, calls)
    columns = _columns(limits, requests)
    rows = _rows(np.random.default_rng((seed, 1)), columns, len(times))
    amounts = [np.ones(len(times)) if at is None else at[rows] for at in columns]
    running = [
        RunningLimit(
            per_s=limit.per_minute / _MINUTE_S,
            capacity=limit.capacity,
            window_s=limit.window_s if limit.is_window else None,
        )
        for limit in limits
    ]
    attempts = run_attempts(times, amounts, running, retrying, np.random.default_rng((seed, 2)))
    probes = _rows(np.random.default_rng((seed, 3)), columns, len(attempts.times))
    asked = [np.ones(len(attempts.times)) if at is None else at[probes] for at in columns]
    return _observe(limits, running, times, attempts, asked, warmup_share)


def _observe(  # noqa: PLR0917 - what simulate_limits has drawn, in its order
    limits: Sequence[SimulatedLimit],
    running: Sequence[RunningLimit],
    times: Floats,
    attempts: Attempts,
    asked: list[Floats],
    warmup_share: float,
) -> LimitSimulation:
    cuts_s = np.linspace(times[-1] * warmup_share, times[-1], BATCHES + 1)
    spans = np.diff(cuts_s)
    calls_in = _batched(times, None, cuts_s)
    attempts_in = _batched(attempts.times, None, cuts_s)
    began = times[attempts.calls]
    batch_time = np.append(np.diff(attempts.times), 0.0)
    effects = {}
    longest = np.zeros(len(attempts.times))
    for number, limit in enumerate(limits):
        limited_s = running[number].limited_s(
            attempts.times, attempts.left[number], asked[number], batch_time
        )
        np.maximum(longest, limited_s, out=longest)
        refused = attempts.lacked[number]
        effects[limit.name] = LimitEffect(
            rejected=of_ratio(_batched(attempts.times, refused, cuts_s), attempts_in),
            limited_time=of_ratio(_batched(attempts.times, limited_s, cuts_s), spans),
            exceeded_windows=_exceeded(attempts.times, refused, limit.window_s, cuts_s),
        )
    refused = attempts.refused
    window_s = max(limit.window_s for limit in limits)
    failed = refused * attempts.is_last
    return LimitSimulation(
        calls=int(calls_in.sum()),
        limits=effects,
        together=LimitEffect(
            rejected=of_ratio(_batched(attempts.times, refused, cuts_s), attempts_in),
            limited_time=of_ratio(_batched(attempts.times, longest, cuts_s), spans),
            exceeded_windows=_exceeded(attempts.times, refused, window_s, cuts_s),
        ),
        failed_calls=of_ratio(_batched(began, failed, cuts_s), calls_in),
        attempts_per_call=of_ratio(_batched(began, None, cuts_s), calls_in),
        attempts_per_minute=of_ratio(attempts_in * _MINUTE_S, spans),
    )


def _batched(times: Floats, values: Floats | None, cuts_s: Floats) -> Floats:
    """Add up values (1 each if None) by the batch in which their time is."""
    places = np.searchsorted(cuts_s, times, side="right")  # 0: before, BATCHES + 1: behind
    found = np.bincount(places, weights=values, minlength=BATCHES + 2)
    return found[1 : BATCHES + 1].astype(np.float64)


def _exceeded(times: Floats, refused: Floats, window_s: float, cuts_s: Floats) -> Estimate | None:
    """Estimate the share of windows, of those wholly within the counted time, with a refusal."""
    first, last = math.ceil(cuts_s[0] / window_s), math.floor(cuts_s[-1] / window_s)
    if last <= first:
        return None
    windows: Integers = (times / window_s).astype(np.int64)
    hit = np.bincount(windows, weights=refused, minlength=last)[first:last] > 0
    starts = (np.arange(first, last) + 0.5) * window_s
    return of_ratio(
        _batched(starts, hit.astype(np.float64), cuts_s), _batched(starts, None, cuts_s)
    )


def _arrivals(  # noqa: PLR0917 - as simulate_limits takes them
    rng: np.random.Generator,
    rate_per_minute: float | None,
    arrivals_s: ArrayLike | None,
    fano: float,
    fano_window_s: float,
    calls: int,
) -> Floats:
    if (rate_per_minute is None) == (arrivals_s is None):
        raise ValueError("give either rate_per_minute or arrivals_s")
    whole("calls", calls, least=LEAST)
    positive("fano_window_s", fano_window_s)
    if rate_per_minute is not None:
        return arrival_times(
            rng,
            rate_per_s=rate_per_minute / _MINUTE_S,
            count=calls,
            fano=fano,
            block_s=fano_window_s,
        )
    times = given_times(np.asarray(arrivals_s, dtype=np.float64))
    if len(times) < LEAST:
        raise ValueError(f"arrivals_s holds {len(times)} times: for an interval it takes {LEAST}")
    return times


def _columns(
    limits: Sequence[SimulatedLimit], requests: Mapping[str, ArrayLike] | None
) -> list[Floats | None]:
    """Return what each limit counts of each row of the sample; None: requests."""
    sample = {k: np.asarray(v, dtype=np.float64) for k, v in (requests or {}).items()}
    found: list[Floats | None] = []
    for limit in limits:
        if limit.counts == REQUESTS:
            found.append(None)
            continue
        if limit.counts not in sample:
            raise ValueError(f"{limit.name}: requests has no column {limit.counts}")
        column = sample[limit.counts]
        if column.ndim != 1 or not len(column) or not (np.isfinite(column) & (column >= 0)).all():
            raise ValueError(f"{limit.counts} has to hold finite numbers from 0 on, at least one")
        found.append(column)
    if len({len(column) for column in found if column is not None}) > 1:
        raise ValueError("the columns of requests have different lengths")
    return found


def _rows(rng: np.random.Generator, columns: list[Floats | None], count: int) -> Integers:
    sizes = [len(column) for column in columns if column is not None]
    return rng.integers(0, sizes[0] if sizes else 1, count)
