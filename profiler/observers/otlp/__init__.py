"""The OTLP observer: receives the spans of an instrumented agent and reads what it did in them."""

from __future__ import annotations

from profiler.observers.otlp.receiver import GRACE_S, Receiver, running_receiver

__all__ = ["GRACE_S", "Receiver", "running_receiver"]
