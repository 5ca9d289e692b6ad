"""TLS: a certificate authority of our own, made for the test."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from profiler.endpoints.failures import classify
from profiler.endpoints.transport import LeanTransport, tls_context
from tests.endpoints.hostile import whole
from tests.endpoints.wire import ask, both_loops, stream_server

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

BODY = b"secret"
WHOLE = whole(BODY)
BY_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n" + BODY


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost and its key: (certificate file, key file)."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost,DNS:other.example"
    subprocess.run(
        [*command.split(), "-out", str(files[0]), "-keyout", str(files[1])],
        check=True,
        capture_output=True,
    )
    return str(files[0]), str(files[1])


@asynccontextmanager
async def tls_server(certificate, *, response=WHOLE, close=False, asks=False):
    """A server that answers with `response`; yields its URL and what it saw of each client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    seen: list[dict] = []
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    if asks:
        context.load_verify_locations(certificate[0])
        context.verify_mode = ssl.CERT_REQUIRED

    async def handle(reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n{}")
            tls = writer.get_extra_info("ssl_object")
            seen.append({"alpn": tls.selected_alpn_protocol(), "peer": tls.getpeercert()})
            seen[-1]["name"] = names[-1]
            writer.write(response)
            await writer.drain()
            if close:
                writer.close()
                await writer.wait_closed()
                return

    async with stream_server(handle, ssl=context) as port:
        yield f"https://localhost:{port}/", seen


@both_loops
async def test_a_trusted_server_is_spoken_to_in_http_1_1_by_its_name(certificate):
    async with (
        tls_server(certificate) as (url, seen),
        LeanTransport(verify=ssl.create_default_context(cafile=certificate[0])) as transport,
    ):
        for reused in (False, True):
            received, sink = await ask(transport, url)
            assert sink.body == BODY
            assert received.stamps.reused is reused
    assert [(one["alpn"], one["name"]) for one in seen] == [("http/1.1", "localhost")] * 2


@both_loops
async def test_a_large_body_and_its_back_pressure_work_under_tls(certificate):
    size = 4_000_000
    async with (
        tls_server(certificate, response=whole(b"x" * size)) as (url, _),
        httpx.AsyncClient(transport=LeanTransport(verify=certificate[0])) as client,
        client.stream("POST", url, content=b"{}") as response,
    ):
        await asyncio.sleep(0.05)
        assert len(await response.aread()) == size


@both_loops
async def test_a_body_that_ends_with_the_connection_ends_under_tls_too(certificate):
    async with (
        tls_server(certificate, response=BY_CLOSE, close=True) as (url, _),
        LeanTransport(verify=certificate[0]) as transport,
    ):
        _, sink = await ask(transport, url)
        assert sink.body == BODY


@both_loops
async def test_an_untrusted_server_is_a_tls_error_unless_one_says_otherwise(certificate):
    async with tls_server(certificate) as (url, _):
        async with LeanTransport() as transport:
            with pytest.raises(httpx.ConnectError, match="self-signed certificate") as caught:
                await ask(transport, url)
            assert classify(caught.value)[1] == "tls"
            assert caught.value.request.url == url
            assert transport.pool.open_connections == 0
        async with LeanTransport(verify=False) as transport:
            assert (await ask(transport, url))[1].body == BODY


@both_loops
async def test_a_name_that_is_not_the_certificates_is_a_tls_error(certificate):
    async with tls_server(certificate) as (url, seen):
        async with LeanTransport(verify=certificate[0]) as transport:
            with pytest.raises(httpx.ConnectError) as caught:
                await ask(transport, url.replace("localhost", "127.0.0.1"))
            assert classify(caught.value)[1] == "tls"
        async with httpx.AsyncClient(transport=LeanTransport(verify=certificate[0])) as client:
            response = await client.post(
                url, content=b"{}", extensions={"sni_hostname": "other.example"}
            )
            assert response.content == BODY
        assert seen[-1]["name"] == "other.example"


@both_loops
async def test_a_server_that_speaks_no_tls_is_a_connect_error(certificate):
    async def handle(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with stream_server(handle) as port, LeanTransport(verify=False) as transport:
        with pytest.raises(httpx.ConnectError):
            await ask(transport, f"https://127.0.0.1:{port}/")
        assert transport.pool.open_connections == 0


@both_loops
async def test_a_handshake_that_does_not_end_is_a_connect_timeout(certificate):
    async def handle(reader, writer):
        await reader.read()

    async with stream_server(handle) as port, LeanTransport(verify=False) as transport:
        with pytest.raises(httpx.ConnectTimeout):
            await ask(transport, f"https://127.0.0.1:{port}/", connect_timeout_s=0.05)
        assert transport.pool.open_connections == 0


@both_loops
async def test_a_client_certificate_is_shown(certificate):
    async with tls_server(certificate, asks=True) as (url, seen):
        async with LeanTransport(verify=certificate[0], cert=certificate) as transport:
            assert (await ask(transport, url))[1].body == BODY
        assert seen[0]["peer"]["subject"] == ((("commonName", "localhost"),),)


def test_verify_and_cert_mean_what_they_mean_in_httpx(certificate, tmp_path):
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    assert tls_context(verify=False).verify_mode is ssl.CERT_NONE
    assert len(tls_context(certificate[0]).get_ca_certs()) == 1
    assert tls_context(str(tmp_path)).verify_mode is ssl.CERT_REQUIRED
    own = ssl.create_default_context()
    assert tls_context(own) is own
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(name).read_text() for name in certificate))
    tls_context(cert=str(both))
    with pytest.raises(FileNotFoundError):
        tls_context(cert=str(tmp_path / "absent.pem"))
