"""`LeanTransport.exchange` against servers that misbehave, on real sockets and both event loops."""

from __future__ import annotations

import asyncio
import errno
import gc
import gzip
import socket
import zlib

import anyio
import httpx
import pytest

from profiler.clock import monotonic_ns
from profiler.endpoints.destination import Destination, header_lines
from profiler.endpoints.failures import classify
from profiler.endpoints.receiver import (
    BodyTooLargeError,
    DeadlineError,
    HeadTooLargeError,
    Limits,
)
from profiler.endpoints.stamps import Stamps
from profiler.endpoints.transport import LeanTransport
from tests.endpoints.hostile import read_request, whole
from tests.endpoints.wire import (
    Collector,
    HandClock,
    answering,
    ask,
    ask_once,
    both_loops,
    brotli_compress,
    deaf_server,
    failing,
    in_order,
    meeting,
    reset,
    send_parts,
    stream_server,
    until,
)

BODY = b"Hello, world"
WHOLE = whole(BODY)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nHello\r\n7\r\n, world\r\n0\r\nX-Trailer: t\r\n\r\n"
)
BY_CLOSE = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n" + BODY


@both_loops
async def test_an_exchange_brings_the_answer_and_its_times():
    log: list[bytes] = []
    stamps = Stamps()
    received, sink = await ask_once(
        answering(WHOLE, log=log),
        body=b"ping",
        headers=[("user-agent", "me")],
        lines=header_lines([("traceparent", "00-1")]),
        stamps=stamps,
    )
    assert (received.status, sink.status, sink.body) == (200, 200, BODY)
    assert received.headers is sink.headers
    assert received.headers.get(b"content-type") == "application/json"
    assert received.headers.get(b"absent") is None
    assert received.headers.parsed()["Content-Length"] == "12"
    assert received.stamps is stamps
    assert in_order(stamps)
    assert stamps.connect_end_ns is not None
    assert stamps.last_byte_ns is not None
    assert (stamps.pool_wait_ns, stamps.reused, stamps.retried) == (0, False, 0)
    assert sink.chunks[-1][1] == stamps.last_byte_ns
    head, _, body = log[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /path?q=1 HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert lines[2:] == [b"user-agent: me", b"content-length: 4", b"traceparent: 00-1"]
    assert body == b"ping"


@both_loops
@pytest.mark.parametrize("response", [WHOLE, CHUNKED, BY_CLOSE], ids=["length", "chunks", "close"])
async def test_a_response_in_two_segments_cut_anywhere_is_the_same(response):
    cuts = iter(range(1, len(response)))

    async def handle(stream):
        while True:
            await read_request(stream)
            at = next(cuts)
            await send_parts(stream, response[:at], response[at:], pause_s=0.0002)
            if response is BY_CLOSE:
                return

    async with meeting(handle) as (transport, url):
        for _ in range(1, len(response)):
            received, sink = await ask(transport, url)
            assert (received.status, sink.body) == (200, BODY)


@both_loops
@pytest.mark.parametrize("response", [WHOLE, CHUNKED], ids=["length", "chunks"])
async def test_a_server_that_goes_away_early_is_a_protocol_error_wherever_it_goes(response):
    cuts = iter(range(len(response)))

    async def handle(stream):
        await read_request(stream)
        await stream.send(response[: next(cuts)])

    async with meeting(handle) as (transport, url):
        for _ in range(len(response)):
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                await ask(transport, url)
            assert caught.value.request.url == url


@both_loops
async def test_each_chunk_has_the_time_at_which_it_came():
    """The server sends a chunk when the one before was read, 20 ms later on the clock."""
    clock, sink, stamps = HandClock(), Collector(), Stamps()

    async def handle(stream):
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        await until(lambda: stamps.first_byte_ns is not None)
        for count in (1, 2, 3):
            clock.now_ns += 20_000_000
            await stream.send(b"x")
            await until(lambda count=count: len(sink.chunks) == count)

    options = {"clock": clock}
    await ask_once(handle, transport_options=options, sink=sink, stamps=stamps)
    after_ns = [at_ns - stamps.first_byte_ns for _, at_ns in sink.chunks]
    assert after_ns == [20_000_000, 40_000_000, 60_000_000]


# Reuse


@both_loops
async def test_a_clean_connection_is_used_again():
    async with meeting(answering(WHOLE, close=False)) as (transport, url):
        seen = [(await ask(transport, url))[0].stamps for _ in range(3)]
        assert transport.pool.open_connections == transport.pool.idle_connections == 1
    assert [stamps.reused for stamps in seen] == [False, True, True]
    assert {stamps.connection_id for stamps in seen} == {1}
    assert seen[1].connect_start_ns is None
    assert seen[1].connect_end_ns is None


@both_loops
@pytest.mark.parametrize(
    "response",
    [
        WHOLE.replace(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"),
        WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        WHOLE + b"garbage",
        WHOLE + b"H",
        WHOLE + WHOLE,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_any_doubt_about_a_connection_ends_it(response):
    async with meeting(answering(response, close=False)) as (transport, url):
        for number in (1, 2):
            received, _ = await ask(transport, url)
            assert received.stamps.connection_id == number
            assert not received.stamps.reused
        assert transport.pool.open_connections == 0


@both_loops
async def test_a_request_that_says_close_is_the_last_of_its_connection():
    async with meeting(answering(WHOLE, close=False)) as (transport, url):
        await ask(transport, url, headers=[("Connection", "close")])
        assert transport.pool.open_connections == 0


@both_loops
async def test_http_1_0_may_keep_a_connection_alive():
    kept = WHOLE.replace(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK\r\nConnection: keep-alive")
    async with meeting(answering(kept, close=False)) as (transport, url):
        await ask(transport, url)
        assert transport.pool.idle_connections == 1


@both_loops
@pytest.mark.parametrize("length", [b"", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n"])
@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"304 Not Modified"])
async def test_a_head_request_gets_no_body_and_the_next_one_is_answered(status, length):
    response = b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n"
    async with meeting(answering(response, close=False)) as (transport, url):
        for _ in range(2):
            received, sink = await ask(transport, url, method="HEAD", body=b"")
            assert received.status == int(status[:3])
            assert sink.body == b""


@both_loops
async def test_interim_responses_are_passed_over():
    interim = b"HTTP/1.1 100 Continue\r\nX-I: 1\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    received, sink = await ask_once(answering(interim, WHOLE))
    assert (received.status, sink.body) == (200, BODY)
    assert received.headers.get(b"link") is None


# One retry, for one reason


def closing_when_idle(log: list[str]):
    """The first connection answers once, takes a second request and closes; later ones answer."""
    connections = 0

    async def handle(stream):
        nonlocal connections
        connections += 1
        number = connections
        while True:
            await read_request(stream)
            log.append(f"request on {number}")
            if number == 1 and log.count("request on 1") == 2:
                return
            await stream.send(WHOLE)

    return handle


@both_loops
async def test_an_idle_connection_that_was_closed_is_replaced_once():
    log: list[str] = []
    async with meeting(closing_when_idle(log)) as (transport, url):
        await ask(transport, url)
        received, sink = await ask(transport, url)
        assert sink.body == BODY
        assert received.stamps.retried == 1
        assert not received.stamps.reused
        assert received.stamps.connection_id == 2
        assert in_order(received.stamps)
    assert log == ["request on 1", "request on 1", "request on 2"]


@both_loops
async def test_a_retry_never_takes_another_idle_connection_and_never_happens_twice():
    ready = anyio.Event()
    requests = 0

    async def handle(stream):
        nonlocal requests
        await read_request(stream)
        requests += 1
        if requests == 3:
            ready.set()
        if requests > 3:
            return  # the retry, on a fresh connection
        await ready.wait()
        await stream.send(WHOLE)
        await read_request(stream)
        requests += 1

    async with meeting(handle) as (transport, url):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, transport, url)
        assert transport.pool.idle_connections == 3
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await ask(transport, url)
        assert requests == 5  # three, one on a stale connection, one on a fresh one
        assert transport.pool.idle_connections == 2


@both_loops
async def test_a_fresh_connection_that_is_closed_is_not_replaced():
    log: list[bytes] = []
    await failing(answering(b"", log=log), httpx.RemoteProtocolError)
    assert len(log) == 1


@both_loops
async def test_a_reused_connection_that_brought_a_byte_is_not_replaced():
    async def handle(stream):
        await read_request(stream)
        await stream.send(WHOLE)
        await read_request(stream)
        await stream.send(b"H")

    async with meeting(handle) as (transport, url):
        await ask(transport, url)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, url)


@both_loops
async def test_a_server_that_dies_at_work_is_not_asked_again():
    requests = 0

    async def handle(stream):
        nonlocal requests
        await read_request(stream)
        await stream.send(WHOLE)
        await read_request(stream)
        requests += 1
        await anyio.sleep(0.06)

    async with meeting(handle, retry_window_s=0.05) as (transport, url):
        await ask(transport, url)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, url)
    assert requests == 1


@both_loops
async def test_a_reset_in_the_middle_is_a_read_error():
    async def handle(stream):
        await read_request(stream)
        await stream.send(WHOLE[:-3])
        await anyio.sleep(0.02)
        reset(stream)

    exc = await failing(handle, httpx.ReadError)
    assert isinstance(exc.__cause__, ConnectionResetError)


# Failures to connect


async def _refusing(host: str = "127.0.0.1") -> httpx.ConnectError:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
        async with LeanTransport() as transport:
            with pytest.raises(httpx.ConnectError) as caught:
                await ask(transport, f"http://{host}:{port}/")
            assert transport.pool.open_connections == 0
    return caught.value


@both_loops
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_connection_says_so(host):
    exc = await _refusing(host)
    assert isinstance(exc.__cause__, ConnectionRefusedError)
    assert classify(exc)[1] == "refused"
    assert exc.request.url.host == host


@both_loops
async def test_several_addresses_that_all_refuse_are_refused(monkeypatch):
    async def create_connection(*_arguments, **_options):
        raise OSError("Multiple exceptions: [Errno 111] a ('::1'), [Errno 111] b ('127.0.0.1')")

    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.BaseEventLoop):
        monkeypatch.setattr(loop, "create_connection", create_connection)
        exc = await _refusing("localhost")
        assert classify(exc)[1] == "refused"


@both_loops
async def test_an_unknown_name_says_so(monkeypatch):
    def getaddrinfo(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.BaseEventLoop):
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with LeanTransport() as transport:
        with pytest.raises(httpx.ConnectError) as caught:
            # uvloop asks the machine's own resolver, which may be in no hurry to say no
            await ask(transport, "http://name.invalid/", timeout_s=60)
        assert classify(caught.value)[1] == "dns"


@both_loops
async def test_too_many_open_files_says_so(monkeypatch):
    async with LeanTransport() as transport:

        class Loop:
            def __getattr__(self, name):
                return getattr(asyncio.get_running_loop(), name)

            async def create_connection(self, *_arguments, **_options):
                raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(transport.pool, "check_loop", Loop)
        with pytest.raises(httpx.ConnectError) as caught:
            await ask(transport, "http://127.0.0.1:1/")
        assert classify(caught.value)[1] == "too_many_open_files"


@both_loops
async def test_a_connection_that_is_not_made_in_time_is_a_connect_timeout(monkeypatch):
    async with LeanTransport() as transport:

        class Loop:
            def __getattr__(self, name):
                return getattr(asyncio.get_running_loop(), name)

            async def create_connection(self, *_arguments, **_options):
                await asyncio.Event().wait()

        monkeypatch.setattr(transport.pool, "check_loop", Loop)
        for options in ({"connect_timeout_s": 0.02}, {"timeout_s": 0.02}):
            with pytest.raises(httpx.ConnectTimeout) as caught:
                await ask(transport, "http://127.0.0.1:1/", **options)
            assert caught.value.request.method == "POST"
            assert transport.pool.open_connections == 0


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@both_loops
async def test_nagle_is_off_and_ipv6_works():
    seen = {}

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(WHOLE)
        await reader.read()

    if not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with stream_server(handle, host="::1") as port, LeanTransport() as transport:
        _, sink = await ask(transport, f"http://[::1]:{port}/")
        assert sink.body == BODY
        connection = next(iter(transport.pool._origins))
        raw = connection._transport.get_extra_info("socket")
        seen["nodelay"] = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert seen["nodelay"] != 0


@both_loops
async def test_only_http_urls_and_headers_that_are_headers():
    for url in ("ftp://x/", "http:///path", "/relative"):
        with pytest.raises(httpx.UnsupportedProtocol):
            Destination.of(url)
    destination = Destination.of("http://user@example.org:8080/a b?c#d")
    assert destination.host == b"example.org:8080"
    assert destination.path == b"/a%20b?c"
    assert Destination.of("https://example.org").origin == ("https", "example.org", 443, None)
    for bad in (
        [("a", "1\r\nb: 2")],
        [("a", "1\nb: 2")],
        [("a", "1\0")],
        [("a b", "1")],
        [("", "1")],
        [("content-length", "1")],
        [("transfer-encoding", "chunked")],
    ):
        with pytest.raises(httpx.LocalProtocolError):
            destination.head("POST", bad)
    with pytest.raises(httpx.LocalProtocolError):
        destination.head("GET /x", ())
    own_host = destination.head("GET", [("HOST", "other")])
    assert own_host.message(b"") == b"GET /a%20b?c HTTP/1.1\r\nHOST: other\r\n\r\n"
    assert b"content-length: 0\r\n" in destination.head("PUT").message(b"")


# Time


def once_connected(handle):
    """Answer the first request: the one that `handle` gets has nothing to connect."""

    async def first_answers(stream):
        await read_request(stream)
        await stream.send(WHOLE)
        await handle(stream)

    return first_answers


@both_loops
async def test_the_deadline_holds_against_a_server_that_says_nothing():
    async def handle(stream):
        await read_request(stream)
        await anyio.sleep_forever()

    async with meeting(once_connected(handle)) as (transport, url):
        await ask(transport, url)
        with pytest.raises(DeadlineError, match=r"within 0\.05 s") as caught:
            await ask(transport, url, timeout_s=0.05)
        assert isinstance(caught.value, httpx.ReadTimeout)
        assert transport.pool.open_connections == 0


@both_loops
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_the_deadline_holds_against_a_server_that_drips(start):
    async def handle(stream):
        await read_request(stream)
        if start:
            await stream.send(start)
        for byte in b"HTTP/1.1 200 " * (not start) + b"x" * 10_000:
            await stream.send(bytes([byte]))
            await anyio.sleep(0.005)

    async with meeting(once_connected(handle)) as (transport, url):
        await ask(transport, url)
        with pytest.raises(DeadlineError):
            await ask(transport, url, timeout_s=0.1)
        assert transport.pool.open_connections == 0


@both_loops
async def test_the_deadline_holds_while_the_request_is_written():
    with deaf_server() as url:
        async with LeanTransport() as transport:
            stamps = Stamps()
            with pytest.raises(DeadlineError):
                await ask(transport, url, body=b"x" * 20_000_000, timeout_s=0.5, stamps=stamps)
            assert stamps.first_byte_ns is None


@both_loops
async def test_a_deadline_that_held_leaves_the_next_request_alone():
    clock = HandClock()
    async with meeting(answering(WHOLE, close=False), clock=clock) as (transport, url):
        await ask(transport, url)  # connects, for which the machine may need longer than 50 ms
        await ask(transport, url, timeout_s=0.05)
        clock.now_ns += 60_000_000
        await anyio.sleep(0.1)  # past that deadline, in idleness
        received, _ = await ask(transport, url, timeout_s=5)
        assert received.stamps.reused
        await ask(transport, url, timeout_s=None)


@both_loops
async def test_sent_is_when_a_large_request_has_left():
    loop = asyncio.get_running_loop()
    body, stamps = b"x" * 20_000_000, Stamps()
    read_ns: list[int] = []

    async def serve(listener):  # by hand: what reads ahead would make the request leave sooner
        connection, _ = await loop.sock_accept(listener)
        with connection:
            connection.setblocking(False)
            await until(lambda: stamps.sent_ns is not None)  # what is written at once
            await anyio.sleep(0.02)
            read_ns.append(monotonic_ns())
            left = len(body)
            while left > 0:
                left -= len(await loop.sock_recv(connection, 1 << 20))
            await loop.sock_sendall(connection, WHOLE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        async with anyio.create_task_group() as tasks, LeanTransport() as transport:
            tasks.start_soon(serve, listener)
            await ask(transport, url, body=body, stamps=stamps)
    assert in_order(stamps)
    assert stamps.sent_ns > read_ns[0]


# Cancellation and sinks that raise


@both_loops
@pytest.mark.parametrize("start", [b"", WHOLE[:20], WHOLE[:-2]])
async def test_cancelling_closes_the_connection(start):
    async def handle(stream):
        await read_request(stream)
        await stream.send(start)
        await anyio.sleep_forever()

    async with meeting(handle) as (transport, url):
        with anyio.move_on_after(0.03) as scope:
            await ask(transport, url)
        assert scope.cancelled_caught
        assert transport.pool.open_connections == 0


@both_loops
async def test_cancelling_while_connecting_leaves_nothing(monkeypatch):
    async with LeanTransport() as transport:

        class Loop:
            def __getattr__(self, name):
                return getattr(asyncio.get_running_loop(), name)

            async def create_connection(self, *_arguments, **_options):
                await asyncio.Event().wait()

        monkeypatch.setattr(transport.pool, "check_loop", Loop)
        with anyio.move_on_after(0.02):
            await ask(transport, "http://127.0.0.1:1/")
        assert transport.pool.open_connections == 0


@both_loops
async def test_a_sink_that_cancels_its_own_task_at_the_last_byte_harms_nobody():
    async with meeting(answering(WHOLE, close=False)) as (transport, url):
        scope = anyio.CancelScope()

        class Cancelling(Collector):
            def feed(self, chunk, at_ns):
                scope.cancel()

        with scope:
            await ask(transport, url, Cancelling())
        assert scope.cancelled_caught
        _, sink = await ask(transport, url)
        assert sink.body == BODY


class BadSinkError(Exception):
    pass


@both_loops
@pytest.mark.parametrize("where", ["begin", "feed"])
@pytest.mark.parametrize("error", [BadSinkError, StopIteration, KeyboardInterrupt])
async def test_what_a_sink_raises_reaches_the_caller_and_ends_the_connection(where, error):
    async with meeting(answering(WHOLE, close=False)) as (transport, url):
        sink = Collector()

        def raises(*_arguments):
            raise error("mine")

        setattr(sink, where, raises)
        caught: BaseException | None = None
        try:
            await ask(transport, url, sink)
        except RuntimeError as exc:  # a StopIteration cannot leave a coroutine as it is
            caught = exc.__cause__
        except BaseException as exc:  # noqa: BLE001 - KeyboardInterrupt is among what is tested
            caught = exc
        assert isinstance(caught, error)
        assert transport.pool.open_connections == 0


# Limits


@both_loops
async def test_the_body_limit_holds_for_what_comes_off_the_wire():
    async def endless(stream):
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send(b"x" * 4096)

    sink = Collector()
    await failing(
        endless, BodyTooLargeError, match="10,000 bytes", sink=sink, max_body_bytes=10_000
    )
    assert len(sink.body) <= 10_000
    limits = Limits(max_body_bytes=10_000)
    await failing(endless, BodyTooLargeError, transport_options={"limits": limits})


@both_loops
async def test_huge_and_many_headers_are_refused():
    huge = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"
    many = b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 300 + b"Content-Length: 0\r\n\r\n"
    for response in (huge, many):
        limit = r"65,536 bytes .* 256 headers"
        await failing(answering(response), HeadTooLargeError, match=limit)


# Content codings


def encoded(body: bytes, coding: str):
    raw = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return {
        "gzip": lambda: gzip.compress(body),
        "deflate": lambda: zlib.compress(body),
        "raw": lambda: raw.compress(body) + raw.flush(),
        "br": lambda: brotli_compress(body),
        "gzip, br": lambda: brotli_compress(gzip.compress(body)),
        "identity, unknown": lambda: body,
    }[coding]()


def coded(body: bytes, coding: str):
    data = encoded(body, coding)
    name = "deflate" if coding == "raw" else coding.upper()
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


CODINGS = ["gzip", "deflate", "raw", "br", "gzip, br", "identity, unknown"]


@both_loops
@pytest.mark.parametrize("coding", CODINGS)
async def test_codings_are_undone_wherever_they_are_cut(coding):
    response = coded(BODY, coding)
    start = response.index(b"\r\n\r\n") + 4
    parts = [response[at : at + 1] for at in range(start, len(response))]
    received, sink = await ask_once(answering(response[:start], *parts))
    assert sink.body == BODY
    assert received.headers.get(b"content-encoding") is not None
    _, sink = await ask_once(answering(coded(b"x" * 1_000_000, coding)))
    assert sink.body == b"x" * 1_000_000
    assert coding == "identity, unknown" or max(len(c) for c, _ in sink.chunks) <= 2 * 65_536


@both_loops
@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw", "br", "gzip, br"])
async def test_a_bomb_is_stopped_at_the_limit(coding):
    bomb = coded(bytes(50_000_000), coding)
    assert len(bomb) < 100_000
    sink = Collector()
    await failing(answering(bomb), BodyTooLargeError, sink=sink, max_body_bytes=100_000)
    assert len(sink.body) <= 100_000


@both_loops
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_what_does_not_decode_is_a_decoding_error(coding):
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 8\r\n\r\n"
    async with meeting(answering(head.encode() + b"\xff" * 8)) as (transport, url):
        with pytest.raises(httpx.DecodingError) as caught:
            await ask(transport, url)
        assert caught.value.request.url == url
        assert transport.pool.open_connections == 0


@both_loops
async def test_a_pile_of_codings_is_refused():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"Content-Encoding: gzip\r\n" * 6
    await failing(answering(head + b"\r\n"), httpx.DecodingError)


# The end


@both_loops
async def test_closing_fails_what_is_under_way_and_nothing_works_after():
    is_asked = anyio.Event()

    async def handle(stream):
        await read_request(stream)
        is_asked.set()
        await anyio.sleep_forever()

    async with meeting(handle) as (transport, url):
        async with anyio.create_task_group() as tasks:

            async def fails():
                with pytest.raises(httpx.ReadError, match="closed"):
                    await ask(transport, url)

            tasks.start_soon(fails)
            await is_asked.wait()
            await transport.aclose()
        await transport.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await ask(transport, url)


@both_loops
async def test_closing_while_a_connection_is_made_leaves_nothing():
    with deaf_server() as url:
        transport = LeanTransport()
        task = asyncio.ensure_future(ask(transport, url))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(httpx.ConnectError, match="closed as soon as"):
            await task
        assert transport.pool.open_connections == 0


def test_a_transport_stays_on_its_loop():
    transport = LeanTransport()

    async def use():
        transport.pool.check_loop()

    asyncio.run(use())
    with pytest.raises(RuntimeError, match="one event loop"):
        asyncio.run(use())


@both_loops
async def test_nothing_is_left_behind_by_many_exchanges():
    async with meeting(answering(WHOLE, close=False)) as (transport, url):
        tasks_before = len(asyncio.all_tasks())

        async def user():
            for _ in range(20):
                await ask(transport, url)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(user)
        assert transport.pool.open_connections <= 20
        assert (
            len(asyncio.all_tasks()) <= tasks_before + 21
        )  # the server's: one a connection, one accepts
    gc.collect()  # a socket or a future that nobody closed would warn now: warnings are errors
