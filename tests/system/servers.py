"""Small servers with a known behaviour, on a real socket in a thread of the test."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

REPLY = b'{"choices":[{"message":{"role":"assistant","content":"fine"}}]}'


def response(body: bytes = REPLY, status: str = "200 OK") -> bytes:
    """Return a whole JSON response."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def serving(answer: Callable[[asyncio.StreamWriter], Awaitable[bool]]) -> Iterator[str]:
    """Answer each request with `answer`, which says whether the connection goes on."""
    ready: list[int] = []
    is_ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            goes_on = True
            while goes_on:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                goes_on = await answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def main(stop: asyncio.Event) -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
        ready.append(server.sockets[0].getsockname()[1])
        is_ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main(stop)))
    thread.start()
    is_ready.wait()
    try:
        yield f"http://127.0.0.1:{ready[0]}/v1/chat/completions"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class Relay(ThreadingHTTPServer):
    """Passes each request on to whoever is named when it comes, and the answer as it arrives."""

    daemon_threads = True

    def __init__(self, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), _Relayed)
        self.origin = origin
        self.url = f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def to(self, url: str) -> Iterator[None]:
        """Pass on to the server of this URL in this block."""
        first, self.origin = self.origin, origin_of(url)
        try:
            yield
        finally:
            self.origin = first


class _Relayed(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Relay)
        body = self.rfile.read(int(self.headers["content-length"]))
        kept = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
        request = Request(self.server.origin + self.path, body, kept)
        try:
            answer = build_opener(ProxyHandler({})).open(request, timeout=60)
        except HTTPError as refused:
            answer = refused
        with answer:
            self.send_response(answer.status)
            self.send_header("content-type", answer.headers["content-type"])
            self.end_headers()
            while data := answer.read1(65536):
                self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def relaying(url: str) -> Iterator[Relay]:
    """Run a relay to the server of this URL; its own URL has no path."""
    with Relay(origin_of(url)) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
