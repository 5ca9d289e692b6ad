"""Too few file descriptors are told before a run, not found out in its middle."""

from __future__ import annotations

import resource

import pytest

from profiler.errors import UsageError
from profiler.load.open_files import OWN_FILES, ensure_open_files


@pytest.fixture
def limits(monkeypatch):
    """Stand in for the system's limits."""
    state = {"soft": 100, "hard": 1000}
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (state["soft"], state["hard"]))
    monkeypatch.setattr(
        resource, "setrlimit", lambda _what, pair: state.update(soft=pair[0], hard=pair[1])
    )
    return state


def test_enough_is_left_alone(limits):
    ensure_open_files(100 - OWN_FILES)
    assert limits == {"soft": 100, "hard": 1000}


def test_the_soft_limit_is_raised_where_the_hard_one_allows(limits):
    ensure_open_files(500)
    assert limits == {"soft": 500 + OWN_FILES, "hard": 1000}


def test_more_than_the_hard_limit_is_an_error_that_says_how_many(limits):
    with pytest.raises(UsageError, match=r"2,000 connections need 2,064 open files.*1,000"):
        ensure_open_files(2000)


def test_no_limit_is_enough(limits):
    limits["soft"] = resource.RLIM_INFINITY
    ensure_open_files(10**6)
    limits.update(soft=10, hard=resource.RLIM_INFINITY)
    ensure_open_files(10**6)
    assert limits["soft"] == 10**6 + OWN_FILES
