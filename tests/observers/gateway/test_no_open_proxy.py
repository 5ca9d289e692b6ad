"""Whatever a request says, the gateway calls the upstream that the operator named, and no other."""

from __future__ import annotations

import asyncio

import pytest

from tests.observers.gateway.wire import answering, gateway_to, head, running_upstream, whole

ANSWER = whole(b"{}", "content-type: application/json")


async def spoken(url: str, request: bytes) -> bytes:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://{other}/v1/models",
        "GET http://user:pw@{other}/v1/models",
        "GET http://127.0.0.1@{other}/v1/models",
        "GET //{other}/v1/models",
        "GET /\\\\{other}/v1/models",
        "GET /v1/../../{other}/models",
        "GET /v1/models?url=http://{other}/",
        "GET @{other}/v1/models",
        "CONNECT {other}",
        "GET /t/x/http://{other}/v1/models",
    ],
)
@pytest.mark.parametrize("host", ["{other}", "a.example"])
async def test_no_request_is_led_elsewhere(request_line, host):
    async with (
        running_upstream(answering(ANSWER)) as other,
        running_upstream(answering(ANSWER)) as named,
        gateway_to(named.url) as running,
    ):
        place = other.url.removeprefix("http://")
        lines = [f"{request_line} HTTP/1.1", f"host: {host}", "connection: close"]
        lines += ["x-forwarded-host: {other}", "forwarded: host={other}", "proxy-connection: close"]
        request = "\r\n".join([*lines, "", ""]).replace("{other}", place)
        answer = await spoken(running.gateway.url, request.encode())
        assert other.requests == []
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")) or not answer
        for got in named.requests:
            assert got.header("host") == named.url.removeprefix("http://")


async def test_a_redirect_is_the_agents_to_follow_or_not():
    async with running_upstream(answering(ANSWER)) as other:
        redirect = head(307, f"location: {other.url}/v1/models", "content-length: 0")
        async with (
            running_upstream(answering(redirect)) as named,
            gateway_to(named.url) as running,
        ):
            request = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            answer = await spoken(running.gateway.url, request)
        assert answer.startswith(b"HTTP/1.1 307")
        assert other.requests == []
