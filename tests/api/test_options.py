"""Keywords of a run become the options that the command line has."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

from profiler.api.options import RunOptions, arguments
from profiler.cli.app import app

ONLY_ON_THE_COMMAND_LINE = {
    # One path is printed and read; a search for the capacity makes no profile; a shard is of jobs;
    # what is resumed has its options.
    *("quiet", "json", "workload", "shard", "start_at", "dry_run", "resume"),
    *("find_capacity", "objective", "start_rate", "max_rate", "resolution", "max_steps", "settle"),
}


def test_every_keyword_is_an_option_of_run_and_nothing_was_forgotten():
    run = get_command(app).commands["run"]
    options = {parameter.name for parameter in run.params} - {"help"}
    assert set(RunOptions.__annotations__) == options - ONLY_ON_THE_COMMAND_LINE


def test_what_is_not_given_is_left_to_the_workload():
    assert arguments({"users": None, "until_stable": False}) == []


def test_values_flags_and_lists_are_written_as_a_person_would():
    given = arguments(
        {
            "max_in_flight": 3,
            "gateway": True,
            "state": ["redis://a", "redis://b"],
            "out": Path("x"),
        }
    )
    assert given == [
        *("--max-in-flight", "3", "--gateway"),
        *("--state", "redis://a", "--state", "redis://b", "--out", "x"),
    ]


def test_a_keyword_that_there_is_not_is_an_error_before_anything_runs():
    with pytest.raises(TypeError, match="unexpected keyword argument 'user'"):
        arguments({"user": 3})
