"""The plan in README and the one in docs/example-plan are what the command gives today.

Prices of a day do not change; a release of the price data that corrects them would show here, and
`make example-plan` takes it over.
"""

from __future__ import annotations

import os
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from profiler.cli import plan

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_DIGITS = 9  # of a float: processors add up in orders of their own


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the command of README printed, and the folder that it wrote."""
    out, printed = tmp_path_factory.mktemp("example") / "plan", StringIO()
    before, width = Path.cwd(), os.environ.get("COLUMNS")
    os.chdir(Path(__file__).parents[2])
    os.environ["COLUMNS"] = "100"
    try:
        demand = Path("docs/example-plan/demand.yaml")
        with redirect_stdout(printed):
            plan.command(Path("results/sample"), demand=demand, at="2026-11-22", out=out)
    finally:
        os.chdir(before)
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width
    return [line.rstrip() for line in printed.getvalue().splitlines()], out


def files_of(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_the_readme_shows_what_the_sample_gives(pytestconfig, made):
    lines, _ = made
    readme = (pytestconfig.rootpath / "README.md").read_text().splitlines()
    first = readme.index(
        "$ agent-profiler plan results/sample --demand demand.yaml --at 2026-11-22"
    )
    begin = readme.index("```text", first) + 1
    shown = readme[begin : readme.index("```", begin)]
    assert shown == lines[: len(shown)]
    assert [Path(line).name for line in lines[len(shown) :]] == [
        "plan.json",
        "plan.md",
        "README.md",
    ]


def test_the_demand_of_the_example_is_the_sample(pytestconfig):
    with redirect_stdout(StringIO()) as sample:
        plan.command(sample=True)
    example = pytestconfig.rootpath / "docs" / "example-plan" / "demand.yaml"
    assert example.read_text() == sample.getvalue()


def test_the_example_plan_is_what_the_sample_gives(pytestconfig, made):
    """To nine digits: numbers come out of sums whose order is a processor's own."""
    example, (_, out) = pytestconfig.rootpath / "docs" / "example-plan", made
    assert files_of(out) == files_of(example) - {Path("demand.yaml")}
    for name in files_of(out):
        found, kept = (folder.joinpath(name).read_text() for folder in (out, example))
        assert _NUMBER.sub("#", found) == _NUMBER.sub("#", kept), f"{name}: run `make example-plan`"
        pairs = zip(_NUMBER.findall(found), _NUMBER.findall(kept), strict=True)
        for new, old in pairs:
            assert new == old or float(new) == pytest.approx(float(old), rel=10**-_DIGITS), name
