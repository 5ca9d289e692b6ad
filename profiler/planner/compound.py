"""Tokens per window: the sum of a random number of requests, each of measured size. Not normal.

The number is Poisson or negative binomial (see `counts`), the sizes are a sample, drawn
independently. The sum's distribution comes from its characteristic function, by a fast Fourier
transform on a lattice of tokens:

- exactly, up to rounding, where the lattice can be fine enough to hold every size of the sample;
- otherwise each size is split between its two neighbours on a lattice of `step_tokens`, so that its
  mean stays. Whatever is convex in the sum (the excess over a limit) is then overestimated, never
  underestimated; the variance is larger by the share `rebinned_variance_share`, which is computed.

The lattice is a ring: what lies beyond one end comes in at the other. Its length is chosen by
Chernoff's bound on both sides so that this is less than 1e-12 of the whole. Probabilities are good
to about 1e-11 absolutely: rounding of the transform.

Sources: Grubel and Hermesmeier, "Computation of compound distributions I", *ASTIN Bulletin* 29
(1999); Gerber, "On the numerical evaluation of the distribution of aggregate claims", *Insurance:
Mathematics and Economics* 1 (1982), for splitting by local moments; Klugman, Panjer and Willmot,
*Loss Models*, 4th ed. (2012), chapter 9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.lattice import Complex, Lattice, Sizes, choose_lattice, sizes_of
from profiler.planner.queueing import not_negative, positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from profiler.planner.estimates import Floats

_MINUTE_S = 60.0
_HALVINGS = 20
_GONE = -45.0
"""The logarithm of what is nothing beside 1: most frequencies, where many requests add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompoundSum:
    """How many tokens the requests of one window bring, without any limit."""

    requests: float
    """The mean number of requests in the window."""

    fano: float
    sizes: Sizes
    lattice: Lattice
    tails: Floats
    """P(S > s) for each token count s of the lattice."""

    @property
    def mean(self) -> float:
        """The mean number of tokens in the window."""
        return self.requests * self.sizes.mean

    @property
    def variance(self) -> float:
        """The variance of the tokens in the window, of the sizes themselves: exact."""
        return _variance(self.requests, self.fano, self.sizes)

    @property
    def step_tokens(self) -> float:
        """The lattice's step."""
        return self.lattice.step

    @property
    def rebinned_variance_share(self) -> float:
        """By what share the lattice makes the variance larger; 0.0: it is exact."""
        if self.lattice.is_exact or not self.requests:
            return 0.0
        return self.requests * self.lattice.split_variance / self.variance

    def exceedance(self, admitted_tokens: float) -> float:
        """Return the probability that a window brings more tokens than it admits."""
        not_negative("admitted_tokens", admitted_tokens)
        return min(1.0, self.lattice.tail_at(self.tails, admitted_tokens))

    def excess_share(self, admitted_tokens: float) -> float:
        """Return the share of TOKENS beyond what windows admit: E[(S - admitted)+] / E[S].

        Not the share of requests refused: a request that does not fit leaves room for smaller ones
        (`simulate_limits` tells that share).
        """
        not_negative("admitted_tokens", admitted_tokens)
        if self.mean == 0:
            return 0.0
        place = admitted_tokens / self.lattice.step - self.lattice.first
        if place <= 0:
            return 1 - admitted_tokens / self.mean
        below = min(math.floor(place), len(self.tails))
        # E[(S - a)+] is the integral of P(S > x) from a on; P is constant between lattice points.
        parts = float(self.tails[below + 1 :].sum())
        if below < len(self.tails):
            parts += float(self.tails[below]) * (below + 1 - place)
        return min(1.0, parts * self.lattice.step / self.mean)

    def quantile(self, share: float) -> float:
        """Return the tokens that a window does not exceed with that probability."""
        if not 0 < share < 1:
            raise ValueError(f"share is {share!r}: it has to be above 0 and below 1")
        at = int(np.searchsorted(-self.tails, share - 1))
        return (self.lattice.first + min(at, len(self.tails) - 1)) * self.lattice.step

    def limited_time_share(self, admitted_tokens: float) -> float:
        """Return the share of TIME in which a window's sum is already above what it admits.

        The integral of P(S(u) > admitted) over u from 0 to 1, S(u) being the tokens up to then. The
        integral is taken of the characteristic function, in closed form, and transformed once.
        """
        not_negative("admitted_tokens", admitted_tokens)
        reach = self.sizes.reach()
        if reach.upper(self.requests, self.fano) <= admitted_tokens:
            return 0.0
        begin, end = 0.0, 1.0  # before `begin` the limit is not passed
        for _ in range(_HALVINGS):
            u = (begin + end) / 2
            if reach.upper(self.requests * u, _fano_at(u, self.fano)) <= admitted_tokens:
                begin = u
            else:
                end = u
        low = reach.lower(self.requests * begin, _fano_at(begin, self.fano))
        lattice = choose_lattice(self.sizes, low, reach.upper(self.requests, self.fano))
        found = _integrated(lattice.less_one, self.requests, self.fano, begin)
        return min(1.0, lattice.tail_at(lattice.tails(found), admitted_tokens, whole=1 - begin))


def window_sum(
    rate_per_minute: float,
    tokens: ArrayLike,
    *,
    window_s: float = _MINUTE_S,
    fano: float = 1.0,
    weights: ArrayLike | None = None,
) -> CompoundSum:
    """Return the distribution of the tokens in a window of `window_s` seconds.

    `tokens` is a sample of tokens per request, `weights` (if any) how much each of it counts.
    `fano` is the variance over the mean of the number of requests in the window, 1 for Poisson
    arrivals. Raises `ValueError` for arguments outside their domain.
    """
    not_negative("rate_per_minute", rate_per_minute)
    positive("window_s", window_s)
    if not (math.isfinite(fano) and fano >= 1):
        raise ValueError(
            f"fano is {fano!r}: it has to be a finite number from 1 (Poisson arrivals) on"
        )
    sizes = sizes_of(tokens, weights)
    requests = rate_per_minute * window_s / _MINUTE_S
    reach = sizes.reach()
    upper = reach.upper(requests, fano)
    lattice = choose_lattice(sizes, reach.lower(requests, fano), upper)
    tails = lattice.tails(_characteristic(lattice.less_one, requests, fano))
    return CompoundSum(requests=requests, fano=fano, sizes=sizes, lattice=lattice, tails=tails)


def oversize_share(
    tokens: ArrayLike, admitted_tokens: float, weights: ArrayLike | None = None
) -> float:
    """Return the share of requests larger than what a whole window admits: certain refusals."""
    not_negative("admitted_tokens", admitted_tokens)
    sizes = sizes_of(tokens, weights)
    return float(sizes.weights[sizes.values > admitted_tokens].sum())


def _variance(requests: float, fano: float, sizes: Sizes) -> float:
    return requests * (sizes.mean_square + (fano - 1) * sizes.mean**2)


def _fano_at(u: float, fano: float) -> float:
    """Return the fano factor of the part u of a window whose rate is constant."""
    return 1 + (fano - 1) * u


def _characteristic(less_one: Complex, requests: float, fano: float) -> Complex:
    """Return the characteristic function of the sum, given that of a size less one."""
    found = np.zeros_like(less_one)
    at = _matters(less_one, requests, fano)
    spread = fano - 1
    if spread == 0:
        found[at] = np.exp(requests * less_one[at])
    else:
        found[at] = np.exp(-requests / spread * np.log1p(-spread * less_one[at]))
    return found


def _integrated(less_one: Complex, requests: float, fano: float, begin: float) -> Complex:
    """Return the integral of the characteristic function of S(u) over u from `begin` to 1.

    Poisson: exp(u z) with z = requests x less_one. Negative binomial: (1 - u y)^-r with
    y = (fano - 1) less_one and r = requests / (fano - 1). A zero of `less_one` is a constant 1.
    """
    at = _matters(less_one, requests * begin, _fano_at(begin, fano))
    found = np.zeros_like(less_one)
    spread = fano - 1
    is_zero = less_one[at] == 0
    safe = np.where(is_zero, -1.0, less_one[at])
    if spread == 0:
        front = np.exp(begin * requests * safe)
        values = front * np.expm1((1 - begin) * requests * safe) / (requests * safe)
    else:
        shape = requests / spread
        from_, to = np.log1p(-begin * spread * safe), np.log1p(-spread * safe)
        exponent = (1 - shape) * (to - from_)
        ratio = np.ones_like(exponent)
        np.divide(np.expm1(exponent), exponent, out=ratio, where=exponent != 0)
        values = -np.exp((1 - shape) * from_) * (to - from_) * ratio / (spread * safe)
    found[at] = np.where(is_zero, 1 - begin, values)
    return found


def _matters(less_one: Complex, requests: float, fano: float) -> NDArray[np.bool_]:
    """Tell where the characteristic function of the sum is not nothing."""
    spread = fano - 1
    if spread == 0:
        log_size = requests * less_one.real
    else:
        square = (1 - spread * less_one.real) ** 2 + (spread * less_one.imag) ** 2
        log_size = -requests / spread / 2 * np.log(square)
    found: NDArray[np.bool_] = log_size > _GONE
    return found
