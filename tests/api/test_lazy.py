"""`import profiler` loads nothing; its functions come when asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import profiler


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import profiler", "import profiler.pytest_plugin"])
def test_importing_loads_no_part_of_the_package_and_no_dependency(code):
    loaded = loaded_by(code)
    ours = {name for name in loaded if name.startswith("profiler")}
    assert ours <= {"profiler", "profiler.pytest_plugin"}
    assert not loaded & {"pydantic", "anyio", "numpy", "httpx", "rich.console", "yaml", "typer"}


@pytest.mark.parametrize("name", ["run", "arun", "load_profile", "load_plan", "compare", "served"])
def test_a_name_loads_neither_the_planner_nor_numbers_nor_tables(name):
    loaded = loaded_by(f"from profiler import {name}")
    assert not loaded & {"numpy", "pydantic", "hdrh", "rich.console", "jinja2", "yaml"}
    assert not [each for each in loaded if each.startswith(("profiler.planner", "profiler.report"))]


def test_a_profile_is_read_without_what_plans_and_compares(pytestconfig):
    sample = str(pytestconfig.rootpath / "results" / "sample")
    loaded = loaded_by(f"from profiler import load_profile; load_profile({sample!r})")
    assert not loaded & {"numpy", "rich.console", "profiler.planner.plan"}


def test_every_public_name_is_there_and_documented():
    functions = set(profiler.__all__) - {"__version__"}
    assert functions >= {"run", "load_profile", "compare", "plan"}
    for name in functions:
        assert getattr(profiler, name).__doc__, name
    assert functions <= set(dir(profiler))


def test_a_name_that_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        profiler.runn  # noqa: B018
