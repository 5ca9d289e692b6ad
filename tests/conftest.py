"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadlines: these machines are shared. In CI the same examples every time, so that a failure is
# the change's; elsewhere new ones, to find what CI would not.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_xdist_auto_num_workers() -> int:
    """One more worker than cores for `-n auto`: a third of a system test is waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="module", autouse=True)
def _unmeasured(request) -> Iterator[None]:
    """Let processes that a module marked `unmeasured` starts run without coverage's tracing."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("unmeasured"):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield
