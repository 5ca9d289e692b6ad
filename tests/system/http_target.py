"""A target that keeps what it was sent, and answers as a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, dict[str, str], dict[str, Any]]


def reply(text: str = "fine", tokens: int = 10) -> dict[str, Any]:
    """Return an answer of OpenAI's chat completions."""
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": tokens},
    }


@contextmanager
def target(
    answer: Callable[[int, BaseHTTPRequestHandler], Answer],
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve on loopback; yield the address and the headers of each request, names in lower case."""
    heard: list[dict[str, str]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                number = len(heard)
                heard.append({name.lower(): value for name, value in self.headers.items()})
            status, headers, body = answer(number, self)
            data = orjson.dumps(body)
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heard
        finally:
            server.shutdown()
            thread.join()
