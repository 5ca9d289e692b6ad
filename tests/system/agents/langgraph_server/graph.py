from __future__ import annotations

import asyncio

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent

SYSTEM = "You help travellers. Use the tools."


@tool
async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    await asyncio.sleep(0.02)
    return f"Sunny in {city}, 21 degrees."


@tool
async def save_note(text: str) -> str:  # noqa: ARG001
    """Keep a note."""
    return "saved"


graph = create_react_agent(ChatOpenAI(model="gpt-4o", max_retries=0, stream_usage=True), [get_weather, save_note], prompt=SYSTEM)
