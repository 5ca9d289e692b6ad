"""Plans and comparisons from Python are those of the commands."""

from __future__ import annotations

from contextlib import redirect_stdout
from datetime import date
from io import StringIO

import pytest
import yaml

import profiler
from profiler.cli import plan as plan_command
from profiler.errors import PlanError, ProfileError
from profiler.planner.plan import dump_plan
from tests.planner.shortened import short_simulations
from tests.planner.small import SMALL_DEMAND

AT = "2026-11-22"


@pytest.fixture(scope="module", autouse=True)
def _short_simulations():
    with short_simulations():  # the numbers are tests/planner's
        yield


@pytest.fixture(scope="module")
def demand():
    return yaml.safe_load(SMALL_DEMAND)


@pytest.fixture(scope="module")
def planned(sample, demand):
    return profiler.plan(sample, demand, at=date(2026, 11, 22), draws=0)


@pytest.fixture(scope="module")
def sample(pytestconfig):
    return profiler.load_profile(pytestconfig.rootpath / "results" / "sample")


def test_a_plan_is_the_one_that_the_command_writes(planned, tmp_path, pytestconfig):
    demand = tmp_path / "demand.yaml"
    demand.write_text(SMALL_DEMAND)
    run = pytestconfig.rootpath / "results" / "sample"
    with redirect_stdout(StringIO()):
        plan_command.command(
            run, demand=demand, at=AT, draws=0, out=tmp_path, old=None, seed=1, quiet=True
        )
    assert dump_plan(planned) == (tmp_path / "plan.json").read_bytes()
    assert profiler.load_plan(str(tmp_path)) == planned
    assert profiler.plan(str(run), demand, at=AT, draws=0) == planned


async def test_the_asynchronous_forms_give_the_same(sample, demand, planned):
    assert await profiler.aplan(sample, demand, at=AT, draws=0) == planned
    assert await profiler.acompare(sample, sample) == profiler.compare(sample, sample)


def test_a_profile_compared_with_itself_passes(sample):
    found = profiler.compare(sample, sample)
    assert found.verdict == "pass"
    differences = [one for metric in found.metrics for one in metric.differences]
    assert differences
    assert not any(one.real for one in differences)


def test_mistakes_are_one_line_with_their_place(sample, demand, tmp_path):
    with pytest.raises(PlanError, match=r"^demand: .*\(key users\)"):
        profiler.plan(sample, {"name": "x"})
    with pytest.raises(PlanError, match=r"^at: 'soon' is no date"):
        profiler.plan(sample, demand, at="soon")
    with pytest.raises(ProfileError, match="cannot read the profile"):
        profiler.load_profile(str(tmp_path / "none.json"))


@pytest.mark.parametrize("kind", ["profile", "comparison", "plan"])
def test_a_notebook_is_shown_the_report_as_html(sample, planned, kind):
    shown = {
        "profile": lambda: sample,
        "comparison": lambda: profiler.compare(sample, sample),
        "plan": lambda: planned,
    }[kind]()
    html = shown._repr_html_()
    assert html.startswith("<pre ")
    titles = {"profile": "Profile of airline", "plan": "Plan launch"}
    assert titles.get(kind, "airline") in html


def test_printed_it_is_one_line_and_no_histograms(sample, planned):
    assert str(sample) == (
        f"<WorkloadProfile of 'airline', run {sample.run.id}: 360 interactions, trusted>"
    )
    found = profiler.compare(sample, sample)
    assert str(found).startswith("<Comparison of 'airline', ")
    assert repr(found).endswith(": pass, 0 changes>")
    assert repr(planned).startswith("<Plan 'launch' at 1x")


def test_what_came_from_the_target_stays_text_in_a_notebook(sample):
    hostile = "<img src=x onerror=alert(1)>"
    tools = {hostile: next(iter(sample.tools.values()))}
    html = sample.model_copy(update={"tools": tools})._repr_html_()
    assert "<img" not in html
    assert "&lt;img" in html
