"""Ordinary least squares from exact integer sums, for a handful of unknowns.

The sums of products (normal equations) are integers, so they add without loss when profiles are
merged, and the equations are solved in fractions: nothing is lost to cancellation, which is what
normal equations in floating point are feared for. Formulas: Draper and Smith, *Applied Regression
Analysis*, 3rd ed. (1998), sections 5.1 and 5.2. The standard errors take calls to be independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """y = sum of coefficients[j] * x_j, in the unit of y; `residual_sd` with n - k degrees."""

    coefficients: tuple[float, ...]
    standard_errors: tuple[float, ...]
    residual_sd: float


def least_squares(
    products: Sequence[Sequence[int]], with_y: Sequence[int], y_squared: int, count: int
) -> Fit | None:
    """Fit y to k columns x_j from sums over `count` observations, count > k.

    `products[i][j]` is sum(x_i x_j), `with_y[j]` is sum(x_j y), `y_squared` is sum(y^2). None where
    the columns depend on each other.
    """
    inverse = _inverse(products)
    if inverse is None:
        return None
    exact = [
        sum((cell * y for cell, y in zip(row, with_y, strict=True)), Fraction()) for row in inverse
    ]
    explained = sum((b * y for b, y in zip(exact, with_y, strict=True)), Fraction())
    variance = (y_squared - explained) / (count - len(exact))
    return Fit(
        coefficients=tuple(float(b) for b in exact),
        standard_errors=tuple(math.sqrt(variance * row[j]) for j, row in enumerate(inverse)),
        residual_sd=math.sqrt(variance),
    )


def _inverse(matrix: Sequence[Sequence[int]]) -> list[list[Fraction]] | None:
    """Invert by Gauss and Jordan, exactly; None where the matrix is singular."""
    size = len(matrix)
    rows = [
        [Fraction(cell) for cell in row] + [Fraction(i == j) for j in range(size)]
        for i, row in enumerate(matrix)
    ]
    for column in range(size):
        pivot = next((r for r in range(column, size) if rows[r][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [cell / scale for cell in rows[column]]
        for r in range(size):
            factor = rows[r][column]
            if r != column and factor:
                pairs = zip(rows[r], rows[column], strict=True)
                rows[r] = [cell - factor * other for cell, other in pairs]
    return [row[size:] for row in rows]
