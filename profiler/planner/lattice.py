"""The lattice on which tokens are added up: how far it reaches, how fine it is, what is on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from profiler.planner.estimates import Floats


Complex = NDArray[np.complex128]

_LOG_NEGLIGIBLE = math.log(1e13)
_EXACT_POINTS = 2**16
_MOST_POINTS = 2**17
_FEWEST_POINTS = 2**8
_STEPS_A_SIZE = 32
"""How many steps a request's root mean square is to have, as far as the points allow."""

_COARSE_STEPS = 512
_TILTS = 101
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Tokens per request: different values, and the share of requests that have each."""

    values: Floats
    weights: Floats

    @property
    def mean(self) -> float:
        """Tokens."""
        return float(self.values @ self.weights)

    @property
    def mean_square(self) -> float:
        """Tokens squared."""
        return float(self.values**2 @ self.weights)

    @property
    def grain(self) -> float | None:
        """What divides every size: the coarsest lattice that holds them; None: not whole tokens."""
        whole = np.rint(self.values)
        if (whole != self.values).any() or whole[-1] >= 2**53:
            return None
        return float(np.gcd.reduce(whole.astype(np.int64)))

    def split(self, step: float) -> tuple[NDArray[np.int64], Floats]:
        """Split each size between its neighbours on a lattice of `step`, keeping its mean."""
        places = self.values / step
        below = np.floor(places + _ROUNDING)
        part = np.maximum(places - below, 0.0)
        at = below.astype(np.int64)
        return np.concatenate((at, at + 1)), np.concatenate(
            (self.weights * (1 - part), self.weights * part)
        )

    def reach(self) -> Reach:
        """Return what bounds the sums. Of few values, larger in convex order: a bound still."""
        step = float(self.values[-1]) / _COARSE_STEPS
        if len(self.values) <= _COARSE_STEPS or step == 0:
            return Reach(values=self.values, weights=self.weights)
        at, weights = self.split(step)
        summed = np.bincount(at, weights=weights)
        there = np.flatnonzero(summed)
        return Reach(
            values=(there * step).astype(np.float64), weights=summed[there].astype(np.float64)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Chernoff's bounds of the sum of `requests` sizes: each side is passed with 1e-13 at most."""

    values: Floats
    weights: Floats

    def upper(self, requests: float, fano: float) -> float:
        """Return tokens that are exceeded with a probability of 1e-13 at most."""
        if self._is_nothing(requests):
            return 0.0
        return float(np.min(self._bounds(requests, fano, 1.0)))

    def lower(self, requests: float, fano: float) -> float:
        """Return tokens that are not reached with a probability of 1e-13 at most."""
        if self._is_nothing(requests):
            return 0.0
        return max(0.0, -float(np.min(self._bounds(requests, fano, -1.0))))

    def _is_nothing(self, requests: float) -> bool:
        return requests == 0 or self.values[-1] == 0

    def _bounds(self, requests: float, fano: float, sign: float) -> Floats:
        """Return (ln E[exp(sign t S)] + ln 1e13) / t for tilts t around the best one."""
        mean = float(self.values @ self.weights)
        variance = requests * (float(self.values**2 @ self.weights) + (fano - 1) * mean**2)
        usual = math.sqrt(2 * _LOG_NEGLIGIBLE / variance)  # the best of a normal distribution
        least = min(usual, 1 / (fano * float(self.values[-1])))  # finite for certain
        tilts = np.geomspace(least / 10, usual * 100, _TILTS)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            growth = np.expm1(np.multiply.outer(sign * tilts, self.values)) @ self.weights
            if fano == 1:
                logs = requests * growth
            else:
                logs = -requests / (fano - 1) * np.log1p(-(fano - 1) * growth)
            bounds = (logs + _LOG_NEGLIGIBLE) / tilts
        found: Floats = np.where(
            np.isnan(bounds), np.inf, bounds
        )  # NaN: the expectation is infinite
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """A ring of `points` token counts, `step` apart, from `first` steps on."""

    first: int
    step: float
    points: int
    is_exact: bool
    split_variance: float
    """By how much splitting makes the variance of a request's size larger, in tokens squared."""

    less_one: Complex
    """The characteristic function of a size, less one."""

    def tails(self, characteristic: Complex) -> Floats:
        """Return the mass beyond each point, of what has this characteristic function."""
        ring = np.fft.irfft(characteristic, self.points)
        masses = np.maximum(np.roll(ring, -(self.first % self.points)), 0.0)
        sums = np.cumsum(masses[::-1])[::-1]
        return np.append(sums[1:], 0.0)

    def tail_at(self, tails: Floats, tokens: float, *, whole: float = 1.0) -> float:
        """Return the mass beyond `tokens`, that of everything being `whole`.

        On an exact lattice it falls at the points; on another one they stand for their
        surroundings, and it falls evenly from the middle before a point to that behind it.
        """
        place = tokens / self.step - self.first + _ROUNDING
        if not self.is_exact:
            return float(np.interp(place, np.arange(-1, len(tails)) + 0.5, np.append(whole, tails)))
        at = math.floor(place)
        if at < 0:
            return whole
        return float(tails[at]) if at < len(tails) else 0.0


def choose_lattice(sizes: Sizes, low: float, high: float) -> Lattice:
    """Return a lattice that reaches from `low` to `high` tokens at least."""
    grain = sizes.grain
    # A few steps more at both ends, as splitting moves what is at an end.
    span = high - low
    step = grain if grain is not None else 0.0
    is_exact = step > 0 and span / step <= _EXACT_POINTS - 4
    if not is_exact:
        wanted = max(step, math.sqrt(sizes.mean_square) / _STEPS_A_SIZE)
        finest = span / (_MOST_POINTS - 4)
        finer = max(wanted, finest)
        step = math.ceil(finer / step) * step if step else finer
    if step == 0:  # nothing but zeros
        step, is_exact = 1.0, True
    first = max(0, math.floor(low / step) - 1)
    needed = math.ceil(high / step) + 2 - first
    points = max(_FEWEST_POINTS, 1 << (needed - 1).bit_length())
    at, weights = sizes.split(step)
    ring = np.bincount(at % points, weights=weights, minlength=points)
    less_one = np.fft.rfft(ring)
    less_one -= 1
    less_one[0] = 0  # the shares add up to 1, whatever rounding says
    split = float((at * step) ** 2 @ weights) - sizes.mean_square
    return Lattice(
        first=first,
        step=step,
        points=points,
        is_exact=is_exact,
        split_variance=0.0 if is_exact else max(0.0, split),
        less_one=less_one,
    )


def sizes_of(tokens: ArrayLike, weights: ArrayLike | None) -> Sizes:
    """Return a sample's different sizes in ascending order; `ValueError` if it is none."""
    values = np.asarray(tokens, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError("tokens has to hold finite numbers from 0 on, at least one")
    shares = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if shares.shape != values.shape or not (np.isfinite(shares) & (shares >= 0)).all():
        raise ValueError("weights has to hold a finite number from 0 on for each of tokens")
    if shares.sum() <= 0:
        raise ValueError("weights are all 0")
    counts = shares > 0
    different, places = np.unique(values[counts], return_inverse=True)
    summed = np.bincount(places, weights=shares[counts])
    return Sizes(values=different, weights=summed / summed.sum())
