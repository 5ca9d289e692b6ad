"""How a run is spread, as the options say it."""

from __future__ import annotations

import pytest

from profiler.cli import split as splitting
from profiler.cli.crew import crew_of
from profiler.cli.split import INDEX_VARIABLE, Split, split_of
from profiler.errors import UsageError
from profiler.load import workers
from profiler.load.plan import Share
from profiler.workload.load import load_workload

NOW_NS = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z


def read(*, environ=None, **options) -> Split:
    every = dict.fromkeys(("workers", "cluster", "conductor", "shard", "start_at"))
    return split_of(**{**every, **options}, environ=environ or {})


def test_nothing_said_is_one_process_that_does_all_of_it():
    assert read() == splitting.NOT_SPLIT


def test_workers_are_a_number_or_as_many_as_there_are_cores(monkeypatch):
    monkeypatch.setattr(workers, "usable_cores", lambda: 6)
    assert read(workers="3").workers == 3
    assert read(workers="auto").workers == 6
    assert read(workers="auto", cluster="tcp://x:1").workers is None  # as many as it has
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(UsageError, match="--workers"):
            read(workers=wrong)


def test_a_shard_counts_from_one():
    assert read(shard="1/8").share == Share(index=0, count=8)
    assert read(shard="8/8").share == Share(index=7, count=8)


def test_a_shard_of_an_indexed_job_counts_from_zero_as_kubernetes_does():
    assert read(shard="/8", environ={INDEX_VARIABLE: "0"}).share == Share(index=0, count=8)
    assert read(shard="/8", environ={INDEX_VARIABLE: "7"}).share == Share(index=7, count=8)
    assert read(shard="2/8", environ={INDEX_VARIABLE: "7"}).share == Share(index=1, count=8)


@pytest.mark.parametrize(
    ("shard", "environ", "said"),
    [
        ("0/8", {}, "--shard: there is no shard 0 of 8. Use 1 to 8"),
        ("9/8", {}, "there is no shard 9 of 8"),
        ("x/8", {}, "there is no shard x of 8"),
        ("3", {}, "'3' is no shard"),
        ("3/", {}, "'3/' is no shard"),
        ("3/0", {}, "'3/0' is no shard"),
        ("/8", {}, "JOB_COMPLETION_INDEX, which is not set"),
        ("/8", {INDEX_VARIABLE: "8"}, "JOB_COMPLETION_INDEX: there is no shard 8 of 8. Use 0 to 7"),
    ],
)
def test_a_shard_that_cannot_be_is_told(shard, environ, said):
    with pytest.raises(UsageError) as raised:
        read(shard=shard, environ=environ)
    assert said in str(raised.value)


def test_what_excludes_each_other_is_told():
    for other in ({"workers": "2"}, {"cluster": "tcp://x:1"}):
        with pytest.raises(UsageError, match="exclude each other"):
            read(shard="1/2", **other)
    with pytest.raises(UsageError, match="no use without --cluster"):
        read(conductor="x")


def test_a_start_is_a_time_to_come_or_so_long_from_now():
    assert splitting._start("+90s", NOW_NS) == NOW_NS + 90 * 10**9
    assert splitting._start("2026-01-01T00:01:00Z", NOW_NS) == NOW_NS + 60 * 10**9
    assert splitting._start("2026-01-01T02:00:30+02:00", NOW_NS) == NOW_NS + 30 * 10**9
    with pytest.raises(UsageError, match="was 60 s ago"):
        splitting._start("2025-12-31T23:59:00Z", NOW_NS)
    for wrong in ("soon", "+soon"):
        with pytest.raises(UsageError, match="is no time"):
            splitting._start(wrong, NOW_NS)


def workload(tmp_path, load: str, **overrides):
    path = tmp_path / "w.yaml"
    path.write_text(f"name: x\nload: {{{load}}}\nscenarios: [{{name: a, turns: [{{user: hi}}]}}]\n")
    return load_workload(path, overrides=overrides)


def test_there_are_never_more_workers_than_there_is_to_split(tmp_path):
    few = workload(tmp_path, "users: 3, requests: 50")
    with crew_of(Split(workers=8), few, until_stable=False) as crew:
        assert crew is not None
        assert (crew.shards, crew.host, crew.is_elsewhere) == (3, "127.0.0.1", False)
    with crew_of(Split(workers=8), workload(tmp_path, "users: 1"), until_stable=False) as crew:
        assert crew is None


def test_workers_are_killed_when_the_run_breaks(tmp_path):
    import signal

    def run_and_break() -> None:
        with crew_of(Split(workers=2), workload(tmp_path, "users: 2"), until_stable=False) as crew:
            assert crew is not None
            futures.append(crew.executor.submit(signal.pause))
            raise KeyboardInterrupt

    futures = []
    with pytest.raises(KeyboardInterrupt):
        run_and_break()
    assert futures[0].done()


def test_the_workers_of_a_distant_cluster_need_an_agent_that_they_can_reach(tmp_path):
    split = Split(cluster="tcp://192.0.2.7:8786")
    said = pytest.raises(UsageError, match=r"mock agent on this machine.*--url")
    with said, crew_of(split, workload(tmp_path, "users: 2"), until_stable=False):
        pass
