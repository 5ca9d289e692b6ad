"""Production data as it is read for a comparison: counts by hand, odd times, nothing kept."""

from __future__ import annotations

import io
import json

import pytest

from profiler.workload.importers import production as module
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.production import TOO_LATE, read_production


def words(text: str) -> int:
    return len(text.split())


def read(*lines, kind=ImportKind.OPENAI_MESSAGES):
    data = b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )
    return read_production(io.BytesIO(data), kind, words)


def session(*texts, begin=None, step_s=60):
    messages = []
    for number, text in enumerate(texts):
        times = {} if begin is None else {"timestamp": begin + number * step_s}
        messages.append({"role": "user", "content": text, **times})
        answered = {} if begin is None else {"timestamp": begin + number * step_s + 10}
        messages.append({"role": "assistant", "content": "x " * 500, **answered})
    return {"messages": messages}


def test_turns_tokens_of_users_pauses_and_hours_are_counted():
    # 2023-11-16T18:30:00Z is 1,700,159,400; users answer 50 s after each answer.
    found = read(session("a b", "c", begin=1_700_159_400), session("d e", begin=1_700_163_000))
    assert (found.sessions, found.messages) == (2, 3)
    assert found.turns == {2: 1, 1: 1}
    assert found.tokens == {2: 2, 1: 1}
    assert found.think_times_ms == {50_000: 1}
    assert found.sessions_with_pauses == 1
    assert found.hours is not None
    assert (found.hours[18], found.hours[19], sum(found.hours)) == (1, 1, 2)
    assert found.sorted_starts_ns() == [1_700_159_400 * 10**9, 1_700_163_000 * 10**9]


def test_what_is_broken_is_counted_and_what_has_no_times_has_none():
    found = read(session("a"), b"{", b"\xff\xfe", {"messages": []})
    assert (found.sessions, found.skipped.total) == (1, 3)
    assert (found.hours, found.sorted_starts_ns()) == (None, [])
    assert not found.think_times_ms


def test_numbers_keep_three_digits_so_that_few_differ():
    found = read(session("a " * 12_345))
    assert found.tokens == {12_300: 1}


def test_a_trace_is_requests_with_the_tokens_of_whole_prompts():
    found = read(
        {"timestamp": 0, "input_length": 512, "output_length": 1, "hash_ids": [1]},
        {"timestamp": 1500, "input_length": 7, "output_length": 1, "hash_ids": [2]},
        kind=ImportKind.MOONCAKE,
    )
    assert found.is_trace
    assert (found.sessions, found.tokens) == (2, {512: 1, 7: 1})
    assert found.sorted_starts_ns() == [0, 1_500_000_000]
    assert found.hours is None  # from the recording's start, no date


def test_dates_that_no_clock_has_are_left_out_and_named():
    rows = b"TIMESTAMP,ContextTokens,GeneratedTokens\n9999-01-01 00:00:00.0,5,1\n"
    found = read_production(io.BytesIO(rows), ImportKind.AZURE_LLM, words)
    assert (found.sessions, found.sorted_starts_ns()) == (1, [])
    assert found.odd.counts[TOO_LATE] == 1


def test_more_starts_than_are_kept_are_not_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_STARTS", 2)
    found = read(*(session("a", begin=1_700_000_000 + n) for n in range(3)))
    assert found.sorted_starts_ns() is None
    assert found.sessions == 3
