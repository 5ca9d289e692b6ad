"""What the documents tell a user to type exists, and works.

Every command of ours is parsed by the command line itself; those of the tutorial and of the file
formats are run as they stand; README's (`long`) against the mocks in place of a user's agent.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from profiler.cli.app import app
from profiler.cli.mock_process import mock_agent
from profiler.cli.optional_values import with_values
from profiler.planner.plan import dump_plan
from tests.docs.commands import commands_of, documents
from tests.report.plans import plan
from tests.system.cli import Done

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"(?:^|\s)agent-profiler\s")

ELSEWHERE = {
    "make profile": "tests/system/test_main_job.py",
    "make test": "the suite itself",
    "pip install .": "the job that builds the wheel",
    "agent-profiler run support --rate 2000/s --cluster": "tests/system/test_cluster.py",
    "OPENAI_BASE_URL=": "tests/system/test_real_agents.py",
    "agent-profiler run support --url http://127.0.0.1:8000/": "tests/system/test_observers.py",
}
"""Commands of README that this file does not run, by how they begin, and what runs them."""


def every_command() -> list[tuple[str, str]]:
    return [
        (str(document.relative_to(ROOT)), command)
        for document in documents(ROOT)
        for command in commands_of(document)
        if OURS.search(command)
    ]


def test_there_are_commands_to_look_at():
    assert len(every_command()) > 20


@pytest.mark.parametrize(("document", "command"), every_command())
def test_a_command_that_is_shown_is_one_that_there_is(document, command):
    words = shlex.split(command, comments=True)
    words = words[words.index("agent-profiler") + 1 :]
    redirected = next((at for at, word in enumerate(words) if word in (">", ">>")), len(words))
    words = words[:redirected]
    here, arguments = get_command(app), with_values(words)
    while isinstance(here, TyperGroup):
        name, *arguments = arguments
        assert name in here.commands, f"{document}: there is no command {name}"
        here = here.commands[name]
    here.make_context(here.name, arguments)  # raises for an option or a value that there is not


def shell(command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user's shell does; `agent-profiler` is this checkout's."""
    binaries = folder / ".bin"
    if not binaries.exists():
        binaries.mkdir()
        script = binaries / "agent-profiler"
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m profiler "$@"\n')
        script.chmod(0o755)
    path = f"{binaries}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def is_done(done: subprocess.CompletedProcess[str]) -> bool:
    """Say whether it did what it was told; a run on a machine too slow for it says so, with 4."""
    return Done(done.returncode, done.stdout, done.stderr).is_done


@pytest.mark.system
@pytest.mark.timeout(300)  # seven commands of the tutorial, one after the other
@pytest.mark.parametrize("name", ["tutorial", "files"])
def test_a_page_can_be_typed_from_top_to_bottom(name, tmp_path):
    commands = commands_of(ROOT / "docs" / f"{name}.md")
    assert commands
    for command in commands:
        done = shell(command, tmp_path)
        assert is_done(done), f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.long
@pytest.mark.system
def test_what_the_page_on_reports_shows_writes_what_it_says(tmp_path):
    """All of it but the plan, which is there already."""
    (tmp_path / "plans" / "launch").mkdir(parents=True)
    (tmp_path / "plans" / "launch" / "plan.json").write_bytes(dump_plan(plan()))
    summary = tmp_path / "summary"
    for command in commands_of(ROOT / "docs" / "reporting.md"):
        done = shell(command, tmp_path, GITHUB_STEP_SUMMARY=str(summary))
        assert is_done(done), f"{command}\n{done.stdout}\n{done.stderr}"
    pages = {
        "results/after/profile.html": "Profile of smoke",
        "before-and-after.html": "Comparison of smoke",
        "plans/launch/plan.html": "Plan ",
        "trend.html": "Trend of smoke over 2 runs",
    }
    for name, title in pages.items():
        assert f"<title>{title}" in (tmp_path / name).read_text()
    said = summary.read_text()
    order = ["Profile of smoke", "Comparison of smoke", "# Plan ", "# Trend of smoke over 2 runs"]
    assert sorted(order, key=said.index) == order
    assert (tmp_path / "results/after/summary.md").exists()


SMALLER = (
    (r"https?://[\w.:-]+/v1/chat/completions", "{agent}/v1/chat/completions"),
    (r"http://127\.0\.0\.1:8000(?=\s)", "{agent}"),
    (r"--duration 10m", "--duration 2s"),
    (r"--users 20 -n 500", "--users 20 -n 40"),
    (r"--sessions 400", "--sessions 16"),
    (r"results/(RUN|CANDIDATE)\b", "$(ls -d results/airline-* | head -1)"),
    (r"--sessions 200", "--sessions 5"),
    (r"--rate 200/s", "--rate 200/s -n 60"),
    (
        r"--find-capacity",
        "--find-capacity --start-rate 20/s --max-rate 30/s --max-steps 2 --mock-speed 20",
    ),
)
MAY_BE_UNDECIDED = ("--until-stable", "--find-capacity", "--rate 200/s")


@pytest.mark.long
@pytest.mark.system
@pytest.mark.timeout(900)
def test_the_commands_of_readme_work_against_the_mock_in_place_of_an_agent(tmp_path):
    recordings = ROOT / "scenarios" / "data" / "airline.jsonl"
    (tmp_path / "production.jsonl").write_bytes(recordings.read_bytes())
    shutil.copytree(ROOT / "results" / "sample", tmp_path / "results" / "sample")
    truth, log = tmp_path / "truth.jsonl", tmp_path / "mock.log"
    with mock_agent(recordings=[recordings], truth=truth, log=log, seed=1, speed=20) as announced:
        for command in commands_of(ROOT / "README.md"):
            if command.startswith(tuple(ELSEWHERE)):
                continue
            smaller = command
            for pattern, replacement in SMALLER:
                smaller = re.sub(pattern, replacement.format(agent=announced["agent"]), smaller)
            if "import" in smaller:  # `init` wrote a file of this name
                (tmp_path / "scenarios" / "mine.yaml").unlink()
            done = shell(smaller, tmp_path)
            is_undecided = any(part in smaller for part in MAY_BE_UNDECIDED) and (
                done.returncode == 4
            )
            assert is_done(done) or is_undecided, f"{smaller}\n{done.stdout}\n{done.stderr}"
