"""The same bytes through httpx's own transport and through ours: the same result.

Left out, since the two differ on purpose: responses of status 101 (nobody asks for one here);
folded headers, repeated lengths and heads whose lines end in a bare LF (httptools refuses them;
all three can mean one thing to us and another to what stands between); raw deflate (ours recognises
it wherever it is cut); and heads between our limit of 64 KiB and httpx's of 100.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import dataclass
from functools import partial

import httpx
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.endpoints.destination import Destination
from profiler.endpoints.transport import LeanTransport
from tests.endpoints.wire import Collector, brotli_compress, stream_server

CODERS = {
    "": lambda body: body,
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli_compress,
    "gzip, deflate": lambda body: zlib.compress(gzip.compress(body)),
    "unknown": lambda body: body,
}
FRAMINGS = ("length", "chunked", "close", "both")
STATUSES = [200, 201, 204, 206, 304, 400, 404, 429, 500, 503, 599]


@dataclass
class Case:
    method: str
    response: bytes
    cuts: list[int]
    closes: bool

    @property
    def parts(self) -> list[bytes]:
        edges = [0, *sorted({cut for cut in self.cuts if cut < len(self.response)})]
        pairs = zip(edges, [*edges[1:], len(self.response)], strict=True)
        return [self.response[start:end] for start, end in pairs if start < end]


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-XYZ019_", min_size=1, max_size=12).filter(
    lambda name: (
        name.lower()
        not in {
            "connection",
            "content-length",
            "transfer-encoding",
            "content-encoding",
            "upgrade",
            "keep-alive",
        }
    )
)
VALUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E) | st.just(" "), max_size=20
).map(str.strip)


@st.composite
def cases(draw) -> Case:
    damage = draw(st.sampled_from(["whole", "whole", "whole", "cut", "flipped", "more"]))
    status = draw(st.sampled_from(STATUSES))
    coding = draw(st.sampled_from(sorted(CODERS)))
    framing = draw(st.sampled_from(FRAMINGS))
    body = CODERS[coding](draw(st.binary(max_size=300)) * draw(st.sampled_from([1, 1, 400])))
    lines = [f"HTTP/1.{draw(st.sampled_from('110'))} {status} {draw(st.sampled_from(['OK', '']))}"]
    lines += [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(TOKEN, VALUE)))]
    if coding:
        lines.append(f"Content-Encoding: {coding}")
    if framing in ("length", "both"):
        lie = draw(st.sampled_from([0, 0, 0, 1, -1]))
        lines.append(f"Content-Length: {max(0, len(body) + lie)}")
    if framing in ("chunked", "both"):
        lines.append("Transfer-Encoding: chunked")
        body = in_chunks(body, draw, is_plain=damage == "flipped")
    if framing == "close" or draw(st.booleans()):
        lines.append("Connection: close")
    interim = draw(st.sampled_from([b"", b"", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"]))
    response = interim + "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    match damage:
        case "cut":
            response = response[: draw(st.integers(0, len(response)))]
        case "flipped":
            # In a body without extensions and trailers: which of many wrong headers are refused is
            # each parser's own affair.
            at = draw(st.integers(len(response) - len(body), len(response)))
            response = response[:at] + draw(st.binary(min_size=1, max_size=1)) + response[at + 1 :]
        case "more":
            response += draw(st.binary(min_size=1, max_size=5))
        case _:
            pass
    cuts = draw(st.lists(st.integers(1, max(1, len(response))), max_size=6))
    method = draw(st.sampled_from(["GET", "POST", "HEAD"]))
    return Case(method, response, cuts, closes=True)


def in_chunks(body: bytes, draw, *, is_plain: bool):
    out = b""
    while body:
        size = draw(st.integers(1, max(1, len(body))))
        extension = "" if is_plain else draw(st.sampled_from(["", "", ";a=b", " "]))
        out += f"{size:x}{extension}\r\n".encode() + body[:size] + b"\r\n"
        body = body[size:]
    trailer = b"" if is_plain else draw(st.sampled_from([b"", b"", b"X-T: 1\r\n"]))
    return out + b"0\r\n" + trailer + b"\r\n"


async def serve(parts: list[bytes], reader, writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0)
    if writer.transport.is_closing():
        return
    writer.write_eof()
    await reader.read()


async def through_client(transport, method: str, url: str):
    async with httpx.AsyncClient(transport=transport, timeout=5, trust_env=False) as client:
        try:
            async with client.stream(method, url) as response:
                body = await response.aread()
                return response.status_code, response.headers.multi_items(), body
        except httpx.RequestError as exc:
            return type(exc) if exc.request.url == url else None


async def through_exchange(method: str, url: str):
    destination, sink = Destination.of(url), Collector()
    async with LeanTransport() as transport:
        try:
            received = await transport.exchange(
                destination, destination.head(method), b"", sink, timeout_s=5
            )
        except httpx.RequestError as exc:
            return type(exc)
        return received.status, received.headers.parsed().multi_items(), sink.body


async def compared(case: Case) -> None:
    async with stream_server(partial(serve, case.parts)) as port:
        url = f"http://127.0.0.1:{port}/"
        # No certificates are read, which takes most of the time: nothing here is encrypted.
        theirs = await through_client(httpx.AsyncHTTPTransport(verify=False), case.method, url)
        ours = await through_client(LeanTransport(), case.method, url)
        fast = await through_exchange(case.method, url)
    assert ours == theirs
    assert fast == theirs


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_response_means_the_same_through_httpxs_own_transport(case):
    uvloop.run(compared(case))
