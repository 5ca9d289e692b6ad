"""Plans with short simulations, for tests that are not of what simulations find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from profiler.planner import retrying, stage_load, workers


@contextmanager
def short_simulations() -> Iterator[None]:
    """Simulate a tenth: seconds of every plan are its simulations."""
    with (
        patch.object(workers, "_SIMULATED", 6_000),
        patch.object(stage_load, "_INTERACTIONS", 10_000),
        patch.object(retrying, "LEAST_CALLS", 4_000),
        patch.object(retrying, "MOST_CALLS", 12_000),
    ):
        yield
