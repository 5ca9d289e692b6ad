"""The OTLP observer: receives the spans of an instrumented agent and reads what it did in them."""
