"""Processes as an executor: results, errors and deaths, each on its own."""

from __future__ import annotations

import os
import signal
import time

import pytest

from profiler.errors import UsageError, WorkloadError
from profiler.load import workers
from profiler.load.workers import Processes, WorkerDiedError

WAIT_S = 60


@pytest.fixture
def processes():
    with Processes() as executor:
        yield executor


def test_each_call_runs_in_a_process_and_a_session_of_its_own(processes):
    first, second = processes.submit(os.getsid, 0), processes.submit(os.getsid, 0)
    sessions = {first.result(WAIT_S), second.result(WAIT_S)}
    assert len(sessions) == 2
    assert os.getsid(0) not in sessions


def test_an_error_comes_back_as_it_was_raised(processes):
    failing = processes.submit(workers._quota, None, 1)
    with pytest.raises(AttributeError, match="read_text"):
        failing.result(WAIT_S)


def test_our_own_errors_come_back_whole():
    import pickle

    exc = WorkloadError("it is wrong", where="a.yaml:3", fix="Do this")
    again = pickle.loads(pickle.dumps(exc))
    assert isinstance(again, UsageError)
    assert (str(again), again.what, again.where, again.fix) == (
        "a.yaml:3: it is wrong. Do this",
        "it is wrong",
        "a.yaml:3",
        "Do this",
    )


def test_a_worker_that_is_killed_fails_its_own_call_and_no_other(processes):
    doomed = processes.submit(signal.pause)
    while not processes.pids():
        time.sleep(0.001)
    (pid,) = processes.pids()
    other = processes.submit(os.getpid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match=f"process {pid} was killed by SIGKILL"):
        doomed.result(WAIT_S)
    assert other.result(WAIT_S) != pid


def test_a_worker_that_exits_is_told_with_its_status(processes):
    with pytest.raises(WorkerDiedError, match="exited with 7"):
        processes.submit(os._exit, 7).result(WAIT_S)


def test_what_a_worker_prints_is_no_result(processes):
    assert processes.submit(print, "hello").result(WAIT_S) is None


def test_what_cannot_travel_back_is_told_in_words(processes):
    with pytest.raises(RuntimeError, match=r"lambda|pickle"):
        processes.submit(eval, "lambda: 1").result(WAIT_S)


def test_shutting_down_with_cancel_kills_what_runs():
    executor = Processes()
    forever = executor.submit(signal.pause)
    while not (pids := executor.pids()):
        time.sleep(0.001)
    executor.shutdown(cancel_futures=True)
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        forever.result(WAIT_S)
    assert executor.pids() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(os.getpid)


def test_usable_cores_are_those_of_the_affinity_and_of_the_container(tmp_path):
    file = tmp_path / "cpu.max"
    assert workers._quota(file, 8) == 8  # no such file: no limit known
    for text, cores in (("max 100000\n", 8), ("150000 100000\n", 2), ("50000 100000\n", 1)):
        file.write_text(text)
        assert workers._quota(file, 8) == cores
    assert 1 <= workers.usable_cores() <= len(os.sched_getaffinity(0))
