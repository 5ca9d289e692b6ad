"""Which inputs drifted: beyond their tolerance, by more than chance, and not because of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.planner.actual import Actual, deciles, of_distribution
from profiler.planner.review import InputReview, Status
from profiler.planner.review_inputs import INPUTS, Input, expected
from profiler.planner.shape import stability

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from profiler.planner.shape import Stability
    from profiler.profile.distribution import Distribution

MATERIAL = 0.02
"""Of a whole: what a part has to move it by, to be named."""
_QUANTILES_WIDER = 2.0
"""Quantiles are less certain than means: so many times the tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that inputs are judged by. Means of `planned` are those of the plan.

    `same_sessions`: both are runs of one workload, so that its sessions' differences, which the
    intervals are made of, are in both alike. Else a change has to be outside the actual interval:
    what the plan assumed is a number, and not a sample.
    """

    planned: Mapping[str, Actual]
    shapes: Mapping[str, Distribution]
    actual: Mapping[str, Actual]
    same_sessions: bool
    tolerances: Mapping[str, float]

    def tolerance(self, item: Input) -> float:
        """Return the share that an input may move by."""
        return self.tolerances.get(item.name, item.tolerance)


def planned_actuals(metrics: Mapping[str, Distribution]) -> dict[str, Actual]:
    """Return the plan's side of those inputs that its profile measured."""
    return {
        item.name: of_distribution(metrics[item.name]) for item in INPUTS if item.name in metrics
    }


def judge(comparison: Comparison) -> tuple[InputReview, ...]:
    """Judge every input that both sides know, drivers first."""
    found: dict[str, InputReview] = {}
    for item in INPUTS:
        if item.name in comparison.planned and item.name in comparison.actual:
            found[item.name] = _judge(item, comparison, found)
    return tuple(found.values())


def _judge(item: Input, given: Comparison, before: Mapping[str, InputReview]) -> InputReview:
    planned, actual = given.planned[item.name], given.actual[item.name]
    driven = {name: each.mean for name, each in given.planned.items()}
    now = {name: each.mean for name, each in given.actual.items()}
    value, told = expected(item, driven, now)
    tolerance = given.tolerance(item)
    psi, other = _shapes(given.shapes.get(item.name), planned, actual)
    moved = [name for name in told if name in before and before[name].status != "steady"]
    status, why = _status(item, given, value, tolerance, other, is_driven=bool(moved))
    return InputReview(
        name=item.name,
        title=item.title,
        unit=item.unit,
        planned=planned.mean,
        planned_ci95=planned.mean_ci95,
        actual=actual.mean,
        actual_ci95=actual.mean_ci95,
        change=actual.mean / planned.mean - 1 if planned.mean else None,
        tolerance=tolerance,
        status=status,
        why=why,
        follows=tuple(_roots(moved, before)) if status == "follows" else (),
        quantiles=dict(_quantiles(planned, actual)),
        psi=None if psi is None else psi.psi,
        psi_by_chance=None if psi is None else psi.by_chance,
    )


def _status(
    item: Input,
    given: Comparison,
    driven_to: float,
    tolerance: float,
    psi: Stability | None,
    *,
    is_driven: bool,
) -> tuple[Status, str]:
    planned, actual = given.planned[item.name], given.actual[item.name]
    if not _is_material(item, given):
        return "steady", f"moves its whole by less than {MATERIAL:.0%}"
    if _within(actual.mean, planned.mean, tolerance):
        shape = _other_shape(planned, actual, tolerance, psi)
        if shape is None:
            return "steady", "within its tolerance"
        return ("follows", f"{shape}, as what drives it") if is_driven else ("drifted", shape)
    if _within(actual.mean, driven_to, tolerance):
        return "follows", "moved as what drives it did"
    return _beyond(planned, actual, same_sessions=given.same_sessions)


def _beyond(planned: Actual, actual: Actual, *, same_sessions: bool) -> tuple[Status, str]:
    """Tell drift from what chance may have done, of a mean beyond its tolerance."""
    moved = "beyond its tolerance"
    if same_sessions:
        return "drifted", f"{moved}, in runs of the same workload"
    if actual.mean_ci95 is None:
        return "unclear", f"{moved}; how much of that is chance is not known: measure more"
    low, high = actual.mean_ci95
    if low <= planned.mean <= high:
        return "unclear", f"{moved}, and the plan's value is within the interval: measure more"
    return "drifted", f"{moved}, and chance does not explain it"


def _within(actual: float, planned: float, tolerance: float) -> bool:
    return abs(actual - planned) <= tolerance * planned


def _is_material(item: Input, given: Comparison) -> bool:
    """Tell whether a part can have moved its whole; what is no part of a known whole can.

    By its mean or, where that stayed, by its size.
    """
    whole = None if item.whole is None else given.planned.get(item.whole)
    if whole is None:
        return True
    planned, actual = given.planned[item.name].mean, given.actual[item.name].mean
    moves = abs(actual - planned)
    if moves <= given.tolerance(item) * planned:
        moves = planned
    return moves >= MATERIAL * whole.mean


def _other_shape(
    planned: Actual, actual: Actual, tolerance: float, psi: Stability | None
) -> str | None:
    """Say how the distribution changed although its mean did not; None: it did not, or unknown."""
    if psi is not None and psi.is_other:
        return f"its mean is as planned, its distribution is not (PSI {psi.psi:.2f})"
    known = (planned.p95, actual.p95, planned.p95_ci95, actual.p95_ci95)
    if any(each is None for each in known):
        return None
    before, now, range_before, range_now = known
    assert before is not None and now is not None  # noqa: S101, PT018 - seen above
    assert range_before is not None and range_now is not None  # noqa: S101, PT018 - as above
    apart = range_now[0] > range_before[1] or range_now[1] < range_before[0]
    if apart and not _within(now, before, _QUANTILES_WIDER * tolerance):
        return "its mean is as planned, its 95th percentile is not"
    return None


def _shapes(
    shape: Distribution | None, planned: Actual, actual: Actual
) -> tuple[Stability | None, Stability | None]:
    """Return the index, and the one that tells another shape: with the mean's change taken out.

    A mean within its tolerance is no drift, and moves each value by as much; what is left is.
    Counts have steps, which cannot be stretched.
    """
    whole = _stability(shape, planned, actual, stretch=1.0)
    if whole is None or shape is None or not whole.is_other or planned.mean <= 0:
        return whole, whole
    if shape.unit == "count":
        return whole, whole
    left = _stability(shape, planned, actual, stretch=actual.mean / planned.mean)
    return whole, left if left is None or left.psi < whole.psi else whole


def _stability(
    shape: Distribution | None, planned: Actual, actual: Actual, *, stretch: float
) -> Stability | None:
    """Compare with the plan's values multiplied by `stretch`."""
    if shape is None or planned.at_most is None or actual.at_most is None or stretch <= 0:
        return None
    if planned.size is None or actual.size is None:
        return None
    edges = actual.edges
    if edges is None:
        edges = tuple(edge * stretch for edge in deciles(shape))
    return stability(
        [planned.at_most(edge / stretch) for edge in edges],
        [actual.at_most(edge) for edge in edges],
        planned_size=planned.size,
        actual_size=actual.size,
    )


def _quantiles(planned: Actual, actual: Actual) -> Iterator[tuple[str, tuple[float, float]]]:
    for name in ("p50", "p95"):
        before, now = getattr(planned, name), getattr(actual, name)
        if before is not None and now is not None:
            yield name, (before, now)


def _roots(names: Iterable[str], before: Mapping[str, InputReview]) -> Iterator[str]:
    """Yield what is behind: drivers that follow others give way to those."""
    found: dict[str, None] = {}
    for name in names:
        for root in before[name].follows or (name,):
            found[root] = None
    yield from found
