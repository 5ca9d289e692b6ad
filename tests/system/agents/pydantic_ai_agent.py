from __future__ import annotations

import json

from common import SYSTEM, Store, provider, serve, weather
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessagesTypeAdapter

tracing = provider()
if tracing is not None:
    Agent.instrument_all()
store = Store()
agent = Agent("openai-chat:gpt-4o", instructions=SYSTEM)


@agent.tool_plain
async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return await weather(city)


@agent.tool_plain
async def save_note(text: str) -> str:
    """Keep a note."""
    await store.note(text)
    return "saved"


async def answer(session: str, message: str) -> str:
    history = ModelMessagesTypeAdapter.validate_python(await store.history(session))
    result = await agent.run(message, message_history=history)
    await store.remember(session, json.loads(result.all_messages_json()))
    return result.output


serve(answer)
