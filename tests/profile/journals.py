"""Small journals, written with the real writer: what the tests of profiles are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from profiler.measure import JOURNAL_NAME
from profiler.measure.journal import JournalWriter
from profiler.measure.records import (
    End,
    EndReason,
    Interaction,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Record,
    Run,
    StateKind,
    StateOp,
    Timeline,
    ToolCall,
)

MS = 1_000_000
S = 1_000_000_000
WALL_NS = 1_700_000_000 * S  # 2023-11-14T22:13:20+00:00


def run(**changes: Any) -> Run:
    """A closed loop of two users, seen by the client and the response observer."""
    return Run(
        **{
            "run_id": "r1",
            "tool_version": "0.1.0",
            "argv": ("agent-profiler", "run", "w.yaml"),
            "started_wall_ns": WALL_NS,
            "started_monotonic_ns": 0,
            "workload": "w",
            "digests": {"workload": "d1"},
            "seeds": {"sessions": 1},
            "host": {},
            "target": {"url": "http://agent/", "protocol": "openai-chat", "model": "m"},
            "load": {"mode": "closed", "users": 2},
            "encoding": "o200k_base",
            "observers": ("client", "response"),
            **changes,
        }
    )


def interaction(trace: str, **changes: Any) -> Interaction:
    """A measured interaction of its own session that took one second."""
    return Interaction(
        **{
            "trace_id": trace,
            "session": f"session of {trace}",
            "session_index": 0,
            "scenario": "c",
            "turn": 0,
            "phase": Phase.MEASURE,
            "send_ns": 0,
            "end_ns": S,
            "outcome": Outcome.OK,
            **changes,
        }
    )


def llm_call(trace: str, **changes: Any) -> LlmCall:
    return LlmCall(
        **{
            "trace_id": trace,
            "observer": Observer.RESPONSE,
            "clock": Timeline.AGENT,
            "model": "m",
            "outcome": Outcome.OK,
            **changes,
        }
    )


def tool_call(trace: str, name: str, **changes: Any) -> ToolCall:
    return ToolCall(
        **{
            "trace_id": trace,
            "observer": Observer.RESPONSE,
            "clock": Timeline.AGENT,
            "name": name,
            "outcome": Outcome.OK,
            **changes,
        }
    )


def state_op(trace: str, kind: StateKind, count: int, **changes: Any) -> StateOp:
    fields = {"observer": Observer.RESPONSE, "store": "redis", **changes}
    return StateOp(trace_id=trace, kind=kind, count=count, **fields)


END = End(at_ns=S, reason=EndReason.COMPLETED)


def write(
    directory: Path, *records: Record, first: Run | None = None, end: End | None = END
) -> Path:
    """Write a journal into a new directory below `directory` and return that."""
    target = directory / f"run-{len(list(directory.iterdir()))}"
    target.mkdir()
    writer = JournalWriter(target / JOURNAL_NAME)
    writer.append([first or run(), *records])
    if end is not None:
        writer.append([end])
    writer.close()
    return target
