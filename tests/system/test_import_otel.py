"""Spans that real frameworks exported, imported and replayed on the mock agent."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from profiler.measure.tokens import DEFAULT_ENCODING, TokenCounter
from tests.observers.otlp.captures import NAMES, capture, capture_bytes, truth
from tests.observers.otlp.test_recorded import UNTOLD, without_content
from tests.system.cli import agent_profiler, json_lines, load_json, total

pytestmark = pytest.mark.system


@pytest.mark.parametrize("name", NAMES)
def test_a_replay_has_the_calls_and_tools_that_were_served(tmp_path: Any, name: str) -> None:
    (tmp_path / "spans.json").write_bytes(capture_bytes(name))
    done = agent_profiler("import", "otel", "spans.json", "-o", "x.yaml", cwd=tmp_path)
    assert done.is_done, done.err
    done = agent_profiler(
        *("run", "x.yaml", "--warmup", 0, "--mock-speed", 50, "--out", "run"), cwd=tmp_path
    )
    assert done.is_done, done.err
    profile = load_json(tmp_path / "run" / "profile.json")
    told = [i for i in truth(name) if i["message"] not in UNTOLD[name]]
    served = [c for i in told for c in i["llm_http_calls"] if c["status"] == 200]
    assert profile["sample"]["interactions"] == len(told)
    answered = [i for i in told if i["status"] == 200]
    unanswered = len(told) - len(answered)  # the mock answers with one call where none was recorded
    assert total(profile["interaction"]["llm_calls"]) == len(served) + unanswered
    tools = Counter(tool for call in served for tool in call["tool_calls"])
    assert {name: tool["calls"] for name, tool in profile["tools"].items()} == tools


def test_without_content_texts_have_exactly_the_recorded_tokens(tmp_path: Any) -> None:
    """The answers of the last calls: their lengths are what the provider counted."""
    name = "pydantic-ai"
    (tmp_path / "spans.json").write_text(json.dumps(without_content(capture(name))))
    done = agent_profiler("import", "otel", "spans.json", "-o", "x.yaml", cwd=tmp_path)
    assert done.is_done, done.err
    assert "recorded without content" in done.out
    count = TokenCounter(DEFAULT_ENCODING).count_text
    answers = [
        count(message["content"])
        for line in json_lines(tmp_path / "data" / "x.jsonl")
        for message in line["messages"]
        if message["role"] == "assistant" and not message.get("tool_calls")
    ]
    calls = [i["llm_http_calls"][-1] for i in truth(name) if i["status"] == 200]
    assert sorted(answers) == sorted(call["usage"]["output"] for call in calls)
    done = agent_profiler("run", "x.yaml", "--warmup", 0, cwd=tmp_path)
    assert done.is_done, done.err
