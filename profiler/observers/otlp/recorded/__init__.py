"""Recorded spans as conversations: what `agent-profiler import otel` reads.

Not among the other importers, which stand below all that knows OTLP.
"""
