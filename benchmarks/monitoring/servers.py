"""The processes of the demonstration: the mock agent, load on it, and a Prometheus that looks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import orjson
import yaml

from benchmarks.monitoring.rules import write_scaled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
START_S, STOP_S = 30.0, 10.0


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "profiler", *map(str, arguments)]


def _environment() -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def _running(
    command: Sequence[str], number: int, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the length of the block, and end it by a signal, at the latest by force."""
    process = subprocess.Popen(command, env=_environment(), **options)
    try:
        yield process
    finally:
        process.send_signal(number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def mock_agent(*options: object) -> Iterator[str]:
    """Run `agent-profiler mock agent` with options; yields its URL.

    What it says when it is ended with hundreds in its line is for nobody.
    """
    command = _command("mock", "agent", "--port", 0, "--announce", *options)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with _running(command, signal.SIGTERM, **pipes) as process:
        assert process.stdout is not None
        with process.stdout:
            yield orjson.loads(process.stdout.readline())["agent"]


@contextmanager
def load(url: str, *options: object, workload: str = "smoke") -> Iterator[None]:
    """Drive a workload against the mock agent for the length of the block, or shorter.

    It is ended by force: nobody waits for its profile.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = f"{url}/v1/chat/completions"
        command = _command("run", workload, "--url", target, "-q", "-o", f"{folder}/run", *options)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with _running(command, signal.SIGKILL, **quiet):
            yield


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query. Raises RuntimeError where it fails."""
        return list(self._get("query", query=expression)["result"])

    def firing(self) -> dict[str, dict[str, str]]:
        """Return the labels of the alerts that fire, by name."""
        alerts = self._get("alerts")["alerts"]
        return {a["labels"]["alertname"]: a["labels"] for a in alerts if a["state"] == "firing"}

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules as Prometheus has them, with `health` and `lastError`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=10)
        content = answer.json()
        if content["status"] != "success":
            raise RuntimeError(f"{parameters}: {content['error']}")
        return content["data"]


@contextmanager
def prometheus(
    targets: Sequence[str], rules: Path, *, window_scale: float = 1.0, program: str | None = None
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes URLs each second, with the rules of a folder.

    Raises FileNotFoundError where it is not installed, RuntimeError where it does not start.
    """
    found = program or shutil.which("prometheus")
    if found is None:
        raise FileNotFoundError("Prometheus is not installed: apt-get install prometheus")
    with tempfile.TemporaryDirectory(prefix="prometheus-") as name:
        folder = Path(name)
        (folder / "rules").mkdir()
        write_scaled(rules, folder / "rules", window_scale)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(targets)))
        address = f"127.0.0.1:{_free_port()}"
        command = [
            found,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/d",
        ]
        command += [f"--web.listen-address={address}", "--log.level=warn"]
        with (
            (folder / "log").open("wb") as log,
            _running(command, signal.SIGTERM, stdout=log, stderr=log) as process,
        ):
            _wait_until_ready(f"http://{address}", process, folder / "log")
            yield Prometheus(f"http://{address}")


def _configuration(targets: Sequence[str]) -> dict[str, Any]:
    addresses = [urlsplit(url).netloc for url in targets]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.y*ml"],
        "scrape_configs": [{"job_name": "agent", "static_configs": [{"targets": addresses}]}],
    }


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready").is_success:
                return
        except httpx.ConnectError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"Prometheus did not start: {log.read_text().strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
