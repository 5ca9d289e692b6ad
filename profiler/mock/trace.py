"""The trace block: what the agent says it did, in its response. README.md documents the format."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from profiler.mock.recordings import function_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.measure.records import Outcome
    from profiler.measure.tokens import TokenCounter
    from profiler.mock.llm_client import LlmAnswer
    from profiler.mock.tools import ToolRun

VERSION = 1
_USAGE = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")


@dataclass(slots=True)
class TraceRecorder:
    """Notes what happens in one interaction; times become seconds since it was received."""

    received_ns: int
    model: str
    store: str
    calls: list[tuple[LlmAnswer, int]] = field(default_factory=list)
    tools: list[ToolRun] = field(default_factory=list)
    reads: int = 0
    writes: int = 0

    def call(self, answer: LlmAnswer, sent_messages: int) -> None:
        """Note a call that was sent with the first `sent_messages` of the session."""
        self.calls.append((answer, sent_messages))

    def usage(self) -> dict[str, int]:
        """Return the sum of what the provider reported."""
        reported = [answer.usage for answer, _ in self.calls if answer.usage is not None]
        return {name: sum(usage.get(name, 0) for usage in reported) for name in _USAGE}

    def attempts(self) -> list[tuple[str, Outcome]]:
        """Return model and outcome of every HTTP request for a call, in order."""
        return [
            (self.model, outcome) for answer, _ in self.calls for outcome in answer.attempt_outcomes
        ]

    def block(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]],
        counter: TokenCounter,
    ) -> dict[str, Any]:
        """Return the block. Counts tokens: call it off the event loop."""
        ops = (("read", self.reads), ("write", self.writes))
        return {
            "version": VERSION,
            "llm_calls": [
                self._call_block(answer, asdict(counter.count_parts(messages[:sent], tools)))
                for answer, sent in self.calls
            ],
            "tool_calls": [
                {
                    "name": run.name,
                    "start_s": self._seconds(run.start_ns),
                    "end_s": self._seconds(run.end_ns),
                    "outcome": run.outcome.value,
                }
                for run in self.tools
            ],
            "state_ops": [
                {"store": self.store, "kind": kind, "count": count} for kind, count in ops
            ],
        }

    def _call_block(self, answer: LlmAnswer, parts: dict[str, Any]) -> dict[str, Any]:
        first_ns = answer.first_token_ns
        block: dict[str, Any] = {
            "model": self.model,
            "start_s": self._seconds(answer.start_ns),
            "first_token_s": self._seconds(first_ns) if first_ns is not None else None,
            "end_s": self._seconds(answer.end_ns),
            "outcome": answer.outcome.value,
            "attempts": answer.attempts,
            "input_tokens_by_part": parts,
            "tool_calls": [function_of(call)[0] for call in answer.calls],
        }
        if answer.usage is not None:
            block["usage"] = answer.usage
        if answer.rate_limit:
            block["rate_limit"] = answer.rate_limit
        return block

    def _seconds(self, at_ns: int) -> float:
        return (at_ns - self.received_ns) / 1e9
