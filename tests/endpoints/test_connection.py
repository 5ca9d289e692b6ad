"""The connection as a state machine: no sockets, bytes cut wherever the test wants."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx
import pytest

from profiler.endpoints.connection import Connection, State
from profiler.endpoints.receiver import (
    BodyTooLargeError,
    HeadTooLargeError,
    Limits,
    StaleError,
)
from profiler.endpoints.stamps import Stamps

BODY = b"Hello, world"
BY_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A: 1 \r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nHello\r\n7 \r\n, world\r\n0\r\nX-Trailer: t\r\n\r\n"
)
BY_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n" + BODY
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
NO_BODY = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.aborted = False
        self.reading = True
        self.buffered = 0

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def set_write_buffer_limits(self, high=None, low=None) -> None:
        assert (high, low) == (1, 0)

    def write(self, data) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        assert not self.aborted
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Owner:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def release(self, connection) -> None:
        assert connection.state is State.IDLE
        self.calls.append("release")

    def closed(self, connection) -> None:
        assert connection.state is State.CLOSED
        self.calls.append("closed")

    def opened(self, connection) -> None:
        self.calls.append("opened")

    def gone(self, connection) -> None:
        self.calls.append("gone")


class Taker:
    def __init__(self) -> None:
        self.status = None
        self.headers: list = []
        self.encoding = None
        self.body = b""
        self.ended = 0
        self.failure = None

    def begin(self, status, headers, content_encoding):
        assert self.status is None
        self.status, self.headers, self.encoding = status, headers, content_encoding
        return self.feed

    def feed(self, chunk, at_ns) -> None:
        assert not self.is_over
        self.body += chunk

    @property
    def is_over(self) -> bool:
        return bool(self.ended or self.failure)

    def end(self) -> None:
        assert not self.is_over
        self.ended += 1

    def fail(self, exc) -> None:
        assert not self.is_over
        self.failure = exc

    def timed_out(self):
        return httpx.ReadTimeout("late")


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        self.now_ns += 1
        return self.now_ns


class Rig:
    """A connection that is IDLE, and everything around it."""

    def __init__(self, *, limits=None, retry_window_ns=10**9) -> None:
        self.clock = Clock()
        self.owner = Owner()
        self.wire = Wire()
        self.taker = Taker()
        self.stamps = Stamps()
        self.connection = Connection(
            self.owner,
            loop=asyncio.get_running_loop(),
            number=7,
            clock=self.clock,
            limits=limits or Limits(),
            retry_window_ns=retry_window_ns,
        )
        self.connection.connection_made(self.wire)

    def start(self, data: bytes = b"GET", **options) -> Rig:
        self.taker, self.stamps = Taker(), Stamps()
        self.connection.start(self.taker, self.stamps, data, **options)
        return self

    def feed(self, *parts: bytes) -> Rig:
        for part in parts:
            if self.connection.state is not State.CLOSED:
                self.connection.data_received(part)
        return self

    def eof(self) -> Rig:
        self.connection.eof_received()
        return self

    def lost(self, exc=None) -> Rig:
        self.connection.connection_lost(exc)
        return self

    @property
    def state(self) -> State:
        return self.connection.state


@pytest.mark.parametrize(
    ("response", "status", "body", "state"),
    [
        (BY_LENGTH, 200, BODY, State.IDLE),
        (CHUNKED, 200, BODY, State.IDLE),
        (BY_CLOSE, 200, BODY, State.CLOSED),
        (INTERIM + INTERIM + CHUNKED, 200, BODY, State.IDLE),
        (NO_BODY, 204, b"", State.IDLE),
        (NO_BODY.replace(b"204", b"304"), 304, b"", State.IDLE),
        (BY_LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"), 200, BODY, State.CLOSED),
        (BY_LENGTH.replace(b"X-A: 1", b"Connection: close"), 200, BODY, State.CLOSED),
    ],
)
async def test_a_response_means_the_same_wherever_it_is_cut(response, status, body, state):
    cuts = [(response[:at], response[at:]) for at in range(1, len(response))]
    for parts in [(response,), *cuts, [response[at : at + 1] for at in range(len(response))]]:
        rig = Rig().start().feed(*parts)
        if rig.state is State.BODY:
            rig.eof()
        assert (rig.taker.status, rig.taker.body) == (status, body)
        assert rig.taker.ended == 1
        assert rig.state is state
        assert rig.owner.calls == ["opened", "release" if state is State.IDLE else "closed"]
        assert rig.wire.aborted is (state is State.CLOSED)
        assert b"Link" not in dict(rig.taker.headers)
        assert rig.stamps.last_byte_ns is not None
        assert rig.stamps.first_byte_ns is not None
        assert rig.stamps.first_byte_ns <= rig.stamps.last_byte_ns


@pytest.mark.parametrize("response", [BY_LENGTH, CHUNKED, INTERIM + BY_LENGTH])
async def test_an_early_end_is_a_protocol_error_wherever_it_comes(response):
    for at in range(len(response)):
        for end in (Rig.eof, Rig.lost):
            rig = Rig().start().feed(response[:at])
            end(rig)
            assert isinstance(rig.taker.failure, httpx.RemoteProtocolError), at
            assert rig.state is State.CLOSED


async def test_a_body_that_ends_with_the_connection_may_end_anywhere_but_not_by_a_reset():
    head = BY_CLOSE.index(BODY)
    for at in range(1, len(BY_CLOSE)):
        rig = Rig().start().feed(BY_CLOSE[:at]).lost()
        if at < head:
            assert isinstance(rig.taker.failure, httpx.RemoteProtocolError)
        else:
            assert rig.taker.ended == 1
            assert rig.taker.body == BY_CLOSE[head:at]
    rig = Rig().start().feed(BY_CLOSE).lost(ConnectionResetError(104, "reset"))
    assert isinstance(rig.taker.failure, httpx.ReadError)
    assert isinstance(rig.taker.failure.__cause__, ConnectionResetError)


@pytest.mark.parametrize(
    "extra", [b"H", b"HTTP/1.1 200 OK\r\n", b"garbage", BY_LENGTH, b"\x00", INTERIM]
)
@pytest.mark.parametrize("response", [BY_LENGTH, CHUNKED, NO_BODY])
async def test_a_byte_after_the_end_leaves_the_response_alone_but_not_the_connection(
    response, extra
):
    together = Rig().start().feed(response + extra)
    assert together.taker.ended == 1
    assert together.state is State.CLOSED
    apart = Rig().start().feed(response, extra)
    assert apart.taker.ended == 1
    assert apart.state is State.CLOSED
    assert apart.owner.calls == ["opened", "release", "closed"]


@pytest.mark.parametrize(
    ("response", "clean"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (BY_LENGTH, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nH", False),
    ],
)
async def test_head_has_no_body_whatever_its_length_says(response, clean):
    rig = Rig().start(head_only=True).feed(response)
    assert rig.taker.ended == 1
    assert rig.taker.body == b""
    assert rig.state is (State.IDLE if clean else State.CLOSED)
    if clean:
        rig.start().feed(BY_LENGTH)
        assert rig.taker.body == BODY
        assert rig.stamps.reused


@pytest.mark.parametrize(
    "response",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        BY_LENGTH.replace(b"\r\n", b"\n"),
        CHUNKED.replace(b"ext=1\r\n", b"ext=1\n"),
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nrest",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nab\r\n",
    ],
)
async def test_what_is_no_http_is_a_protocol_error(response):
    rig = Rig().start().feed(response)
    assert isinstance(rig.taker.failure, httpx.RemoteProtocolError)
    assert rig.state is State.CLOSED


async def test_two_lengths_are_read_as_chunks_and_end_the_connection():
    rig = Rig().start().feed(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1))
    assert rig.taker.body == BODY
    assert rig.state is State.CLOSED


async def test_headers_are_limited_in_bytes_and_in_number():
    limits = Limits(max_header_bytes=100, max_headers=3)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    fits = Rig(limits=limits).start().feed(head + b"A: 1\r\nB: 2\r\n\r\n")
    assert fits.taker.ended == 1
    for headers in (b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n", b"A: " + b"x" * 101 + b"\r\n\r\n"):
        whole = Rig(limits=limits).start().feed(head + headers)
        assert isinstance(whole.taker.failure, HeadTooLargeError)
    endless = Rig(limits=limits).start().feed(head)
    for _ in range(100):
        endless.feed(b"x")
    assert isinstance(endless.taker.failure, HeadTooLargeError)
    assert endless.clock.now_ns < 1_000 + 110


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", INTERIM),
        (CHUNKED[: CHUNKED.index(b"0\r\nX-Tr") + 3], b"X-T: 1\r\n"),
        (CHUNKED[: CHUNKED.index(b"ext")], b"ext"),
    ],
)
async def test_bytes_that_bring_no_body_are_limited_everywhere(start, more):
    rig = Rig(limits=Limits(max_header_bytes=1_000)).start().feed(start)
    rig.feed(*[more] * 1_000)
    assert isinstance(rig.taker.failure, HeadTooLargeError)


async def test_a_large_body_is_no_large_head():
    rig = Rig(limits=Limits(max_header_bytes=100)).start()
    body = b"x" * 10_000
    rig.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + body)
    assert rig.taker.body == body


async def test_the_body_is_limited_on_the_wire():
    exact = Rig(limits=Limits(max_body_bytes=12)).start().feed(CHUNKED)
    assert exact.taker.ended == 1
    over = Rig(limits=Limits(max_body_bytes=11)).start().feed(CHUNKED)
    assert isinstance(over.taker.failure, BodyTooLargeError)
    assert over.state is State.CLOSED
    own = Rig().start(max_body_bytes=4).feed(CHUNKED)
    assert str(own.taker.failure) == "the response body is larger than 4 bytes"


async def test_a_reused_connection_that_ends_before_a_byte_is_stale_and_only_then():
    fresh = Rig().start().lost()
    assert str(fresh.taker.failure) == "Server disconnected without sending a response."
    for cause in (None, ConnectionResetError(104, "reset")):
        reused = Rig().start().feed(BY_LENGTH).start().lost(cause)
        assert isinstance(reused.taker.failure, StaleError)
        assert reused.taker.failure.__cause__ is cause
    heard = Rig().start().feed(BY_LENGTH).start().feed(b"H").lost()
    assert isinstance(heard.taker.failure, httpx.RemoteProtocolError)
    late = Rig(retry_window_ns=1_000).start().feed(BY_LENGTH).start()
    late.clock.now_ns += 2_000
    late.lost()
    assert isinstance(late.taker.failure, httpx.RemoteProtocolError)


async def test_an_idle_connection_that_is_spoken_to_closes():
    for end in (Rig.eof, Rig.lost, lambda rig: rig.feed(b"x")):
        rig = Rig()
        end(rig)
        assert rig.state is State.CLOSED
        assert not rig.connection.is_usable
        assert rig.owner.calls[:2] == ["opened", "closed"]


async def test_end_comes_once_and_close_is_idempotent():
    rig = Rig().start().feed(b"HTTP/1.1 200 OK\r\n").eof().eof().lost()
    rig.connection.close()
    rig.connection.fail(ValueError())
    assert isinstance(rig.taker.failure, httpx.RemoteProtocolError)
    assert rig.owner.calls == ["opened", "closed", "gone"]


async def test_a_request_that_closes_or_is_not_wholly_written_ends_the_connection():
    assert Rig().start(closes=True).feed(BY_LENGTH).state is State.CLOSED
    assert Rig().start(uploading=True).feed(BY_LENGTH).state is State.CLOSED
    stuck = Rig().start()
    stuck.connection.pause_writing()
    stuck.connection.pause_writing()
    assert stuck.connection.is_writing
    assert stuck.feed(BY_LENGTH).state is State.CLOSED
    assert stuck.taker.ended == 1


async def test_sent_is_when_the_socket_took_the_last_byte():
    rig = Rig().start()
    first = rig.stamps.sent_ns
    rig.connection.pause_writing()
    rig.clock.now_ns = 5_000
    rig.connection.resume_writing()
    assert first is not None
    assert first < 5_000 < rig.stamps.sent_ns
    assert not rig.connection.is_writing
    await rig.connection.drained()


async def test_an_upload_is_sent_when_its_last_part_is():
    rig = Rig().start(uploading=True)
    rig.connection.write(b"more")
    rig.connection.pause_writing()
    rig.connection.resume_writing()
    rig.clock.now_ns = 5_000
    rig.connection.finish_upload(rig.taker)
    assert rig.stamps.sent_ns > 5_000
    assert rig.wire.sent == b"GETmore"
    rig.feed(BY_LENGTH)
    assert rig.state is State.IDLE
    rig.connection.finish_upload(rig.taker)  # somebody else's turn by now: nothing
    rig.connection.write(b"never")
    assert rig.wire.sent == b"GETmore"


LARGE = bytes(range(256)) * 400
BEGINNING, REST = LARGE[:9000], memoryview(LARGE)[9000:]


async def test_large_requests_of_one_instant_all_begin_before_one_is_written_to_its_end():
    first, second = Rig().start(BEGINNING, rest=REST), Rig().start(BEGINNING, rest=REST)
    begun = [rig.stamps.sent_ns for rig in (first, second)]
    for rig in (first, second):
        assert 0 < len(rig.wire.sent) < len(LARGE) / 4
        assert rig.connection.is_writing
    await asyncio.sleep(0)
    for rig, begun_ns in zip((first, second), begun, strict=True):
        assert rig.wire.sent == LARGE
        assert not rig.connection.is_writing
        assert rig.stamps.sent_ns > begun_ns
        await rig.connection.drained()
        assert rig.feed(BY_LENGTH).state is State.IDLE


async def test_the_rest_of_a_large_request_is_sent_when_the_socket_took_it():
    rig = Rig().start(BEGINNING, rest=REST)
    rig.connection.resume_writing()  # of the beginning
    assert rig.connection.is_writing
    rig.wire.buffered = 1
    await asyncio.sleep(0)
    assert rig.wire.sent == LARGE
    assert rig.connection.is_writing
    rig.clock.now_ns = 50_000
    rig.connection.resume_writing()
    assert not rig.connection.is_writing
    assert rig.stamps.sent_ns > 50_000


async def test_the_rest_of_a_large_request_is_not_written_to_who_has_gone_or_answered():
    gone, answered = Rig().start(BEGINNING, rest=REST), Rig().start(BEGINNING, rest=REST)
    gone.connection.abandon(gone.taker)
    assert answered.feed(BY_LENGTH).state is State.CLOSED  # it never saw the whole of the request
    assert answered.taker.ended == 1
    await asyncio.sleep(0)
    for rig in (gone, answered):
        assert len(rig.wire.sent) < len(LARGE) / 4
        assert not rig.connection.is_writing


async def test_small_requests_and_uploads_are_written_at_once():
    assert Rig().start().wire.sent == b"GET"
    assert Rig().start(LARGE).wire.sent == LARGE
    assert Rig().start(LARGE, uploading=True).wire.sent == LARGE


async def test_a_reset_while_writing_is_a_write_error():
    rig = Rig().start()
    rig.connection.pause_writing()
    rig.lost(BrokenPipeError(32, "pipe"))
    assert isinstance(rig.taker.failure, httpx.WriteError)
    assert Rig().start().lost(OSError()).taker.failure.args == ("OSError",)


async def test_reading_stops_and_goes_on_and_an_idle_connection_always_reads():
    rig = Rig().start()
    rig.connection.pause()
    rig.connection.pause()
    assert not rig.wire.reading
    rig.connection.resume()
    rig.connection.resume()
    assert rig.wire.reading
    rig.connection.pause()
    rig.feed(BY_LENGTH)
    assert rig.state is State.IDLE
    assert rig.wire.reading
    rig.start().connection.pause()
    rig.connection.close()
    rig.connection.resume()
    assert not rig.wire.reading  # a closed transport is not touched


@pytest.mark.parametrize("where", ["begin", "feed"])
async def test_what_a_receiver_raises_comes_back_through_fail(where):
    rig = Rig().start()

    def raises(*_arguments):
        raise KeyError("mine")

    setattr(rig.taker, where, raises)
    rig.feed(CHUNKED)
    assert isinstance(rig.taker.failure, KeyError)
    assert rig.state is State.CLOSED


@pytest.mark.parametrize("where", ["begin", "feed"])
@pytest.mark.parametrize("response", [BY_LENGTH, CHUNKED])
async def test_a_receiver_may_abandon_while_it_is_told(where, response):
    rig = Rig().start()
    told = getattr(rig.taker, where)

    def leaves(*arguments):
        rig.connection.abandon(rig.taker)
        return told(*arguments)

    setattr(rig.taker, where, leaves)
    rig.feed(response)
    assert rig.state is State.CLOSED
    assert not rig.taker.is_over
    assert rig.taker.body == (b"" if where == "begin" else rig.taker.body)


async def test_who_abandons_too_late_harms_nobody():
    rig = Rig().start().feed(BY_LENGTH)
    before = rig.taker
    rig.start()
    rig.connection.abandon(before)
    assert rig.state is State.HEAD
    rig.feed(BY_LENGTH)
    assert rig.taker.body == BODY


async def test_a_connection_closed_before_it_was_made_aborts_its_socket():
    rig = Rig()
    connection = Connection(
        rig.owner,
        loop=asyncio.get_running_loop(),
        number=1,
        clock=rig.clock,
        limits=Limits(),
        retry_window_ns=0,
    )
    connection.close()
    wire = Wire()
    connection.connection_made(wire)
    assert wire.aborted
    assert connection.state is State.CLOSED


# The timer: a fake loop, so that no test waits


class FakeLoop:
    def __init__(self) -> None:
        self.timers: list = []

    def call_later(self, delay_s, callback):
        timer = FakeTimer(delay_s, callback)
        self.timers.append(timer)
        return timer


class FakeTimer:
    def __init__(self, delay_s, callback) -> None:
        self.delay_s, self.fire, self.is_cancelled = delay_s, callback, False

    def cancel(self) -> None:
        self.is_cancelled = True


def timed() -> tuple[Rig, FakeLoop]:
    rig, loop = Rig(), FakeLoop()
    rig.connection._loop = cast("asyncio.AbstractEventLoop", loop)
    return rig, loop


async def test_one_timer_serves_many_requests():
    rig, loop = timed()
    for _ in range(5):
        rig.start()
        rig.connection.expect(rig.clock() + 1_000_000)
        rig.feed(BY_LENGTH)
    assert len(loop.timers) == 1
    loop.timers[0].fire()  # idle: it goes, and the next request sets another
    rig.start()
    rig.connection.expect(rig.clock() + 1_000_000)
    assert len(loop.timers) == 2


async def test_a_timer_that_fires_early_is_set_again_and_one_too_late_is_moved():
    rig, loop = timed()
    rig.start()
    rig.connection.expect(2_000_000)
    rig.connection.expect(3_000_000)  # later: the old timer will find out
    rig.clock.now_ns = 2_000_000
    loop.timers[0].fire()
    assert loop.timers[1].delay_s == pytest.approx(0.001, rel=0.01)
    rig.connection.expect(2_500_000)  # sooner
    assert loop.timers[1].is_cancelled
    rig.clock.now_ns = 2_500_000
    loop.timers[2].fire()
    assert isinstance(rig.taker.failure, httpx.ReadTimeout)
    assert rig.state is State.CLOSED


async def test_each_byte_puts_off_a_wait_for_silence():
    rig, loop = timed()
    rig.start()
    rig.connection.expect(1_000_000, silence_ns=1_000_000)
    rig.clock.now_ns = 900_000
    rig.feed(b"H")
    rig.clock.now_ns = 1_000_000
    loop.timers[0].fire()
    assert rig.taker.failure is None
    assert loop.timers[1].delay_s == pytest.approx(0.0009, rel=0.01)
    rig.connection.expect_nothing()
    loop.timers[1].fire()
    assert rig.taker.failure is None
    rig.connection.expect(0)
    rig.connection.close()
    assert loop.timers[2].is_cancelled
