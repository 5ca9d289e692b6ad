"""The help of every command reads well at 80 columns; completion knows commands and options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from profiler.cli.app import app
from profiler.cli.help_text import filled

pytestmark = pytest.mark.unmeasured


def every_path(group: TyperGroup, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = [before]
    for name, command in group.commands.items():
        inner = (*before, name)
        paths += every_path(command, inner) if isinstance(command, TyperGroup) else [inner]
    return paths


def all_paths() -> list[tuple[str, ...]]:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    return every_path(root)


@pytest.mark.parametrize("path", all_paths(), ids=" ".join)
def test_the_help_of_every_command_fits_80_columns_and_says_what_each_option_is(path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in shown.output, "something is cut off"


def test_every_option_and_argument_has_a_help():
    root = get_command(app)
    for path in all_paths():
        command = root
        for name in path:
            assert isinstance(command, TyperGroup)
            command = command.commands[name]
        for parameter in command.params:
            assert getattr(parameter, "help", None), (*path, parameter.name)


def test_paragraphs_are_filled_and_kept_apart():
    assert filled("One line.\n\n    Two that\n    are one.\n\n    Last.") == (
        "One line.\n\nTwo that are one.\n\nLast."
    )


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("agent-profiler comp", "compare"), ("agent-profiler compare --gat", "--gates")],
)
def test_a_shell_is_offered_commands_and_options(typed, offered):
    environ = {
        "_AGENT_PROFILER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    code = "import sys; sys.argv = ['agent-profiler']; from profiler.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [offered]
