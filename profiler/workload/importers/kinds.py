from __future__ import annotations

from enum import StrEnum


class ImportKind(StrEnum):
    """Which format a file has."""

    OPENAI_MESSAGES = "openai-messages"
    SHAREGPT = "sharegpt"
    OTEL = "otel"
    HAR = "har"
    LANGFUSE = "langfuse"
    MOONCAKE = "mooncake"
    AZURE_LLM = "azure-llm"
