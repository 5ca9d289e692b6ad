"""From URLs to probes: names, duplicates and drivers that are not installed."""

from __future__ import annotations

import sys

import pytest

from profiler.errors import UsageError
from profiler.observers.state.select import probe_for, probes_for


def test_one_of_a_kind_has_the_kinds_name():
    probes = probes_for(["redis://cache", "postgresql://db/app"], environ={})
    assert [probe.store for probe in probes] == ["redis", "postgresql"]
    assert [probe.shown for probe in probes] == ["redis://cache:6379/0", "postgresql://db:5432/app"]


def test_several_of_a_kind_have_their_places_in_their_names():
    urls = ["redis://:secret@a", "redis://b:7000/1", "postgresql://db/app"]
    assert [probe.store for probe in probes_for(urls, environ={})] == [
        "redis@a:6379/0",
        "redis@b:7000/1",
        "postgresql",
    ]


def test_two_databases_of_one_redis_would_count_twice():
    with pytest.raises(UsageError, match="redis at a:6379 is given 2 times"):
        probes_for(["redis://a/0", "redis://a:6379/1"], environ={})


def test_two_databases_of_one_postgresql_are_two_stores():
    probes = probes_for(["postgresql://db/a", "postgresql://db/b"], environ={})
    assert [probe.store for probe in probes] == ["postgresql@db:5432/a", "postgresql@db:5432/b"]
    with pytest.raises(UsageError, match="postgresql at db:5432/a is given 2 times"):
        probes_for(["postgresql://db/a", "postgres://u:p@db/a"], environ={})


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("redis://a", "redis", "redis"), ("postgresql://a/b", "psycopg", "postgresql")],
)
def test_a_missing_driver_says_what_to_install(monkeypatch, url, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError) as failure:
        probe_for(url)
    assert str(failure.value) == (
        f"--state: watching {extra} needs the package {package}, which cannot be imported. "
        f"Install it: pip install 'agent-profiler[{extra}]'"
    )


def test_an_option_that_the_driver_does_not_understand_is_not_quoted():
    with pytest.raises(UsageError, match="an option in the URL is malformed") as failure:
        probe_for("redis://a?socket_timeout=c4nary")
    assert "c4nary" not in str(failure.value)
