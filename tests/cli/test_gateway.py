"""The command's options, and what it says before anything is begun."""

from __future__ import annotations

import sys

import pytest

from profiler.cli import app as cli
from profiler.cli.capture import CaptureOptions, Sink
from profiler.cli.observing import TOKEN_VARIABLE, Address
from profiler.errors import JournalError
from tests.profile.traffic_journal import attempt


@pytest.fixture
def executed(monkeypatch) -> list[CaptureOptions]:
    """The options that the command would go to work with."""
    options: list[CaptureOptions] = []
    monkeypatch.setattr("profiler.cli.capture.execute", options.append)
    return options


def gateway(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["agent-profiler", "gateway", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    code = ended.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().err


def test_it_listens_on_this_machine_unless_told_otherwise(monkeypatch, capsys, executed):
    monkeypatch.setenv(TOKEN_VARIABLE, "not-needed-here-12")
    assert gateway(monkeypatch, capsys, "--upstream", "https://llm.example/v1") == (0, "")
    (options,) = executed
    assert options.listen == Address(host="127.0.0.1", port=8787)
    assert (options.token, options.duration_s, options.out) == (None, None, None)


def test_what_is_written_down_has_no_secrets(monkeypatch, capsys, executed):
    url = "https://me:hunter2@llm.example/v1?key=hunter2"
    gateway(monkeypatch, capsys, "--upstream", url, "--listen", ":9", "--duration", "1h")
    (options,) = executed
    assert options.shown_upstream == "https://llm.example/v1"
    assert " ".join(options.argv) == (
        "agent-profiler gateway --upstream https://llm.example/v1 --listen 127.0.0.1:9 "
        "--duration 1h"
    )
    assert options.duration_s == 3600


def test_beyond_this_machine_it_takes_a_token(monkeypatch, capsys, executed):
    arguments = ("--upstream", "https://llm.example/v1", "--listen", "0.0.0.0:8787")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    code, err = gateway(monkeypatch, capsys, *arguments)
    assert (code, executed) == (2, [])
    assert TOKEN_VARIABLE in err
    monkeypatch.setenv(TOKEN_VARIABLE, "correct-horse-battery")
    assert gateway(monkeypatch, capsys, *arguments)[0] == 0
    assert executed[0].token == "correct-horse-battery"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--upstream", "llm.example"), "--upstream: 'llm.example' is no URL"),
        (("--upstream", "http://[::1"), "--upstream: '(unreadable)' is no URL"),
        (("--upstream", "http://"), "the upstream cannot be used"),
        (("--upstream", "http://me:hunter2@a/v1"), "may have no user, password"),
        (("--upstream", "http://a", "--listen", "here"), "--listen: 'here' is no address"),
        (("--upstream", "http://a", "--duration", "soon"), "--duration: 'soon' is no duration"),
        (("--listen", "1"), "--upstream"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_left(
    monkeypatch, capsys, tmp_path, arguments, said
):
    monkeypatch.chdir(tmp_path)
    code, err = gateway(monkeypatch, capsys, *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert said in err
    assert "hunter2" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_cannot_be_in_a_url_is_refused_before_anything_is_made(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    code, err = gateway(monkeypatch, capsys, "--upstream", "http://a", "--listen", "0.0.0.0:0")
    assert code == 2
    assert "token cannot be used" in err
    assert list(tmp_path.iterdir()) == []


class FullDisk:
    def __init__(self) -> None:
        self.tries = 0

    def append(self, _records):
        self.tries += 1
        raise JournalError("cannot write the journal")


def test_a_journal_that_cannot_be_written_is_told_once_and_tried_no_more():
    disk, told, taken = FullDisk(), [], []
    sink = Sink(disk, taken.append)
    sink.on_failure = lambda: told.append("stop")
    sink.put(attempt("a", 0))
    sink.put(attempt("a", 1))
    assert (disk.tries, told, taken) == (1, ["stop"], [])
    assert "cannot write" in str(sink.failure)
