"""Buckets that end where a plan has its thresholds."""

from __future__ import annotations

import pytest

from profiler.errors import UsageError
from profiler.export.board import Board
from profiler.export.buckets import read_buckets
from profiler.export.prometheus import text_of
from profiler.planner import metric_names as names


async def test_a_plans_buckets_take_the_place_of_the_usual_ones(tmp_path):
    path = tmp_path / "buckets.json"
    path.write_text('{"agent_interaction_duration_seconds": [1, 7.25]}')
    board = Board(read_buckets(path))
    board.observe(names.INTERACTION_DURATION, 7.25)
    lines = (await text_of(board)).decode().splitlines()
    assert [line for line in lines if "_bucket" in line] == [
        'agent_interaction_duration_seconds_bucket{le="1.0"} 0.0',
        'agent_interaction_duration_seconds_bucket{le="7.25"} 1.0',
        'agent_interaction_duration_seconds_bucket{le="+Inf"} 1.0',
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not JSON"),
        ("[]", "no JSON object"),
        ('{"agent_workers": [1]}', "no histogram is called 'agent_workers'"),
        ('{"agent_interaction_llm_calls": [2, 1]}', "has no rising numbers"),
        ('{"agent_interaction_llm_calls": [true]}', "has no rising numbers"),
        ('{"agent_interaction_llm_calls": []}', "has no rising numbers"),
    ],
)
def test_what_are_no_buckets_is_said(tmp_path, content, what):
    path = tmp_path / "buckets.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=what):
        read_buckets(path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot read the buckets: No such file"):
        read_buckets(tmp_path / "none.json")
