"""Events of a run as langgraph-api 0.16 sends them, and a dialogue that reads them."""

from __future__ import annotations

import orjson

from profiler.endpoints.exchange import Reply
from profiler.endpoints.langgraph import LangGraph, LangGraphDialogue
from profiler.observers.response import records_in

STREAM = "text/event-stream; charset=utf-8"
SESSION = "6c0f7bd0-9c1c-4f0e-8d3a-0a7b5f1f4a11"
SECOND = 10**9
USAGE = {
    "input_tokens": 94,
    "output_tokens": 9,
    "total_tokens": 103,
    "input_token_details": {"cache_read": 64},
    "output_token_details": {"reasoning": 3},
}
METADATA = ("metadata", {"run_id": "r-1", "attempt": 1})


def ai(name: str, content: object = "", **rest: object) -> dict:
    said = {"type": "ai", "id": name, "content": content, "tool_calls": [], "usage_metadata": USAGE}
    return said | {"response_metadata": {"model_name": "gpt-4o"}} | rest


def chunk(name: str, content: object = "", **rest: object) -> tuple[str, list]:
    piece = {"type": "AIMessageChunk", "id": name, "content": content, "usage_metadata": None}
    return ("messages", [piece | rest, {"langgraph_node": "agent"}])


def tool(call: str, name: str | None = "get_weather", status: str = "success") -> dict:
    message = {"type": "tool", "id": f"m-{call}", "name": name, "tool_call_id": call}
    return message | {"content": "Sunny.", "status": status}


def update(message: object, node: str = "agent") -> tuple[str, dict]:
    return ("updates", {node: {"messages": [message]}})


ASKS = ai("lc_run--1", tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "c-1"}])
SAYS = ai("lc_run--2", "It is sunny.")
WEATHER = [
    METADATA,
    chunk("lc_run--1", tool_call_chunks=[{"name": "get_weather", "args": "", "id": "c-1"}]),
    chunk("lc_run--1", usage_metadata=USAGE),
    update(ASKS),
    ("messages", [tool("c-1"), {}]),
    update(tool("c-1"), "tools"),
    chunk("lc_run--2"),
    chunk("lc_run--2", "It is "),
    chunk("lc_run--2", "sunny."),
    update(SAYS),
]


def begin(*, stream: bool = True, resume: bool = False) -> LangGraphDialogue:
    endpoint = LangGraph(
        url="http://agent:2024/",
        stream=stream,
        headers={"x-api-key": "k"},
        assistant="travel",
        resume=resume,
    )
    return endpoint.begin(SESSION)


def sse(event: tuple[str, object] | bytes) -> bytes:
    if isinstance(event, bytes):
        return event
    return b"event: %b\r\ndata: %b\r\n\r\n" % (event[0].encode(), orjson.dumps(event[1]))


def answer(dialogue: LangGraphDialogue, events: list) -> Reply:
    reader = dialogue.reader(status=200, content_type=STREAM)
    for number, event in enumerate(events):
        reader.feed(sse(event), number * SECOND)
    return reader.finish()


def waited(dialogue: LangGraphDialogue, state: object) -> Reply:
    reader = dialogue.reader(status=200, content_type="application/json")
    reader.feed(orjson.dumps(state), SECOND)
    return reader.finish()


def names(reply: Reply, kind: type) -> list:
    return [r for r in records_in(reply, "t") if isinstance(r, kind)]
