"""agent-profiler: measure what one interaction with an AI agent costs, then plan for it."""

__version__ = "0.1.0"
