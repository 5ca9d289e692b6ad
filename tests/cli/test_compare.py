"""`agent-profiler compare` and `baseline`: exit codes, files, and one line for wrong input."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest

from profiler.cli import app as cli
from profiler.profile.model import dump_profile
from tests.comparison.runs import profile_of
from tests.planner.shortened import short_simulations
from tests.planner.small import SMALL_DEMAND

SESSIONS = [[1, 2], [2, 1], [1, 1], [3, 1], [2, 2], [1, 2], [1, 1], [2, 1], [1, 3], [2, 2]]
ONE_MORE = [[calls + 1 for calls in turns] for turns in SESSIONS]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, sessions in (("same", SESSIONS), ("more", ONE_MORE), ("few", SESSIONS[:3])):
        (tmp_path / f"{name}.json").write_bytes(dump_profile(profile_of(sessions, run_id=name)))
    return tmp_path


def run_main(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["agent-profiler", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, out, err


@pytest.mark.parametrize(
    ("names", "ended"),
    [
        (("same.json", "same.json"), (0, "pass\n")),
        (("same.json", "more.json"), (3, "fail\n")),
        (("few.json", "few.json"), (4, "inconclusive\n")),
        (("few.json", "few.json", "--allow-inconclusive"), (0, "inconclusive\n")),
    ],
)
def test_the_exit_code_is_the_verdict(folder, monkeypatch, capsys, names, ended):
    code, out, err = run_main(monkeypatch, capsys, "compare", *names, "-q")
    assert (code, out) == ended
    assert err.count("\n") == (code != 0)


def test_files_are_written_whatever_the_gates_say(folder, monkeypatch, capsys):
    files = ("--json", "c.json", "--markdown", "c.md", "--junit", "c.xml")
    code, out, _ = run_main(monkeypatch, capsys, "compare", "same.json", "more.json", *files)
    assert code == 3
    assert orjson.loads(Path("c.json").read_bytes())["verdict"] == "fail"
    assert Path("c.md").read_text().startswith("# ❌ Comparison of w")
    assert Path("c.xml").read_text().startswith("<?xml")
    assert "1.00 more LLM calls per interaction (+62 %)" in out
    assert out.endswith("c.json\nc.md\nc.xml\n")


def test_own_gates_take_the_place_of_the_default_ones(folder, monkeypatch, capsys):
    Path("g.yaml").write_text("interaction.llm_calls.mean: {max_increase: 100%}\n")
    arguments = ("compare", "same.json", "more.json", "--gates", "g.yaml", "-q")
    assert run_main(monkeypatch, capsys, *arguments)[:2] == (0, "pass\n")


def damage(path: Path, change) -> None:
    plain = orjson.loads(path.read_bytes())
    change(plain)
    path.write_bytes(orjson.dumps(plain))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.update(schema_version=0), "schema version 0"),
        (lambda p: p.update(schema_version=2), "Upgrade agent-profiler"),
        (
            lambda p: p["interaction"]["latency"]["hdr"].update(payload="HISTno"),
            "corrupt histogram of interaction.latency",
        ),
        (lambda p: p["sample"].update(interactions=0), "no measured interaction"),
        (lambda p: p["run"].update(workload="v"), "--anyway"),
    ],
)
def test_a_bad_profile_is_one_line_and_no_file(folder, monkeypatch, capsys, change, said):
    damage(folder / "more.json", change)
    before = sorted(folder.iterdir())
    arguments = ("compare", "same.json", "more.json", "--json", "c.json", "--markdown", "c.md")
    code, out, err = run_main(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_profile_that_is_cut_off_is_one_line(folder, monkeypatch, capsys):
    data = (folder / "more.json").read_bytes()
    (folder / "more.json").write_bytes(data[: len(data) // 2])
    code, _, err = run_main(monkeypatch, capsys, "compare", "same.json", "more.json")
    assert code == 2
    assert "cut off or damaged" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("same.json",), "1 profile given, and two are compared"),
        (("same.json", "more.json", "--html", "."), "that is a directory"),
        (("same.json", "nope"), "there is no profile and no baseline 'nope'"),
        (("same.json", "nope.json"), "cannot read the profile"),
        (("same.json", "more.json", "--gates", "nope.yaml"), "cannot read the gates file"),
        (("same.json", "more.json", "--plan", "nope"), "cannot read the plan"),
        (("same.json", "more.json", "--trend", "--junit", "x"), "Leave out --junit or --trend"),
        (("same.json", "more.json", "--json", "same.json/c"), "cannot write the file"),
    ],
)
def test_wrong_use_is_one_line(folder, monkeypatch, capsys, arguments, said):
    code, _, err = run_main(monkeypatch, capsys, "compare", *arguments)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_a_baseline_is_kept_by_name_and_compared_with(folder, monkeypatch, capsys):
    code, out, _ = run_main(monkeypatch, capsys, "baseline", "set", "main", "same.json")
    assert (code, out) == (0, "results/baselines/main.json\n")
    # What is kept is the profile as it is written anywhere: the same bytes, so no needless diff.
    assert Path("results/baselines/main.json").read_bytes() == Path("same.json").read_bytes()
    assert run_main(monkeypatch, capsys, "compare", "main", "more.json", "-q")[0] == 3
    code, out, _ = run_main(monkeypatch, capsys, "baseline", "list")
    assert out.split() == ["main", "w", "2023-11-14T22:13:20", "20", "interactions"]
    assert (
        "20 interactions in 10 sessions"
        in run_main(monkeypatch, capsys, "baseline", "show", "main")[1]
    )
    _, _, err = run_main(monkeypatch, capsys, "compare", "mian", "more.json")
    assert "Did you mean 'main'?" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "../x", "same.json"), "cannot be the name of a baseline"),
        (("set", "x", "nope.json"), "cannot read the profile"),
        (("show", "x"), "there is no profile and no baseline 'x'"),
    ],
)
def test_wrong_use_of_baselines_is_one_line(folder, monkeypatch, capsys, arguments, said):
    code, _, err = run_main(monkeypatch, capsys, "baseline", *arguments)
    assert code == 2
    assert said in err
    assert not Path("results").exists()


def test_no_baselines_are_said_to_be_none(folder, monkeypatch, capsys):
    assert run_main(monkeypatch, capsys, "baseline", "list")[1].startswith("no baselines")


def test_a_trend_is_shown_and_written(folder, monkeypatch, capsys):
    arguments = ("compare", "--trend", "same.json", "more.json", "--markdown", "t.md")
    code, out, _ = run_main(monkeypatch, capsys, *arguments, "--html", "t.html")
    assert code == 0
    assert "Trend of w over 2 runs" in out
    assert out.endswith("t.md\nt.html\n")
    assert "<title>Trend of w over 2 runs</title>" in Path("t.html").read_text()
    assert Path("t.md").read_text().startswith("# Trend of w over 2 runs")


def test_of_a_trend_quiet_leaves_the_changes(folder, monkeypatch, capsys):
    arguments = ("compare", "--trend", "same.json", "more.json", "-q")
    code, out, _ = run_main(monkeypatch, capsys, *arguments)
    assert code == 0
    assert out.startswith("LLM calls per interaction: 2.60 → 1.60 (-38 %) from same on")
    assert "Trend of" not in out


def test_a_comparisons_page_is_what_report_makes_of_it(folder, monkeypatch, capsys):
    written = ("--json", "c.json", "--html", "c.html", "-q")
    assert run_main(monkeypatch, capsys, "compare", "same.json", "same.json", *written)[0] == 0
    assert run_main(monkeypatch, capsys, "report", "c.json", "--html", "-o", "again.html")[0] == 0
    assert Path("c.html").read_bytes() == Path("again.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "written"),
    [
        (("same.json", "more.json", "-q"), 3, "# ❌ Comparison of w"),
        (("--trend", "same.json", "more.json", "-q"), 0, "# Trend of w over 2 runs"),
        (("same.json", "nope.json"), 2, ""),
    ],
)
def test_a_jobs_summary_has_it_whatever_the_gates_say(
    folder, monkeypatch, capsys, *, arguments, code, written
):
    """The file that GitHub Actions names; an earlier step wrote to it."""
    summary = folder / "summary"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert run_main(monkeypatch, capsys, "compare", *arguments)[0] == code
    before, *lines = summary.read_text().splitlines()
    assert (before, lines[0] if lines else "") == ("before", written)


def test_a_plan_says_what_it_means(folder, monkeypatch, capsys, pytestconfig):
    """The sample against itself: nothing changes, in users or in dollars."""
    sample = str(pytestconfig.rootpath / "results" / "sample")
    Path("demand.yaml").write_text(SMALL_DEMAND)
    planned = ("--demand", "demand.yaml", "--at", "2026-11-22", "--draws", "0", "--out", "p", "-q")
    compared = ("compare", sample, sample, "--plan", "p", "--json", "c.json", "-q")
    with short_simulations():
        assert run_main(monkeypatch, capsys, "plan", sample, *planned)[0] == 0
        assert run_main(monkeypatch, capsys, *compared)[0] == 0
    written = orjson.loads(Path("c.json").read_bytes())["plan"]
    plan = orjson.loads(Path("p/plan.json").read_bytes())
    assert plan["scales"][0]["workers"]["count"] > 1
    for scale, planned_scale in zip(written["scales"], plan["scales"], strict=True):
        total = planned_scale["cost"]["total"]
        assert scale["cost_usd_per_month"] == [total, total]
        workers = planned_scale["workers"]["count"]
        assert scale["workers"] == [workers, workers]
        assert scale["max_users"] == [planned_scale["binding"]["max_users"]] * 2
