"""`think_time: recorded`: the pauses of the recordings, as their files have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload.load import load_workload
from profiler.workload.sessions import SessionSampler

YAML = "scenarios:\n  - {name: r, conversations: c.jsonl, think_time: recorded}\n"
S = 1_000_000_000


def line(name: str, times: Any, turns: int = 3) -> str:
    messages = [{"role": "user", "content": f"{name} {turn}"} for turn in range(turns)]
    return json.dumps({"id": name, "messages": messages, "think_times_s": times}) + "\n"


@pytest.fixture
def loaded(tmp_path: Any) -> Any:
    def load(*lines: str) -> Any:
        (tmp_path / "w.yaml").write_text(YAML)
        (tmp_path / "c.jsonl").write_text("".join(lines))
        return load_workload(tmp_path / "w.yaml")

    return load


def pauses(workload: Any, sessions: int = 20, seed: int = 1) -> dict[str, list[int]]:
    sampler = SessionSampler(workload, seed=seed)
    drawn = (sampler.session(index) for index in range(sessions))
    return {str(s.conversation): [turn.think_time_ns for turn in s.turns] for s in drawn}


def test_every_pause_stands_before_the_message_before_which_it_was(loaded: Any) -> None:
    workload = loaded(line("a", [None, 1.5, 20]), line("b", [None, 0.25, 0]))
    assert pauses(workload) == {"a": [0, 1.5 * S, 20 * S], "b": [0, 0.25 * S, 0]}


def test_a_pause_that_is_not_known_is_one_of_those_that_are(loaded: Any) -> None:
    workload = loaded(line("a", [None, 1, 2]), line("b", [None, None, 3]), line("c", None))
    seen = [pauses(workload, seed=seed) for seed in range(30)]
    assert {of["b"][1] for of in seen} == {of["c"][2] for of in seen} == {S, 2 * S, 3 * S}
    assert {of["b"][2] for of in seen} == {3 * S}
    assert seen[7] == pauses(workload, seed=7)


def test_without_any_recorded_pause_it_is_an_error(loaded: Any) -> None:
    with pytest.raises(WorkloadError, match="there are no recorded think times"):
        loaded(line("a", None), line("b", [None, None, None]))


def test_without_conversations_it_is_an_error(tmp_path: Any) -> None:
    (tmp_path / "w.yaml").write_text(
        "scenarios:\n  - {name: r, think_time: recorded, turns: [{user: a}, {user: b}]}\n"
    )
    with pytest.raises(WorkloadError, match="there are no recorded think times"):
        load_workload(tmp_path / "w.yaml")


@pytest.mark.parametrize(
    "times", [[None, 1], [None, -1, 2], [None, "1", 2], [None, True, 2], 5, [None, 1e9, 2]]
)
def test_pauses_that_cannot_be_are_named_with_their_line(loaded: Any, times: Any) -> None:
    with pytest.raises(WorkloadError, match="think_times_s") as caught:
        loaded(line("a", [None, 1, 2]), line("b", times))
    assert str(caught.value.where).endswith("c.jsonl:2")
