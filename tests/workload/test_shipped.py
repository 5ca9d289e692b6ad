from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload import shipped
from profiler.workload.load import load_workload
from profiler.workload.sessions import SessionSampler
from profiler.workload.shipped import find_workload, shipped_workloads


def test_three_workloads_are_shipped() -> None:
    assert set(shipped_workloads()) == {"airline", "smoke", "support"}


@pytest.mark.parametrize("name", ["airline", "smoke", "support"])
def test_a_shipped_workload_loads_and_leaves_the_target_to_the_mock(name: Any) -> None:
    workload = load_workload(find_workload(name))
    assert workload.name == name
    assert workload.target.url is None
    assert SessionSampler(workload, seed=workload.load.seed).session(0).turns


def test_the_airline_workload_replays_every_recorded_session_once() -> None:
    workload = load_workload(find_workload("airline"))
    sampler = SessionSampler(workload, seed=workload.load.seed)
    assert workload.load.sessions == 50
    sessions = [sampler.session(index) for index in range(50)]
    assert len({session.conversation for session in sessions}) == 50
    assert sum(len(session.turns) for session in sessions) == 360
    assert workload.load.warmup > 0


def test_the_support_workload_is_a_mix_that_thinks() -> None:
    workload = load_workload(find_workload("support"))
    assert len(workload.scenarios) >= 4
    assert len({scenario.weight for scenario in workload.scenarios}) > 1
    assert all(scenario.think_time is not None for scenario in workload.scenarios)


def test_a_file_that_exists_is_taken_before_a_shipped_name(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "airline").write_text("mine")
    assert find_workload("airline").read_text() == "mine"
    assert find_workload(tmp_path / "airline") == tmp_path / "airline"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("airlin", "there is no workload 'airlin'. Did you mean 'airline'?"),
        ("zzz", "Known here: airline, smoke, support"),
        ("nope.yaml", "nope.yaml: there is no such workload file"),
        ("some/where", "some/where: there is no such workload file"),
        (".", "that is a folder"),
    ],
)
def test_what_cannot_be_found_lists_what_can(
    name: Any, says: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkloadError) as caught:
        find_workload(name)
    assert says in str(caught.value)


def test_an_installed_package_brings_its_own(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(shipped, "_IN_WHEEL", tmp_path)
    (tmp_path / "own.yaml").write_text("")
    assert shipped_workloads() == {"own": tmp_path / "own.yaml"}
