"""Observers of a run as processes see them: the mock agent and its LLM, and what goes wrong."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.system.cli import agent_profiler, json_lines, load_json, total
from tests.system.stores import free_port

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def behind_the_gateway(tmp_path_factory) -> Path:
    """Run recorded sessions; nobody passes the calls on but the gateway."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    options = ["--gateway", f"127.0.0.1:{free_port()}", "--mock-speed", 50, "-q", "--out", "run"]
    done = agent_profiler(
        "run", "airline", "--sessions", 6, "--users", 6, "--warmup", 2, *options, cwd=folder
    )
    assert done.is_done, done.err
    return folder / "run"


def events(run: Path, name: str, observer: str) -> list[dict[str, Any]]:
    return [
        line
        for line in json_lines(run / "journal.jsonl")
        if line["event"] == name and line["observer"] == observer
    ]


def test_the_gateways_calls_are_the_mock_llms_call_by_call(behind_the_gateway):
    seen = Counter(
        (
            call["trace_id"],
            call["usage"]["input_tokens"],
            call["usage"]["output_tokens"],
            call["usage"]["cached_input_tokens"],
            call["tokens"]["system"],
            call["tokens"]["history"],
            call["tokens"]["user"],
            call["tokens"]["tool_results"],
            call["tokens"]["tool_schemas"],
            tuple(call["tool_calls"]),
        )
        for call in events(behind_the_gateway, "llm_call", "gateway")
    )
    served = Counter(
        (
            line["trace_id"],
            line["prompt_tokens"],
            line["completion_tokens"],
            line["cached_tokens"],
            *(line["parts"][part] for part in ("system", "history", "user", "tool_results")),
            line["parts"]["tool_schemas"],
            tuple(line["tool_calls"]),
        )
        for line in json_lines(behind_the_gateway / "mock_llm_truth.jsonl")
    )
    assert seen == served


def test_every_call_was_assigned_by_its_trace(behind_the_gateway):
    how = Counter(call["attribution"] for call in events(behind_the_gateway, "llm_call", "gateway"))
    assert set(how) == {"trace"}


def test_the_profile_takes_calls_and_tokens_from_the_gateway(behind_the_gateway):
    profile = load_json(behind_the_gateway / "profile.json")
    metrics = profile["interaction"]
    measured = {
        line["trace_id"]
        for line in json_lines(behind_the_gateway / "journal.jsonl")
        if line["event"] == "interaction" and line["phase"] == "measure"
    }
    served = [
        line
        for line in json_lines(behind_the_gateway / "mock_llm_truth.jsonl")
        if line["trace_id"] in measured
    ]
    assert total(metrics["llm_calls"]) == len(served)
    assert total(metrics["input_tokens"]) == sum(line["prompt_tokens"] for line in served)
    assert {metrics[name]["source"] for name in ("llm_calls", "input_tokens")} == {"gateway"}
    assert metrics["tool_calls"]["source"] == "response"  # a gateway sees no tool run


def test_a_port_that_is_taken_is_said_and_nothing_is_left(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for option in ("--gateway", "--otlp"):
            done = agent_profiler("run", "smoke", option, address, "-o", "run", cwd=tmp_path)
            assert done.code == 2
            assert f"{address}: cannot listen: Address already in use" in done.err
            assert not (tmp_path / "run").exists()


def test_a_store_that_is_not_there_is_said_before_anything_is_sent(tmp_path):
    url = f"redis://me:hunter2@127.0.0.1:{free_port()}/0"
    done = agent_profiler("run", "smoke", "--state", url, "-o", "run", cwd=tmp_path)
    assert done.code == 2
    assert "Redis cannot be asked" in done.err
    assert "hunter2" not in done.err
    assert not (tmp_path / "run").exists()


def test_a_provider_that_refuses_is_counted_and_named(tmp_path):
    upstream = f"http://127.0.0.1:{free_port()}/v1"
    done = agent_profiler(
        *("run", "smoke", "--gateway", f"127.0.0.1:{free_port()}", "--upstream", upstream),
        *("-q", "-n", 20, "-o", "run"),
        cwd=tmp_path,
    )
    calls = events(tmp_path / "run", "llm_call", "gateway")
    assert done.code in (0, 5)
    assert {call["outcome"] for call in calls} == {"connect_error"}
    (note,) = events(tmp_path / "run", "observer_note", "gateway")
    assert (note["kind"], note["count"]) == ("upstream_refused", len(calls))


def test_an_agent_without_spans_is_explained(tmp_path):
    done = agent_profiler(
        *("run", "smoke", "--otlp", f"127.0.0.1:{free_port()}", "--otlp-grace", "1s"),
        *("-n", 12, "--warmup", 2, "-o", "run", "-q"),
        cwd=tmp_path,
    )
    assert done.is_done, done.err
    (note,) = events(tmp_path / "run", "observer_note", "otel")
    assert (note["kind"], note["count"]) == ("no_spans", 14)
    assert "not instrumented" in note["detail"]


def test_a_gateway_beyond_loopback_works_with_its_token_and_does_not_show_it(tmp_path):
    token = "canary-token-0123456789"
    done = agent_profiler(
        *("run", "smoke", "--gateway", f"0.0.0.0:{free_port()}", "-n", 12, "-o", "run"),
        cwd=tmp_path,
        AGENT_PROFILER_GATEWAY_TOKEN=token,
    )
    assert done.is_done, done.err
    assert "/t/$AGENT_PROFILER_GATEWAY_TOKEN/v1" in done.err
    assert len(events(tmp_path / "run", "llm_call", "gateway")) == 12
    for shown in (done.out, done.err, *(f.read_text() for f in (tmp_path / "run").iterdir())):
        assert token not in shown
