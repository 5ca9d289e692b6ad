"""Addresses of a cluster, and what is said where there is none. A real one: tests/system."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from profiler.errors import UsageError
from profiler.load import cluster as clusters
from profiler.load.cluster import Cluster, cluster, conductor_address, host_of, local_address


@pytest.mark.parametrize(
    ("address", "host"),
    [("tcp://10.0.0.5:8786", "10.0.0.5"), ("tls://dask.example:1", "dask.example")],
)
def test_a_scheduler_has_a_scheme_a_host_and_a_port(address, host):
    assert host_of(address) == host


@pytest.mark.parametrize(
    "address", ["10.0.0.5:8786", "http://x:1", "tcp://x", "tcp://:1", "tcp://x:y"]
)
def test_what_is_no_scheduler_is_told(address):
    with pytest.raises(UsageError, match=r"--cluster.*tcp://10"):
        host_of(address)


def test_a_loopback_scheduler_is_answered_from_loopback():
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        assert local_address(host) == "127.0.0.1"


def test_another_scheduler_is_answered_from_the_address_that_leads_to_it(monkeypatch):
    class Probe:
        def __init__(self, *_):
            self.towards = None

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def connect(self, address):
            assert address == ("192.0.2.7", 9)

        def getsockname(self):
            return ("192.0.2.1", 40_000)

    monkeypatch.setattr(clusters.socket, "socket", Probe)
    assert local_address("192.0.2.7") == "192.0.2.1"


def test_a_scheduler_that_cannot_be_found_is_told(monkeypatch):
    def fails(*_args, **_options):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(clusters.socket, "getaddrinfo", fails)
    with pytest.raises(UsageError, match=r"nowhere: .*Name or service not known"):
        local_address("nowhere")


def test_where_the_conductor_is_found_can_be_said():
    assert conductor_address("10.0.0.9") == ("10.0.0.9", 0)
    assert conductor_address("me.example:7000") == ("me.example", 7000)
    assert conductor_address("[fd00::1]:7000") == ("fd00::1", 7000)
    for wrong in ("", ":7000", "me:x", "a/b", "u@h"):
        with pytest.raises(UsageError, match=r"HOST:PORT"):
            conductor_address(wrong)


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = pytest.raises(UsageError, match=r"pip install 'agent-profiler\[cluster\]'")
    with said, cluster("tcp://127.0.0.1:1"):
        pass


class FakeClient:
    """As much of `distributed.Client` as is used."""

    def __init__(self, workers=()):
        self.asked = []
        self._workers = workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def nthreads(self):
        return dict.fromkeys(self._workers, 1)

    def get_executor(self, **options):
        self.asked.append(options)
        return SimpleNamespace(submit=lambda *_args, **_options: Future())


def fake_distributed(monkeypatch, client):
    connection = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(clusters.socket, "create_connection", lambda *_: connection)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=client))


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    def client(*_args, **_options):
        raise OSError("timed out")

    fake_distributed(monkeypatch, client)
    said = pytest.raises(UsageError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers")
    with said, cluster("tcp://127.0.0.1:1"):
        pass


def test_a_cluster_without_workers_is_told(monkeypatch):
    fake_distributed(monkeypatch, lambda *_args, **_options: FakeClient())
    said = pytest.raises(UsageError, match=r"no workers.*dask worker tcp://127.0.0.1:1")
    with said, cluster("tcp://127.0.0.1:1"):
        pass


def test_each_call_goes_to_a_worker_of_its_own_and_is_never_tried_again():
    client = FakeClient(["tcp://b:1", "tcp://a:1"])
    executor = Cluster(client)
    futures = [executor.submit(print), executor.submit(print)]
    assert executor.workers == 2
    assert [asked["workers"] for asked in client.asked] == [["tcp://a:1"], ["tcp://b:1"]]
    assert all(asked["retries"] == 0 and not asked["pure"] for asked in client.asked)
    executor.shutdown()
    assert not any(future.cancelled() for future in futures)
    executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)
