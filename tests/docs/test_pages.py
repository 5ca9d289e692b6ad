"""Pages lead to pages that there are; what they show in Python runs; the schemas are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from profiler.cli.schema import SchemaKind
from profiler.mock.options import LlmOptions
from profiler.mock.scripted import MAX_TOOL_ROUNDS
from profiler.profile.statistics import cluster_sums, mean_interval
from tests.docs.commands import documents

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in documents(ROOT)])
def test_a_link_leads_to_a_file(page):
    for target in LINK.findall((ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_page_is_in_the_table_of_contents():
    contents = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in contents} == set()


def test_every_schema_is_in_the_table_of_files():
    formats = (ROOT / "docs" / "files.md").read_text()
    for kind in SchemaKind:
        assert f"schema/{kind.value}.schema.json" in formats


@pytest.mark.system
def test_what_the_page_on_python_shows_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, *others = PYTHON.findall((ROOT / "docs" / "python.md").read_text())
    exec(compile(first, "docs/python.md", "exec"), {})
    for other in others:  # a test of someone else's: tests/api/test_pytest_plugin.py runs its like
        compile(other, "docs/python.md", "exec")


def test_the_power_that_the_statistics_name_is_what_arithmetic_gives():
    """docs/statistics.md: a further call after each round with probability p, two rounds at most.

    The best a one-sided test of means at 5 % can do, if interactions are independent and normal.
    """

    def moments(p: float) -> tuple[float, float]:
        shares = [p**k * (1 - p) for k in range(MAX_TOOL_ROUNDS)] + [p**MAX_TOOL_ROUNDS]
        mean = sum((k + 1) * share for k, share in enumerate(shares))
        return mean, sum((k + 1 - mean) ** 2 * share for k, share in enumerate(shares))

    usual = LlmOptions().tool_call_probability
    mean, variance = moments(usual)
    more = brentq(lambda p: moments(p)[0] - 1.1 * mean, usual, 1.0)
    assert (round(mean, 2), round(variance**0.5, 2)) == (1.47, 0.70)
    error = (variance + moments(more)[1]) ** 0.5
    power = norm.sf(norm.isf(0.05) - 0.1 * mean / (error / 200**0.5))
    assert power == pytest.approx(0.63, abs=0.005)
    needed = ((norm.isf(0.05) + norm.ppf(0.8)) * error / (0.1 * mean)) ** 2
    assert round(needed) == 315


def test_the_example_of_the_statistics_is_right():
    """docs/statistics.md: sessions of 2 and 2 with totals 2 and 6; t(0.975, 1) is 12.706."""
    interval = mean_interval(cluster_sums([2, 2], [2, 6]))
    assert interval == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)
