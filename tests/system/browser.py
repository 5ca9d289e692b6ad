"""A real browser, driven over DevTools' pipe, and what it did as HAR 1.2.

The pipe (`--remote-debugging-pipe`) needs no library: JSON, each message closed by a zero byte, to
file descriptor 3 and from 4. The HAR is what DevTools' own export makes of the same events
(https://chromedevtools.github.io/devtools-protocol/tot/Network/).
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

CHROMIUM = "chromium"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--remote-debugging-pipe", "--disable-background-networking",
)  # fmt: skip


class Page:
    """One page of the browser; `calls` are answered in order, events are kept."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Network.enable")

    def call(self, method: str, **params: Any) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def run(self, script: str) -> Any:
        """Run JavaScript in the page, and wait for what it promises."""
        made = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in made, made
        return made["result"].get("value")

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._in.fileno(), 2**20)
            assert more, "the browser has gone"
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def har(self) -> dict[str, Any]:
        """Return all requests so far, in the order in which they were sent."""
        entries: dict[str, dict[str, Any]] = {}
        for event in list(self.events):
            params = event.get("params", {})
            key = params.get("requestId")
            match event.get("method"):
                case "Network.requestWillBeSent":
                    entries[key] = _entry(params)
                case "Network.responseReceived" if key in entries:
                    got = params["response"]
                    entries[key]["response"]["status"] = got["status"]
                    entries[key]["response"]["content"]["mimeType"] = got["mimeType"]
                case "Network.loadingFinished" if key in entries:
                    took_s = params["timestamp"] - entries[key].pop("_begin")
                    entries[key]["time"] = took_s * 1000
                    body = self.call("Network.getResponseBody", requestId=key)
                    content = entries[key]["response"]["content"]
                    content["text"] = body["body"]
                    if body["base64Encoded"]:
                        content["encoding"] = "base64"
        creator = {"name": "test", "version": "1"}
        for entry in entries.values():
            entry.pop("_begin", None)
        log = {"version": "1.2", "creator": creator, "pages": [], "entries": [*entries.values()]}
        return {"log": log}


def _entry(params: dict[str, Any]) -> dict[str, Any]:
    sent = params["request"]
    begun = datetime.fromtimestamp(params["wallTime"], UTC)
    request: dict[str, Any] = {"method": sent["method"], "url": sent["url"], "bodySize": 0}
    if "postData" in sent:
        media = sent["headers"].get("Content-Type", "")
        request["postData"] = {"mimeType": media, "text": sent["postData"]}
        request["bodySize"] = len(sent["postData"])
    return {
        "startedDateTime": begun.isoformat(timespec="milliseconds"),
        "time": 0,
        "request": request,
        "response": {"status": 0, "content": {"size": 0, "mimeType": ""}},
        "_begin": params["timestamp"],
    }


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own, and end it."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}', CHROMIUM, *_FLAGS]
    command.append(f"--user-data-dir={folder / 'browser'}")
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=(to_read, from_write), stdout=log, stderr=log)
    os.close(to_read)
    os.close(from_write)
    try:
        with os.fdopen(to_write, "wb") as to_browser, os.fdopen(from_read, "rb") as from_browser:
            page = Page(to_browser, from_browser)
            yield page
            page.close()
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
