"""An agent of the OpenAI Agents SDK behind FastAPI that forwards the SDK's events as they come.

Conversations are the server's: it names one in the first event, and finds it again by that name.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import uvicorn
from agents import (
    Agent,
    ModelSettings,
    Runner,
    function_tool,
    set_default_openai_api,
    set_tracing_disabled,
)
from common import SYSTEM, weather
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

set_default_openai_api("chat_completions")
set_tracing_disabled(True)
conversations: dict[str, list] = {}
notes: list[str] = []


@function_tool
async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return await weather(city)


@function_tool
async def save_note(text: str) -> str:
    """Keep a note."""
    notes.append(text)
    return "saved"


agent = Agent(
    name="traveller",
    instructions=SYSTEM,
    model="gpt-4o",
    model_settings=ModelSettings(include_usage=True),
    tools=[get_weather, save_note],
)


class Message(BaseModel):
    message: str
    conversation: str | None = None


def sse(name: str, data: dict) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def events(body: Message) -> AsyncIterator[str]:
    conversation = body.conversation if body.conversation in conversations else uuid4().hex
    yield sse("conversation", {"id": conversation})
    history = conversations.get(conversation, [])
    result = Runner.run_streamed(agent, [*history, {"role": "user", "content": body.message}])
    try:
        async for event in result.stream_events():
            if event.type == "raw_response_event":
                yield sse(event.type, event.data.model_dump(mode="json"))
            elif event.type == "run_item_stream_event":
                item = event.item.raw_item
                raw = item if isinstance(item, dict) else item.model_dump(mode="json")
                yield sse(event.type, {"name": event.name, "item": raw})
    except Exception as exc:  # noqa: BLE001 - as people write it
        yield sse("error", {"message": str(exc)})
        return
    conversations[conversation] = result.to_input_list()
    yield sse("done", {"output": result.final_output})


app = FastAPI()


@app.post("/chat")
async def chat(body: Message) -> StreamingResponse:
    return StreamingResponse(events(body), media_type="text/event-stream")


uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
