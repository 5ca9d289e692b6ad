"""Which part of the tests is traced for coverage: tracing makes three seconds of one.

Traced are the functions of tests and of their fixtures, each test for the beginning of it, and one
worker's imports. Not traced is what pytest does around them, nor the process that hands out tests:
there is nothing of ours in either. What a test does for longer is what it repeats. Lines that it
first comes to later count as not run, unless another test has them: coverage is only understated.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import coverage
import pytest

TRACED_S = 0.3
"""Processor time of a test that is traced."""


def trace_parts(config: pytest.Config) -> None:
    """Trace the parts that are of use, in place of all that there is, if coverage is asked for."""
    measured = config.pluginmanager.getplugin("_cov")
    if measured is not None and measured.cov_controller is not None:
        config.pluginmanager.register(_Tracing(measured), "parts-that-are-traced")


class _Tracing:
    def __init__(self, measured: Any) -> None:
        self._measured = measured
        self._running = True
        self._spent = True  # outside of a test nothing is traced

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        # Each start would look at all modules for those that it comes too late for.
        self._coverage._warn_preimported_source = False
        self._stop_what_is_below()
        hands_out = getattr(session.config.option, "dist", "no") != "no"
        if hands_out or os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
            self._stop()  # every worker imports the same: one of them tells what that runs

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self) -> Iterator[None]:
        self._stop()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        before = signal.signal(signal.SIGPROF, self._spend)
        self._spent = False
        signal.setitimer(signal.ITIMER_PROF, TRACED_S)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
            self._spent = True

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self) -> Iterator[None]:
        with self._traced():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Iterator[None]:
        with self._traced():
            return (yield)

    @contextmanager
    def _traced(self) -> Iterator[None]:
        if self._spent or self._running:  # a fixture may ask for another one while it is made
            yield
            return
        self._coverage.start()
        self._running = True
        try:
            yield
        finally:
            self._stop()

    def _spend(self, *_: object) -> None:
        self._spent = True
        self._stop()

    def _stop(self) -> None:
        if self._running:
            self._running = False
            self._coverage.stop()

    def _stop_what_is_below(self) -> None:
        """In workers pytest-cov starts two, one on the other: what stops resumes the one below it.

        The first of them is never asked for what it saw, and tracing would not end with the second.
        """
        self._coverage.stop()
        while (below := coverage.Coverage.current()) is not None:
            below.stop()
        self._coverage.start()

    @property
    def _coverage(self) -> Any:
        return self._measured.cov_controller.cov
