"""How the agent behaves, in the few numbers that demand is multiplied by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """What one interaction asks of one model, on average.

    Tokens are per LLM call: of all its input, of the part that was read from the provider's cache,
    of its output (reasoning included).
    """

    calls_per_interaction: float
    attempts_per_call: float
    input_tokens: float
    cached_input_tokens: float
    output_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """An agent's averages per interaction; None is not observed. Times in seconds."""

    models: dict[str, ModelUse]
    latency_s: float
    state_reads: float | None
    state_writes: float | None
    session_interactions: float

    @property
    def llm_calls(self) -> float:
        """LLM calls per interaction, of all models."""
        return sum(use.calls_per_interaction for use in self.models.values())
