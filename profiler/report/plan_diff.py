"""What changed from one plan to another, as people read it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from profiler.report.quantities import NOTHING, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.diff import Changed, PlanDiff, ScaleDiff

_CENTS_BELOW = 100


def plan_diff_text(found: PlanDiff, old_name: str) -> str:
    """Return the lines of a comparison with the plan called `old_name`."""
    if found.is_empty:
        return f"Nothing changed since {old_name}."
    lines = [f"What changed since {old_name}"]
    lines += _block("Inputs", [_arrow(each) for each in found.inputs])
    lines += _block("Measured", [_arrow(each) for each in found.measured])
    for scale in found.scales:
        lines += _block(f"At {scale.factor:g}x", list(_scale_lines(scale)))
    lines += _block(
        "Scales",
        [
            f"{', '.join(f'{factor:g}x' for factor in factors)}: only in {where}"
            for factors, where in (
                (found.only_old, "the old plan"),
                (found.only_new, "the new plan"),
            )
            if factors
        ],
    )
    return "\n".join(lines)


def _block(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _scale_lines(scale: ScaleDiff) -> Iterator[str]:
    if not (scale.answers or scale.cost_lines):
        yield "nothing changed"
    for each in scale.answers:
        yield _arrow(each, money=each.name.startswith("cost."))
    why = scale.api
    if why.volume_usd or why.per_interaction_usd:
        yield (
            f"the models' bill: {_signed(why.volume_usd)} for volume, "
            f"{_signed(why.per_interaction_usd)} for what one interaction costs"
        )
    widest = sorted(scale.cost_lines, key=lambda each: -abs(_difference(each)))
    for each in widest:
        yield f"{_arrow(each, money=True)} ({_signed(float(_difference(each)))})"


def _difference(changed: Changed) -> Decimal:
    return (changed.new or Decimal(0)) - (changed.old or Decimal(0))


def _arrow(changed: Changed, *, money: bool = False) -> str:
    show = _money if money else _plain
    old, new = show(changed.old), show(changed.new)
    return f"{printable(changed.name)}: {old} → {new}{_percent(changed)}"


def _percent(changed: Changed) -> str:
    numbers = (changed.old, changed.new)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        return ""
    return f" ({changed.new / changed.old - 1:+.1%})" if changed.old else ""


def _plain(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"  # noqa: PLR2004 - digits
    return printable(str(value))


def _money(value: Any) -> str:
    if value is None:
        return NOTHING
    amount = float(value)
    if abs(amount) >= _CENTS_BELOW:
        return f"${amount:,.0f}"
    return f"${amount:,.2f}" if abs(amount) >= 1 or not amount else f"${amount:.3g}"


def _signed(amount: float) -> str:
    return f"{'-' if amount < 0 else '+'}{_money(abs(amount))}"
