"""The conductor and the shards that it conducts, over real sockets on loopback."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute

from profiler.errors import AgentProfilerError, UsageError
from profiler.load import conductor as conducting
from profiler.load.conducted import Conducted
from profiler.load.conductor import Conductor, Stand
from profiler.load.glimpse import Glimpse
from profiler.load.glimpse import to_json as to_json_of_glimpse
from profiler.load.lines import LONGEST_LINE, Lines
from profiler.load.meter import Meter, SpendLimits
from profiler.load.tally import Tally, to_json
from profiler.measure.records import EndReason, Interaction, Outcome, Phase, Usage

WAIT_S = 20


@dataclass
class FakeDriver:
    stopped: list[EndReason] = field(default_factory=list)
    phase: Phase = Phase.MEASURE
    watch: Any = field(default_factory=lambda: SimpleNamespace(in_flight=2, dropped=1, latest=None))
    over: anyio.Event = field(default_factory=anyio.Event)

    def stop(self, reason):
        self.stopped.append(reason)
        self.over.set()


@pytest.fixture(autouse=True)
def tolerance(monkeypatch):
    """A machine may stand still for a second while a shard of a test does not answer."""
    monkeypatch.setattr(conducting, "CLOCK_TOLERANCE_NS", 100 * 10**9)


@asynccontextmanager
async def shard(stand, index, *, wall_ns=None, token=None):
    """Be a shard that says hello, and is ready."""
    async with await anyio.connect_tcp(stand.host, stand.port) as stream:
        lines = Lines(stream)
        await lines.send({"say": "hello", "token": token or stand.token, "shard": index})
        await lines.send({"say": "ready", "wall_ns": wall_ns or time.time_ns()})
        yield lines


GLIMPSE = to_json_of_glimpse(
    Glimpse(latency_us={128: 2}, errors={}, sessions_begun=1, sessions_ended=0, dropped=0)
)


def tally(**counts) -> dict[str, Any]:
    counts = {"phase": Phase.MEASURE, "answered": True, "last_failure": "boom", **counts}
    return {"say": "tally", "tally": to_json(Tally(**counts))}


def ended_interaction(outcome: Outcome) -> Interaction:
    return Interaction(
        trace_id="t",
        session="s",
        session_index=3,
        scenario="x",
        turn=0,
        phase=Phase.MEASURE,
        send_ns=0,
        end_ns=1_000_000_000,
        outcome=outcome,
        error_detail=None if outcome is Outcome.OK else "boom",
    )


async def until(condition) -> None:
    with anyio.fail_after(WAIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is another's state
            await anyio.sleep(0.001)


async def test_all_are_told_the_same_start_once_the_last_is_ready():
    conductor = Conductor(2, error_limit=0.5)
    async with (
        conductor.standing() as stand,
        shard(stand, 0) as first,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(conductor.start, WAIT_S)
        await until(lambda: conductor._ready == {0})
        assert not conductor.has_started
        async with shard(stand, 1) as second:
            words = [await first.receive(), await second.receive()]
    assert words[0] == words[1]
    assert words[0]["say"] == "start"
    assert words[0]["wall_ns"] > 0


async def test_a_later_start_can_be_asked_for():
    conductor = Conductor(1, error_limit=0.5)
    later_ns = time.time_ns() + 10**12
    async with conductor.standing() as stand, shard(stand, 0) as lines:
        await conductor.start(WAIT_S, later_ns)
        assert await lines.receive() == {"say": "start", "wall_ns": later_ns}


async def test_shards_that_are_not_all_ready_in_time_end_the_run():
    conductor = Conductor(2, error_limit=0.5)
    async with conductor.standing() as stand, shard(stand, 0):
        await until(lambda: conductor._ready == {0})
        with pytest.raises(AgentProfilerError, match="1 of 2 shards were ready after 0 s"):
            await conductor.start(0)


@pytest.mark.parametrize(("off_s", "side"), [(-1000, "behind"), (1000, "ahead of")])
async def test_a_shard_whose_clock_is_wrong_ends_the_run(off_s, side):
    def wall_ns():
        return time.time_ns() + off_s * 10**9

    async def answer(lines):
        while await lines.receive() == {"say": "clock"}:
            await lines.send({"say": "clock", "wall_ns": wall_ns()})

    conductor = Conductor(2, error_limit=0.5)
    async with (
        conductor.standing() as stand,
        shard(stand, 1, wall_ns=wall_ns()) as lines,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answer, lines)
        with pytest.raises(UsageError, match=rf"clock of shard 2 is 1?[09]\d\d\.\d s {side}.*NTP"):
            await conductor.start(WAIT_S)
        tasks.cancel_scope.cancel()


async def test_a_message_that_was_long_on_its_way_is_no_wrong_clock():
    conductor = Conductor(1, error_limit=0.5)
    long_ago = time.time_ns() - 1000 * 10**9
    async with conductor.standing() as stand, shard(stand, 0, wall_ns=long_ago) as lines:
        assert await lines.receive() == {"say": "clock"}
        await lines.send({"say": "clock", "wall_ns": time.time_ns()})
        await conductor.start(WAIT_S)
        assert (await lines.receive())["say"] == "start"


async def test_a_shard_says_what_its_clock_says_when_it_is_asked():
    heard = []

    async def ask(stream):
        async with stream:
            lines = Lines(stream)
            heard.extend([await lines.receive(), await lines.receive()])
            await lines.send({"say": "clock"})
            heard.append(await lines.receive())
            await lines.send({"say": "start", "wall_ns": 1})
            await lines.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    stand = Stand(host="127.0.0.1", port=port, token="t")
    before_ns = time.time_ns()
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, ask)
        async with Conducted(stand, 0).companion(FakeDriver()):
            pass
        tasks.cancel_scope.cancel()
    assert [message["say"] for message in heard] == ["hello", "ready", "clock"]
    assert before_ns <= heard[1]["wall_ns"] <= heard[2]["wall_ns"] <= time.time_ns()


async def test_strangers_are_hung_up_on_and_shards_still_come_in(monkeypatch):
    conductor = Conductor(1, error_limit=0.5)
    strange = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"[1]\n",
        b'{"say":"hello","token":"x","shard":0}\n',
        b'{"say":"hello","token":7,"shard":0}\n',
        b'{"say":"hello"}\n',
        b"x" * (LONGEST_LINE + 1),
    ]
    async with conductor.standing() as stand:
        for said in strange:
            await _hung_up_on(stand, said)
        with monkeypatch.context() as patch:  # for who says nothing: a shard may be slow to speak
            patch.setattr(conducting, "ADMISSION_TIMEOUT_S", 0.05)
            await _hung_up_on(stand, b"")
        for index in (-1, 1, "0", True):
            async with shard(stand, index) as lines:
                assert await lines.receive() is None
        async with shard(stand, 0), shard(stand, 0) as second:
            assert await second.receive() is None  # a shard is admitted once
            await conductor.start(WAIT_S)


async def _hung_up_on(stand, said: bytes) -> None:
    async with await anyio.connect_tcp(stand.host, stand.port) as stream:
        with anyio.fail_after(WAIT_S), pytest.raises(anyio.EndOfStream):
            await _send_and_read(stream, said)


async def _send_and_read(stream, said: bytes) -> None:
    try:
        if said:
            await stream.send(said)
        await stream.receive()
    except anyio.BrokenResourceError as exc:  # a reset: there was more than was read
        raise anyio.EndOfStream from exc


async def test_the_error_limit_counts_the_failures_of_all():
    conductor = Conductor(2, error_limit=0.5)
    async with conductor.standing() as stand, shard(stand, 0) as one, shard(stand, 1) as two:
        await conductor.start(WAIT_S)
        await one.send(tally(ended=10, failed=6))
        await until(lambda: conductor.tally.ended == 10)
        assert conductor.reason is None  # too few to judge by
        await two.send(tally(ended=10, failed=6))
        assert [(await one.receive())["say"], (await two.receive())["say"]] == ["start", "start"]
        stop = {"say": "stop", "reason": "error_limit"}
        assert [await one.receive(), await two.receive()] == [stop, stop]
    assert conductor.reason is EndReason.ERROR_LIMIT
    assert conductor.detail == "12 of 20 interactions failed; last: boom"


async def test_a_shard_that_cannot_connect_stops_all_only_where_nobody_was_answered():
    for answered, reason in ((True, None), (False, EndReason.ERROR_LIMIT)):
        conductor = Conductor(2, error_limit=0.5)
        async with conductor.standing() as stand, shard(stand, 0) as one, shard(stand, 1) as two:
            await one.send(tally(ended=1, answered=answered))
            await until(lambda: conductor.tally.ended == 1)  # noqa: B023 - awaited at once
            await two.send(tally(ended=1, failed=1, answered=False))
            await until(lambda: conductor.tally.ended == 2)  # noqa: B023 - awaited at once
        assert conductor.reason is reason


async def test_who_comes_after_the_stop_hears_it_too():
    conductor = Conductor(1, error_limit=0.5)
    async with conductor.standing() as stand:
        conductor.stop(EndReason.INTERRUPTED)
        conductor.stop(EndReason.JOURNAL_FAILED, "later")
        await conductor.start(WAIT_S)  # nothing is left to start
        async with shard(stand, 0) as lines:
            assert await lines.receive() == {"say": "stop", "reason": "interrupted"}
    assert (conductor.reason, conductor.detail) == (EndReason.INTERRUPTED, None)


async def test_a_shard_that_hangs_up_is_gone_unless_it_had_ended():
    conductor = Conductor(2, error_limit=0.5)
    async with conductor.standing() as stand:
        async with shard(stand, 0):
            pass
        with anyio.fail_after(WAIT_S):
            await conductor.gone(0)
        async with shard(stand, 1) as lines:
            await lines.send({**tally(ended=4), "say": "ended"})
            await until(lambda: conductor.tally.ended == 4)
        await until(lambda: not conductor._posts)
        assert not conductor._gone[1].is_set()


@pytest.mark.parametrize(
    "nonsense",
    [
        {"say": "tally", "tally": {"ended": "many"}},
        {"say": "glimpse", "glimpse": 3},
        {"say": "glimpse", "glimpse": {**GLIMPSE, "latency_us": [[1, -1]]}},
        {"say": "glimpse", "glimpse": {**GLIMPSE, "errors": ["timeout"]}},
        {"say": "glimpse", "glimpse": {**GLIMPSE, "calls": ["response", 0, 1, None, None]}},
    ],
)
async def test_a_shard_that_talks_nonsense_is_gone(nonsense):
    conductor = Conductor(1, error_limit=0.5)
    async with conductor.standing() as stand, shard(stand, 0) as lines:
        await lines.send(nonsense)
        with anyio.fail_after(WAIT_S):
            await conductor.gone(0)


async def test_a_place_where_nobody_can_listen_is_told():
    with pytest.raises(UsageError, match=r"192\.0\.2\.1:80.*--conductor"):
        async with Conductor(1, error_limit=None).standing("192.0.2.1", 80):
            pass


# Conducted shards


async def test_a_conducted_shard_waits_for_the_start_and_tells_how_far_it_is():
    conductor = Conductor(1, error_limit=0.5)
    driver: Any = FakeDriver()
    entered = False
    async with conductor.standing() as stand, anyio.create_task_group() as tasks:
        conducted = Conducted(stand, 0)

        async def drive() -> None:
            nonlocal entered
            async with conducted.companion(driver):
                entered = True
                conducted.count(ended_interaction(Outcome.OK), ())
                conducted.count(ended_interaction(Outcome.TIMEOUT), ())
                await until(lambda: conductor.tally.failed == 1)
                assert conductor.tally.in_flight == 2

        tasks.start_soon(drive)
        await until(lambda: conductor._ready == {0})
        assert not entered
        await conductor.start(WAIT_S)
        await until(lambda: conductor._ended == {0})
    assert (conductor.tally.ended, conductor.tally.failed) == (2, 1)
    assert conductor.tally.first_failure == "boom"
    assert driver.stopped == []
    overview = conductor.overview
    assert (overview.latency.count, overview.errors, overview.dropped) == (1, {"timeout": 1}, 1)


async def conducted_until_stopped(end, *, tells_rows=False) -> tuple[Any, Conductor]:
    conductor = Conductor(1, error_limit=0.5)
    driver: Any = FakeDriver()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as standing:
            async with conductor.standing() as stand:
                conducted = Conducted(stand, 0, tells_rows=tells_rows)

                async def drive() -> None:
                    async with conducted.companion(driver):
                        with anyio.fail_after(WAIT_S):
                            await driver.over.wait()

                tasks.start_soon(drive)
                await conductor.start(WAIT_S)
                await end(conductor, conducted, standing)
                with anyio.move_on_after(WAIT_S):
                    await driver.over.wait()
    return driver, conductor


async def test_a_conducted_shard_stops_when_it_is_told_to():
    async def end(conductor, _conducted, _standing):
        conductor.stop(EndReason.ERROR_LIMIT, "no use")

    driver, _ = await conducted_until_stopped(end)
    assert driver.stopped[0] is EndReason.ERROR_LIMIT


async def test_a_shard_whose_conductor_goes_away_stops_itself():
    async def end(_conductor, _conducted, standing):
        standing.cancel()

    driver, _ = await conducted_until_stopped(end)
    assert driver.stopped == [EndReason.INTERRUPTED]


async def test_rows_reach_the_conductor_and_its_word_that_they_are_enough_the_shard():
    heard: list[Any] = []

    async def end(conductor, conducted, _standing):
        conductor.on_rows = heard.extend
        for _ in range(300):
            conducted.count(ended_interaction(Outcome.OK), ())
        await until(lambda: len(heard) == 300)
        assert not conducted.is_stable()
        conductor.call_enough()
        await until(conducted.is_stable)
        conductor.stop(EndReason.COMPLETED)

    await conducted_until_stopped(end, tells_rows=True)
    assert set(heard) == {(3, 1.0, None, None)}


async def test_a_shard_that_cannot_reach_the_conductor_says_which_and_where():
    async with Conductor(1, error_limit=0.5).standing() as stand:
        pass
    with pytest.raises(AgentProfilerError, match=rf"{stand.port}: shard 1 on .*--conductor"):
        async with Conducted(stand, 0).companion(FakeDriver()):
            pass


async def test_shards_that_spent_the_limit_together_are_let_end_and_not_stopped():
    @dataclass
    class Ending(FakeDriver):
        ended: list[EndReason] = field(default_factory=list)

        def let_end(self, reason, detail):
            self.ended.append(reason)
            self.over.set()

    conductor = Conductor(2, error_limit=0.5, limits=SpendLimits(tokens=100))
    driver, meter = Ending(), Meter(SpendLimits(tokens=100), None)
    usage = Usage(input_tokens=30, output_tokens=30)
    async with (
        conductor.standing() as stand,
        shard(stand, 1) as other,
        anyio.create_task_group() as tasks,
    ):
        conducted = Conducted(stand, 0, meter=meter)
        tasks.start_soon(conductor.start, WAIT_S)
        await other.send(tally(tokens=60))
        async with conducted.companion(driver):
            assert conductor.reason is None
            conducted.count(replace(ended_interaction(Outcome.OK), usage=usage), ())
            with anyio.fail_after(WAIT_S):
                await driver.over.wait()
        assert conductor.tally.spent.tokens == 120
    assert (driver.ended, driver.stopped) == ([EndReason.MAX_TOKENS], [])
    assert (conductor.reason, conductor.detail) == (
        EndReason.MAX_TOKENS,
        "at least 120 of 100 tokens are used",
    )


async def test_what_shards_had_spent_before_they_were_resumed_is_told_before_anything_is_sent():
    @dataclass
    class Ending(FakeDriver):
        ended: list[EndReason] = field(default_factory=list)

        def let_end(self, reason, detail):
            self.ended.append(reason)

    conductor = Conductor(1, error_limit=0.5, limits=SpendLimits(tokens=100))
    driver, meter = Ending(), Meter(SpendLimits(tokens=100), None)
    before = replace(ended_interaction(Outcome.OK), usage=Usage(input_tokens=70, output_tokens=50))
    meter.take(before, ())
    async with conductor.standing() as stand, anyio.create_task_group() as tasks:
        tasks.start_soon(conductor.start, WAIT_S)
        with anyio.fail_after(WAIT_S):
            async with Conducted(stand, 0, meter=meter, before=7).companion(driver):
                assert driver.ended == [EndReason.MAX_TOKENS]
    assert (conductor.has_started, conductor.tally.before) == (False, 7)
    assert conductor.detail == "at least 120 of 100 tokens are used"
