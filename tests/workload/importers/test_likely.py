"""Which kind a file looks like: of each kind how it begins, and of others nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.likely import BEGINNING_BYTES, likely_kind

ROOT = Path(__file__).parents[3]
CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
SHARE = {"id": "1", "conversations": [{"from": "human", "value": "hello"}]}
# Observations of Langfuse's export: an LLM was given messages, which stand a level below.
OBSERVATION = {"id": "o", "traceId": "t", "type": "GENERATION", "input": {"messages": CHAT}}
HAR = {"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "entries": []}}


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tests/data/traces/mooncake-conversation-60.jsonl", ImportKind.MOONCAKE),
        ("tests/data/traces/azure-llm-conv-60.csv", ImportKind.AZURE_LLM),
        ("tests/data/otlp/pydantic-ai/00.otlp.json.gz", ImportKind.OTEL),
        ("tests/data/otlp/openai-agents-openinference/00.otlp.json.gz", ImportKind.OTEL),
        ("scenarios/data/airline.jsonl", ImportKind.OPENAI_MESSAGES),
    ],
)
def test_recorded_files_look_like_what_they_are(name: str, kind: ImportKind) -> None:
    data = (ROOT / name).read_bytes()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    assert likely_kind(data[:BEGINNING_BYTES]) is kind


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (lines({"messages": CHAT}), ImportKind.OPENAI_MESSAGES),
        (lines(CHAT, CHAT), ImportKind.OPENAI_MESSAGES),
        (lines({"trace_id": "mine", "messages": CHAT}), ImportKind.OPENAI_MESSAGES),
        (lines({"messages": CHAT})[:40], ImportKind.OPENAI_MESSAGES),  # a line that goes on
        (lines(SHARE), ImportKind.SHAREGPT),
        (json.dumps([SHARE], indent=2).encode(), ImportKind.SHAREGPT),
        (lines(OBSERVATION), ImportKind.LANGFUSE),
        (json.dumps({"data": [OBSERVATION]}, indent=2).encode(), ImportKind.LANGFUSE),
        (lines({"trace": {"id": "t"}, "observations": []}), ImportKind.LANGFUSE),
        (lines(HAR), ImportKind.HAR),
        (json.dumps(HAR, indent=4).encode()[:80], ImportKind.HAR),
        (b"\xef\xbb\xbf\n" + lines({"resourceSpans": []}), ImportKind.OTEL),
        (b'"TIMESTAMP","ContextTokens","GeneratedTokens"\r\n', ImportKind.AZURE_LLM),
        (lines({"timestamp": 0, "input_length": 3, "output_length": 4}), ImportKind.MOONCAKE),
    ],
)
def test_each_kind_is_known_by_its_keys(beginning: bytes, kind: ImportKind) -> None:
    assert likely_kind(beginning) is kind


@pytest.mark.parametrize(
    "beginning",
    [b"", b"\n\n", b"hello", b"a,b,c\n1,2,3\n", lines({"prompt": "x"}), lines([1, 2]), b"\xff\xfe"],
)
def test_what_is_like_no_kind_is_none(beginning: bytes) -> None:
    assert likely_kind(beginning) is None


def test_what_a_text_says_is_no_key() -> None:
    """Tool results quote JSON of any sort."""
    said = '{"resourceSpans": [], "conversations": [], "log": {"entries": []}}'
    assert likely_kind(lines([{"role": "tool", "content": said}])) is ImportKind.OPENAI_MESSAGES
