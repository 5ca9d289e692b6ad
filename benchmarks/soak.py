"""A run of a million interactions against the null server: nothing lost, nothing leaked.

    python -m benchmarks.soak [--interactions 1000000] [--users 64] [--workers auto] [--json FILE]

While it runs, the memory and the open file descriptors of all its processes are read once a second.
Then its journal is read line by line (each interaction must be there once) and its profile compared
with what the null server is known to answer. Ends with 1 where anything is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.driver.null import NullServers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
EVERY_S = 1.0
TURNS = 2
INPUT_TOKENS, OUTPUT_TOKENS = 10, 6
"""What the null server says that each answer took."""

STEADY_FROM = 0.3
"""Share of the samples that is left to imports, buffers and caches to fill."""

_WORKLOAD = """\
name: soak
target: {stream: false, model: gpt-4o, timeout: 60s}
scenarios: [{name: two-turns, turns: [{user: "Where is my order?"}, {user: "And when?"}]}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All processes of the run at one moment."""

    at_s: float
    processes: int
    rss_kb: int
    descriptors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What a soak found. `problems` is empty where everything is as it must be."""

    interactions: int
    wall_s: float
    per_s: float
    processes: int
    rss_mb_first: float
    rss_mb_last: float
    rss_kb_per_1000: float
    descriptors: tuple[int, int]
    problems: tuple[str, ...]


def soak(
    scratch: Path, *, interactions: int, users: int, workers: str, every_s: float = EVERY_S
) -> Soaked:
    """Run it in `scratch` and return what was found. Takes a few minutes for a million."""
    (scratch / "soak.yaml").write_text(_WORKLOAD)
    run_dir = scratch / "run"
    with NullServers(scratch, None).running() as server:
        command = [sys.executable, "-m", "profiler", "run", str(scratch / "soak.yaml")]
        command += ["--url", server.url, "--users", str(users), "--requests", str(interactions)]
        command += ["--warmup", "0", "--workers", workers, "--out", str(run_dir), "--quiet"]
        began_s = time.monotonic()
        # The workers must find this package, not another that is installed.
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
        samples = list(_samples(process, began_s, every_s))
        wall_s = time.monotonic() - began_s
        # 4: the harness was the bottleneck. It is to be: nothing else limits a null server.
        fine = process.returncode in (0, 4)
        problems = [] if fine else [f"the run ended with {process.returncode}"]
        asked = server.stats()["requests"]
    if asked != interactions:
        problems.append(f"the server was asked {asked} times")
    problems += _of_journals(run_dir, interactions)
    if not (run_dir / "profile.json").exists():
        raise RuntimeError("; ".join(problems))
    profile = json.loads((run_dir / "profile.json").read_bytes())
    problems += _of_profile(profile, interactions)
    steady = _steady(samples)
    if not steady:
        problems.append("it was over before it could be watched")
        steady = samples[-1:]
    per_s = profile["load"]["achieved_rate"]  # while it sent: not of its start, nor of the profile
    descriptors = [sample.descriptors for sample in steady]
    return Soaked(
        interactions=interactions,
        wall_s=wall_s,
        per_s=per_s,
        processes=max(sample.processes for sample in steady),
        rss_mb_first=steady[0].rss_kb / 1024,
        rss_mb_last=steady[-1].rss_kb / 1024,
        rss_kb_per_1000=1000 * slope([(s.at_s, s.rss_kb) for s in steady]) / per_s,
        descriptors=(min(descriptors), max(descriptors)),
        problems=tuple(problems),
    )


def _samples(process: subprocess.Popen[bytes], began_s: float, every_s: float) -> Iterator[Sample]:
    """Yield samples until the process has ended."""
    while process.poll() is None:
        pids = [process.pid, *_descendants(process.pid)]
        found = [figures for pid in pids if (figures := _figures(pid)) is not None]
        if found:
            yield Sample(
                at_s=time.monotonic() - began_s,
                processes=len(found),
                rss_kb=sum(rss_kb for rss_kb, _ in found),
                descriptors=sum(descriptors for _, descriptors in found),
            )
        time.sleep(every_s)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _figures(pid: int) -> tuple[int, int] | None:
    """Return resident memory in kB and the number of open descriptors; None where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return (int(kilobytes[0]), descriptors) if kilobytes else None


def _steady(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples in which all processes were at work: not the start, nor the profile."""
    most = max((sample.descriptors for sample in samples), default=0)
    working = [sample for sample in samples if sample.descriptors >= most - 2]
    return working[int(len(working) * STEADY_FROM) :]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def _of_journals(run_dir: Path, interactions: int) -> list[str]:
    """Say what is missing, or twice: traces, and the turns of sessions, of all shards together."""
    traces: set[bytes] = set()
    sessions: Counter[int] = Counter()
    lines = 0
    for journal in sorted(run_dir.rglob("journal.jsonl")):
        with journal.open("rb") as stream:
            for line in stream:
                if line.startswith(b'{"event":"interaction"'):
                    event = orjson.loads(line)
                    traces.add(bytes.fromhex(event["trace_id"]))
                    sessions[event["session_index"]] += 1
                    lines += 1
    problems = []
    if lines != interactions or len(traces) != interactions:
        problems.append(f"{lines} interactions in the journals, {len(traces)} of them different")
    if any(turns > TURNS for turns in sessions.values()):
        problems.append("a session has a turn twice")
    return problems


def _of_profile(profile: dict[str, Any], interactions: int) -> list[str]:
    sample, metrics = profile["sample"], profile["interaction"]
    expected: dict[str, tuple[Any, Any]] = {
        "interactions": (sample["interactions"], interactions),
        "succeeded": (sample["succeeded"], interactions),
        "partial": (sample["partial"], False),
        "latency count": (metrics["latency"]["count"], interactions),
    }
    for name, each in (("input_tokens", INPUT_TOKENS), ("output_tokens", OUTPUT_TOKENS)):
        found = metrics[name]
        bounds = found["count"], found["min"], found["max"], found["mean"]
        expected[name] = (bounds, (interactions, each, each, each))
    return [
        f"{name} is {found}, not {wanted}"
        for name, (found, wanted) in expected.items()
        if found != wanted
    ]


def main() -> int:
    """Soak, print what was found, and say by the exit code whether it is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = soak(
            Path(scratch),
            interactions=options.interactions,
            users=options.users,
            workers=options.workers,
        )
    text = json.dumps(asdict(found), indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    sys.stdout.write(text + "\n")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
