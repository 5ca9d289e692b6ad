"""Images, files and the like in a message of the user, in the dialects that `foreign` reads.

Sources: OpenAI's `image_url`, `input_image`, `input_file`, `input_audio`; Anthropic's `image` and
`document`; OpenTelemetry's `blob`, `file` and `uri`; the AI SDK's `file` and, before its version 5,
`experimental_attachments`; AG-UI's `binary`; Gemini's `inlineData` and `fileData`; LangChain's
`image`, `audio`, `video`, `media`.
"""

from __future__ import annotations

from typing import Any

_KINDS = frozenset(
    {
        *("image", "image_url", "input_image", "document", "file", "input_file", "video", "media"),
        *("audio", "input_audio", "blob", "uri", "binary"),
    }
)
_KEYS = frozenset({"inlineData", "inline_data", "fileData", "file_data"})
_USERS = frozenset({"user", "human"})
_BESIDE = ("experimental_attachments", "attachments")
_WRAPPERS = ("message", "kwargs")


def are_in_last(messages: list[Any]) -> bool:
    """Tell whether the user's last message among these has more than text."""
    said = next((m for m in map(_of_user, reversed(messages)) if m is not None), None)
    if said is None:
        return False
    return any(said.get(key) for key in _BESIDE) or any(map(_is_one, _parts(said)))


def _of_user(item: Any) -> dict[str, Any] | None:
    """Return what holds the content of a message of the user, None for all else."""
    if not isinstance(item, dict):
        return None
    if _name(item, "role") in _USERS:
        return item
    if _name(item, "type") in _USERS:  # LangChain
        inner = item.get("data")
        return inner if isinstance(inner, dict) else item
    for key in _WRAPPERS:
        inner = item.get(key)
        if isinstance(inner, dict) and {_name(inner, "role"), _name(inner, "type")} & _USERS:
            return inner
    return None


def _name(item: dict[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _parts(message: dict[str, Any]) -> list[Any]:
    parts = message.get("parts", message.get("content"))
    return parts if isinstance(parts, list) else []


def _is_one(part: Any) -> bool:
    return isinstance(part, dict) and (_name(part, "type") in _KINDS or bool(_KEYS & part.keys()))
