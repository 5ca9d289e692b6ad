"""The help of every command reads well at 80 columns; completion knows commands and options."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from profiler.cli.app import app
from profiler.cli.completing import baselines, protocols, workloads
from profiler.cli.examples import EXAMPLES
from profiler.cli.export import ExportFormat
from profiler.cli.help_text import filled
from profiler.cli.optional_values import with_values
from profiler.cli.schema import SchemaKind
from profiler.workload.importers.kinds import ImportKind


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


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("schema", SchemaKind),
        ("import", ImportKind),
        ("export", ExportFormat),
        ("workload", ImportKind),
    ],
)
def test_choices_are_not_broken_within_a_word(name, choices, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    shown = CliRunner().invoke(app, [name, "--help"]).output
    assert {each.value for each in choices} <= set(re.split(r"[\s│,.]+", shown))


@pytest.mark.parametrize(
    ("name", "example"), [(n, e) for n, each in EXAMPLES.items() for e in each]
)
def test_an_example_is_what_the_command_takes(name, example):
    """Names and options are looked up as the command would; it is not run."""
    typed, *arguments = shlex.split(example.partition(" > ")[0])
    assert typed == name
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    command = root.commands[name]
    assert command.make_context(name, with_values([name, *arguments])[1:]).params
    assert f"agent-profiler {example}" in " ".join(command.epilog.split())


def test_every_command_has_examples():
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    alone = {name for name, each in root.commands.items() if not isinstance(each, TyperGroup)}
    assert alone == set(EXAMPLES)


def test_paragraphs_are_filled_and_kept_apart():
    assert filled("One line.\n\n    Two that\n    are one.\n\n    Last.") == (
        "One line.\n\nTwo that are one.\n\nLast."
    )


def test_values_are_offered_that_are_known_or_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert baselines("ma") == []
    (tmp_path / "results" / "baselines").mkdir(parents=True)
    for name in ("main", "other"):
        (tmp_path / "results" / "baselines" / f"{name}.json").touch()
    assert baselines("ma") == ["main"]
    assert workloads("s") == ["smoke", "support"]
    assert protocols("openai") == ["openai-chat", "openai-responses"]


AS_SCRIPT = (
    "-c",
    "import sys; sys.argv = ['agent-profiler']; from profiler.__main__ import main; main()",
)
AS_MODULE = ("-m", "profiler")


@pytest.mark.parametrize(
    ("typed", "offered", "started"),
    [
        ("agent-profiler comp", "compare", AS_SCRIPT),
        ("agent-profiler compare --gat", "--gates", AS_MODULE),
        ("agent-profiler run air", "airline", AS_SCRIPT),
    ],
)
def test_a_shell_is_offered_commands_and_options(typed, offered, started):
    environ = {
        "_AGENT_PROFILER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, *started],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [offered]
