"""Whether generated prompts are exact, and a trace is sent when it was recorded.

Usage: python -m benchmarks.replay_trace KIND FILE [--speed 10] [--workers 1]

Imports a whole trace (KIND: mooncake, azure-llm) with the real command, then

- makes every prompt and counts its tokens with tiktoken, in each encoding that is shipped: the
  target is exact in 99.9 % of cases and never more than one off;
- replays the trace on the mock agent, which does nothing slowly, and compares when each request was
  sent with the file's time (target: within 2 ms at p99), and its input and output tokens, as the
  client counted and the mock LLM logged them, with the file's;
- does the same against the null server, and there with raw sockets, too, which do nothing but send:
  what they miss is the machine's doing.

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

from benchmarks.driver.null import Answers, NullServers
from benchmarks.driver.process import Cores
from benchmarks.driver.raw_trace import lateness_ms
from profiler.measure.tokens import load_encoding
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
    against_nothing(replaying[:5], rows, folder, given.speed)


def against_nothing(command: list[str], rows: list[list[str]], folder: Path, speed: float) -> None:
    """Send the trace to a server that only answers: with the product, and with raw sockets."""
    servers = NullServers(folder, Cores.of_this_machine().server)
    with servers.running(Answers(delay_ms=50.0)) as server:
        url = server.url.partition("/v1")[0] + "/v1/chat/completions"
        ours = [*command, "--url", url, "--out", str(folder / "null")]
        subprocess.run(ours, check=False, capture_output=True)
        sent = interactions(folder / "null")
        port = int(url.split(":")[2].split("/")[0])
        # A word of a prompt has 6.1 characters with its space, in the mean.
        lengths = [round(6.1 * int(row[1])) for row in rows]
        raw = lateness_ms(port, [float(row[0]) for row in rows], lengths, speed=speed)
    start_ns = min(line["intended_start_ns"] for line in sent)
    print(f"null server ({servers.name}), off the file's time:")
    print(f"  agent-profiler {quantiles(off_ms(sent, start_ns, rows, speed))}")
    print(f"  raw sockets    {quantiles(raw)}")


def interactions(folder: Path) -> list[dict[str, Any]]:
    lines = [line for file in folder.rglob("journal.jsonl") for line in json_lines(file)]
    return [line for line in lines if line.get("event") == "interaction"]


def off_ms(
    sent: list[dict[str, Any]], start_ns: int, rows: list[list[str]], speed: float
) -> list[float]:
    """Return how far from the file's time each was sent, in milliseconds."""
    due_ms = [float(row[0]) * 1000 / speed for row in rows]
    return [
        abs((line["send_ns"] - start_ns) / 1e6 - due_ms[line["session_index"]]) for line in sent
    ]


def quantiles(values: list[float]) -> str:
    values = sorted(values)
    shares = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    said = ", ".join(f"{name} {values[int(share * len(values))]:.2f}" for name, share in shares)
    return f"{said}, most {values[-1]:.2f} ms"


def exactness(workload: Path, lengths: list[int]) -> None:
    """Count every prompt."""
    sampler = SessionSampler(load_workload(workload), seed=1)
    for encoding in ENCODINGS:
        encode = load_encoding(encoding).encode_ordinary
        off = [
            abs(len(encode(sampler.session(number).turns[0].user)) - length)
            for number, length in enumerate(lengths)
        ]
        exact = off.count(0) / len(off)
        print(f"{encoding}: {len(off):,} prompts, {exact:.2%} exact, most off by {max(off)}")


def replay(folder: Path, rows: list[list[str]], speed: float) -> None:
    """Compare what was sent with the trace."""
    sent = interactions(folder)
    truth = {line["trace_id"]: line for line in json_lines(folder / "mock_truth.jsonl")
             if line["kind"] == "llm_request"}  # fmt: skip
    start_ns = min(line["intended_start_ns"] for line in sent)
    inputs = outputs = 0
    for line in sent:
        _, input_tokens, output_tokens, _ = rows[line["session_index"]]
        inputs += line["counted"]["user"] == int(input_tokens)
        outputs += truth[line["trace_id"]]["completion_tokens"] == int(output_tokens)
    late = quantiles(off_ms(sent, start_ns, rows, speed))
    print(f"speed {speed:g}: {len(sent):,} of {len(rows):,} sent; off the file's time: {late}")
    print(f"input tokens equal for {inputs:,}, output tokens for {outputs:,}")


def json_lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


if __name__ == "__main__":
    main()
