"""Canaries stand for secrets in every input; none of them is in any output.

The target is hostile: its errors quote every header, the URL and a key of its own provider.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest

from tests.system.cli import ROOT, agent_profiler, command, environment
from tests.system.http_target import reply, target
from tests.system.processes import MARK, marked, no_orphans, wait_until
from tests.system.stores import free_port

pytestmark = pytest.mark.system

CANARIES = {
    "token": "canary-token-7Qw9x",
    "cookie": "canary-cookie-4Rt2z",
    "api_key": "canary-apikey-8Lm3v",
    "user": "canary-user-1Bn6k",
    "password": "canary-pass-5Hj0s",
    "query": "canary-query-3Fd7g",
    "environment": "canary-environ-9Xc4u",
    "provider": "sk-canary0provider0key0of0others",
    "state": "canary-state-2Ws8y",
    "upstream": "canary-upstream-6Ed1p",
    "exporter": "canary-exporter-0Pl5t",
    "text": "canary-texts-5Tg2b",
}
TEXT = f"Hello, my password={CANARIES['text']} and my mail is someone@example.com"
SCRIPT = """
import os, orjson, sys, profiler
given = orjson.loads(os.environ["GIVEN"])
profile = profiler.run(given["workload"], **given["options"])
print(profile.sample.failed)
"""


def quoting(number: int, request) -> tuple[int, dict, dict]:
    """Fail every other time, with all that was sent in the error."""
    if number % 2:
        return 200, {}, reply(f"You said: {TEXT}")
    said = f"Incorrect API key {CANARIES['provider']}: " + " ".join(
        f"{name}={value}" for name, value in request.headers.items()
    )
    short = f"{said[: said.index('canary') + 60]} {request.path}"
    body = {"error": {"message": short if number % 4 else said, "type": CANARIES["api_key"]}}
    return (401, 500, 429, 400)[number // 2 % 4], {}, body


def given(url: str, out: Path) -> dict:
    where = url.replace("http://", f"http://{CANARIES['user']}:{CANARIES['password']}@")
    return {
        "workload": {
            "name": "canaries",
            "target": {
                "model": "gpt-4o",
                "stream": False,
                "headers": {
                    "authorization": f"Bearer {CANARIES['token']}",
                    "cookie": f"session={CANARIES['cookie']}",
                    "x-api-key": CANARIES["api_key"],
                    "x-tenant": "${CANARY_ENVIRONMENT}",
                },
            },
            "load": {"users": 4, "requests": 32, "error_limit": "never", "backoff": False},
            "scenarios": [{"name": "hello", "turns": [{"user": TEXT}]}],
        },
        "options": {
            "url": f"{where}/v1/chat/completions?key={CANARIES['query']}",
            "workers": 2,
            "save_text": True,
            "redact": ["someone"],
            "out": str(out),
        },
    }


class CommandLines(threading.Thread):
    """Reads the arguments of all processes that carry a mark, again and again."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark
        self.seen: set[bytes] = set()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            for pid in marked(self.mark):
                try:
                    self.seen.add((Path("/proc") / str(pid) / "cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.01)


def leaks(where: str, text: bytes) -> list[str]:
    """Return which canaries are in a text, also as they are written in URLs and headers."""
    basic = b64encode(f"{CANARIES['user']}:{CANARIES['password']}".encode())
    forms = {name: canary.encode() for name, canary in CANARIES.items()} | {"basic": basic}
    return [f"{name} in {where}" for name, form in forms.items() if form in text]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run from Python over two workers; return the directory, what was said, all arguments."""
    folder = tmp_path_factory.mktemp("canaries")
    with target(quoting) as (url, heard), no_orphans() as mark:
        env = environment(
            GIVEN=orjson.dumps(given(url, folder / "run")).decode(),
            CANARY_ENVIRONMENT=CANARIES["environment"],
            **{MARK: mark},
        )
        lines = CommandLines(mark)
        lines.start()
        try:
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT],
                cwd=folder,
                env=env,
                capture_output=True,
                timeout=90,
                check=False,
            )
        finally:
            lines.done.set()
            lines.join()
    assert done.returncode == 0, done.stderr.decode()
    return folder / "run", done, lines.seen, heard


def test_the_target_was_given_its_secrets_and_quoted_them(ran):
    _, done, _, heard = ran
    assert len(heard) >= 32
    assert heard[0]["authorization"] == f"Bearer {CANARIES['token']}"
    assert heard[0]["x-tenant"] == CANARIES["environment"]
    assert b"http_4xx" in done.stdout


def test_no_file_of_a_run_holds_any(ran, tmp_path):
    run, done, *_ = ran
    for arguments in (
        ("report", run, "--html", "-o", run / "report.html"),
        ("export", "csv", run),
    ):
        made = agent_profiler(*arguments, cwd=tmp_path)
        assert made.is_done, made.err
        assert not leaks("what a report prints", (made.out + made.err).encode())
    files = [file for file in run.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"journal.jsonl", "profile.json", "profile.md", "report.html", "texts.jsonl"} <= names
    assert "workload.yaml" in names
    found = [leak for file in files for leak in leaks(file.name, file.read_bytes())]
    # The workload is the user's own file: what is to be said stands in it.
    assert found == ["text in workload.yaml"]
    assert not leaks("standard output", done.stdout)
    assert not leaks("standard error", done.stderr)


def test_texts_are_kept_without_what_was_to_go(ran):
    run, *_ = ran
    texts = b"".join(file.read_bytes() for file in run.rglob("texts.jsonl"))
    lines = [orjson.loads(line) for line in texts.splitlines()]
    assert len(lines) == 32
    assert all("someone" not in line["user"] and "Hello, my" in line["user"] for line in lines)
    assert all(file.stat().st_mode & 0o077 == 0 for file in run.rglob("texts.jsonl"))


def test_no_argument_of_any_process_holds_any(ran):
    _, _, seen, _ = ran
    assert sum(b"profiler.load.workers" in line for line in seen) >= 1
    assert any(b"--url" in line for line in seen)
    assert [leak for line in seen for leak in leaks(line.decode(), line)] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--state", f"redis://:{CANARIES['state']}@127.0.0.1:1/0"], 2),
        (["--gateway", "0", "--upstream", f"http://u:{CANARIES['upstream']}@127.0.0.1:1"], 2),
        (["--otlp-export", f"http://u:{CANARIES['exporter']}@127.0.0.1:1"], 5),
    ],
)
def test_no_message_quotes_one(tmp_path, arguments, code):
    url = f"http://127.0.0.1:1/{CANARIES['provider']}?k={CANARIES['query']}"
    done = agent_profiler(
        "run",
        ROOT / "scenarios/smoke.yaml",
        *("--url", url, *arguments),
        cwd=tmp_path,
        AGENT_PROFILER_DEBUG="1",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer {CANARIES['token']}",
    )
    assert done.code == code, done.err
    assert leaks("what was said", (done.out + done.err).encode()) == []
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [leak for file in files for leak in leaks(file.name, file.read_bytes())] == []


def ask(url: str, body: bytes | None) -> None:
    """Send what an agent would, with its provider's key."""
    headers = {
        "authorization": f"Bearer {CANARIES['token']}",
        "x-api-key": CANARIES["api_key"],
        "content-type": "application/json",
    }
    with suppress(HTTPError), urlopen(Request(url, data=body, headers=headers), timeout=30):
        pass


def test_a_gateway_passes_keys_on_and_writes_none_down(tmp_path):
    body = orjson.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": TEXT}]})
    with target(quoting) as (upstream, heard), no_orphans() as mark:
        base = f"http://127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            command("gateway", "--upstream", upstream, "--listen", base[7:], "--out", "run"),
            cwd=tmp_path,
            env=environment(**{MARK: mark}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_until(lambda: can_connect(base), "the gateway listens")
        for _ in range(4):
            ask(f"{base}/v1/chat/completions?key={CANARIES['query']}", body)
        ask(f"{base}/v1/{CANARIES['provider']}", body)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert {one.get("authorization") for one in heard} == {f"Bearer {CANARIES['token']}"}
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"journal.jsonl", "traffic.json"} <= {file.name for file in files}
    assert [leak for file in files for leak in leaks(file.name, file.read_bytes())] == []
    assert leaks("what was said", out + err) == []


def can_connect(base: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(base.rpartition(":")[2]))) == 0
