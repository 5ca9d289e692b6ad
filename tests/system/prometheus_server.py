"""A real Prometheus with a past: series written into its database before it starts."""

from __future__ import annotations

import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.processes import wait_until
from tests.system.stores import free_port, program


@contextmanager
def prometheus(openmetrics: str) -> Iterator[str]:
    """Run a Prometheus that remembers these series (OpenMetrics text); yield its address."""
    server, tool = program("prometheus"), program("promtool")
    with tempfile.TemporaryDirectory(prefix="prometheus-") as name:
        folder = Path(name)
        (folder / "past.txt").write_text(openmetrics)
        (folder / "prometheus.yml").write_text("scrape_configs: []\n")
        backfill = [tool, "tsdb", "create-blocks-from", "openmetrics"]
        backfill += [str(folder / "past.txt"), str(folder / "data")]
        subprocess.run(backfill, check=True, capture_output=True)
        address = f"127.0.0.1:{free_port()}"
        command = [server, f"--config.file={folder / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={folder / 'data'}", "--storage.tsdb.retention.time=10y"]
        command += [f"--web.listen-address={address}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: _is_ready(process, address, folder), "Prometheus is ready")
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(process: subprocess.Popen[bytes], address: str, folder: Path) -> bool:
    assert process.poll() is None, (folder / "log").read_text()
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
