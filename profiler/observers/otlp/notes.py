"""What limits what the spans showed: counted while they come, told at the end of the run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from profiler.measure.records import Observer, ObserverNote

if TYPE_CHECKING:
    from collections.abc import Iterator

MEANINGS = {
    "no_spans": "interactions of which no span came: the agent's server is not instrumented, does"
    " not take `traceparent` over, samples, or exports elsewhere",
    "incomplete": "interactions written with what had come: their server's span, or a span's"
    " parent, was missing after the grace",
    "late": "spans that came after their interaction was written; --otlp-grace waits longer",
    "orphan_root": "traces with LLM calls, tools or agents that are no interaction of this run: the"
    " agent's server is not instrumented, so that they begin traces of their own (FastAPI:"
    " opentelemetry-instrumentation-fastapi, or FastAPI 0.165 and newer)",
    "foreign_trace": "traces that are no interaction of this run, without anything of an agent:"
    " other clients, health checks, other services",
    "no_llm_spans": "interactions with spans, in a run without any LLM call in them: the agent's"
    " LLM library is not instrumented",
    "no_attempts": "LLM calls of which no HTTP request was seen: retries within the SDK are"
    " invisible (opentelemetry-instrumentation-httpx shows them)",
    "no_usage": "LLM calls that succeeded and told no tokens",
    "requests_without_call": "HTTP requests to LLM providers outside any LLM call that was seen:"
    " attempts without a call",
    "embeddings": "calls of embedding models: not among the LLM calls",
    "clock_skew": "interactions by which the agent's wall clock and the harness's differ",
    "invalid_span": "spans without valid ids or times, left out",
    "cut_off": "interactions with spans that were never told to have ended: left out",
    "overflow": "spans left out because too many were held",
    "malformed": "requests that could not be read",
    "too_large": "requests above the limit of size",
    "wrong_type": "requests in a format that is not OTLP",
    "no_token": "requests without the receiver's token, refused: set"
    " OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN for the agent",
    "logs_ignored": "requests with logs: taken and not read",
    "metrics_ignored": "requests with metrics: taken and not read",
}
"""Every kind of note, and what it means."""


class Notes:
    """Counts by kind, with the first example of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, kind: str, count: int = 1, example: str = "") -> None:
        """Count something; zero of it is nothing."""
        if count > 0:
            self._counts[kind] += count
            if example:
                self.example(kind, example)

    def example(self, kind: str, example: str) -> None:
        """Keep an example of something, if it is the first."""
        self._examples.setdefault(kind, example)

    def count(self, kind: str) -> int:
        """Return how often it was counted."""
        return self._counts[kind]

    def records(self) -> Iterator[ObserverNote]:
        """Return a note for each kind that was counted."""
        for kind, meaning in MEANINGS.items():
            if self._counts[kind]:
                example = self._examples.get(kind)
                yield ObserverNote(
                    observer=Observer.OTEL,
                    kind=kind,
                    count=self._counts[kind],
                    detail=f"{meaning}. {example}" if example else meaning,
                )
