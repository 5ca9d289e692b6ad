"""Putting a run together: its reproducing command, its load plan, its verdict."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.cli import alone, concluding, session
from profiler.cli.run_options import RunOptions, reproducing_argv
from profiler.cli.split import NOT_SPLIT, Split
from profiler.errors import InconclusiveError
from profiler.load.plan import ArrivalsOf, ClosedLoop, OpenLoop, Share, load_plan
from profiler.load.schedule import PoissonGaps, Process, flat
from profiler.load.shard import RunEnd
from profiler.load.so_far import SoFar
from profiler.measure.records import (
    EndReason,
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Timeline,
    Usage,
)
from profiler.workload.load import load_workload

MINIMAL = "name: x\nscenarios: [{name: a, turns: [{user: hi}]}]\n"


def workload(tmp_path, text: str = MINIMAL, **overrides: Any):
    path = tmp_path / "w.yaml"
    path.write_text(text)
    return load_workload(path, overrides=overrides)


def test_the_reproducing_command_names_the_seed_and_every_override(tmp_path):
    overrides = {"users": 3, "requests": None, "max_requests": 500}
    loaded = workload(tmp_path, **overrides)
    argv = reproducing_argv("w.yaml", loaded, overrides, until_stable=True, mock_speed=2.5)
    assert argv == (
        *("agent-profiler", "run", "w.yaml", "--users", "3", "--max-requests", "500"),
        *("--seed", "1", "--until-stable", "--mock-speed", "2.5"),
    )


def test_the_reproducing_command_holds_no_secret(tmp_path):
    overrides = {"url": "http://user:hunter2@agent/x?key=canary"}
    loaded = workload(tmp_path, **overrides)
    argv = reproducing_argv("w.yaml", loaded, overrides, until_stable=False, mock_speed=1)
    assert "hunter2" not in " ".join(argv)
    assert "canary" not in " ".join(argv)
    assert "--mock-speed" not in argv


def test_users_make_a_closed_loop_and_a_rate_an_open_one(tmp_path):
    closed = load_plan(workload(tmp_path, users=7, warmup=2), until_stable=False)
    assert closed.loop == ClosedLoop(users=7)
    assert (closed.warmup, closed.limits.requests, closed.limits.max_requests) == (2, 100, None)
    loaded = workload(tmp_path, rate="120/min", duration="90s")
    opened = load_plan(loaded, until_stable=False)
    arrivals = Process(rate=flat(2.0), gaps=PoissonGaps())
    assert opened.loop == OpenLoop(arrivals=arrivals, arrivals_of=ArrivalsOf.SESSIONS, seed=1)
    assert opened.duration_ns == 90_000_000_000


def test_until_stable_gets_a_ceiling_unless_one_is_given(tmp_path):
    plan = load_plan(workload(tmp_path, requests=50), until_stable=True)
    assert plan.limits.max_requests == 500
    plan = load_plan(workload(tmp_path, requests=50, max_requests=60), until_stable=True)
    assert plan.limits.max_requests == 60


def named(share: Share) -> str:
    options: Any = SimpleNamespace(workload=SimpleNamespace(name="x"), split=Split(share=share))
    return session._dir_name(options)


def test_shards_of_one_run_do_not_share_a_directory():
    assert named(Share()) == "x"
    assert named(Share(index=2, count=8)) == "x-shard-3-of-8"


def note(capsys, workers: int | None, shards: int, *, quiet: bool = False) -> str:
    options: Any = SimpleNamespace(split=Split(workers=workers), quiet=quiet)
    crew: Any = None if shards == 1 else SimpleNamespace(shards=shards)
    session._note_fewer(options, crew)
    said: str = capsys.readouterr().err
    return said


def test_fewer_workers_than_asked_for_are_told(capsys):
    assert "3 of 8 workers" in note(capsys, 8, 3)
    assert "1 of 8 workers" in note(capsys, 8, 1)
    assert note(capsys, 8, 8) == note(capsys, None, 1) == note(capsys, 8, 3, quiet=True) == ""


@pytest.mark.parametrize("is_left", [True, False])
def test_a_run_that_lost_a_worker_is_inconclusive_and_shows_what_is_left(
    tmp_path, monkeypatch, is_left
):
    lost = RunEnd(reason=EndReason.COMPLETED, detail=None, answered=True, lost=("shard 2 died",))
    shown: list[Any] = []
    monkeypatch.setattr(session, "_run", lambda *_: lost)
    monkeypatch.setattr(concluding, "holds_journal", lambda *_: is_left)
    monkeypatch.setattr(concluding, "write_profile", lambda *_args, **_options: "profile")
    monkeypatch.setattr(concluding, "show_profile", lambda profile, *_: shown.append(profile))
    options = RunOptions(
        workload=workload(tmp_path, url="http://127.0.0.1:9/"),
        workload_path=tmp_path,
        argv=(),
        until_stable=False,
        mock_speed=1,
        out=tmp_path / "run",
        quiet=False,
        split=NOT_SPLIT,
    )
    said = r"shard 2 died.*partial" if is_left else r"shard 2 died.*No journal came back"
    with pytest.raises(InconclusiveError, match=said):
        session.execute(options)
    assert shown == (["profile"] if is_left else [])


def judged(verdict: str, *, until_stable: bool, reason: EndReason) -> None:
    profile: Any = SimpleNamespace(
        trust=SimpleNamespace(verdict=verdict, reasons=("sent late",)),
        sample=SimpleNamespace(interactions=1200),
    )
    options: Any = SimpleNamespace(until_stable=until_stable)
    concluding._judge(profile, options, reason)


def test_a_run_that_measured_the_harness_is_inconclusive():
    with pytest.raises(InconclusiveError, match="sent late"):
        judged("driver_limited", until_stable=False, reason=EndReason.COMPLETED)


def test_a_run_that_never_became_stable_is_inconclusive():
    with pytest.raises(InconclusiveError, match="1,200 interactions"):
        judged("trusted", until_stable=True, reason=EndReason.MAX_REQUESTS)
    judged("trusted", until_stable=False, reason=EndReason.MAX_REQUESTS)
    judged("inconclusive", until_stable=True, reason=EndReason.COMPLETED)


class Fed:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, **row: Any) -> None:
        self.rows.append(row)


def interaction(phase: Phase) -> Interaction:
    return Interaction(
        trace_id="t",
        session="s",
        session_index=0,
        scenario="x",
        turn=0,
        phase=phase,
        send_ns=1_000_000_000,
        end_ns=1_250_000_000,
        outcome=Outcome.OK,
    )


def call(tokens: int | None) -> LlmCall:
    return LlmCall(
        trace_id="t",
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        outcome=Outcome.OK,
        usage=None if tokens is None else Usage(input_tokens=tokens),
    )


def test_stability_is_fed_with_measured_interactions_only():
    fed: Any = Fed()
    feed = alone._feeder(fed, None)
    feed(interaction(Phase.WARMUP), (call(10),))
    feed(interaction(Phase.MEASURE), (call(10), call(None), call(5)))
    feed(interaction(Phase.MEASURE), ())
    assert fed.rows == [
        {"session": "s", "latency_s": 0.25, "llm_calls": 3, "input_tokens": 15},
        {"session": "s", "latency_s": 0.25, "llm_calls": None, "input_tokens": None},
    ]
    assert alone._feeder(None, None)(interaction(Phase.MEASURE), ()) is None


def test_who_watches_is_fed_beside_stability():
    fed: Any = Fed()
    so_far = SoFar()
    alone._feeder(fed, so_far)(interaction(Phase.MEASURE), (call(10),))
    alone._feeder(None, so_far)(interaction(Phase.MEASURE), (call(10),))
    assert (so_far.ended, len(fed.rows)) == (2, 1)
