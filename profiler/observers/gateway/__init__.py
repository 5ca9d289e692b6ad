"""The gateway: a recording proxy between an agent and its LLM provider."""

from profiler.observers.gateway.gateway import DEFAULT_PORT, Gateway, running_gateway

__all__ = ["DEFAULT_PORT", "Gateway", "running_gateway"]
