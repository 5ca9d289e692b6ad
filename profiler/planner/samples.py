"""The demand file that ships: to read, and to start from."""

from __future__ import annotations

from importlib.resources import files

SAMPLE = "demand.sample.yaml"


def sample_demand() -> str:
    """Return the commented demand file that fits the sample profile."""
    return files("profiler.planner").joinpath("data", SAMPLE).read_text(encoding="utf-8")
