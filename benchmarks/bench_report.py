"""How long the HTML report of a run takes, the whole command, and how large its page is.

Usage: python -m benchmarks.bench_report [interactions]

Writes a journal of 10,000 interactions (two LLM calls and a tool call each, as in `bench_profile`)
and its profile, then runs `agent-profiler report RUN --html` in processes of their own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from benchmarks.bench_profile import journal_records
from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import JournalWriter
from profiler.profile.build import build_profile
from profiler.profile.model import dump_profile

TARGET_S = 3.0
TARGET_MB = 1.0
REPETITIONS = 5


def write_run(run_dir: Path, interactions: int) -> None:
    """Write a journal and its profile."""
    writer = JournalWriter(run_dir / JOURNAL_NAME)
    records = journal_records(interactions)
    while batch := list(islice(records, 1000)):
        writer.append(batch)
    writer.close()
    (run_dir / "profile.json").write_bytes(dump_profile(build_profile(run_dir)))


def main() -> None:
    interactions = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        write_run(run_dir, interactions)
        command = [sys.executable, "-m", "profiler", "report", folder, "--html"]
        took_s = []
        for _ in range(REPETITIONS):
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            took_s.append(time.perf_counter() - begin)
        cpu_s = sum(os.times()[2:4]) / REPETITIONS  # of the children: what a busy machine leaves
        size_mb = (run_dir / "profile.html").stat().st_size / 1e6
    median_s = statistics.median(took_s)
    print(f"report --html of {interactions:,} interactions, with the journal, median of 5:")
    said = f"{median_s:.2f} s [{min(took_s):.2f}, {max(took_s):.2f}], target {TARGET_S:g} s"
    print(f"CPU {cpu_s:.2f} s each")
    print(f"{said}: {'ok' if median_s < TARGET_S else 'MISSED'}")
    print(f"{size_mb:.2f} MB, target {TARGET_MB:g} MB: {'ok' if size_mb < TARGET_MB else 'MISSED'}")


if __name__ == "__main__":
    main()
