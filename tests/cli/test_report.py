"""`agent-profiler report` shows again what a run or a plan gave, and refuses what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.cli import report
from profiler.comparison.compare import compare
from profiler.comparison.gates import DEFAULT_GATES
from profiler.comparison.model import dump_comparison
from profiler.errors import AgentProfilerError, ProfileError, UsageError
from profiler.measure.records import Phase
from profiler.planner.plan import dump_plan
from profiler.profile.build import build_profile
from profiler.profile.model import dump_profile
from profiler.report.comparison_markdown import comparison_markdown
from profiler.report.markdown import profile_markdown
from profiler.report.plan_markdown import plan_markdown
from tests.profile.journals import interaction, write
from tests.report.page.pages import full_run
from tests.report.plans import plan


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    journal = full_run(tmp_path, interactions=9)
    (journal / "profile.json").write_bytes(dump_profile(build_profile(journal)))
    return journal


@pytest.fixture
def plan_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "plan"
    folder.mkdir()
    (folder / "plan.json").write_bytes(dump_plan(plan()))
    return folder


def test_html_goes_beside_the_profile_and_its_path_is_printed(run_dir: Path, capsys):
    report.command(run_dir, html=True)
    target = run_dir / "profile.html"
    assert capsys.readouterr().out == f"{target}\n"
    text = target.read_text()
    assert text.startswith("<!doctype html>")
    assert "Latency over time" in text  # the journal beside it was read


def test_a_profile_alone_gives_a_page_without_its_journal(run_dir: Path, tmp_path: Path):
    alone = tmp_path / "alone.json"
    alone.write_bytes((run_dir / "profile.json").read_bytes())
    report.command(alone, html=True)
    assert "none of this profile" in (tmp_path / "alone.html").read_text()


def test_html_of_a_plan_goes_where_it_is_told_to(plan_dir: Path, tmp_path: Path):
    target = tmp_path / "out" / "plan.html"
    report.command(plan_dir, html=True, out=target)
    assert "Cost of a month" in target.read_text()


def test_a_comparison_has_all_three_forms(run_dir: Path, tmp_path: Path, capsys):
    profile = build_profile(run_dir)
    found = compare(profile, profile, gates=DEFAULT_GATES, anyway=True)
    (tmp_path / "comparison.json").write_bytes(dump_comparison(found))
    report.command(tmp_path / "comparison.json", html=True)
    assert "Changes against the baseline" in (tmp_path / "comparison.html").read_text()
    capsys.readouterr()
    report.command(tmp_path / "comparison.json", markdown=True)
    assert capsys.readouterr().out == comparison_markdown(found)
    report.command(tmp_path)
    assert "What changed" in capsys.readouterr().out


def test_markdown_is_that_of_the_run_and_of_the_plan(run_dir: Path, plan_dir: Path, capsys):
    report.command(run_dir, markdown=True)
    assert capsys.readouterr().out == profile_markdown(build_profile(run_dir))
    target = plan_dir / "again.md"
    report.command(plan_dir / "plan.json", markdown=True, out=target)
    assert target.read_text() == plan_markdown(plan())


def test_the_terminal_shows_what_the_run_printed(run_dir: Path, plan_dir: Path, capsys):
    report.command(run_dir)
    assert "One interaction" in capsys.readouterr().out
    report.command(plan_dir)
    assert "Plan launch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cut off or damaged"),
        (b'{"kind": "workload_profile", "sche', "cut off or damaged"),
        (b"[1]", "none of our files: it has no kind"),
        (b'{"kind": "capacity"}', "no report of this kind of file: 'capacity'"),
        (b'{"kind": "workload_profile", "schema_version": 99}', "Upgrade agent-profiler"),
        (b'{"kind": "workload_profile", "schema_version": 0}', "Compute the profile again"),
        (b'{"kind": "plan", "schema_version": 99}', "this tool reads (1)"),
    ],
)
def test_a_file_that_it_cannot_use_is_one_line_and_leaves_no_page(content, said, tmp_path: Path):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(AgentProfilerError) as caught:
        report.command(file, html=True)
    assert caught.value.exit_code == 2
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_an_empty_run_is_one_line_and_leaves_no_page(tmp_path: Path):
    """A run that was killed before it measured anything."""
    profile = build_profile(write(tmp_path, interaction("w", phase=Phase.WARMUP)))
    file = tmp_path / "profile.json"
    file.write_bytes(dump_profile(profile))
    for html, markdown in ((True, False), (False, True), (False, False)):
        with pytest.raises(UsageError, match=r"profile.json: the run has no measured interaction"):
            report.command(file, html=html, markdown=markdown)
    assert not file.with_suffix(".html").exists()


def test_a_corrupt_histogram_is_named(run_dir: Path):
    file = run_dir / "profile.json"
    text = file.read_text()
    at = text.index('"payload": "') + 30
    file.write_text(text[:at] + "####" + text[at + 4 :])
    with pytest.raises(ProfileError, match="corrupt histogram of interaction"):
        report.command(run_dir, html=True)
    assert not (run_dir / "profile.html").exists()


def test_what_is_not_there_says_what_to_give(tmp_path: Path):
    with pytest.raises(UsageError, match="no profile, plan or comparison"):
        report.command(tmp_path)
    with pytest.raises(UsageError, match="cannot read the file"):
        report.command(tmp_path / "no.json")


def test_one_form_at_a_time_and_none_written_without_a_form(run_dir: Path):
    with pytest.raises(UsageError, match="--html and --markdown"):
        report.command(run_dir, html=True, markdown=True)
    with pytest.raises(UsageError, match="Add --html or --markdown"):
        report.command(run_dir, out=run_dir / "x")
