"""Provider payloads in their documented shapes, written out by hand.

Chat: https://platform.openai.com/docs/api-reference/chat-streaming; Responses: the same, under
responses-streaming (the field order is that of captured streams); Anthropic:
https://docs.claude.com/en/docs/build-with-claude/streaming, and a captured stream of a tool call.
"""

from __future__ import annotations

import json
from typing import Any


def sse(*events: Any, named: bool = False, done: bool = False) -> bytes:
    """Return events as a stream: named by their type where the provider does that."""
    text = ""
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        text += f"{name}data: {json.dumps(event, separators=(',', ':'))}\n\n"
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


# Chat Completions

CHAT_USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 256,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}


def chat_answer(text: str | None = "Hello!", **message: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4.1-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": text,
                    "refusal": None,
                    "annotations": [],
                    **message,
                },
                "logprobs": None,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
            }
        ],
        "usage": CHAT_USAGE,
        "service_tier": "default",
    }


def tool_call(call_id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def chat_chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": 1694268190,
        "model": "gpt-4o-mini",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **more,
    }


def chat_usage_chunk() -> dict[str, Any]:
    return {**chat_chunk({}), "choices": [], "usage": CHAT_USAGE}


def chat_events(*, with_usage: bool) -> list[dict[str, Any]]:
    null = {"usage": None} if with_usage else {}
    events = [
        chat_chunk({"role": "assistant", "content": ""}, **null),
        chat_chunk({"content": "Grüße"}, **null),
        chat_chunk({"content": ', "usage":null {'}, **null),
        chat_chunk({}, "stop", **null),
    ]
    return [*events, chat_usage_chunk()] if with_usage else events


CHAT_TOOL_EVENTS = [
    chat_chunk({"role": "assistant", "content": None}),
    chat_chunk({"tool_calls": [{"index": 0, **tool_call("call_a", "get_weather", "")}]}),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]}),
    chat_chunk({"tool_calls": [{"index": 1, **tool_call("call_b", "get_time", "")}]}),
    chat_chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
    chat_chunk({}, "tool_calls"),
    chat_usage_chunk(),
]

# Responses

RESPONSES_USAGE = {
    "input_tokens": 328,
    "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0},
    "output_tokens": 52,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 380,
}

MESSAGE_ITEM = {
    "type": "message",
    "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e6",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "In a peaceful grove", "annotations": []}],
}

FUNCTION_ITEM = {
    "type": "function_call",
    "id": "fc_67ca09c6bedc8190a7abfec07b1a1332",
    "status": "completed",
    "call_id": "call_unLAR8MvFNptuiZK6K6HCy5k",
    "name": "get_current_weather",
    "arguments": '{"location":"Boston, MA"}',
}


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_67ca09c5efe0819096d0511c92b8c890096610f474011cc0",
        "object": "response",
        "created_at": 1741294021,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-4.1-2025-04-14",
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": RESPONSES_USAGE if status in ("completed", "incomplete") else None,
        "user": None,
        "metadata": {},
        **more,
    }


def _numbered(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": event["type"], "sequence_number": number, **event}
        for number, event in enumerate(events)
    ]


_TEXT_AT = {"item_id": MESSAGE_ITEM["id"], "output_index": 0, "content_index": 0}
_PART = {"type": "output_text", "text": "", "annotations": []}
_CALL_AT = {"item_id": FUNCTION_ITEM["id"], "output_index": 1}

RESPONSES_EVENTS = _numbered(
    {"type": "response.created", "response": response(status="in_progress")},
    {"type": "response.in_progress", "response": response(status="in_progress")},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**MESSAGE_ITEM, "status": "in_progress", "content": []},
    },
    {"type": "response.content_part.added", **_TEXT_AT, "part": _PART},
    {"type": "response.output_text.delta", **_TEXT_AT, "delta": "In a peaceful", "logprobs": []},
    {"type": "response.output_text.delta", **_TEXT_AT, "delta": " grove", "logprobs": []},
    {
        "type": "response.output_text.done",
        **_TEXT_AT,
        "text": "In a peaceful grove",
        "logprobs": [],
    },
    {
        "type": "response.content_part.done",
        **_TEXT_AT,
        "part": {**_PART, "text": "In a peaceful grove"},
    },
    {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE_ITEM},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {**FUNCTION_ITEM, "status": "in_progress", "arguments": ""},
    },
    {"type": "response.function_call_arguments.delta", **_CALL_AT, "delta": '{"location":'},
    {"type": "response.function_call_arguments.delta", **_CALL_AT, "delta": '"Boston, MA"}'},
    {
        "type": "response.function_call_arguments.done",
        **_CALL_AT,
        "name": FUNCTION_ITEM["name"],
        "arguments": FUNCTION_ITEM["arguments"],
    },
    {"type": "response.output_item.done", "output_index": 1, "item": FUNCTION_ITEM},
    {"type": "response.completed", "response": response(MESSAGE_ITEM, FUNCTION_ITEM)},
)

# Anthropic Messages

ANTHROPIC_USAGE = {
    "input_tokens": 1,
    "cache_creation_input_tokens": 287,
    "cache_read_input_tokens": 30433,
    "cache_creation": {"ephemeral_5m_input_tokens": 287, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 67,
    "service_tier": "standard",
}

TOOL_USE = {
    "type": "tool_use",
    "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
    "name": "get_weather",
    "input": {"location": "San Francisco, CA"},
}


def anthropic_answer(*content: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-5-20250929",
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "content": list(content) or [{"type": "text", "text": "Hello!"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }


ANTHROPIC_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            **anthropic_answer(),
            "content": [],
            "stop_reason": None,
            "usage": {**ANTHROPIC_USAGE, "output_tokens": 4},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Okay, let me "},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "check"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {**TOOL_USE, "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": ""},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"location":'},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": ' "San Francisco, CA"}'},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 40},
    },
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 67},
    },
    {"type": "message_stop"},
]

EMBEDDINGS_ANSWER = {
    "object": "list",
    "data": [
        {"object": "embedding", "embedding": [0.0023064255, -0.009327292], "index": 0},
    ],
    "model": "text-embedding-ada-002",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
