"""A profile as a comment on a pull request, and as the summary of a job."""

from __future__ import annotations

import re

import pytest

from profiler.cli.step_summary import MOST_BYTES, VARIABLE, add_step_summary
from profiler.errors import UsageError
from profiler.profile.build import build_profile
from profiler.report.pull_request import MARKER, pull_request_markdown
from tests.profile.journals import S, interaction, llm_call, run, write


@pytest.fixture
def profile(tmp_path):
    name = "</details><script>alert(1)</script>"
    records = [interaction("a", end_ns=S), llm_call("a"), llm_call("a", model=name)]
    return build_profile(write(tmp_path, *records, first=run(workload=name)))


def test_key_figures_come_first_and_the_rest_is_folded_away(profile):
    text = pull_request_markdown(profile)
    assert text.startswith(MARKER)
    head, folded = text.split("<details>")
    assert "- 1 interaction in 1 session, inconclusive" in head
    assert re.search(r"^\| latency \| [^|]*1\.00 s", head, re.MULTILINE)
    assert re.search(r"^\| LLM calls \| [^|]*2\.00", head, re.MULTILINE)
    assert "input tokens" not in head  # nobody observed them
    assert "## One interaction" in folded


def test_a_name_from_outside_neither_unfolds_it_nor_runs(profile):
    text = pull_request_markdown(profile)
    assert text.count("</details>") == 1
    assert "<script" not in text


def test_a_jobs_summary_is_added_to(profile, tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("what an earlier step said\n")
    add_step_summary(profile, {VARIABLE: str(file)})
    assert file.read_text() == f"what an earlier step said\n{pull_request_markdown(profile)}\n"


def test_a_summary_that_would_be_too_long_to_be_shown_is_left_as_it_is(profile, tmp_path):
    file = tmp_path / "summary.md"
    file.write_bytes(b"x" * (MOST_BYTES - 10))
    add_step_summary(profile, {VARIABLE: str(file)})
    assert file.stat().st_size == MOST_BYTES - 10


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}])
def test_elsewhere_nothing_happens(profile, environ, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    add_step_summary(profile, environ)
    assert sorted(tmp_path.iterdir()) == before


def test_a_summary_that_cannot_be_written_is_said_in_one_line(profile, tmp_path):
    with pytest.raises(UsageError, match="cannot write the job's summary: Is a directory"):
        add_step_summary(profile, {VARIABLE: str(tmp_path)})
