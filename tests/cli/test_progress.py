"""A run shows how it goes: live in a terminal, in lines elsewhere, as events, or not at all."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import anyio
import pytest
from rich.console import Console

from profiler.cli import progress
from profiler.cli.events import Events
from profiler.cli.progress import Form, form_of, live, shown
from profiler.cli.standing import Harness, Seen, Standing, TallyStanding
from profiler.cli.standing_text import as_event, clock_time, line, sparkline
from profiler.load.glimpse import Glimpse, Overview
from profiler.load.so_far import CallsSoFar
from profiler.load.tally import Tally, together
from profiler.measure.records import Observer, Phase
from profiler.workload.load import load_workload

SEEN = Seen(
    p50_s=0.812,
    p95_s=2.1,
    course_s=(0.5, None, 1.0),
    course_width_s=1.0,
    errors={"timeout": 2},
    calls=CallsSoFar(
        observer=Observer.GATEWAY,
        interactions=40,
        llm_calls=70,
        input_tokens=48_000,
        output_tokens=None,
    ),
)
STANDING = Standing(
    phase=Phase.MEASURE,
    ended=40,
    failed=2,
    in_flight=3,
    total=120,
    elapsed_s=20.0,
    share=1 / 3,
    left_s=40.0,
    asked_per_s=2.5,
    asked_of="interactions",
    achieved_per_s=2.0,
    seen=SEEN,
    harness=Harness(loop_lag_s=0.0012, cpu_share=0.34),
)


async def on_screen(standing: Standing, *, width: int = 120, **console: Any) -> str:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, height=20, **console)
    async with live(lambda: standing, terminal):
        pass
    return screen.getvalue()


async def test_a_terminal_sees_how_far_it_is_and_what_it_has_shown():
    text = await on_screen(STANDING, color_system=None)
    assert "measuring" in text
    assert "33%  40/120 interactions, 0:20 gone, 0:40 left" in text
    assert "2.5 interactions/s asked, 2 interactions/s, 3 in flight" in text
    assert "p50 812 ms, p95 2.10 s  ▅ █ median of each 1.00 s" in text
    assert "1.75 LLM calls, 1,200 tokens in an interaction (gateway)" in text
    assert "2 failed: timeout 2" in text
    assert "loop lag 1.20 ms, CPU 34 %" in text


async def test_no_color_takes_the_colours_away(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in await on_screen(STANDING, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in await on_screen(STANDING, color_system="standard")


async def test_a_name_from_the_target_is_neither_markup_nor_a_control_sequence():
    hostile = {"agent_error ([bold]\x1b[2Jx)": 2}
    seen = Seen(p50_s=None, p95_s=None, course_s=(), course_width_s=1, errors=hostile, calls=None)
    standing = Standing(phase=Phase.MEASURE, ended=2, failed=2, in_flight=0, seen=seen)
    text = await on_screen(standing, color_system=None)
    assert "[bold]" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("width", [80, 60])
async def test_the_time_left_is_seen_on_a_narrow_terminal(width):
    long = replace(STANDING, ended=40_000, total=120_000, elapsed_s=4000.0, left_s=8000.0)
    text = await on_screen(long, width=width, color_system=None)
    assert "33%  40,000/120,000 interactions" in text
    assert "2:13:20 left" in text


async def test_a_narrow_terminal_gets_no_wrapped_lines():
    text = await on_screen(STANDING, width=40, color_system=None)
    assert "1.75 LLM calls, 1,200 tokens…" in text


@pytest.mark.parametrize(
    ("asked", "environ", "is_terminal", "form"),
    [
        ({}, {}, True, Form.LIVE),
        ({}, {}, False, Form.LINES),
        ({}, {"CI": "true"}, True, Form.LINES),
        ({}, {"CI": "false"}, True, Form.LIVE),
        ({}, {"TERM": "dumb"}, True, Form.LINES),
        ({}, {"FORCE_COLOR": "1"}, False, Form.LIVE),
        ({"quiet": True}, {}, True, Form.NOTHING),
        ({"events": Events()}, {}, True, Form.EVENTS),
        ({"events": Events(), "quiet": True}, {}, True, Form.NOTHING),
    ],
)
def test_the_place_decides_the_form(asked, environ, is_terminal, form):
    options = {"quiet": False, **asked}
    assert form_of(environ=environ, is_terminal=is_terminal, **options) is form


async def while_shown(form: Form, events: Events | None = None, *, turns: int = 2) -> None:
    """Show until `turns` standings were asked for, and the last one was written."""
    asked, enough = 0, anyio.Event()

    def tell() -> Standing:
        nonlocal asked
        asked += 1
        if asked > turns:
            enough.set()
        return STANDING

    with anyio.fail_after(10):
        async with shown(tell, form, events):
            await enough.wait()


async def test_a_log_gets_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.001)
    await while_shown(Form.LINES)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == (
        "measuring 40/120 (33%), 0:40 left, 2.5 interactions/s asked, 2 interactions/s, "
        "3 in flight, p50 812 ms, p95 2.10 s, 2 failed (timeout 2), "
        "1.75 LLM calls, 1,200 tokens in an interaction (gateway)"
    )


def test_a_log_hears_of_a_harness_that_is_late():
    late = Standing(
        phase=Phase.MEASURE,
        ended=1,
        failed=0,
        in_flight=0,
        harness=Harness(loop_lag_s=0.2, cpu_share=0.5),
    )
    assert line(late).endswith("harness strained: loop lag 200 ms, CPU 50 %")


async def test_programs_get_events(monkeypatch):
    monkeypatch.setattr(progress, "EVENT_EVERY_S", 0.001)
    written: list[bytes] = []
    await while_shown(Form.EVENTS, Events(written.append))
    event = json.loads(written[0])
    assert event["event"] == "progress"
    assert (event["ended"], event["total"], event["left_s"]) == (40, 120, 40.0)
    assert event["latency_s"] == {"p50": 0.812, "p95": 2.1}
    assert event["per_interaction"] == {
        "observer": "gateway",
        "interactions": 40,
        "llm_calls": 1.75,
        "input_tokens": 1200.0,
    }


def test_an_event_has_no_key_for_what_is_not_known():
    event = as_event(Standing(phase=Phase.WARMUP, ended=1, failed=0, in_flight=2))
    known = {"event", "phase", "ended", "failed", "in_flight", "elapsed_s"}
    assert event.keys() == known


async def test_quiet_says_nothing(capsys):
    async with shown(lambda: STANDING, Form.NOTHING):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_goes_away_ends_the_events_and_not_the_run(monkeypatch):
    forgotten: list[bool] = []
    monkeypatch.setattr("profiler.cli.events._forget_stdout", lambda: forgotten.append(True))
    tries = 0

    def gone(_: bytes) -> None:
        nonlocal tries
        tries += 1
        raise BrokenPipeError

    events = Events(gone)
    assert events.around(lambda: 7) == 7
    events.say("once more")
    assert (tries, forgotten) == (1, [True])


def standing_of(tmp_path, load: str, *tallies: Tally, seconds: int) -> Standing:
    """Look at shards twice: when they began to measure, and `seconds` later."""
    file = tmp_path / "w.yaml"
    file.write_text(f"name: x\nload: {load}\nscenarios: [{{name: a, turns: [{{user: hi}}]}}]\n")
    times = iter([0, *[seconds * 1_000_000_000] * 9])
    tell = TallyStanding(load_workload(file), clock=lambda: next(times))
    tell(Tally(phase=Phase.MEASURE), Overview())
    return tell(together(tallies), Overview())


def test_what_shards_did_before_they_were_looked_at_is_in_no_rate(tmp_path):
    file = tmp_path / "w.yaml"
    file.write_text("name: x\nscenarios: [{name: a, turns: [{user: hi}]}]\n")
    times = iter([0, 1, 2_000_000_000, 2_000_000_000])
    tell = TallyStanding(load_workload(file), clock=lambda: next(times))
    overview = Overview()
    assert tell(Tally(phase=Phase.MEASURE, ended=360), overview).achieved_per_s is None
    assert tell(Tally(phase=Phase.MEASURE, ended=400), overview).achieved_per_s == 20.0


def test_what_the_shards_saw_is_shown_as_one_process_shows_it(tmp_path):
    file = tmp_path / "w.yaml"
    file.write_text("name: x\nload: {sessions: 8}\nscenarios: [{name: a, turns: [{user: hi}]}]\n")
    times = iter([0, *[4_000_000_000] * 9])
    tell = TallyStanding(load_workload(file), clock=lambda: next(times))
    overview = Overview(clock=lambda: 0)
    measuring = Tally(phase=Phase.MEASURE, ended=2, failed=1)
    tell(measuring, overview)
    for shard, lag_ns in enumerate((1_000_000, 80_000_000)):
        calls = CallsSoFar(
            observer=Observer.RESPONSE,
            interactions=4,
            llm_calls=6 + shard,
            input_tokens=400,
            output_tokens=None,
        )
        overview.take(
            shard,
            Glimpse(
                latency_us={128_000: 3},
                errors={"timeout": 1},
                sessions_begun=3,
                sessions_ended=2,
                dropped=1,
                calls=calls,
                loop_lag_ns=lag_ns,
                cpu_share=0.5,
            ),
        )
    standing = tell(measuring, overview)
    # 4 of 8 sessions in 4 s; 13 calls and 800 tokens in 8 interactions.
    assert (standing.share, standing.left_s, standing.sessions_per_s) == (0.5, 4.0, 1.5)
    event = as_event(standing)
    assert event["latency_s"] == {"p50": 0.128, "p95": 0.128}
    assert (event["errors"], event["dropped"]) == ({"timeout": 2}, 2)
    assert event["per_interaction"] == {
        "observer": "response", "interactions": 8, "llm_calls": 1.625, "input_tokens": 100,
    }  # fmt: skip
    assert event["harness"] == {"loop_lag_s": 0.08, "cpu_share": 0.5, "shards": 2}
    assert "harness strained: loop lag 80.0 ms, CPU 50 % (worst of 2 shards)" in line(standing)


def test_all_shards_are_shown_as_one(tmp_path):
    measuring = Tally(phase=Phase.MEASURE, in_flight=2, ended=10, failed=1, warmup_ended=9)
    warming = Tally(phase=Phase.WARMUP, in_flight=1, warmup_ended=30, warmup_failed=2)
    load = "{users: 2, requests: 80, warmup: 50}"
    both = standing_of(tmp_path, load, measuring, measuring, seconds=5)
    assert (both.phase, both.ended, both.total, both.failed) == (Phase.MEASURE, 20, 80, 2)
    assert (both.in_flight, both.achieved_per_s) == (4, 4.0)
    assert both.left_s == 15.0  # a quarter took 5 s
    mixed = standing_of(tmp_path, load, measuring, warming, seconds=5)
    assert (mixed.phase, mixed.ended, mixed.total, mixed.share) == (Phase.WARMUP, 39, 50, None)


def test_what_ends_the_run_first_tells_the_time_left(tmp_path):
    slow = Tally(phase=Phase.MEASURE, ended=10)
    load = "{rate: {ramp: {from: 1/s, to: 3/s, over: 10s}}, requests: 1000, duration: 20s}"
    shown = standing_of(tmp_path, load, slow, seconds=5)
    assert (shown.share, shown.left_s) == (0.25, 15.0)
    assert shown.asked_per_s == 2.0  # half way up the ramp


def test_a_sparkline_begins_at_zero():
    assert sparkline((0.0, 1.0, None, 0.5, 0.25)) == "▁█ ▅▃"
    assert sparkline(()) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (72, "1:12"), (3723, "1:02:03")])
def test_a_time_reads_as_a_clock(seconds, text):
    assert clock_time(seconds) == text
