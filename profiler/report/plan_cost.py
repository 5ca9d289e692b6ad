"""The costs of a plan: totals, the tree with exact amounts, and what a user brings in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Field, Items, Part, Row, Table, Words, by_scale, head, part
from profiler.report.plan_verdict import NO_VALUE, margin_text, per_user_text
from profiler.report.plan_words import (
    exact_money,
    factor,
    money,
    nothing,
    spread,
    unit_money,
    with_unit,
)
from profiler.report.quantities import NOTHING, printable, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profiler.planner.plan import CostNode, Plan, Scale

_Path = tuple[str, ...]


def costs(plan: Plan) -> list[Part]:
    """Return totals, both ways to run it side by side, the tree, and unit economics."""
    exactly = Words("Every line is exactly the sum of those below it. US dollars per month.")
    return [
        part("Cost of a month", _totals(plan)),
        part("Managed against self-run", _both_ways(plan), level=3),
        part("Cost tree", exactly, _tree(plan), level=3),
        part("How each line comes about", *_how(plan), level=3),
        part("Value against cost", *_economics(plan), level=3),
    ]


def _of(field: str) -> Callable[[Scale], str]:
    return lambda scale: spread(scale.cost, field, money)


def _value(scale: Scale) -> str:
    return NO_VALUE if scale.cost.value_per_user is None else _of("value_per_user")(scale)


def _totals(plan: Plan) -> Table:
    fields: tuple[Field, ...] = (
        ("API", _of("api")),
        ("infrastructure", _of("infrastructure")),
        ("operations: people's hours", _of("operations")),
        ("total", _of("total")),
        ("per active user", per_user_text),
        ("per session", _of("per_session")),
        ("per interaction", _of("per_interaction")),
        ("value per active user", _value),
        ("margin per active user", margin_text),
    )
    return by_scale(plan, fields)


def _both_ways(plan: Plan) -> Table:
    """Return what depends on who runs it, as planned and the other way; the API bill does not."""
    header, columns = [""], []
    names = ("infrastructure", "operations", "total")
    unknown = nothing("was not computed")
    ways = {"managed": "managed", "self": "self-run"}
    for scale in plan.scales:
        cost = scale.cost
        planned = ways.get(cost.run_by, printable(cost.run_by))
        other = "managed" if cost.run_by == "self" else "self-run"
        header += [f"{factor(scale.factor)} {way}" for way in (f"{planned} (planned)", other)]
        columns.append([money(getattr(cost, name)) for name in names])
        columns.append(
            [money(cost.alternative[n]) if n in cost.alternative else unknown for n in names]
        )
    rows = zip(names, zip(*columns, strict=True), strict=True)
    return Table(tuple(header), tuple(Row(name, cells) for name, cells in rows))


def _walk(node: CostNode, above: _Path = ()) -> Iterator[tuple[_Path, CostNode]]:
    """Yield every line with its path; lines of one name below one line by their number."""
    yield above, node
    seen: dict[str, int] = {}
    for child in node.children:
        seen[child.name] = seen.get(child.name, 0) + 1
        key = child.name if seen[child.name] == 1 else f"{child.name} {seen[child.name]}"
        yield from _walk(child, (*above, key))


def _tree(plan: Plan) -> Table:
    """Return the lines of all scales in one tree; a line that a scale does not have is a dash."""
    trees = [dict(_walk(scale.cost.tree)) for scale in plan.scales]
    rows = []
    for path in _paths(trees):
        nodes = [tree.get(path) for tree in trees]
        name = next(node.name for node in nodes if node is not None)
        cells = tuple(NOTHING if node is None else exact_money(node.usd) for node in nodes)
        is_sum = any(node is not None and node.children for node in nodes)
        rows.append(Row(printable(name, 80), cells, depth=len(path), is_sum=is_sum))
    return Table(("", *(head(scale) for scale in plan.scales)), tuple(rows))


def _paths(trees: list[dict[_Path, CostNode]]) -> list[_Path]:
    """Return the paths of all trees in the order of a tree, each below its parent."""
    below: dict[_Path, dict[_Path, None]] = {}
    for tree in trees:
        for path in tree:
            if path:
                below.setdefault(path[:-1], {})[path] = None

    def order(path: _Path) -> Iterator[_Path]:
        yield path
        for child in below.get(path, ()):
            yield from order(child)

    return list(order(()))


def _how(plan: Plan) -> tuple[Words, Table]:
    """Return quantity, unit price, note and source of the launch scale's lines."""
    launch = plan.scales[0]
    rows = [
        Row(
            printable(" / ".join(path) or node.name, 120),
            tuple(printable(text or "", 300) for text in _texts(node)),
        )
        for path, node in _walk(launch.cost.tree)
        if any(_texts(node))
    ]
    header = ("line", "quantity", "dollars per unit", "how", "price from")
    return Words(f"At {factor(launch.factor)}."), Table(header, tuple(rows), frozenset({3, 4}))


def _texts(node: CostNode) -> tuple[str | None, ...]:
    quantity = None if node.quantity is None else with_unit(node.quantity)
    unit = None if node.unit_usd is None else unit_money(node.unit_usd)
    return quantity, unit, node.note, node.source


def _economics(plan: Plan) -> tuple[Items] | tuple[Words]:
    found = plan.economics
    if found is None:
        return (Words(f"{NO_VALUE}."),)
    lines = [
        f"{printable(at).removesuffix('x')}x: {money(margin)} margin per active user and month"
        for at, margin in found.margins.items()
    ]
    breaks, note = found.breaks_at_factor, printable(found.note, 600)
    at = nothing(note) if breaks is None else f"{breaks:.3g}x ({note})"
    needed = money(found.needed_cost_per_user)
    lines += [
        f"growth at which the margin changes its sign: {at}",
        f"cost per active user and month that leaves the margin aimed at: {needed}",
    ]
    return (Items(tuple(lines)),)


def run_cost(plan: Plan) -> Part:
    """Return what the run behind the profile cost at these prices."""
    found = plan.run_cost
    what = f"{whole(found.interactions)} interactions"
    if found.usd is None:
        text = f"{what}: {nothing('tokens were not observed')}."
    elif found.hypothetical:
        text = f"{what} would have cost {exact_money(found.usd)} at these prices."
    else:
        text = f"{what} cost {exact_money(found.usd)} at these prices."
    note = "" if found.note is None else printable(found.note, 400)
    return part("What the run itself cost", Words(text), Words(note))
