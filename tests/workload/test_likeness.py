"""What is compared, what is not, and why."""

from __future__ import annotations

import io
import json

import pytest

from profiler.load.outlook import outlook
from profiler.workload.distance import Verdict
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.production import read_production
from profiler.workload.likeness import likeness

CHAT = """
load: {%s}
scenarios: [{name: s, think_time: 2s, turns: [{user: a b}, {user: c}]}]
"""
TRACE = "".join(
    json.dumps({"timestamp": n * 100, "input_length": 10, "output_length": 1}) + "\n"
    for n in range(400)
)


def words(text: str) -> int:
    return len(text.split())


def sessions(number, *, turns=2, pause_s=2, gap_s=1.0, dated=True):
    lines = []
    for index in range(number):
        at_s, messages = 1_700_000_000 + index * gap_s, []
        for turn in range(turns):
            time = {"timestamp": at_s + turn * pause_s} if dated else {}
            messages.append({"role": "user", "content": "a b" if turn == 0 else "c", **time})
            messages.append({"role": "assistant", "content": "fine", **time})
        lines.append(json.dumps({"messages": messages}))
    return "\n".join(lines)


@pytest.fixture
def compared(load):
    """Compare a chat workload with production data; return its dimensions by name."""

    def compare(production, how="users: 4, sessions: 400", kind="openai-messages", text=CHAT):
        workload = load(text % how if "%s" in text else text)
        seen = outlook(workload, words)
        read = read_production(io.BytesIO(production.encode()), ImportKind(kind), words)
        return {d.name.split(" (")[0]: d for d in likeness(workload, seen, read).dimensions}

    return compare


def verdict(dimension):
    assert dimension.comparison is not None, dimension.reason
    return dimension.comparison.verdict


def test_a_workload_that_is_as_production_is_alike(compared):
    found = compared(sessions(400))
    for name in ("turns per session", "user tokens per message", "think time"):
        assert verdict(found[name]) is Verdict.ALIKE
        assert found[name].comparison.distance == 0


def test_each_dimension_is_judged_on_its_own(compared):
    """Production thinks 4 s for 2 s, and is otherwise the same."""
    found = compared(sessions(400, pause_s=4))
    assert verdict(found["turns per session"]) is Verdict.ALIKE
    assert verdict(found["think time"]) is Verdict.DIFFERENT
    assert found["think time"].comparison.moved == 2000  # milliseconds


def test_constant_arrivals_are_as_even_as_productions_whatever_the_rate(compared):
    found = compared(sessions(400), "rate: 7/s, arrivals: constant, sessions: 400")
    assert verdict(found["arrivals"]) is Verdict.ALIKE
    poisson = compared(sessions(400), "rate: 1/s, sessions: 400")
    assert verdict(poisson["arrivals"]) is Verdict.DIFFERENT


def test_what_cannot_be_compared_says_why(compared):
    found = compared(sessions(400, dated=False))
    assert "no times of single messages" in found["think time"].reason
    assert "closed loop" in found["arrivals"].reason
    assert "no dates" in found["hour of the day"].reason
    found = compared(sessions(400, dated=False), "rate: 1/s")
    assert "does not say when" in found["arrivals"].reason
    found = compared(sessions(400), "rate: 1/s, arrivals_of: interactions")
    assert "interactions in the workload" in found["arrivals"].reason
    found = compared(sessions(3), "rate: 1/s")
    assert "fewer than 20 gaps" in found["arrivals"].reason


def test_a_trace_has_no_sessions_and_no_messages_of_users(compared):
    found = compared(TRACE, kind="mooncake")
    assert "whole prompts" in found["user tokens per message"].reason
    assert "one session" in found["turns per session"].reason


def test_generated_prompts_are_compared_with_a_trace(compared, tmp_path):
    rows = "".join(f"{n / 10},10,1,\n" for n in range(400))
    (tmp_path / "t.csv").write_text("at_s,input_tokens,output_tokens,blocks\n" + rows)
    text = "load: {arrivals: {trace: t.csv}}\nscenarios: [{name: s, generated: {trace: t.csv}}]"
    found = compared(TRACE, kind="mooncake", text=text)
    assert verdict(found["prompt tokens"]) is Verdict.ALIKE
    assert verdict(found["arrivals"]) is Verdict.ALIKE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("load: {rate: 1/h, duration: 1ms}\nscenarios: [{name: s, turns: [{user: a}]}]", "nothing"),
        (
            "scenarios: [{name: s, turns: [{user: a}]}, {name: t, generated: {trace: t.csv}}]",
            "mixes",
        ),
    ],
)
def test_what_is_nothing_or_a_mixture_is_not_compared(compared, tmp_path, text, reason):
    (tmp_path / "t.csv").write_text("at_s,input_tokens,output_tokens,blocks\n0,5,1,\n")
    (dimension,) = compared(sessions(5), text=text).values()
    assert reason in dimension.reason
