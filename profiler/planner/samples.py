"""The demand file that ships: commented, and runs with any profile whose model it names."""

from __future__ import annotations

from importlib.resources import files


def sample_demand() -> str:
    """Return the text of the commented sample demand."""
    return files("profiler.planner").joinpath("data/demand.sample.yaml").read_text("utf-8")
