"""The agent of pydantic_ai_agent.py behind its two UI protocols, whose clients keep the history."""

from __future__ import annotations

import sys

import uvicorn
from common import SYSTEM, Store, weather
from fastapi import FastAPI, Request, Response
from pydantic_ai import Agent
from pydantic_ai.ui.ag_ui import AGUIAdapter
from pydantic_ai.ui.vercel_ai import VercelAIAdapter

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


app = FastAPI()


@app.post("/ag-ui")
async def ag_ui(request: Request) -> Response:
    return await AGUIAdapter.dispatch_request(request, agent=agent, include_usage=True)


@app.post("/vercel-ai")
async def vercel_ai(request: Request) -> Response:
    return await VercelAIAdapter.dispatch_request(request, agent=agent)


uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
