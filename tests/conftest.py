"""What all tests share."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from profiler.redaction import forget_all
from tests.tracing import trace_parts

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# No deadlines: these machines are shared. In CI the same examples every time, so that a failure is
# the change's; elsewhere new ones, to find what CI would not.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure(config: pytest.Config) -> None:
    trace_parts(config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while thousands of tests are found, which all stay: a fifth of it all."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """A process hides what it was told: here, of many tests' workloads."""
    yield
    forget_all()


def pytest_xdist_auto_num_workers() -> int:
    """Two more workers than cores for `-n auto`: a third of a system test is waiting."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put system tests first, and of them those that wait: a file of them that comes last idles.

    Of use with xdist's `--no-loadscope-reorder` only: by itself it hands out the files with the
    most tests first, and those of system tests have few.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    markers = (item.get_closest_marker(name) for name in ("waiting", "system"))
    return next((place for place, marker in enumerate(markers) if marker), 2)
