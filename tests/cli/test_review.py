"""`agent-profiler review`: files, exit code, and mistakes in one line."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from profiler.cli import review
from profiler.errors import AgentProfilerError, GateFailedError
from profiler.planner.plan import Plan, dump_plan
from profiler.profile.model import dump_profile
from tests.planner.review_profiles import AT, Agent, planned, profile


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    users = {"peak_concurrent": 50, "interactions_per_minute": 2}
    return planned(tmp_path_factory.mktemp("plan"), users=users)


@pytest.fixture
def folder(plan: Plan, tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_bytes(dump_plan(plan))
    return tmp_path


def measured(folder: Path, agent: Agent) -> str:
    path = folder / "new.json"
    path.write_bytes(dump_profile(profile(folder, agent)))
    return f"profile={path}"


def test_a_review_is_written_beside_the_plan(folder, capsys):
    review.command(folder, actual=measured(folder, Agent(seed=2)), at=AT.isoformat())
    found = orjson.loads((folder / "review.json").read_bytes())
    assert found["verdict"] == "keep"
    assert (folder / "review.md").read_text().startswith("# Review of launch: keep the plan\n")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Review of launch: keep the plan"
    assert printed[-2:] == [str(folder / "review.md"), str(folder / "review.json")]


def test_act_now_is_a_gate_that_failed_and_the_review_is_there_all_the_same(folder):
    """Tools of two seconds in place of 0.4: the planned workers carry far fewer users."""
    with pytest.raises(GateFailedError, match=r"act now: at 1x the planned \d+ workers") as failure:
        review.command(folder, actual=measured(folder, Agent(tool=5.0)), at=AT.isoformat())
    assert failure.value.exit_code == 3
    text = (folder / "review.md").read_text()
    assert "drifted: tool time +400%" in text
    assert orjson.loads((folder / "review.json").read_bytes())["verdict"] == "act_now"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing to compare with is given"),
        ({"actual": "new.json"}, "'new.json' is no source"),
        ({"actual": "profil=new.json"}, "'profil=new.json' is no source"),
        ({"actual": "prometheus=http://127.0.0.1:9"}, "http://127.0.0.1:9: Prometheus does not"),
        ({"actual": "prometheus=here"}, "not the address of a Prometheus"),
        ({"actual": "prometheus=http://h", "since": "soon"}, "'soon' is no time"),
        ({"actual": "profile=x", "tolerance": ["tool=much"]}, "cannot read the profile"),
    ],
)
def test_a_mistake_is_one_line(folder, options, said):
    with pytest.raises(AgentProfilerError) as failure:
        review.command(folder, **options)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)
    assert failure.value.exit_code == 2


def test_a_tolerance_that_is_none_is_one_line(folder):
    actual = measured(folder, Agent())
    with pytest.raises(AgentProfilerError, match="'tool=much' is no tolerance"):
        review.command(folder, actual=actual, tolerance=["tool=much"], at=AT.isoformat())


def test_a_demand_that_names_a_file_is_asked_for(plan, tmp_path):
    demand = {**plan.inputs.demand, "infrastructure": {"prices": "ours.yaml"}}
    inputs = plan.inputs.model_copy(update={"demand": demand})
    (tmp_path / "plan.json").write_bytes(dump_plan(plan.model_copy(update={"inputs": inputs})))
    with pytest.raises(AgentProfilerError, match=r"names a file of its own, ours\.yaml.*--demand"):
        review.command(tmp_path, actual="profile=x")


def test_burstiness_of_a_trace_is_that_which_was_planned_for(plan, tmp_path):
    """The trace is not beside the plan, and not needed: its index is in the baseline."""
    traffic = {**plan.inputs.demand["traffic"], "burstiness": {"trace": "gone.csv"}}
    demand = {**plan.inputs.demand, "traffic": traffic}
    inputs = plan.inputs.model_copy(update={"demand": demand})
    (tmp_path / "plan.json").write_bytes(dump_plan(plan.model_copy(update={"inputs": inputs})))
    review.command(tmp_path, actual=measured(tmp_path, Agent(seed=2)), at=AT.isoformat())
    assert orjson.loads((tmp_path / "review.json").read_bytes())["verdict"] == "keep"
