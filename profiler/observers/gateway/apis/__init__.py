"""The providers' interfaces: one pure module for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.observers.gateway.apis.anthropic import Anthropic
from profiler.observers.gateway.apis.chat import Chat
from profiler.observers.gateway.apis.embeddings import Embeddings
from profiler.observers.gateway.apis.responses import Responses

if TYPE_CHECKING:
    from profiler.observers.gateway.apis.values import Api

CHAT = Chat()
_APIS: tuple[Api, ...] = (CHAT, Responses(), Anthropic(), Embeddings())


def api_for(method: str, path: str) -> Api | None:
    """Return the API that a request speaks, or None: it is passed through unread."""
    if method != "POST":
        return None
    return next((api for api in _APIS if api.matches(path)), None)
