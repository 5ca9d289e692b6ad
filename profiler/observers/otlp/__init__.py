"""The OTLP observer: receives the spans of an instrumented agent and reads what it did in them.

`receiver` is what a run uses. It is not loaded here: who imports recorded spans needs no server.
"""
