"""`LeanTransport` under `httpx.AsyncClient`: bodies both ways, timeouts, back-pressure."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import httpx
import pytest
import respx

from profiler.endpoints.receiver import HeadTooLargeError, StaleError
from profiler.endpoints.stamps import Stamps
from profiler.endpoints.streaming import HIGH_WATER_BYTES, OutgoingRequest
from profiler.endpoints.transport import LeanTransport
from tests.endpoints.hostile import read_request, serving, whole
from tests.endpoints.wire import (
    HandClock,
    answering,
    both_loops,
    deaf_server,
    in_order,
    reset,
    until,
)

BODY = b"Hello, world"
WHOLE = whole(BODY)
ONE_READ_BYTES = 256 * 1024  # what an event loop reads at once


@asynccontextmanager
async def client_of(handle, *, limits=10.0, **options):
    async with serving(handle) as port:
        transport = LeanTransport(**options)
        async with httpx.AsyncClient(
            transport=transport, timeout=limits, base_url=f"http://127.0.0.1:{port}"
        ) as client:
            client.lean = transport
            yield client
        assert transport.pool.open_connections == 0


def recording(log: list[bytes], *, until: bytes, response: bytes = WHOLE):
    """A server that keeps what it gets, up to `until`, and answers."""

    async def handle(stream):
        while True:
            data = b""
            while until not in data:
                data += await stream.receive()
            log.append(data)
            await stream.send(response)

    return handle


@both_loops
async def test_a_client_reads_answers_and_their_times():
    async with client_of(answering(WHOLE, close=False)) as client:
        first = await client.post("/x", json={"a": 1})
        second = await client.get("/y", params={"q": "ä b"})
    assert (first.status_code, first.content, second.content) == (200, BODY, BODY)
    assert first.headers["content-type"] == "application/json"
    assert first.http_version == "HTTP/1.1"
    assert first.reason_phrase == "OK"
    stamps = first.extensions["stamps"]
    assert isinstance(stamps, Stamps)
    assert in_order(stamps)
    assert stamps.last_byte_ns is not None
    assert second.extensions["stamps"].reused
    assert second.request.url.query == b"q=%C3%A4+b"


@both_loops
async def test_a_head_request_and_an_unusual_reason():
    response = b"HTTP/1.1 299 Rather Good\r\nContent-Length: 5\r\n\r\n"
    async with client_of(answering(response, close=False)) as client:
        for _ in range(2):
            answer = await client.head("/")
            assert (answer.status_code, answer.reason_phrase) == (299, "Rather Good")
            assert answer.content == b""


# Requests


async def produced(*parts: bytes):
    for part in parts:
        await anyio.lowlevel.checkpoint()
        yield part


class Parts(httpx.SyncByteStream):
    def __iter__(self):
        yield b"ab"
        yield b""
        yield b"c"


@both_loops
async def test_bodies_of_unknown_length_go_out_in_chunks():
    log: list[bytes] = []
    async with client_of(recording(log, until=b"0\r\n\r\n")) as client:
        await client.post("/", content=produced(b"ab", b"", b"c"))
        request = client.build_request("POST", "/")
        request = httpx.Request("POST", request.url, stream=Parts())
        response = await client.lean.handle_async_request(request)
        await response.aread()
    for data in log:
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert b"\r\nhost: 127.0.0.1:" in head.lower()
        assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


@both_loops
async def test_bodies_of_known_length_go_out_as_they_are():
    log: list[bytes] = []
    async with client_of(recording(log, until=b"abc")) as client:
        await client.post("/", content=b"abc")
        await client.post("/", content=produced(b"ab", b"c"), headers={"content-length": "3"})
        await client.post("/", files={"f": b"abc"})
        bare = httpx.Request("POST", client.base_url, stream=httpx.ByteStream(b"abc"))
        await (await client.lean.handle_async_request(bare)).aread()
    for data in log:
        assert b"chunked" not in data
        assert data.lower().count(b"content-length: ") == 1
    assert log[0].endswith(b"\r\n\r\nabc")
    assert log[3].endswith(b"content-length: 3\r\n\r\nabc")


@both_loops
async def test_a_whole_body_with_chunked_asked_for_is_one_chunk():
    log: list[bytes] = []
    async with client_of(recording(log, until=b"0\r\n\r\n")) as client:
        headers = {"transfer-encoding": "chunked"}
        for body in (b"abc", b""):
            request = httpx.Request(
                "POST", client.base_url, headers=headers, stream=httpx.ByteStream(body)
            )
            await (await client.lean.handle_async_request(request)).aread()
    assert log[0].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert log[1].endswith(b"\r\n\r\n0\r\n\r\n")


@both_loops
@pytest.mark.parametrize(
    ("length", "parts"), [("3", [b"ab"]), ("3", [b"ab", b"cd"]), ("x", [b"ab"])]
)
async def test_a_body_that_belies_its_length_is_our_own_error(length, parts):
    async def handle(stream):
        while True:
            await stream.receive()

    async with client_of(handle) as client:
        headers = {"content-length": length}
        for content in (produced(*parts), b"".join(parts)):
            with pytest.raises(httpx.LocalProtocolError) as caught:
                await client.post("/", content=content, headers=headers)
            assert caught.value.request.method == "POST"
        assert client.lean.pool.open_connections == 0


@both_loops
async def test_requests_that_this_transport_does_not_make():
    async with LeanTransport() as transport:
        for error, request in [
            (httpx.UnsupportedProtocol, httpx.Request("GET", "ftp://x/")),
            (httpx.UnsupportedProtocol, httpx.Request("CONNECT", "http://x/")),
            (httpx.LocalProtocolError, httpx.Request("G T", "http://x/")),
            (httpx.LocalProtocolError, httpx.Request("GET", "http://x/", headers={"a": "\n"})),
            (
                httpx.LocalProtocolError,
                httpx.Request("GET", "http://x/", headers={"transfer-encoding": "gzip"}),
            ),
        ]:
            with pytest.raises(error) as caught:
                await transport.handle_async_request(request)
            assert caught.value.request is request


def test_a_target_and_a_server_name_can_be_set():
    request = httpx.Request(
        "GET", "https://x/a", extensions={"target": b"*", "sni_hostname": "other"}
    )
    outgoing = OutgoingRequest.of(request)
    assert outgoing.data.startswith(b"GET * HTTP/1.1\r\n")
    assert outgoing.origin == ("https", "x", 443, "other")


@both_loops
async def test_an_upload_that_raises_ends_the_connection():
    async def broken():
        yield b"ab"
        raise KeyError("mine")

    async def handle(stream):
        while True:
            await stream.receive()

    async with client_of(handle) as client:
        with pytest.raises(KeyError):
            await client.post("/", content=broken())
        assert client.lean.pool.open_connections == 0


@both_loops
async def test_an_answer_before_the_end_of_the_upload_stops_the_upload():
    closed = False

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            nonlocal closed
            try:
                while True:
                    yield b"x" * 1000
                    await anyio.sleep(0.001)
            finally:
                closed = True

    async def handle(stream):
        await stream.receive()
        await stream.send(whole(b"too large", "413 Content Too Large"))
        while True:
            await stream.receive()

    async with client_of(handle) as client:
        request = httpx.Request("POST", client.base_url, stream=Endless())
        response = await client.send(request)
        assert (response.status_code, response.content) == (413, b"too large")
        assert closed
        assert client.lean.pool.open_connections == 0


@both_loops
async def test_a_large_upload_waits_for_the_server_and_times_out_where_it_takes_nothing():
    async def slow(stream):
        while True:
            await anyio.sleep(0.05)
            data = bytearray()
            while not data.endswith(b"end"):
                data += await stream.receive(1 << 20)
            await stream.send(WHOLE)

    async def parts():
        for _ in range(8):
            yield b"x" * 999_999 + b"."
        yield b"end"

    async with client_of(slow) as client:
        headers = {"content-length": "8000003"}
        for content in (parts(), b"x" * 8_000_000 + b"end"):
            response = await client.post("/", content=content, headers=headers)
            assert response.content == BODY
            assert in_order(response.extensions["stamps"])


@both_loops
async def test_a_server_that_takes_nothing_is_a_write_timeout():
    async def many():
        for _ in range(100):
            yield b"x" * 1_000_000

    with deaf_server() as url:
        transport = LeanTransport()
        async with httpx.AsyncClient(
            transport=transport, timeout=httpx.Timeout(5, write=0.05)
        ) as client:
            for content in (many(), b"x" * 50_000_000):
                with pytest.raises(httpx.WriteTimeout) as caught:
                    await client.post(url, content=content)
                assert caught.value.request.method == "POST"
                assert transport.pool.open_connections == 0


# Responses


@both_loops
async def test_a_read_timeout_is_for_silence_not_for_the_whole():
    clock = HandClock()

    async def five_ms() -> None:
        clock.now_ns += 5_000_000
        await anyio.sleep(0.005)

    async def handle(stream):
        await read_request(stream)
        for byte in WHOLE:
            await stream.send(bytes([byte]))
            await five_ms()
        await read_request(stream)
        await stream.send(WHOLE[:-5])
        while True:
            await five_ms()

    async with client_of(handle, limits=httpx.Timeout(5, read=0.25), clock=clock) as client:
        first = await client.get("/")  # well over 0.25 s, never silent for so long
        assert first.content == BODY
        with pytest.raises(httpx.ReadTimeout) as caught:
            await client.get("/")
        assert caught.value.request.method == "GET"
        assert client.lean.pool.open_connections == 0


@both_loops
async def test_silence_before_the_head_times_out_too():
    async def handle(stream):
        await read_request(stream)
        await anyio.sleep_forever()

    async with client_of(handle, limits=httpx.Timeout(5, read=0.05)) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")


@both_loops
async def test_a_reader_that_sleeps_is_no_read_timeout():
    clock, has_slept = HandClock(), anyio.Event()

    async def handle(stream):
        await read_request(stream)
        await stream.send(WHOLE[:-5])
        await has_slept.wait()
        await stream.send(WHOLE[-5:])

    async with (
        client_of(handle, limits=httpx.Timeout(5, read=0.1), clock=clock) as client,
        client.stream("GET", "/") as response,
    ):
        clock.now_ns += 10**9
        await anyio.sleep(0.2)
        has_slept.set()
        assert await response.aread() == BODY


@both_loops
async def test_what_came_before_a_failure_is_delivered_first():
    async def handle(stream):
        await read_request(stream)
        await stream.send(WHOLE[:-5])
        await anyio.sleep(0.02)
        reset(stream)

    async with client_of(handle) as client:
        pieces: list[bytes] = []

        async def read():
            async with client.stream("GET", "/") as response:
                async for piece in response.aiter_raw():
                    pieces.append(piece)  # noqa: PERF401 - a failure must leave what came before

        with pytest.raises(httpx.ReadError) as caught:
            await read()
        assert b"".join(pieces) == BODY[:-5]
        assert caught.value.request.method == "GET"


@both_loops
async def test_a_reader_that_sleeps_holds_the_server_back():
    total = 64 * 1024 * 1024
    sent = 0

    async def handle(stream):
        nonlocal sent
        await read_request(stream)
        await stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n".encode())
        piece = b"x" * 65_536
        while sent < total:
            await stream.send(piece)
            sent += len(piece)

    async with client_of(handle) as client:
        async with client.stream("GET", "/") as response:
            await anyio.sleep(0.2)
            body = response.stream._stream  # httpx wraps it
            assert body._buffered <= HIGH_WATER_BYTES + ONE_READ_BYTES
            assert sent < total // 2  # the rest waits in its hands, not in ours
            size = 0
            async for piece in response.aiter_raw():
                size += len(piece)
                assert body._buffered <= HIGH_WATER_BYTES + ONE_READ_BYTES
            assert size == total
        assert client.lean.pool.idle_connections == 1


@both_loops
@pytest.mark.parametrize("read_some", [False, True])
async def test_closing_a_response_in_the_middle_closes_its_connection(read_some):
    async def handle(stream):
        await read_request(stream)
        await stream.send(WHOLE[:-5])
        await anyio.sleep_forever()

    async with client_of(handle) as client:
        async with client.stream("GET", "/") as response:
            if read_some:
                async for _ in response.aiter_raw():
                    break
            assert client.lean.pool.open_connections == 1
        assert client.lean.pool.open_connections == 0
        await response.aclose()


@both_loops
async def test_a_response_that_is_complete_gives_its_connection_back_before_it_is_read():
    async with client_of(answering(WHOLE, close=False)) as client:
        async with client.stream("GET", "/") as first:
            await until(lambda: client.lean.pool.idle_connections == 1)
            second = await client.get("/")
            assert second.extensions["stamps"].reused
            assert await first.aread() == BODY
        assert client.lean.pool.idle_connections == 1


@both_loops
@pytest.mark.parametrize("start", [b"", WHOLE[:-5]])
async def test_cancelling_closes_the_connection(start):
    async def handle(stream):
        await read_request(stream)
        await stream.send(start)
        await anyio.sleep_forever()

    async with client_of(handle) as client:
        with anyio.move_on_after(0.03) as scope:
            await client.get("/")
        assert scope.cancelled_caught
        assert client.lean.pool.open_connections == 0


@both_loops
async def test_a_stale_connection_is_replaced_if_the_body_can_be_sent_again():
    requests = 0

    async def handle(stream):
        nonlocal requests
        for _ in range(2):
            data = b""
            while not data.endswith((b"\r\n\r\n", b"abc")):
                data += await stream.receive()
            requests += 1
            if requests % 2:
                await stream.send(WHOLE)  # the first of each connection; the second ends it

    async with client_of(handle) as client:
        await client.post("/", content=b"abc")
        response = await client.post("/", content=b"abc")
        assert response.extensions["stamps"].retried == 1
        assert requests == 3
        with pytest.raises(StaleError):
            await client.post("/", content=produced(b"abc"))
        assert requests == 4


@both_loops
async def test_a_head_that_is_too_large_is_a_protocol_error():
    response = b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 257 + b"\r\n"
    async with client_of(answering(response)) as client:
        with pytest.raises(HeadTooLargeError):
            await client.get("/")


@both_loops
async def test_many_requests_at_once_share_no_answers():
    async def handle(stream):
        while True:
            request = await read_request(stream)
            await stream.send(whole(request.rpartition(b"\r\n\r\n")[2]))

    async with client_of(handle) as client:

        async def user(number):
            for turn in range(10):
                body = f"{number}/{turn}".encode()
                assert (await client.post("/", content=body)).content == body

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(user, number)
        assert client.lean.pool.open_connections <= 30


# Other transports stay what they are


async def test_respx_and_mock_transports_still_work():
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, text="mock"))
    ) as client:
        assert (await client.get("http://x/")).text == "mock"
    with respx.mock:
        respx.get("http://x/").respond(201, text="respx")
        async with httpx.AsyncClient() as client:
            assert (await client.get("http://x/")).text == "respx"
    router = respx.Router()
    router.get("http://x/").respond(202)
    async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
        assert (await client.get("http://x/")).status_code == 202


@both_loops
async def test_the_transport_is_a_context_manager_and_leaves_no_task():
    before = asyncio.all_tasks()
    async with serving(answering(WHOLE)) as port, LeanTransport() as transport:
        response = await transport.handle_async_request(
            httpx.Request("GET", f"http://127.0.0.1:{port}/")
        )
        assert await response.aread() == BODY
    assert asyncio.all_tasks() == before
