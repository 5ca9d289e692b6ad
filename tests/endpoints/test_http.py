"""The I/O edge against real sockets: everything that a target does becomes an exchange."""

from __future__ import annotations

import gc
import socket
import struct
from contextlib import aclosing

import anyio
import anyio.lowlevel
import httpx
import orjson
import pytest
import respx

from profiler.clock import monotonic_ns
from profiler.endpoints import http
from profiler.endpoints.body import Body
from profiler.endpoints.exchange import Exchange
from profiler.endpoints.failures import classify
from profiler.endpoints.http import (
    Caller,
    HttpxCaller,
    LeanCaller,
    Message,
    TransportKind,
    caller_for,
    proxy_for,
    transport_for,
)
from profiler.endpoints.http_json import HttpJson
from profiler.endpoints.openai_chat import OpenAiChat
from profiler.errors import UsageError
from profiler.measure.records import Outcome
from profiler.redaction import forget_all, hidden
from profiler.workload.http_json import HttpJson as Template
from tests.endpoints.hostile import head, hostile, serving, whole

REPLY = orjson.dumps(
    {"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": 3}}
)


def sse(*chunks: dict, done: bool = True) -> bytes:
    events = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
    return events + (b"data: [DONE]\n\n" if done else b"")


def delta(content: str) -> dict:
    return {"choices": [{"delta": {"content": content}}]}


async def exchange_with(kind, behaviour, *, stream=True, timeout_s=5.0, **options) -> Exchange:
    async with hostile(behaviour) as url, aclosing(kind(timeout_s=timeout_s, **options)) as caller:
        return await call(caller, url, stream=stream)


async def call(caller: Caller, url: str, *, stream: bool = True) -> Exchange:
    endpoint = OpenAiChat(url=url, model="m", stream=stream, headers={})
    return await caller.call(Message.of(endpoint.begin("s"), "Hi", {"traceparent": "00-t"}))


@pytest.fixture(params=[LeanCaller, HttpxCaller])
def kind(request):
    return request.param


def answers(data: bytes, *, close: bool = False):
    async def behaviour(stream, _request):
        await stream.send(data)
        if close:
            await stream.aclose()

    return behaviour


async def test_a_plain_answer_is_ok_and_its_times_are_in_order(kind):
    exchange = await exchange_with(kind, answers(whole(REPLY)), stream=False)
    assert exchange.outcome is Outcome.OK
    assert exchange.reply.text == "Hello"
    assert exchange.http_status == 200
    assert exchange.response_bytes == len(REPLY)
    assert exchange.first_byte_ns is not None
    assert exchange.send_ns < exchange.first_byte_ns <= exchange.end_ns


async def test_the_first_token_comes_after_the_first_byte(kind):
    written_ns: list[int] = []

    async def behaviour(stream, _request):
        await stream.send(head(content_type="text/event-stream", connection="close"))
        await stream.send(sse(delta(""), done=False))
        await anyio.sleep(0.05)
        written_ns.append(monotonic_ns())
        await stream.send(sse(delta("Hi")))
        await stream.aclose()

    exchange = await exchange_with(kind, behaviour)
    assert exchange.outcome is Outcome.OK
    assert exchange.first_byte_ns is not None
    assert exchange.reply.first_token_ns is not None
    assert exchange.reply.first_token_ns > max(exchange.first_byte_ns, *written_ns)


async def test_headers_of_the_interaction_and_the_endpoint_are_sent(kind):
    seen: list[bytes] = []

    async def behaviour(stream, request):
        seen.append(request.lower())
        await stream.send(whole(REPLY))

    await exchange_with(kind, behaviour, stream=False)
    assert b"traceparent: 00-t" in seen[0]
    assert b"x-session-id: s" in seen[0]
    assert b"user-agent: agent-profiler/" in seen[0]


async def test_every_request_says_whose_load_it_is_unless_the_target_says_otherwise(kind):
    seen: list[bytes] = []

    async def behaviour(stream, request):
        seen.append(request.lower())
        await stream.send(whole(REPLY))

    await exchange_with(kind, behaviour, stream=False, run="größe/1")
    assert b"x-load-test: agent-profiler run=gr%c3%b6%c3%9fe/1\r\n" in seen[0]
    async with hostile(behaviour) as url, aclosing(kind(timeout_s=5, run="r")) as caller:
        own = OpenAiChat(url=url, model="m", stream=False, headers={"X-Load-Test": "mine"})
        await caller.call(Message.of(own.begin("s"), "Hi", {}))
    assert seen[1].count(b"x-load-test") == 1
    assert b"x-load-test: mine\r\n" in seen[1]


@pytest.mark.parametrize(
    ("login", "headers", "sent"),
    [  # base64("me:p@ss") and base64("key:"), by coreutils
        ("me:p%40ss@", {}, b"Basic bWU6cEBzcw=="),
        ("key@", {}, b"Basic a2V5Og=="),
        ("me:p%40ss@", {"Authorization": "Bearer own"}, b"Bearer own"),
    ],
)
async def test_a_login_in_the_url_is_sent_unless_there_is_an_authorization(
    kind, login, headers, sent
):
    seen: list[bytes] = []

    async def behaviour(stream, request):
        seen.append(request)
        await stream.send(whole(REPLY))

    async with hostile(behaviour) as url, aclosing(kind(timeout_s=5)) as caller:
        with_login = url.replace("://", f"://{login}")
        own = OpenAiChat(url=with_login, model="m", stream=False, headers=headers)
        await caller.call(Message.of(own.begin("s"), "Hi", {}))
    lines = seen[0].split(b"\r\n")
    found = [line for line in lines if line.lower().startswith(b"authorization:")]
    assert [line.partition(b": ")[2] for line in found] == [sent]
    assert login.encode() not in seen[0]


@pytest.mark.parametrize(("status", "asked_s"), [(429, 7), (503, 7), (500, None)])
async def test_what_a_busy_target_asks_for_is_read(kind, status, asked_s):
    answer = head(status=f"{status} No", connection="close", retry_after="7")
    exchange = await exchange_with(kind, answers(answer, close=True), stream=False)
    assert exchange.retry_after_s == asked_s


async def test_an_error_that_echoes_a_key_is_told_without_it(kind):
    data = orjson.dumps({"error": {"message": "no: canary-key-1, sk-0123456789abcdef01"}})
    answer = head(status="401 No", content_length=str(len(data))) + data
    exchange = await exchange_with(kind, answers(answer), stream=False, secrets=("canary-key-1",))
    assert exchange.error_detail is not None
    assert exchange.error_detail.count("[redacted]") == 2
    assert "canary" not in exchange.error_detail
    assert "0123" not in exchange.error_detail


async def test_a_client_keeps_its_connection_between_calls(kind):
    connections: set[int] = set()

    async def behaviour(stream, _request):
        connections.add(stream.extra(anyio.abc.SocketAttribute.remote_port))
        await stream.send(whole(REPLY))

    async with hostile(behaviour) as url:
        caller = kind(timeout_s=5)
        for _ in range(3):
            await call(caller, url, stream=False)
        await caller.aclose()
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("data", "outcome", "error"),
    [
        (whole(b"<html>"), Outcome.PROTOCOL_ERROR, "not_json"),
        (whole(b"{}"), Outcome.PROTOCOL_ERROR, "wrong_shape"),
        (whole(b'{"error": {"message": "boom"}}'), Outcome.AGENT_ERROR, "error_in_body"),
        (whole(b"{}", "404 Not Found"), Outcome.HTTP_4XX, "http_404"),
        (whole(b"busy", "503 Busy", "text/plain"), Outcome.HTTP_5XX, "http_503"),
        (whole(b"{}", "429 Too Many Requests"), Outcome.HTTP_429, "http_429"),
        (whole(b"", "302 Found"), Outcome.PROTOCOL_ERROR, "http_302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Outcome.PROTOCOL_ERROR, "invalid_http"),
        (
            head(content_type="application/json", content_encoding="gzip", content_length="5")
            + b"plain",
            Outcome.PROTOCOL_ERROR,
            "bad_content_encoding",
        ),
    ],
)
async def test_each_wrong_answer_has_its_kind(kind, data, outcome, error):
    exchange = await exchange_with(kind, answers(data), stream=False)
    assert (exchange.outcome, exchange.error_kind) == (outcome, error)


async def test_an_error_status_says_what_the_body_says(kind):
    body = b'{"error": {"message": "rate limit reached"}, "trace": {"version": 1}}'
    exchange = await exchange_with(kind, answers(whole(body, "429 Too Many Requests")))
    assert exchange.error_detail == "rate limit reached"
    assert exchange.reply.trace == {"version": 1}


@pytest.mark.parametrize(
    "data",
    [
        head(content_type="text/event-stream", transfer_encoding="chunked") + b"5\r\ndata:\r\n",
        whole(REPLY)[:-10],
        b"",
    ],
)
async def test_a_connection_that_closes_early_is_invalid_http(kind, data):
    exchange = await exchange_with(kind, answers(data, close=True), stream=False)
    assert exchange.outcome is Outcome.PROTOCOL_ERROR
    assert exchange.error_kind == "invalid_http"


async def test_a_stream_that_ends_without_its_last_event_is_cut(kind):
    data = head(content_type="text/event-stream", connection="close") + sse(delta("a"), done=False)
    exchange = await exchange_with(kind, answers(data, close=True))
    assert (exchange.outcome, exchange.error_kind) == (Outcome.PROTOCOL_ERROR, "stream_cut")
    assert exchange.reply.text == "a"


async def test_a_reset_is_a_lost_connection(kind):
    async def behaviour(stream, _request):
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()

    exchange = await exchange_with(kind, behaviour)
    assert exchange.outcome is Outcome.PROTOCOL_ERROR
    assert exchange.error_kind in {"connection_lost", "invalid_http"}


async def test_a_body_beyond_the_limit_is_cut_off_there(kind):
    async def behaviour(stream, _request):
        await stream.send(head(content_type="application/json", content_length=str(100 * 2**20)))
        while True:
            await stream.send(b" " * 65536)

    exchange = await exchange_with(kind, behaviour, stream=False, max_body_bytes=1_000_000)
    assert (exchange.outcome, exchange.error_kind) == (Outcome.PROTOCOL_ERROR, "body_too_large")
    assert exchange.response_bytes is not None
    assert 900_000 < exchange.response_bytes < 2_000_000


async def test_a_target_that_never_answers_times_out(kind):
    async def behaviour(_stream, _request):
        await anyio.sleep_forever()

    exchange = await exchange_with(kind, behaviour, timeout_s=0.5)  # of which connecting is a part
    assert exchange.outcome is Outcome.TIMEOUT
    assert exchange.http_status is None


async def test_a_slow_drip_does_not_outlive_the_deadline(kind):
    async def behaviour(stream, _request):
        await stream.send(head(content_type="text/event-stream", connection="close"))
        while True:
            await stream.send(b": still here\n\n")
            await anyio.sleep(0.01)

    exchange = await exchange_with(kind, behaviour, timeout_s=0.5)  # so long it has for the head
    assert (exchange.outcome, exchange.error_kind) == (Outcome.TIMEOUT, "deadline")
    assert exchange.http_status == 200


async def test_a_refused_connection_says_so(kind):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]  # ours as long as it is bound: nobody else listens there
        async with aclosing(kind(timeout_s=5)) as caller:
            exchange = await call(caller, f"http://127.0.0.1:{port}/")
    assert (exchange.outcome, exchange.error_kind) == (Outcome.CONNECT_ERROR, "refused")
    assert exchange.first_byte_ns is None


async def test_a_name_that_does_not_resolve_says_so(kind, monkeypatch):
    def getaddrinfo(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)  # the machine's may take its time
    caller = kind(timeout_s=5)
    exchange = await call(caller, "http://no-such-host.invalid/")
    await caller.aclose()
    assert (exchange.outcome, exchange.error_kind) == (Outcome.CONNECT_ERROR, "dns")


async def test_plain_http_where_tls_was_expected_says_so(kind):
    async def speak_http(stream):
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(speak_http) as port:
        caller = kind(timeout_s=5)
        exchange = await call(caller, f"https://127.0.0.1:{port}/")
        await caller.aclose()
    assert (exchange.outcome, exchange.error_kind) == (Outcome.CONNECT_ERROR, "tls")


async def test_a_secret_that_the_target_echoes_is_taken_out(kind):
    body = b'{"error": {"message": "bad key sk-canary-123456"}}'
    exchange = await exchange_with(
        kind, answers(whole(body, "401 Unauthorized")), secrets=("sk-canary-123456",)
    )
    assert exchange.error_detail == "bad key [redacted]"


@respx.mock
async def test_a_mock_transport_may_stand_in_for_the_network():
    respx.post("http://agent.test/").mock(return_value=httpx.Response(200, content=REPLY))
    async with aclosing(HttpxCaller(timeout_s=5)) as caller:
        exchange = await call(caller, "http://agent.test/", stream=False)
    assert exchange.reply.text == "Hello"


async def test_our_own_transport_is_used_unless_a_proxy_is_wanted(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert transport_for("http://agent/", http2=False) is TransportKind.LEAN
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "localhost")
    assert proxy_for("http://agent/") == "http://proxy:3128"
    assert proxy_for("http://localhost/") is None
    assert transport_for("http://agent/", http2=False) is TransportKind.HTTPX


def test_the_login_of_a_proxy_is_a_secret(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:canary-77@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert transport_for("http://agent.test/", http2=False) is TransportKind.HTTPX
    said = "407: bWU6Y2FuYXJ5LTc3 of me:canary-77 is wrong"  # base64("me:canary-77"), by coreutils
    assert hidden(said) == "407: [redacted] of me:[redacted] is wrong"
    forget_all()


async def test_each_transport_has_its_caller():
    for kind, caller_type in zip(TransportKind, (LeanCaller, HttpxCaller), strict=True):
        made = caller_for(kind, timeout_s=5, secrets=(), http2=False, run="r")
        async with aclosing(made) as caller:
            assert isinstance(caller, caller_type)


def test_http2_is_httpxs_and_says_what_to_install_where_it_cannot_be(monkeypatch):
    monkeypatch.setattr(http, "find_spec", lambda _name: object())
    assert transport_for("http://agent/", http2=True) is TransportKind.HTTPX
    monkeypatch.setattr(http, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'agent-profiler\[http2\]'"):
        transport_for("http://agent/", http2=True)


def test_too_many_open_files_are_told_from_other_failures():
    failure = httpx.ConnectError("no")
    failure.__cause__ = OSError(24, "Too many open files")
    assert classify(failure)[:2] == (Outcome.CONNECT_ERROR, "too_many_open_files")
    assert classify(httpx.ConnectError("no"))[:2] == (Outcome.CONNECT_ERROR, "connect")
    assert classify(httpx.ConnectTimeout("slow"))[1] == "connect_timeout"
    assert classify(OSError(24, "Too many open files"))[1] == "too_many_open_files"


def opening_endpoint(url: str) -> HttpJson:
    described = {
        "path": "/chat",
        "setup": {"path": "/sessions", "body": {"id": "{{ session_id }}"}, "session_id": "id"},
        "body": {"m": "{{ user }}", "in": "{{ session_id }}"},
        "reply": "reply",
    }
    base = url.removesuffix("/v1/chat/completions")
    return HttpJson(url=base, template=Template.model_validate(described), headers={})


async def test_a_session_is_opened_before_its_first_message_and_only_then(kind):
    seen: list[tuple[bytes, bytes]] = []

    async def behave(stream, request):
        seen.append((request.split(b" ", 2)[1], request.partition(b"\r\n\r\n")[2]))
        is_opening = seen[-1][0] == b"/sessions"
        await stream.send(whole(b'{"id":"theirs"}' if is_opening else b'{"reply":"x"}'))

    async with hostile(behave) as url, aclosing(kind(timeout_s=5)) as caller:
        dialogue = opening_endpoint(url).begin("ours")
        first = await caller.call(Message.of(dialogue, "Hi", {"traceparent": "00-t"}))
        dialogue.accept("Hi", first.reply)
        second = await caller.call(Message.of(dialogue, "Next", {"traceparent": "00-t"}))
    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.OK)
    assert seen == [
        (b"/sessions", b'{"id":"ours"}'),
        (b"/chat", b'{"m":"Hi","in":"theirs"}'),
        (b"/chat", b'{"m":"Next","in":"theirs"}'),
    ]
    assert first.opened_ns is not None
    assert first.opened_ns <= first.send_ns
    assert second.opened_ns is None


async def test_a_session_that_cannot_be_opened_is_a_failed_interaction(kind):
    async def behave(stream, _request):
        await stream.send(whole(b'{"detail":"full"}', "503 Service Unavailable"))

    async with hostile(behave) as url, aclosing(kind(timeout_s=5)) as caller:
        exchange = await caller.call(Message.of(opening_endpoint(url).begin("ours"), "Hi", {}))
    assert (exchange.outcome, exchange.error_kind) == (Outcome.HTTP_5XX, "setup_http_503")
    assert (exchange.error_detail, exchange.http_status) == ("full", 503)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ((head(content_length="100000"), b" " * 50_000), "invalid_http"),  # then it closes
        ((head(content_length="100000"), b" " * 90_000), "body_too_large"),
        ((head(transfer_encoding="chunked"), b"5\r\nHello\r\nfoul"), "invalid_http"),
    ],
)
async def test_the_bytes_of_an_exchange_that_failed_are_gone_without_a_collection(parts, kind):
    """They may be 64 MB, and a run lets the collector look for cycles but seldom."""

    async def broken(stream, _):
        for part in parts:
            await stream.send(part)
        await stream.aclose()

    async with (
        hostile(broken) as url,
        aclosing(LeanCaller(timeout_s=5, max_body_bytes=60_000)) as caller,
    ):
        gc.collect()
        gc.disable()
        try:
            exchange = await call(caller, url, stream=False)
            assert exchange.error_kind == kind
            await anyio.lowlevel.checkpoint()  # what woke us is done with, too
            assert [found for found in gc.get_objects() if isinstance(found, Body)] == []
        finally:
            gc.enable()
