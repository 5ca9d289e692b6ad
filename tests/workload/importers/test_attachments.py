"""What a user's message has beside text, as each dialect documents it."""

from __future__ import annotations

from typing import Any

import pytest

from profiler.workload.importers.attachments import are_in_last
from profiler.workload.importers.foreign import asked_by_user, messages
from profiler.workload.importers.gist import gist
from profiler.workload.importers.messages import ATTACHED

TEXT = {"role": "user", "content": "And now?"}
OPENAI = {
    "role": "user",
    "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ],
}
WITH = {
    "openai": OPENAI,
    "responses": {"role": "user", "content": [{"type": "input_image", "image_url": "x"}]},
    "anthropic": {"role": "user", "content": [{"type": "document", "source": {"data": "AA=="}}]},
    "opentelemetry": {"role": "user", "parts": [{"type": "blob", "modality": "image"}]},
    "ai sdk 5": {"role": "user", "parts": [{"type": "file", "mediaType": "image/png", "url": "x"}]},
    "ai sdk 4": {**TEXT, "experimental_attachments": [{"url": "x"}]},
    "ag-ui": {"role": "user", "content": [{"type": "binary", "mimeType": "image/png"}]},
    "gemini": {"role": "user", "parts": [{"text": "?"}, {"inlineData": {"data": "AA=="}}]},
    "langchain": {"type": "human", "content": [{"type": "image", "base64": "AA=="}]},
    "langchain, {type, data}": {
        "type": "human",
        "data": {"content": [{"type": "image", "base64": "AA=="}]},
    },
    "langchain, serialised": {
        "type": "constructor",
        "kwargs": {"type": "human", "content": [{"type": "audio"}]},
    },
    "a choice": {"message": OPENAI},
}
WITHOUT = {
    "text": TEXT,
    "parts of text": {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
    "a tool's result": {"role": "user", "content": [{"type": "tool_result", "content": "x"}]},
    "no attachment": {**TEXT, "experimental_attachments": []},
    "an image of the assistant": {"role": "assistant", "content": [{"type": "image"}]},
    "no message": "text",
}


@pytest.mark.parametrize("message", WITH.values(), ids=WITH)
def test_more_than_text_is_seen(message: Any) -> None:
    assert are_in_last([{"role": "system", "content": "s"}, message])


@pytest.mark.parametrize("message", WITHOUT.values(), ids=WITHOUT)
def test_text_alone_is_nothing_more(message: Any) -> None:
    assert not are_in_last([message])


def test_an_image_of_an_earlier_turn_is_not_this_turns() -> None:
    answered = {"role": "assistant", "content": "A cat."}
    assert not are_in_last([OPENAI, answered, TEXT])
    assert are_in_last([TEXT, answered, OPENAI, answered])


def test_it_is_noted_by_all_who_look_for_what_a_user_said() -> None:
    notes: dict[str, None] = {}
    messages({"messages": [OPENAI]}, notes)
    assert list(notes) == [ATTACHED]
    notes.clear()
    assert asked_by_user({"input": {"messages": [OPENAI]}}, notes) == "What is this?"
    assert list(notes) == [ATTACHED]
    assert gist([OPENAI]).notes == (ATTACHED,)
