"""Watch a stage of the rollout be called for: real load, a real queue, a real alert.

    python -m benchmarks.monitoring.demo [--rules plans/launch/monitoring/prometheus] [--stage 3]

Starts the mock agent with few workers and a Prometheus with the rules of a plan (of the sample's,
made on the spot, if none are given); looks on at a load that it carries, then at one that it does
not: more messages than its workers take (stage 2), or more calls than its provider admits
(stage 3). Says what fired and after how long, and ends; nothing stays behind. Windows and holds are
those of the plan times `--window-scale`: an alert that takes 25 minutes fires within one.

Exit codes: 0 it fired, and not before; 1 it did not, or fired at the load that the agent carries.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.monitoring.servers import ROOT, Prometheus, load, mock_agent, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 5
AGENT: dict[int, tuple[object, ...]] = {
    2: ("--workers", WORKERS, "--speed", 2),
    3: ("--speed", 20, "--rpm", 600, "--limit-window", 5),
}
"""Few workers; or many, and a provider that admits 10 calls a second, and 50 at once.

So few that a machine with other work reaches and passes them."""
LONG = ("--duration", "10m", "-n", 1_000_000, "--error-limit", 1, "--max-in-flight", 2000)
CALM: dict[int, tuple[object, ...]] = {2: ("--users", 2, *LONG[:-2]), 3: ("--rate", "2/s", *LONG)}
"""Two users for five workers; 2 sessions a second, of two messages each: some 5 calls a second."""
OVERLOAD: dict[int, tuple[object, ...]] = {
    2: ("--rate", "20/s", *LONG),
    3: ("--rate", "16/s", *LONG),
}
QUEUE = "sum(agent_queue_depth)"
LIMITS = "sum(agent_llm_rate_limited_total)"


def main() -> int:
    arguments = _arguments()
    if shutil.which("prometheus") is None:
        sys.exit("Prometheus is not installed: apt-get install prometheus")
    with _rules(arguments.rules) as rules:
        return _show(rules, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rules", type=Path, help="folder of *.yml (default: the sample plan's)")
    parser.add_argument("--window-scale", type=float, default=0.02, help="default: 0.02")
    parser.add_argument("--stage", type=int, choices=(2, 3), default=2, help="default: 2")
    parser.add_argument("--calm", type=float, default=25.0, help="seconds before, default: 25")
    parser.add_argument("--most", type=float, default=120.0, help="seconds of overload at most")
    return parser.parse_args()


@contextmanager
def _rules(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        demand = Path(folder) / "demand.yaml"
        plan = [sys.executable, "-m", "profiler", "plan"]
        sample = subprocess.run([*plan, "--sample"], check=True, capture_output=True, cwd=ROOT)
        demand.write_bytes(sample.stdout)
        made = [*plan, "results/sample", "--demand", str(demand), "--out", f"{folder}/plan"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        yield Path(folder) / "plan" / "monitoring" / "prometheus"


def _show(rules: Path, arguments: argparse.Namespace) -> int:
    stage = arguments.stage
    with (
        mock_agent(*AGENT[stage]) as url,
        prometheus([url], rules, window_scale=arguments.window_scale) as watching,
    ):
        print(f"mock agent {url}, Prometheus {watching.url}; looking on for {arguments.calm:g} s")
        with load(url, *CALM[stage]):
            early = _follow(watching, stage, arguments.calm)
        if early is not None:
            print(f"stage {stage} was called for after {early:.0f} s, at a load that is carried")
            return 1
        print("not called for. Now more than it carries:")
        with load(url, *OVERLOAD[stage]):
            late = _follow(watching, stage, arguments.most)
        for name, labels in sorted(watching.firing().items()):
            print(f"  fires: {name} ({labels['severity']})")
        if late is None:
            print(f"stage {stage} was not called for within {arguments.most:g} s")
            return 1
        print(f"stage {stage} is called for, {late:.0f} s after the load rose")
        return 0


def _follow(watching: Prometheus, stage: int, most_s: float) -> float | None:
    """Return after how many seconds an alert of the stage fires; None: not in that time."""
    begin_s = time.monotonic()
    while (passed_s := time.monotonic() - begin_s) < most_s:
        if any(each.get("stage") == str(stage) for each in watching.firing().values()):
            return passed_s
        shown = {"waiting": QUEUE, "refused": LIMITS}
        values = {name: watching.query(expression) for name, expression in shown.items()}
        told = [f"{name} {found[0]['value'][1]}" for name, found in values.items() if found]
        print(f"  {passed_s:3.0f} s  {', '.join(told)}", flush=True)
        time.sleep(2)
    return None


if __name__ == "__main__":
    sys.exit(main())
