"""Whether generated prompts are exact, and a trace is sent when it was recorded.

Usage: python -m benchmarks.replay_trace KIND FILE [--speed 10] [--workers 1]

Imports a whole trace (KIND: mooncake, azure-llm) with the real command, then

- makes every prompt and counts its tokens with tiktoken, in each encoding that is shipped: the
  target is exact in 99.9 % of cases and never more than one off;
- replays the trace on the mock agent, which does nothing slowly, and compares when each request was
  sent with the file's time (target: within 2 ms at p99), and its input and output tokens, as the
  client counted and the mock LLM logged them, with the file's.

Do it with nothing else running: the mocks tokenize every prompt, too, on the same machine.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from profiler.measure.tokens import TokenCounter
from profiler.workload.load import load_workload
from profiler.workload.sessions import SessionSampler
from profiler.workload.words import ENCODINGS

PROFILER = (sys.executable, "-m", "profiler")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("mooncake", "azure-llm"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(given, Path(folder))


def run(given: argparse.Namespace, folder: Path) -> None:
    workload = folder / "x.yaml"
    command = (*PROFILER, "import", given.kind, str(given.file), "-o", str(workload))
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    workload.write_text(workload.read_text().replace("speed: 1 ", f"speed: {given.speed} "))
    rows = [line.split(",") for line in (folder / "data/x.csv").read_text().splitlines()[1:]]
    exactness(workload, [int(row[1]) for row in rows])
    replaying = [*PROFILER, "run", str(workload), "--mock-speed", "100", "--out", str(folder / "r")]
    if given.workers > 1:
        replaying += ["--workers", str(given.workers)]
    done = subprocess.run(replaying, check=False, capture_output=True, text=True)
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    replay(folder / "r", rows, given.speed)
    print(f"exit code {done.returncode}; largest process (driver or mocks) {peak_mb:.0f} MB")


def exactness(workload: Path, lengths: list[int]) -> None:
    """Count every prompt."""
    sampler = SessionSampler(load_workload(workload), seed=1)
    for encoding in ENCODINGS:
        count = TokenCounter(encoding).count_text
        off = [
            abs(count(sampler.session(number).turns[0].user) - length)
            for number, length in enumerate(lengths)
        ]
        exact = off.count(0) / len(off)
        print(f"{encoding}: {len(off):,} prompts, {exact:.2%} exact, most off by {max(off)}")


def replay(folder: Path, rows: list[list[str]], speed: float) -> None:
    """Compare what was sent with the trace."""
    lines = [line for file in folder.rglob("journal.jsonl") for line in json_lines(file)]
    sent = [line for line in lines if line.get("event") == "interaction"]
    truth = {line["trace_id"]: line for line in json_lines(folder / "mock_truth.jsonl")
             if line["kind"] == "llm_request"}  # fmt: skip
    start_ns = min(line["intended_start_ns"] for line in sent)
    late_ms, inputs, outputs = [], 0, 0
    for line in sent:
        at_s, input_tokens, output_tokens, _ = rows[line["session_index"]]
        late_ms.append(abs((line["send_ns"] - start_ns) / 1e6 - float(at_s) * 1000 / speed))
        inputs += line["counted"]["user"] == int(input_tokens)
        outputs += truth[line["trace_id"]]["completion_tokens"] == int(output_tokens)
    late_ms.sort()
    shares = {name: late_ms[int(share * len(late_ms))] for name, share in
              (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}  # fmt: skip
    said = ", ".join(f"{name} {value:.2f}" for name, value in shares.items())
    print(f"speed {speed:g}: {len(sent):,} of {len(rows):,} sent; off the file's time: {said}, "
          f"most {late_ms[-1]:.2f} ms")  # fmt: skip
    print(f"input tokens equal for {inputs:,}, output tokens for {outputs:,}")


def json_lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


if __name__ == "__main__":
    main()
