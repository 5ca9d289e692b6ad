"""The inputs that a review compares, and which of them follow from which others.

An answer takes longer when its tools do; a prompt is longer when its history is. Only what moved by
itself is named as drift: each input is held against what its drivers make of the plan's value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Rule = Literal["sum", "product"]
Unit = Literal["s", "tokens", "count", "per_minute", "per_month"]
_COUNTS, _TOKENS, _TIMES, _WIDE = 0.10, 0.10, 0.15, 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a plan.

    `tolerance` is the share of the plan's mean that it may move by. `rule` says how drivers move
    it: a sum by their differences, a product by their ratios.
    """

    name: str
    title: str
    unit: Unit
    tolerance: float
    drivers: tuple[str, ...] = ()
    rule: Rule = "product"
    whole: str | None = None
    """Of what it is a part: one that does not move the whole is not worth a name."""


CALLS, TOOL_CALLS = "interaction.llm_calls", "interaction.tool_calls"
LATENCY, LLM_TIME = "interaction.latency", "interaction.llm_time"
TOOL_TIME, OWN_TIME = "interaction.tool_time", "interaction.own_time"
INPUT, CACHED = "interaction.input_tokens", "interaction.cached_input_tokens"
OUTPUT, ATTEMPTS = "interaction.output_tokens", "interaction.attempts"
READS, WRITES = "interaction.state_reads", "interaction.state_writes"
SESSION = "session.interactions"
PEAK, MONTH = "traffic.peak", "traffic.month"

PARTS = {
    "interaction.system_tokens": "system messages",
    "interaction.tool_schema_tokens": "tool schemas",
    "interaction.history_tokens": "history",
    "interaction.user_tokens": "user's message",
    "interaction.tool_result_tokens": "tool results",
    "interaction.overhead_tokens": "priming of the reply",
}
"""Of the input of all LLM calls of an interaction."""


def _input(name: str, title: str, unit: Unit, tolerance: float, **more: Any) -> Input:
    return Input(name=name, title=title, unit=unit, tolerance=tolerance, **more)


INPUTS: tuple[Input, ...] = (
    _input(PEAK, "interactions per minute at the peak", "per_minute", _WIDE),
    _input(MONTH, "interactions per month", "per_month", _WIDE),
    _input(CALLS, "LLM calls per interaction", "count", _COUNTS),
    _input(ATTEMPTS, "HTTP requests for them", "count", _COUNTS, drivers=(CALLS,)),
    _input(TOOL_CALLS, "tool calls per interaction", "count", _WIDE),
    _input(LLM_TIME, "time in LLM calls", "s", _TIMES, drivers=(CALLS,), whole=LATENCY),
    _input(TOOL_TIME, "tool time", "s", _WIDE, drivers=(TOOL_CALLS,), whole=LATENCY),
    _input(OWN_TIME, "the agent's own time", "s", _WIDE, whole=LATENCY),
    _input(LATENCY, "latency", "s", _TIMES, drivers=(LLM_TIME, TOOL_TIME, OWN_TIME), rule="sum"),
    *(
        _input(name, f"input: {title}", "tokens", _TOKENS, drivers=(CALLS,), whole=INPUT)
        for name, title in PARTS.items()
    ),
    _input(INPUT, "input tokens", "tokens", _TOKENS, drivers=tuple(PARTS), rule="sum"),
    _input(CACHED, "input read from the cache", "tokens", _TOKENS, drivers=(INPUT,)),
    _input(OUTPUT, "output tokens", "tokens", _TOKENS, drivers=(CALLS,)),
    _input(READS, "state reads", "count", _WIDE),
    _input(WRITES, "state writes", "count", _WIDE, drivers=(CALLS,)),
    _input(SESSION, "interactions of a session", "count", _WIDE),
)
"""Drivers come before what they drive."""


def expected(
    item: Input, planned: Mapping[str, float], actual: Mapping[str, float]
) -> tuple[float, tuple[str, ...]]:
    """Return what the drivers make of the plan's mean, and which of them told."""
    value, told = planned[item.name], []
    for driver in item.drivers:
        before, now = planned.get(driver), actual.get(driver)
        if before is None or now is None:
            continue
        if item.rule == "sum":
            value += now - before
        elif before > 0:
            value *= now / before
        else:
            continue
        told.append(driver)
    return max(0.0, value), tuple(told)
