"""One number of two runs, with what its uncertainty is: differences, ratios and tests of them.

Sources:

- Welch, "The generalization of 'Student's' problem when several different population variances are
  involved", *Biometrika* 34 (1947), with Satterthwaite's degrees of freedom, *Biometrics Bulletin*
  2 (1946).
- Fieller, "Some problems in interval estimation", *Journal of the Royal Statistical Society B* 16
  (1954): the interval of a ratio of two estimates.
- Przyborowski and Wilenski, "Homogeneity of results in testing samples from Poisson series",
  *Biometrika* 31 (1940): two rates are compared by what both samples together saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from profiler.profile.quantiles import student_t_quantile, student_t_upper

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is known of the errors of two estimates: variances, covariance, degrees of freedom."""

    baseline: float
    candidate: float
    covariance: float
    degrees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A number of the baseline and of the candidate, in its unit. `spread` None: not known."""

    baseline: float
    candidate: float
    spread: Spread | None

    @property
    def difference(self) -> float:
        """Candidate - baseline."""
        return self.candidate - self.baseline

    @property
    def relative(self) -> float | None:
        """The difference as a share of the baseline; None where that is zero."""
        return self.difference / self.baseline if self.baseline else None

    def difference_interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Return the interval of the difference: Student t; None without a spread."""
        if self.spread is None:
            return None
        half = _quantile(self.spread, confidence) * _error(self.spread, 1.0)
        return self.difference - half, self.difference + half

    def candidate_interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Return the interval of the candidate's number: Student t; None without a spread."""
        if self.spread is None:
            return None
        half = _quantile(self.spread, confidence) * math.sqrt(self.spread.candidate)
        return self.candidate - half, self.candidate + half

    def relative_interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Return the interval of `relative` (Fieller).

        None without a spread, and where the baseline cannot be told from zero: no ratio can then be
        ruled out.
        """
        if self.spread is None or not self.baseline:
            return None
        spread, squared = self.spread, _quantile(self.spread, confidence) ** 2
        # The ratios r that (c - r a)^2 <= t^2 var(c - r a) does not rule out: a quadratic in r.
        square = self.baseline**2 - squared * spread.baseline
        middle = self.candidate * self.baseline - squared * spread.covariance
        rest = self.candidate**2 - squared * spread.candidate
        inside = middle**2 - square * rest
        if square <= 0 or inside < 0:
            return None
        low, high = ((middle + sign * math.sqrt(inside)) / square - 1 for sign in (-1, 1))
        return low, high

    def p_value(self) -> float | None:
        """Return how likely a difference at least as large is where there is none (two-sided)."""
        above = self.exceeds(1.0)
        return None if above is None else min(1.0, 2 * min(above.p_above, above.p_below))

    def exceeds(self, ratio: float, offset: float = 0.0) -> Test | None:
        """Ask whether the candidate is more than `ratio` times the baseline, plus `offset`."""
        if self.spread is None:
            return None
        excess = self.candidate - ratio * self.baseline - offset
        return Test(excess=excess, error=_error(self.spread, ratio), degrees=self.spread.degrees)

    def candidate_exceeds(self, bound: float) -> Test | None:
        """Ask whether the candidate alone is more than a bound."""
        if self.spread is None:
            return None
        error = math.sqrt(self.spread.candidate)
        return Test(excess=self.candidate - bound, error=error, degrees=self.spread.degrees)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """By how much an estimate is over a bound, with its standard error."""

    __test__ = False  # no test of pytest

    excess: float
    error: float
    degrees: float

    @property
    def p_above(self) -> float:
        """How likely so much is where the truth is not above the bound (one-sided)."""
        if self.error == 0:  # nothing varies: what is seen is so
            return 0.0 if self.excess > 0 else 1.0
        return student_t_upper(self.excess / self.error, self.degrees)

    def is_kept(self, error_rate: float) -> bool:
        """Whether it is shown that the bound is kept; being on it is."""
        return self.excess <= 0 if self.error == 0 else self.p_below <= error_rate

    @property
    def p_below(self) -> float:
        """How likely so little is where the truth is not below the bound (one-sided)."""
        return self.mirrored().p_above

    def mirrored(self) -> Test:
        """Return the question of the other side, whether it is less than the bound."""
        return Test(excess=-self.excess, error=self.error, degrees=self.degrees)

    def sample_factor(self, confidence: float) -> float | None:
        """Return how many times the sample would decide it, were the excess what it is now.

        Errors shrink with the root of the sample. None where the estimate is on the bound.
        """
        if self.excess == 0:
            return None
        return (
            student_t_quantile(_whole(self.degrees), confidence) * self.error / self.excess
        ) ** 2


def welch_degrees(parts: list[tuple[float, int]]) -> float:
    """Return the degrees of freedom of a sum of independent estimates: (variance, its degrees)."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return float(min(degrees for _, degrees in parts))
    return total**2 / sum(variance**2 / degrees for variance, degrees in parts)


def varying(
    variances: tuple[float, float], is_unseen: tuple[bool, bool], counts: tuple[int, int]
) -> tuple[float, float]:
    """Return the variances of two means, where one sample may have seen nothing but zeros.

    Zeros alone do not vary, and yet say little where they are few: a tool that 1 of 200
    interactions calls is missing from a sample of 200 in one case of three. Were both rates the
    same, the variance of their difference would be k / (n m), where the sample of n saw k and that
    of m none: n / m times the k / n^2 of the one that saw them. What that lacks is the other's.
    """
    if is_unseen[0] == is_unseen[1]:
        return variances
    seen, unseen = (1, 0) if is_unseen[0] else (0, 1)
    lacking = variances[seen] * max(0.0, counts[seen] / counts[unseen] - 1)
    return (lacking, variances[1]) if unseen == 0 else (variances[0], lacking)


def _error(spread: Spread, ratio: float) -> float:
    """Return the standard error of candidate - ratio * baseline."""
    variance = spread.candidate - 2 * ratio * spread.covariance + ratio**2 * spread.baseline
    largest = max(spread.candidate, ratio**2 * spread.baseline)
    # Where both runs did the very same, what is left is the rounding of a difference of equals.
    return math.sqrt(variance) if variance > 1e-12 * largest else 0.0


def _quantile(spread: Spread, confidence: float) -> float:
    return student_t_quantile(_whole(spread.degrees), (1 + confidence) / 2)


def _whole(degrees: float) -> int:
    return max(1, math.floor(degrees))


def adjusted(p_values: list[float]) -> list[float]:
    """Return p-values so that taking those up to 5 % holds the false discovery rate at 5 %.

    Benjamini and Hochberg, *Journal of the Royal Statistical Society B* 57 (1995): the i-th
    smallest of m times m / i, and no less than a smaller one's. It holds for independent numbers
    and for such that go up together (Benjamini and Yekutieli, *Annals of Statistics* 29, 2001), as
    tokens, calls and times do; where all are without an effect it is as strict as any correction.
    """
    count = len(p_values)
    order = sorted(range(count), key=p_values.__getitem__, reverse=True)
    found, least = [1.0] * count, 1.0
    for place, index in enumerate(order):
        least = min(least, p_values[index] * count / (count - place))
        found[index] = least
    return found
