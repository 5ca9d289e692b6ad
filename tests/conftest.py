"""What all tests share."""

from __future__ import annotations

import os
import signal
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


TRACED_S = 0.3
"""Processor time of a test that is traced for coverage."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace the beginning of each test: tracing makes three seconds of one.

    What a test does for longer is what it repeats. Lines that it first comes to later count as not
    run, unless another test has them: coverage can only be understated.
    """
    plugin = item.config.pluginmanager.getplugin("_cov")
    coverage = plugin.cov_controller if plugin is not None else None
    if coverage is None:
        return (yield)

    def stop(*_: object) -> None:
        coverage.started = False
        coverage.cov.stop()

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, TRACED_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        if not coverage.started:
            coverage.resume()


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
