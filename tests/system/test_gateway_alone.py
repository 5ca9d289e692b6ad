"""The gateway alone as a process: an agent under traffic that is not ours to shape."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from profiler.cli.mock_process import mock_agent, mock_llm, null_server
from tests.system.cli import (
    AIRLINE,
    agent_profiler,
    command,
    environment,
    json_lines,
    load_json,
    total,
)
from tests.system.processes import wait_until
from tests.system.stores import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

HELLO = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]})


@contextmanager
def gateway(
    folder: Path, upstream: str, *options: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run it; yields the process and the base URL for an agent."""
    port = free_port()
    process = subprocess.Popen(
        command(
            *("gateway", "--upstream", upstream, "--listen", f"127.0.0.1:{port}", "-o", "run"),
            *options,
        ),
        cwd=folder,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def listens() -> bool:
        assert process.poll() is None, process.communicate()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "the gateway listens")
        yield process, f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], how: int = signal.SIGTERM) -> tuple[int, str, str]:
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def ask(base_url: str) -> int:
    """Make a call as an agent does; return the status."""
    url, headers = f"{base_url}/chat/completions", {"content-type": "application/json"}
    request = urllib.request.Request(url, HELLO, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """Put an agent with recorded sessions under load; its provider is behind the gateway."""
    folder: Path = tmp_path_factory.mktemp("alone")
    mock: dict[str, Any] = {"recordings": [AIRLINE], "seed": 1, "speed": 50}
    with (
        mock_llm(truth=folder / "llm.jsonl", log=folder / "llm.log", **mock) as llm,
        gateway(folder, llm["llm"], "-q") as (process, base_url),
    ):
        with mock_agent(
            truth=folder / "agent.jsonl", log=folder / "agent.log", llm_url=base_url, **mock
        ) as agent:
            done = agent_profiler(
                *("run", "airline", "--url", f"{agent['agent']}/v1/chat/completions"),
                *("--sessions", 6, "--users", 3, "--warmup", 2, "-q", "-o", "driven"),
                cwd=folder,
            )
            assert done.is_done, done.err
        code, out, err = ended(process)
    assert (code, err) == (0, ""), err
    assert out == "run/traffic.json\n"
    return folder


def test_calls_and_tokens_are_exactly_those_that_the_provider_served(recorded):
    traffic = load_json(recorded / "run" / "traffic.json")
    served = json_lines(recorded / "llm.jsonl")
    tokens = traffic["tokens"]
    assert traffic["calls"] == traffic["requests"] == len(served)
    assert tokens["input_tokens"] == sum(line["prompt_tokens"] for line in served)
    assert tokens["output_tokens"] == sum(line["completion_tokens"] for line in served)
    assert tokens["cached_input_tokens"] == sum(line["cached_tokens"] for line in served)
    assert (traffic["failed"], tokens["unreported_calls"]) == ({}, 0)
    of_call = traffic["llm_call"]
    assert total(of_call["input_tokens"]) == tokens["input_tokens"]
    assert of_call["latency"]["count"] == len(served)
    assert traffic["traces"] == len({line["trace_id"] for line in served})
    assert of_call["latency"]["clusters"]["sessions"] == traffic["traces"]
    assert traffic["untraced_calls"] == 0


def test_the_models_and_the_ledger_are_the_providers(recorded):
    traffic = load_json(recorded / "run" / "traffic.json")
    served = json_lines(recorded / "llm.jsonl")
    assert set(traffic["models"]) == {line["model"] for line in served}
    (ledger,) = traffic["ledger"].values()
    assert ledger["input"]["difference_tokens"] == ledger["output"]["difference_tokens"] == 0
    asked = {tool for line in served for tool in line["tool_calls"]}
    assert {t for name in traffic["tool_round_trips"] for t in name.split("+")} <= asked
    assert traffic["tool_round_trips"]


def test_the_journal_says_what_ran_and_that_it_ended_as_it_should(recorded):
    first, *_, last = json_lines(recorded / "run" / "journal.jsonl")
    assert (first["workload"], first["load"]) == ("gateway", {"mode": "traffic"})
    assert (first["observers"], first["encoding"]) == (["gateway"], "o200k_base")
    assert (last["event"], last["reason"]) == ("end", "completed")
    assert not load_json(recorded / "run" / "traffic.json")["partial"]


def test_the_same_is_computed_again_from_the_journal(recorded, tmp_path):
    (tmp_path / "again").mkdir()
    for name in ("journal.jsonl",):
        (tmp_path / "again" / name).write_bytes((recorded / "run" / name).read_bytes())
    done = agent_profiler("profile", "again", cwd=tmp_path)
    assert done.is_done, done.err
    assert "LLM traffic through the gateway" in done.out
    for name in ("traffic.json", "traffic.md"):
        assert (tmp_path / "again" / name).read_bytes() == (recorded / "run" / name).read_bytes()
    assert not (tmp_path / "again" / "profile.json").exists()


def test_it_says_how_to_start_the_agent_and_sums_up_at_the_end(tmp_path):
    with (
        null_server(delay_ms=0, log=tmp_path / "null.log") as null,
        gateway(tmp_path, null["url"].removesuffix("/chat/completions")) as (process, base_url),
    ):
        assert [ask(base_url) for _ in range(3)] == [200] * 3
        code, out, err = ended(process, signal.SIGINT)
    assert code == 0
    assert f"OPENAI_BASE_URL={base_url}\n" in err
    assert f"ANTHROPIC_BASE_URL={base_url.removesuffix('/v1')}\n" in err
    assert "calls     3 in " in out
    assert "run/traffic.json" in out


def test_a_call_under_way_at_the_end_is_finished_and_counted(tmp_path):
    with (
        null_server(delay_ms=2000, log=tmp_path / "null.log") as null,
        gateway(tmp_path, null["url"].removesuffix("/chat/completions")) as (process, base_url),
    ):
        statuses: list[int] = []
        agent = threading.Thread(target=lambda: statuses.append(ask(base_url)))
        agent.start()
        wait_until(lambda: null_requests(null["stats"]) == 1, "the call is under way")
        code, _, err = ended(process)
        agent.join()
    assert (code, statuses) == (0, [200])
    assert "Traceback" not in err
    traffic = load_json(tmp_path / "run" / "traffic.json")
    assert (traffic["calls"], traffic["failed"]) == (1, {})


def null_requests(stats_url: str) -> int:
    with urllib.request.urlopen(stats_url, timeout=30) as answer:
        return int(orjson.loads(answer.read())["requests"])


def test_it_ends_by_itself_after_its_duration(tmp_path):
    upstream = f"http://127.0.0.1:{free_port()}/v1"
    options = ("--listen", "127.0.0.1:0", "-o", "run", "--duration", "200ms", "-q")
    done = agent_profiler("gateway", "--upstream", upstream, *options, cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "run/traffic.json\n", "")
    assert json_lines(tmp_path / "run" / "journal.jsonl")[-1]["reason"] == "duration"
    assert load_json(tmp_path / "run" / "traffic.json")["calls"] == 0


def test_what_was_recorded_outlives_a_kill(tmp_path):
    with (
        null_server(delay_ms=0, log=tmp_path / "null.log") as null,
        gateway(tmp_path, null["url"].removesuffix("/chat/completions")) as (process, base_url),
    ):
        journal = tmp_path / "run" / "journal.jsonl"
        ask(base_url)
        wait_until(lambda: b'"event":"llm_call"' in journal.read_bytes(), "the call is recorded")
        process.kill()
        process.wait()
    done = agent_profiler("profile", "run", "-q", cwd=tmp_path)
    assert (done.code, done.out) == (0, "run/traffic.json\n")
    traffic = load_json(tmp_path / "run" / "traffic.json")
    assert (traffic["calls"], traffic["partial"]) == (1, True)


def test_a_port_that_is_taken_is_said_and_nothing_is_left(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = agent_profiler(
            "gateway", "--upstream", "http://127.0.0.1:9/v1", "--listen", address, cwd=tmp_path
        )
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"{address}: cannot listen: Address already in use" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_it_and_keeps_what_there_is(tmp_path):
    with (
        null_server(delay_ms=0, log=tmp_path / "null.log") as null,
        gateway(tmp_path, null["url"].removesuffix("/chat/completions")) as (process, base_url),
    ):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (3000, 3000))
        for _ in range(20):
            try:
                ask(base_url)
            except OSError:
                break  # it has ended
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, (out, err)
    assert "cannot write the journal" in err.strip().splitlines()[-1]
    assert (tmp_path / "run" / "journal.jsonl").stat().st_size <= 3000
    again = agent_profiler("profile", "run", "-q", cwd=tmp_path)
    assert again.is_done, again.err
    assert load_json(tmp_path / "run" / "traffic.json")["partial"]
