"""`agent-profiler export`: which files it writes, and what it refuses."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from profiler.cli.app import app
from profiler.cli.profile import write_profile
from profiler.errors import AgentProfilerError, JournalError, UsageError
from profiler.measure import JOURNAL_NAME
from profiler.measure.records import Outcome
from tests.profile.journals import interaction, llm_call, run, write


@pytest.fixture
def run_dir(tmp_path):
    found = write(tmp_path, interaction("a"), llm_call("a"), interaction("b"))
    write_profile(found)
    return found


def export(*arguments: object) -> list[str]:
    done = CliRunner().invoke(app, ["export", *map(str, arguments)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout.split()


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("csv", ["interactions.csv", "llm_calls.csv", "tool_calls.csv"]),
        ("hlog", ["latency.hlog"]),
        ("prometheus", ["profile.prom"]),
        ("markdown", ["summary.md"]),
    ],
)
def test_it_says_what_it_wrote(run_dir, tmp_path, form, names):
    assert export(form, run_dir) == [str(run_dir / name) for name in names]
    out = tmp_path / "made" / "for it"
    assert len(export(form, run_dir / "profile.json", "-o", out)) > 0
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        assert (out / name).read_bytes() == (run_dir / name).read_bytes()


def test_parquet_is_written_whole(run_dir):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    names = ["interactions.parquet", "llm_calls.parquet", "tool_calls.parquet"]
    assert export("parquet", run_dir) == [str(run_dir / name) for name in names]
    assert not list(run_dir.glob(".*"))


def test_without_pyarrow_the_extra_is_named(run_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'agent-profiler\[parquet\]'"):
        export("parquet", run_dir)
    assert not list(run_dir.glob("*.parquet"))


def test_a_run_that_was_split_gives_the_rows_of_all_its_shards(tmp_path):
    for shard in ("1", "2"):
        (tmp_path / "shards").mkdir(exist_ok=True)
        made = write(tmp_path, interaction(f"of {shard}"), first=run(run_id=f"shard {shard}"))
        made.rename(tmp_path / "shards" / shard)
    export("csv", tmp_path)
    lines = (tmp_path / "interactions.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["run", "shard 1", "shard 2"]


def test_a_damaged_journal_leaves_no_half_written_file(run_dir):
    with (run_dir / JOURNAL_NAME).open("ab") as journal:
        journal.write(b"{torn\n{}\n")
    with pytest.raises(JournalError, match="the line is damaged"):
        export("csv", run_dir)
    assert not list(run_dir.glob("*.csv")) + list(run_dir.glob(".*"))


def test_no_success_is_no_empty_log(tmp_path):
    found = write(tmp_path, interaction("a", outcome=Outcome.TIMEOUT))
    with pytest.raises(UsageError, match="no measured interaction succeeded"):
        export("hlog", found)


@pytest.mark.parametrize("form", ["csv", "hlog", "prometheus", "markdown"])
def test_an_empty_run_is_said_and_leaves_nothing(tmp_path, form):
    found = write(tmp_path)
    write_profile(found)
    with pytest.raises(UsageError, match=r"no (measured )?interaction"):
        export(form, found, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_said(tmp_path):
    for form in ("csv", "hlog", "prometheus"):
        with pytest.raises(AgentProfilerError) as caught:
            export(form, tmp_path / "nowhere")
        assert caught.value.exit_code == 2
