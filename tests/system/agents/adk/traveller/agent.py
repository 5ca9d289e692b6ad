"""The travel agent of the others for Google ADK; its model is any that LiteLLM can call."""

from __future__ import annotations

import asyncio

from google.adk.agents import Agent
from google.adk.models.lite_llm import LiteLlm

NOTES: list[str] = []


async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    await asyncio.sleep(0.02)
    return f"Sunny in {city}, 21 degrees."


async def save_note(text: str) -> str:
    """Keep a note."""
    NOTES.append(text)
    return "saved"


root_agent = Agent(
    name="traveller",
    model=LiteLlm(model="openai/gpt-4o"),
    instruction="You help travellers. Use the tools.",
    tools=[get_weather, save_note],
)
