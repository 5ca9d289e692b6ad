"""The response observer: reads what an answer says of how it came about.

That is the account of itself that an agent puts into it, or else the tool calls that the protocol
shows. These are timed by the client, on the harness clock.

The block's format (version 1) is documented in `profiler/mock/README.md`; times in it are seconds
since the agent received the interaction, so the records are on the agent's time line. What the
block leaves out stays unobserved, and what it states in a wrong form is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.clock import seconds_to_ns
from profiler.measure.records import (
    LlmCall,
    Observer,
    Outcome,
    RateLimit,
    StateKind,
    StateOp,
    Timeline,
    TokenParts,
    ToolCall,
    Usage,
    Watched,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profiler.endpoints.exchange import Reply, ToolSeen
    from profiler.measure.records import Record

_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_KINDS = frozenset(kind.value for kind in StateKind)
_USAGE = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_PARTS = ("system", "tool_schemas", "history", "user", "tool_results", "overhead")
_RATE_COUNTS = ("limit_requests", "remaining_requests", "limit_tokens", "remaining_tokens")
_RATE_TIMES = ("reset_requests", "reset_tokens", "retry_after")


def records_in(reply: Reply, trace_id: str) -> tuple[Record, ...]:
    """Return what a reply tells. The agent's account is the fuller one: with it, nothing else."""
    if reply.trace is not None:
        return records_of(reply.trace, trace_id)
    if reply.tools is None:
        return ()
    if not reply.tools:
        return (Watched(trace_id=trace_id, observer=Observer.RESPONSE, llm_calls=False),)
    return tuple(_tool_seen(tool, trace_id) for tool in reply.tools)


def _tool_seen(tool: ToolSeen, trace_id: str) -> ToolCall:
    return ToolCall(
        trace_id=trace_id,
        observer=Observer.RESPONSE,
        clock=Timeline.HARNESS,
        name=tool.name,
        start_ns=tool.start_ns,
        end_ns=tool.end_ns,
        outcome=Outcome.AGENT_ERROR if tool.failed else Outcome.OK,
    )


def records_of(trace: Mapping[str, Any], trace_id: str) -> tuple[Record, ...]:
    """Return what the block says as records: LLM calls, tool calls and state operations.

    A block that lists tool calls, and no LLM calls because its protocol has none, says by an empty
    list that there were no tool calls. One without such a list says nothing of them.
    """
    records: list[Record] = []
    records.extend(_llm_call(item, trace_id) for item in _items(trace, "llm_calls"))
    records.extend(
        _tool_call(item, trace_id)
        for item in _items(trace, "tool_calls")
        if isinstance(item.get("name"), str)
    )
    records.extend(
        StateOp(
            trace_id=trace_id,
            observer=Observer.RESPONSE,
            store=item["store"],
            kind=StateKind(item["kind"]),
            count=item["count"],
        )
        for item in _items(trace, "state_ops")
        if isinstance(item.get("store"), str)
        and isinstance(item.get("kind"), str)
        and item["kind"] in _KINDS
        and _count(item.get("count")) is not None
    )
    if not records and "llm_calls" not in trace and trace.get("tool_calls") == []:
        records.append(Watched(trace_id=trace_id, observer=Observer.RESPONSE, llm_calls=False))
    elif records and "tool_calls" not in trace:
        blind = Watched(
            trace_id=trace_id, observer=Observer.RESPONSE, llm_calls=False, tool_calls=False
        )
        records.append(blind)
    return tuple(records)


def _items(trace: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    items = trace.get(key)
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _llm_call(item: dict[str, Any], trace_id: str) -> LlmCall:
    names = item.get("tool_calls")
    return LlmCall(
        trace_id=trace_id,
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        model=item["model"] if isinstance(item.get("model"), str) else None,
        start_ns=_ns(item.get("start_s")),
        first_token_ns=_ns(item.get("first_token_s")),
        end_ns=_ns(item.get("end_s")),
        outcome=_outcome(item.get("outcome")),
        attempts=_count(item.get("attempts")),
        usage=Usage(**usage) if (usage := _counts(item.get("usage"), _USAGE)) else None,
        tokens=TokenParts(**parts)
        if (parts := _counts(item.get("input_tokens_by_part"), _PARTS))
        else None,
        rate_limit=_rate_limit(item.get("rate_limit")),
        tool_calls=tuple(str(name) for name in names) if isinstance(names, list) else None,
    )


def _tool_call(item: dict[str, Any], trace_id: str) -> ToolCall:
    return ToolCall(
        trace_id=trace_id,
        observer=Observer.RESPONSE,
        clock=Timeline.AGENT,
        name=item["name"],
        start_ns=_ns(item.get("start_s")),
        end_ns=_ns(item.get("end_s")),
        outcome=_outcome(item.get("outcome")),
    )


def _rate_limit(block: Any) -> RateLimit | None:
    if not isinstance(block, dict):
        return None
    known = _counts(block, _RATE_COUNTS)
    for name in _RATE_TIMES:
        duration_ns = _ns(block.get(f"{name}_s"))
        if duration_ns is not None:
            known[f"{name}_ns"] = duration_ns
    return RateLimit(**known) if known else None


def _outcome(value: Any) -> Outcome:
    known = isinstance(value, str) and value in _OUTCOMES
    return Outcome(value) if known else Outcome.AGENT_ERROR


def _counts(block: Any, names: tuple[str, ...]) -> dict[str, int]:
    if not isinstance(block, dict):
        return {}
    found = ((name, _count(block.get(name))) for name in names)
    return {name: value for name, value in found if value is not None}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _ns(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:  # noqa: PLR2004 - 31 years: no duration
        return None
    return seconds_to_ns(value)
