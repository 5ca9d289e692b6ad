"""`python -m tests.fuzz.with_atheris [TARGET...] [--seconds N]`: what `make fuzz` runs.

Each target has a process of its own, which atheris (libFuzzer for Python) leads towards code that
no input has reached yet. What it finds stays in `.fuzz/`: `corpus/` to go on from, `found/` for an
input that broke a promise. An input may take 10 s and 2 GB.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random

FOLDER = Path(__file__).parents[2] / ".fuzz"
_INPUT_SECONDS, _MEGABYTES, _MOST_BYTES = 10, 2048, 400_000
_OURS = 0.6
_RUNS = re.compile(r"(?:^Done|stat::number_of_executed_units:|^#)\s*(\d+)", re.MULTILINE)


def main() -> int:
    """Run the targets one after the other; 1 where one of them broke a promise."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("targets", nargs="*", metavar="TARGET")
    options.add_argument("--seconds", type=int, default=20, help="for each target")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.inside:
        return _fuzz(given.targets[0], given.seconds)
    from tests.fuzz.targets import TARGETS

    if unknown := set(given.targets) - set(TARGETS):
        options.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    broken, runs = [], 0
    for name in given.targets or TARGETS:
        executed, output, code = _in_a_process(name, given.seconds)
        runs += executed
        print(f"{name:30} {executed:>12,} inputs{'' if code == 0 else '  BROKEN'}", flush=True)
        if code != 0:
            broken.append(name)
            print(output[-6000:], flush=True)
    print(f"{'in all':30} {runs:>12,} inputs, {len(broken)} targets broken")
    return 1 if broken else 0


def _in_a_process(name: str, seconds: int) -> tuple[int, str, int]:
    command = [sys.executable, "-m", "tests.fuzz.with_atheris"]
    ended = subprocess.run(
        [*command, name, "--inside", f"--seconds={seconds}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds + 20 * _INPUT_SECONDS,
        check=False,
    )
    counts = [int(count) for count in _RUNS.findall(ended.stdout)]
    return max(counts, default=0), ended.stdout, ended.returncode


def _fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        print("fuzzing needs atheris: pip install 'agent-profiler[fuzz]'", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["profiler"]):
        from tests.fuzz.mutations import mutated
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus, found = FOLDER / "corpus" / name, FOLDER / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def change(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < _OURS:
            return mutated(data, random)[:most]
        return bytes(atheris.Mutate(data, most))

    arguments = {
        "max_total_time": seconds,
        "timeout": _INPUT_SECONDS,
        "rss_limit_mb": _MEGABYTES,
        "max_len": _MOST_BYTES,
        "artifact_prefix": f"{found}/{name}-",
        "print_final_stats": 1,
    }
    given = [f"-{key}={value}" for key, value in arguments.items()]
    atheris.Setup([sys.argv[0], *given, str(corpus)], target.run, custom_mutator=change)
    began = time.monotonic()
    atheris.Fuzz()  # ends the process
    return int(time.monotonic() < began)


if __name__ == "__main__":
    sys.exit(main())
