"""The line that says how a gateway alone is doing."""

from __future__ import annotations

import io

import anyio
from rich.console import Console

from profiler.cli import live
from profiler.cli.live import Passed, follow
from profiler.measure.records import Outcome
from tests.profile.journals import S
from tests.profile.traffic_journal import attempt, call, usage


def passed_at(*seconds: int, now_s: int) -> Passed:
    clock = iter([*(second * S for second in seconds), now_s * S])
    passed = Passed(lambda: next(clock))
    for _ in seconds:
        passed.take(call("a", 0, 1, usage=usage(100, 10)))
    return passed


def test_calls_and_tokens_are_added_up_and_the_last_minute_told():
    line = passed_at(0, 10, 59, 69, now_s=70).line(under_way=0)
    assert line == "4 calls (2 in the last minute), 400 tokens in, 40.0 out"


def test_failures_and_what_is_under_way_are_told_if_there_are_any():
    passed = Passed(lambda: 0)
    passed.take(attempt("a", 0))
    passed.take(call("a", 0, 1, outcome=Outcome.TIMEOUT))
    said = "1 call (1 in the last minute), 1 failed, 3 under way, 0 tokens in, 0 out"
    assert passed.line(under_way=3) == said


def test_what_is_kept_of_the_last_minute_does_not_grow():
    passed = passed_at(*range(500), now_s=500)
    assert len(passed._seconds) == 60


async def followed(console: Console) -> None:
    with anyio.move_on_after(0.1):
        await follow(console, lambda: "so far [red]so good")


async def test_elsewhere_it_is_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(live, "ELSEWHERE_EVERY_S", 0.01)
    out = io.StringIO()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, Console(file=out), lambda: "so far [red]so good")
            while out.getvalue().count("\n") < 3:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert set(out.getvalue().splitlines()) == {"so far [red]so good"}


async def test_elsewhere_nothing_is_said_at_once():
    out = io.StringIO()
    await followed(Console(file=out))
    assert not out.getvalue()


async def test_on_a_terminal_it_is_in_place_from_the_start():
    out = io.StringIO()
    await followed(Console(file=out, force_terminal=True, width=80))
    assert "so far [red]so good" in out.getvalue()
