"""The peers: other load generators, each told to send the same. Only those that are installed.

None of them records what ours does. A peer that wants a tokenizer (AIPerf, GuideLLM) takes the one
that BENCH_TOKENIZER names; one that fails is said and left out.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.driver.clients import Load, Told
from benchmarks.driver.process import Ran, run

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTS = Path(__file__).resolve().parent / "scripts"
MOST_OPEN_USERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A client that is a command. `command` returns None for a load that it cannot send."""

    name: str
    command: Callable[[Load, Path], list[str] | None]
    told: Callable[[Ran, Path], Told] = lambda _ran, _scratch: Told()
    environment: Callable[[Load], dict[str, str]] = lambda _load: {}
    fine_codes: frozenset[int] = frozenset({0})

    def send(self, load: Load, scratch: Path, core: int | None) -> tuple[Ran, Told] | None:
        """Run the peer."""
        _body_file(scratch).write_text(_body(load))
        command = self.command(load, scratch)
        if command is None:
            return None
        env = {name: str(value) for name, value in self.environment(load).items()}
        # One core means one: what starts a thread for each core it sees is told so.
        env |= {"GOMAXPROCS": "1", "GUIDELLM__MAX_WORKER_PROCESSES": "1"}
        ran = run(command, cwd=scratch, core=core, env=env, fine_codes=self.fine_codes)
        return ran, self.told(ran, scratch)


def installed_peers() -> list[Peer]:
    """Return the peers that this machine has."""
    on_path = [peer for peer in _ON_PATH if shutil.which(peer.name)]
    return on_path + [peer for peer in _PACKAGES if find_spec(peer.name) or shutil.which(peer.name)]


def _body(load: Load) -> str:
    message = {"role": "user", "content": "Where is my order?"}
    return json.dumps({"model": "null", "messages": [message], "stream": load.stream}).replace(
        '"stream": false', '"stream":false'
    )


def _body_file(scratch: Path) -> Path:
    return scratch / "body.json"


def _k6(load: Load, scratch: Path) -> list[str] | None:
    if load.poisson:
        return None
    command = ["k6", "run", "--quiet", "--no-usage-report", "--summary-export"]
    return [*command, str(scratch / "k6.json"), str(SCRIPTS / "k6.js")]


def _k6_environment(load: Load) -> dict[str, str]:
    scenario: dict[str, object] = {
        "executor": "shared-iterations",
        "vus": load.users,
        "iterations": load.requests,
    }
    if load.rate is not None:
        scenario = {
            "executor": "constant-arrival-rate",
            "rate": load.rate,
            "duration": f"{load.seconds}s",
            "preAllocatedVUs": MOST_OPEN_USERS,
        }
    return {"URL": load.url, "BODY": _body(load), "SCENARIO": json.dumps(scenario)}


def _k6_told(_ran: Ran, scratch: Path) -> Told:
    figures = json.loads((scratch / "k6.json").read_text())["metrics"]["http_req_duration"]
    return Told(latency_p99_ms=figures.get("p(99)"))


def _locust(load: Load, _scratch: Path) -> list[str] | None:
    if load.users is None:  # a closed loop is all that it has
        return None
    command = ["locust", "-f", str(SCRIPTS / "locustfile.py"), "--headless", "--only-summary"]
    users = str(load.users)
    return [*command, "-u", users, "-r", users, "--host", _origin(load.url), "-L", "ERROR"]


def _locust_environment(load: Load) -> dict[str, str]:
    return {
        "BENCH_PATH": urlsplit(load.url).path,
        "BENCH_BODY": _body(load),
        "BENCH_REQUESTS": str(load.requests),
    }


def _wrk(load: Load, scratch: Path) -> list[str] | None:
    if load.users is None:
        return None
    script = scratch / "wrk.lua"
    body = _body(load).replace("\\", "\\\\").replace("'", "\\'")
    headers = 'wrk.headers["Content-Type"] = "application/json"'
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{body}'\n{headers}\n")
    shape = ["-t1", f"-c{load.users}", f"-d{load.seconds}s"]
    return ["wrk", *shape, "-s", str(script), load.url]


def _hey(load: Load, scratch: Path) -> list[str] | None:
    if load.users is None:
        return None
    shape = ["-n", str(load.requests), "-c", str(load.users), "-cpus", "1"]
    return ["hey", *shape, "-m", "POST", "-T", "application/json", "-D", _file(scratch), load.url]


def _oha(load: Load, scratch: Path) -> list[str] | None:
    shape = ["-n", str(load.requests), "-c", str(load.users or MOST_OPEN_USERS), "--no-tui"]
    if load.poisson:
        return None
    if load.rate is not None:
        shape += ["-q", str(load.rate), "--latency-correction"]
    shape += ["-m", "POST", "-T", "application/json", "-D", _file(scratch), "--output-format"]
    return ["oha", *shape, "json", load.url]


def _oha_told(ran: Ran, _scratch: Path) -> Told:
    p99_s = json.loads(ran.out).get("latencyPercentiles", {}).get("p99")
    return Told(latency_p99_ms=None if p99_s is None else p99_s * 1000)


def _vegeta(load: Load, scratch: Path) -> list[str] | None:
    if load.poisson:
        return None
    rate = ["-rate=0", f"-max-workers={load.users}"] if load.rate is None else []
    if load.rate is not None:
        rate = [f"-rate={load.rate}/s"]
    (scratch / "targets").write_text(f"POST {load.url}\nContent-Type: application/json\n")
    files = ["-targets", str(scratch / "targets"), "-body", _file(scratch)]
    return ["vegeta", "attack", *rate, f"-duration={load.seconds}s", *files, "-output", "results"]


def _vegeta_told(_ran: Ran, scratch: Path) -> Told:
    report = run(["vegeta", "report", "-type=json", "results"], cwd=scratch, core=None)
    return Told(latency_p99_ms=json.loads(report.out)["latencies"]["99th"] / 1e6)


def _aiperf(load: Load, scratch: Path) -> list[str] | None:
    if load.users is None:
        return None
    command = ["aiperf", "profile", "-m", "null", "--url", _origin(load.url)]
    command += ["--endpoint-type", "chat", "--concurrency", str(load.users)]
    command += ["--request-count", str(load.requests), "--tokenizer", _tokenizer()]
    command += ["--artifact-dir", str(scratch / "aiperf"), "--ui", "none"]
    return [*command, *(["--streaming"] if load.stream else [])]


def _guidellm(load: Load, scratch: Path) -> list[str] | None:
    if load.poisson or not load.stream:  # it always streams
        return None
    command = ["guidellm", "benchmark", "--target", _origin(load.url), "--model", "null"]
    kind, rate = ("constant", load.rate) if load.users is None else ("concurrent", load.users)
    command += ["--rate-type", kind, "--rate", str(rate), "--max-requests", str(load.requests)]
    command += ["--data", "prompt_tokens=10,output_tokens=64", "--processor", _tokenizer()]
    return [*command, "--output-path", str(scratch / "guidellm.json")]


def _tokenizer() -> str:
    return os.environ.get("BENCH_TOKENIZER", "gpt2")


def _origin(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"


def _file(scratch: Path) -> str:
    return str(_body_file(scratch))


_ON_PATH = (
    Peer(name="k6", command=_k6, told=_k6_told, environment=_k6_environment),
    Peer(name="wrk", command=_wrk),
    Peer(name="hey", command=_hey),
    Peer(name="oha", command=_oha, told=_oha_told),
    Peer(name="vegeta", command=_vegeta, told=_vegeta_told),
)
_PACKAGES = (
    Peer(name="locust", command=_locust, environment=_locust_environment),
    Peer(name="aiperf", command=_aiperf),
    Peer(name="guidellm", command=_guidellm),
)
