"""The command line as a whole: help, exit codes, one line for each error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

import profiler
from profiler.cli import app as cli
from profiler.errors import (
    AgentProfilerError,
    GateFailedError,
    InconclusiveError,
    TargetUnusableError,
    UsageError,
    WorkloadError,
)


def run_main(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["agent-profiler", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, out, err


def fail_with(monkeypatch, exc: BaseException) -> None:
    def app(**_options):
        raise exc

    monkeypatch.setattr(cli, "app", app)


def test_version_is_the_packages(monkeypatch, capsys):
    code, out, _ = run_main(monkeypatch, capsys, "--version")
    assert (code, out) == (0, f"agent-profiler {profiler.__version__}\n")


def test_help_names_every_command(monkeypatch, capsys):
    code, out, _ = run_main(monkeypatch, capsys, "--help")
    assert code == 0
    for command in (
        "run",
        "init",
        "profile",
        "merge",
        "compare",
        "baseline",
        "gateway",
        "import",
        "schema",
        "doctor",
        "mock",
    ):
        assert f"{command} " in out


def test_no_arguments_show_the_help_and_are_wrong_usage(monkeypatch, capsys):
    code, out, err = run_main(monkeypatch, capsys)
    assert code == 2
    assert "Usage" in out + err


def test_a_wrong_option_is_one_line_that_names_the_help(monkeypatch, capsys):
    code, _, err = run_main(monkeypatch, capsys, "run", "smoke", "--nonsense")
    assert code == 2
    assert err.count("\n") == 1
    assert "agent-profiler run --help" in err


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (AgentProfilerError("x"), 1),
        (UsageError("x"), 2),
        (WorkloadError("x"), 2),
        (GateFailedError("x"), 3),
        (InconclusiveError("x"), 4),
        (TargetUnusableError("x"), 5),
        (KeyboardInterrupt(), 130),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [UsageError("x")])]), 2),
    ],
)
def test_each_error_has_its_exit_code(monkeypatch, capsys, exc, code):
    fail_with(monkeypatch, exc)
    assert run_main(monkeypatch, capsys)[0] == code


def test_an_error_is_one_line_with_what_where_and_what_to_do(monkeypatch, capsys):
    fail_with(monkeypatch, UsageError("no such\nthing.", where="a.yaml:3", fix="Do this"))
    _, _, err = run_main(monkeypatch, capsys)
    assert err == "error: a.yaml:3: no such thing. Do this\n"


def test_a_bug_is_one_line_and_the_traceback_comes_when_asked_for(monkeypatch, capsys):
    fail_with(monkeypatch, ZeroDivisionError("bug"))
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    code, _, err = run_main(monkeypatch, capsys)
    assert code == 1
    assert err.count("\n") == 1
    assert "ZeroDivisionError: bug" in err
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_output_into_a_closed_pipe_is_no_crash():
    script = f"{sys.executable} -m profiler schema profile | head -c 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{", "")


def test_output_into_a_full_disk_is_one_line_and_no_bug():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "profiler", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "error: cannot write: No space left on device. Free some space on the disk\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("shown", ["ascii", "latin-1"])
def test_a_terminal_without_our_characters_shows_something_in_their_place(shown):
    command = [sys.executable, "-m", "profiler", "workload", "smoke"]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": shown},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the mock agent " + "\u00b7".encode(shown, "replace") + b" openai-chat" in done.stdout


def test_the_schema_is_json(monkeypatch, capsys):
    code, out, _ = run_main(monkeypatch, capsys, "schema", "profile")
    assert code == 0
    assert orjson.loads(out)["$schema"].startswith("https://json-schema.org/draft/2020-12")


@pytest.mark.parametrize("kind", ["profile", "capacity", "traffic", "plan", "review", "comparison"])
def test_the_committed_schema_is_the_one_that_is_printed(monkeypatch, capsys, pytestconfig, kind):
    _, out, _ = run_main(monkeypatch, capsys, "schema", kind)
    committed = pytestconfig.rootpath / "docs" / "schema" / f"{kind}.schema.json"
    assert committed.read_text() == out, "run `make schema`"


def test_the_help_answers_without_loading_what_a_run_needs():
    heavy = (
        "httpx",
        "numpy",
        "scipy",
        "tiktoken",
        "pydantic",
        "yaml",
        "uvicorn",
        "hdrh",
        "orjson",
        "rich",
    )
    code = (
        "import sys; import profiler.cli.app; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_sends_its_first_request_without_loading_what_comes_later(tmp_path):
    later = ("numpy", "scipy", "hdrh", "uvicorn", "starlette", "distributed", "dask", "jinja2")
    ours = ("profiler.profile.", "profiler.report.", "profiler.mock.", "profiler.load.cluster")
    workload = tmp_path / "w.yaml"
    workload.write_text("name: x\nload: {warmup: 1}\nscenarios: [{name: a, turns: [{user: hi}]}]\n")
    code = (
        "import os, sys\n"
        "from profiler.endpoints.http import LeanCaller\n"
        "from profiler.measure import tokens\n"
        "async def call(*_, **__):\n"
        f"    found = [m for m in sys.modules if m in {later!r} or m.startswith({ours!r})]\n"
        "    print(found, len(tokens._encodings), flush=True)\n"
        "    os._exit(0)\n"
        "LeanCaller.call = call\n"
        f"sys.argv = ['x', 'run', {str(workload)!r}, '--url', 'http://127.0.0.1:9/',"
        f" '--out', {str(tmp_path / 'run')!r}]\n"
        "from profiler.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[] 0", "an encoding, or one of these, came before the request"


def test_ctrl_c_while_modules_are_loaded_is_no_traceback():
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from profiler.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "code"), [(("schema", "profile"), 0), (("run", "no-such-workload"), 2)]
)
def test_a_command_collects_garbage_as_python_does(monkeypatch, capsys, arguments, code):
    import gc

    gc.disable()  # as it is when the process starts
    try:
        assert run_main(monkeypatch, capsys, *arguments)[0] == code
        assert gc.isenabled()
    finally:
        gc.enable()


def test_a_single_profile_is_nothing_to_merge(monkeypatch, capsys):
    code, _, err = run_main(monkeypatch, capsys, "merge", "one.json")
    assert code == 2
    assert "two or more" in err


def test_a_tool_time_of_the_mock_must_be_a_duration(monkeypatch, capsys):
    code, _, err = run_main(monkeypatch, capsys, "mock", "agent", "--tool-time", "search")
    assert code == 2
    assert "search=200ms" in err
