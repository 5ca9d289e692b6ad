"""Run every benchmark, show what each prints, and end with one summary of the targets.

    python -m benchmarks.run_all [--quick]

A benchmark is a `bench_*.py` beside this file; the lines in which it ends with `ok` or `MISSED`
(or says that the machine was too busy) make the summary. A missed target is no failure: it is news.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
JUDGED = re.compile(r"(?:\bok|\bMISSED|\bunclear: .*)$")
QUICK = ("bench_driver",)
"""Those that know a `--quick`."""


def run(name: str, arguments: list[str]) -> tuple[int, list[str]]:
    """Run one, printing as it goes; return its exit code and the lines that judge."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    judged = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parent) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if JUDGED.search(line.rstrip()) and not line.startswith(" "):
                judged.append(line.rstrip())
    return process.returncode, judged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less exact, for a first look")
    options = parser.parse_args()
    judged: dict[str, list[str]] = {}
    broken = []
    for name in sorted(path.stem for path in FOLDER.glob("bench_*.py")):
        print(f"\n== {name}", flush=True)
        code, judged[name] = run(name, ["--quick"] if options.quick and name in QUICK else [])
        if code != 0:
            broken.append(name)
    print("\n== Summary")
    for name, lines in judged.items():
        for line in lines:
            print(f"{name:<14} {line}")
    for name in broken:
        print(f"{name:<14} did not run to its end")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
