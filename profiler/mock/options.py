"""How the mocks behave. Frozen, with defaults that a newcomer can leave alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MODEL = "gpt-4o"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmOptions:
    """The mock LLM. Times are before `speed` divides them; limits are in real time, always.

    `prompt_cache` reports the previous call's prompt within the same conversation as cached, as
    OpenAI does: of prompts of 1024 tokens and more, in steps of 128.
    """

    seed: int = 1
    speed: float = 1.0
    ttft_median_s: float = 0.150
    ttft_p95_s: float = 0.400
    gap_s: float = 0.004
    rpm: float | None = None
    tpm: float | None = None
    limit_window_s: float = 60.0
    prompt_cache: bool = True
    tool_call_probability: float = 0.35

    def __post_init__(self) -> None:
        if not 0 <= self.tool_call_probability <= 1:
            raise UsageError(
                f"a probability of {self.tool_call_probability:g} is not possible",
                where="tool-call-probability",
                fix="Give a number from 0 to 1",
            )
        if not 0 <= self.gap_s < 3600:  # noqa: PLR2004 - an hour
            raise UsageError(
                f"a gap of {self.gap_s:g} s between tokens is not possible",
                where="inter-token gap",
                fix="Give a duration such as 4ms",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """The mock agent.

    `tool_times_s` gives tools an exact duration. `max_rounds` bounds the LLM calls of one
    interaction; where a recording has a longer turn, that one's length counts. `workers` with
    `worker_slots` each (one of them given, the other is 1) bound what is worked on at a time.
    """

    seed: int = 1
    speed: float = 1.0
    model: str = DEFAULT_MODEL
    llm_stream: bool = True
    llm_retries: int = 0
    llm_timeout_s: float = 600.0
    max_rounds: int = 20
    workers: int | None = None
    worker_slots: int | None = None
    tool_times_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, least in (
            ("llm-retries", self.llm_retries, 0),
            ("max-rounds", self.max_rounds, 1),
        ):
            if value < least:
                raise UsageError(
                    f"{name} is {value}", where="mock agent", fix=f"Give {least} or more"
                )
