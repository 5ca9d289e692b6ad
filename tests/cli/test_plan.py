"""`agent-profiler plan`: what it writes and prints, and that a mistake is one line and exit 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiler.cli import app as cli
from profiler.profile.build import build_profile
from profiler.profile.model import dump_profile
from tests.planner.planned import DEMAND, MODEL, two_calls
from tests.planner.shortened import short_simulations
from tests.profile.journals import interaction, write

ROOT = Path(__file__).parents[2]
LIMITED = {MODEL: {"price": {"input": 2, "output": 10}, "limits": {"requests_per_minute": 1500}}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return dump_profile(two_calls(tmp_path_factory.mktemp("run")))


@pytest.fixture(autouse=True)
def _quick():
    with short_simulations():
        yield


@pytest.fixture
def plan(monkeypatch, capsys, tmp_path, data):
    """Run `plan` in a folder with profile.json and demand.yaml; returns code, out and err."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.json").write_bytes(data)
    say(tmp_path)

    def run(*arguments: object, at: str = "2026-11-01"):
        fixed = ("--at", at, "--draws", "0")
        line = ["agent-profiler", "plan", *map(str, arguments), *fixed]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def say(folder: Path, name: str = "demand.yaml", **changes: Any) -> str:
    (folder / name).write_text(yaml.safe_dump({**DEMAND, **changes}))
    return name


def refused(found: tuple[int, str, str]) -> str:
    code, out, err = found
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


ASKED = ("profile.json", "--demand", "demand.yaml")


def test_a_plan_is_two_files_a_folder_of_monitoring_and_a_summary(plan, tmp_path):
    say(tmp_path, name="demand.yaml", models=LIMITED)
    code, out, err = plan(*ASKED, "--out", "there")
    assert (code, err) == (0, "")
    assert "500 users: does not fit" in " ".join(out.split())
    assert "there/plan.json" in out
    written = sorted(path.name for path in (tmp_path / "there").iterdir())
    assert written == ["monitoring", "plan.json", "plan.md"]
    assert "there/monitoring/README.md" in out
    written = json.loads((tmp_path / "there" / "plan.json").read_bytes())
    assert written["inputs"]["prices"]["at"] == "2026-11-01"
    assert written["scales"][0]["binding"]["max_users"] == 375


def test_quiet_prints_the_path_alone_and_the_folder_has_the_demands_name(plan, tmp_path):
    (tmp_path / "demand.yaml").write_text(yaml.safe_dump({"name": "launch", **DEMAND}))
    assert plan(*ASKED, "-q") == (0, "plans/launch/plan.json\n", "")


def test_the_sample_demand_is_printed_and_nothing_is_written(plan, tmp_path):
    code, out, _ = plan("--sample")
    assert code == 0
    assert yaml.safe_load(out)["users"]["interactions_per_minute"] == 2
    assert not (tmp_path / "plans").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"headroom": 80}, ("headroom", "80 is not a share between 0 and 1", "0.8 or 80%")),
        (
            {"models": {MODEL: {"limits": {"requests_per_minute": 0}}}},
            ("requests_per_minute", "the value is zero"),
        ),
        ({"growth": [1, -3]}, ("growth", "-3 is no factor")),
        ({"growth": [0]}, ("growth", "0 is no factor: a scale is more than zero")),
        ({"operations": {"rate_per_hour": "90 EUR"}}, ("rate_per_hour", "another currency")),
        ({"currency": "EUR"}, ("currency", "EUR")),
        ({"user": {}}, ("unknown key 'user'", "users")),
        ({"models": {"gpt-4p": {"limits": {"requests_per_minute": 9}}}}, ("gpt-4p", "gpt-4o")),
    ],
)
def test_a_mistake_in_the_demand_is_one_line_that_names_it(plan, tmp_path, changes, said):
    say(tmp_path, **changes)
    err = refused(plan(*ASKED))
    assert all(text in err for text in said), err
    assert not (tmp_path / "plans").exists()


def test_what_is_not_given_is_asked_for(plan):
    assert "no demand is given" in refused(plan("profile.json"))
    assert "no profile is given" in refused(plan("--demand", "demand.yaml"))
    assert "cannot read" in refused(plan("profile.json", "--demand", "none.yaml"))
    assert "cannot read the profile" in refused(plan("none.json", "--demand", "demand.yaml"))


@pytest.mark.parametrize("version", [0, 999])
def test_a_profile_of_another_schema_version_says_which_one_is_read(plan, tmp_path, data, version):
    old = json.loads(data)
    current = old["schema_version"]
    (tmp_path / "profile.json").write_text(json.dumps({**old, "schema_version": version}))
    err = refused(plan(*ASKED))
    assert f"schema version {version}" in err
    assert f"({current})" in err


def test_a_profile_of_the_client_alone_says_which_observer_would_supply_the_calls(plan, tmp_path):
    alone = build_profile(write(tmp_path, *(interaction(f"{n}") for n in range(120))))
    (tmp_path / "profile.json").write_bytes(dump_profile(alone))
    err = refused(plan(*ASKED))
    assert "the number of LLM calls" in err
    assert "--gateway" in err


def test_a_driver_limited_profile_is_planned_from_only_when_told_to(plan, tmp_path, data):
    late = json.loads(data)
    late["trust"] |= {"verdict": "driver_limited", "reasons": ["the event loop was late"]}
    (tmp_path / "profile.json").write_text(json.dumps(late))
    err = refused(plan(*ASKED))
    assert "the event loop was late" in err
    assert "--accept-untrusted" in err
    code, _, _ = plan(*ASKED, "--accept-untrusted", "--out", "late")
    assert code == 0
    first = (tmp_path / "late" / "plan.md").read_text().split("\n\n")[1]
    assert first.startswith("> **Warning.**")
    assert "the event loop was late" in first.replace("\\", "")


def test_a_place_that_cannot_be_written_is_named(plan, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write the file" in refused(plan(*ASKED, "--out", "file/plan", "-q"))


def test_a_date_that_is_none_is_named(plan):
    assert "--at: 'soon' is no date" in refused(plan(*ASKED, at="soon"))


def test_a_comparison_says_what_changed_and_why(plan, tmp_path):
    assert plan(*ASKED, "--out", "old", "-q")[0] == 0
    users = {"peak_concurrent": 800, "interactions_per_minute": 2}
    dearer = {MODEL: {"price": {"input": 4, "output": 10}}}
    say(tmp_path, users=users, models=dearer)
    code, out, _ = plan(*ASKED, "--out", "new", "--diff", "old")
    text = " ".join(out.split("What changed since old")[1].split())
    assert code == 0
    assert "demand.users.peak_concurrent: 500 → 800 (+60.0%)" in text
    assert f"demand.models.{MODEL}.price.input: 2 → 4 (+100.0%)" in text
    # 3,000,000 x $0.006 = $18,000 -> 4,800,000 x $0.010 = $48,000: by volume 1,800,000 x $0.006,
    # by what an interaction costs 4,800,000 x $0.004.
    assert "the models' bill: +$10,800 for volume, +$19,200 for what one interaction costs" in text


def test_a_comparison_with_the_same_plan_says_that_nothing_changed(plan):
    assert plan(*ASKED, "--out", "old", "-q")[0] == 0
    _, out, _ = plan(*ASKED, "--out", "new", "--diff", "old/plan.json", "-q")
    assert out == "Nothing changed since old/plan.json.\nnew/plan.json\n"


def test_a_comparison_with_what_is_no_plan_is_refused_before_anything_is_written(plan, tmp_path):
    err = refused(plan(*ASKED, "--diff", "profile.json"))
    assert "not a plan but a workload_profile" in err
    (tmp_path / "cut.json").write_text('{"kind": "plan"')
    assert "not valid JSON" in refused(plan(*ASKED, "--diff", "cut.json"))
    (tmp_path / "old.json").write_text('{"kind": "plan", "schema_version": 0}')
    assert "schema version 0" in refused(plan(*ASKED, "--diff", "old.json"))
    assert "cannot read the plan" in refused(plan(*ASKED, "--diff", "none.json"))
    assert not (tmp_path / "plans").exists()


def test_a_mistake_ends_the_process_with_2_and_one_line(tmp_path, data):
    (tmp_path / "profile.json").write_bytes(data)
    say(tmp_path, headroom=80)
    done = subprocess.run(
        [sys.executable, "-m", "profiler", "plan", *ASKED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: demand.yaml:")
    assert "headroom" in line
