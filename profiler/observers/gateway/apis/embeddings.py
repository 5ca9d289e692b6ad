"""OpenAI embeddings: `POST .../embeddings`. There is an input and no output.

Shapes: https://platform.openai.com/docs/api-reference/embeddings. An answer may have megabytes of
numbers, which nothing here needs: of a long one only the ends are read.
"""

from __future__ import annotations

import json
import re
from typing import Any

from profiler.endpoints.json_values import parsed, string
from profiler.observers.gateway.apis.chat import ChatStream, usage_of
from profiler.observers.gateway.apis.reading import UNREADABLE
from profiler.observers.gateway.apis.values import (
    AnswerFault,
    CallAnswer,
    CallRequest,
    Countable,
)

_WHOLE_BYTES, _END_BYTES = 16 * 1024, 2 * 1024
_MODEL = re.compile(r'"model"\s*:\s*"([^"\\]{1,200})"')
_USAGE = re.compile(r'"usage"\s*:\s*(?=\{)')


class Embeddings:
    """The API as the gateway reads it."""

    name = "embeddings"

    def matches(self, path: str) -> bool:
        """Match any prefix."""
        return path.endswith("/embeddings")

    def read_request(self, body: dict[str, Any]) -> CallRequest:
        """Read the model, and the input where it is one text: it may be a user's."""
        return CallRequest(model=string(body.get("model")), user=string(body.get("input")))

    def countable(self, body: dict[str, Any]) -> Countable:
        """Return the texts, or the number of tokens where these were sent."""
        given = body.get("input")
        items = given if isinstance(given, list) else [given]
        tokens = 0
        for item in items:
            if isinstance(item, list):
                tokens += len(item)
            elif isinstance(item, int):
                tokens += 1
        texts = tuple(item for item in items if isinstance(item, str))
        return Countable(texts=texts, ready_tokens=tokens)

    def read_answer(self, data: bytes) -> CallAnswer:
        """Read model and usage."""
        if len(data) <= _WHOLE_BYTES:
            body = parsed(data)
            if not isinstance(body, dict):
                return UNREADABLE
            return CallAnswer(
                model=string(body.get("model")),
                usage=usage_of(body.get("usage")),
                fault=AnswerFault.ERROR if body.get("error") is not None else None,
            )
        ends = (
            data[-_END_BYTES:].decode("utf-8", "replace"),
            data[:_END_BYTES].decode("utf-8", "replace"),
        )
        models = (match for end in ends for match in _MODEL.findall(end))
        usages = (
            usage_of(_object_at(end, match.end())) for end in ends for match in _USAGE.finditer(end)
        )
        return CallAnswer(
            model=next(models, None), usage=next((u for u in usages if u is not None), None)
        )

    def stream(self) -> ChatStream:
        """Embeddings are not streamed: what comes as a stream is read for its usage."""
        return ChatStream()


def _object_at(text: str, start: int) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None
