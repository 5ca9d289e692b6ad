"""A shard from its first request on: what is loaded when."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from profiler.load.shard import ShardSpec, run_shard
from profiler.measure import tokens
from profiler.measure.journal import read_journal
from profiler.measure.records import EndReason, Interaction, Phase
from profiler.workload.load import load_workload
from tests.system.servers import response, serving

WAIT_S = 20


class Target:
    """Answers, and knows how many requests came before the encoding was there, and after."""

    def __init__(self) -> None:
        self.is_loaded = threading.Event()
        self.was_asked = threading.Event()
        self.before = self.after = 0

    async def answer(self, writer) -> bool:
        if self.is_loaded.is_set():
            self.after += 1
        else:
            self.before += 1
        self.was_asked.set()
        writer.write(response())
        return True


@pytest.fixture
def target(monkeypatch) -> Target:
    """A target, and encodings that are not loaded yet."""
    asked = Target()
    build = tokens._build_encoding

    def build_and_tell(name: str):
        built = build(name)
        asked.is_loaded.set()
        return built

    monkeypatch.setattr(tokens, "_encodings", {})
    monkeypatch.setattr(tokens, "_build_encoding", build_and_tell)
    return asked


def run(folder: Path, target: Target, *, load: str, timeout: str = "60s") -> list[Interaction]:
    file = folder / "w.yaml"
    file.write_text(
        f"name: x\ntarget: {{timeout: {timeout}, stream: false}}\nload: {{{load}}}\n"
        "scenarios: [{name: a, turns: [{user: hi}]}]\n"
    )
    with serving(target.answer) as url:
        spec = ShardSpec(
            workload=load_workload(file), url=url, run_id="r", argv=(), journal=folder / "j.jsonl"
        )
        end = run_shard(spec)
    assert end.reason is EndReason.COMPLETED
    (folder / "j.jsonl").rename(folder / "journal.jsonl")
    return [record for record in read_journal(folder) if isinstance(record, Interaction)]


def test_a_warm_up_does_not_wait_for_the_encoding_and_what_is_measured_does(
    tmp_path, target, monkeypatch
):
    build = tokens._build_encoding

    def build_when_asked(name: str):
        assert target.was_asked.wait(WAIT_S), "nothing was sent before the encoding was loaded"
        return build(name)

    monkeypatch.setattr(tokens, "_build_encoding", build_when_asked)
    interactions = run(tmp_path, target, load="users: 1, warmup: 3, requests: 4")
    assert 1 <= target.before <= 3
    assert target.before + target.after == 7
    measured = [i for i in interactions if i.phase is Phase.MEASURE]
    assert (len(interactions), len(measured)) == (7, 4)
    assert {(i.counted.user, i.counted.output) for i in interactions if i.counted} == {(1, 1)}
    assert all(i.counted is not None for i in interactions)


def test_without_a_warm_up_the_encoding_comes_first(tmp_path, target):
    run(tmp_path, target, load="users: 1, requests: 2")
    assert (target.before, target.after) == (0, 2)


def test_a_short_timeout_is_not_risked(tmp_path, target):
    run(tmp_path, target, load="users: 1, warmup: 1, requests: 1", timeout="900ms")
    assert (target.before, target.after) == (0, 2)
