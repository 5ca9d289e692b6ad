"""docs/metrics.md has every metric, as the code has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.profile.interactions import CLIENT_METRICS, INSIDE_METRICS
from profiler.profile.metrics import (
    CALL_METRICS,
    CALL_PREFERENCE,
    INTERACTION_METRICS,
    preference_for,
)

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def tables() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the rows of each section by metric: unit, how, of, formula, order."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    section: dict[str, tuple[str, ...]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = found[line[3:]] = {}
        elif line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            assert name.strip("`") not in section, f"{name} is there twice"
            section[name.strip("`")] = tuple(cells)
    return found


def order_of(name: str) -> str:
    if name not in INSIDE_METRICS:
        assert name in CLIENT_METRICS
        return "client"
    return ", ".join(preference_for(name))


@pytest.mark.parametrize(
    ("section", "metrics", "order"),
    [
        ("One interaction", INTERACTION_METRICS, order_of),
        ("One LLM call", CALL_METRICS, lambda _: ", ".join(CALL_PREFERENCE)),
    ],
)
def test_every_metric_is_there_with_unit_method_population_and_order(section, metrics, order):
    rows = tables()[section]
    assert list(rows) == list(metrics)
    for name, metric in metrics.items():
        unit, how, of, formula, believed = rows[name]
        assert (unit, how, of) == (metric.unit, metric.method, metric.population), name
        assert believed == order(name), name
        assert formula, name
