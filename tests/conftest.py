"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from profiler.redaction import forget_all

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadlines: these machines are shared. In CI the same examples every time, so that a failure is
# the change's; elsewhere new ones, to find what CI would not.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """A process hides what it was told: here, of many tests' workloads."""
    yield
    forget_all()


def pytest_xdist_auto_num_workers() -> int:
    """One more worker than cores for `-n auto`: a third of a system test is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put system tests first: a file of them that comes last leaves the other cores idle.

    Of use with xdist's `--no-loadscope-reorder` only: by itself it hands out the files with the
    most tests first, and those of system tests have few.
    """
    items.sort(key=lambda item: item.get_closest_marker("system") is None)
