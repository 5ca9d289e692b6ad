"""The graphs that `langgraph dev` serves. The server keeps the threads: they need no store.

Beside `travel`: one whose tool fails, and that does not ask for the usage of streams; one whose
model fails; and one that stops to ask its user.
"""

from __future__ import annotations

import asyncio
import os

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.types import interrupt

SYSTEM = "You help travellers. Use the tools."


@tool
async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    await asyncio.sleep(0.02)
    return f"Sunny in {city}, 21 degrees."


@tool
async def save_note(text: str) -> str:
    """Keep a note."""
    return "saved"


@tool("save_note")
async def fail_to_save(text: str) -> str:
    """Keep a note."""
    raise ValueError(f"no place for {text}")


def ask(_: MessagesState) -> dict:
    answer = interrupt("What is your order number?")
    return {"messages": [AIMessage(f"Thank you for {answer}.")]}


# LangChain asks for the usage of a stream only if it is told to, or speaks to OpenAI itself.
counted = ChatOpenAI(model="gpt-4o", max_retries=0, stream_usage=True)
uncounted = ChatOpenAI(model="gpt-4o", max_retries=0)
travel = create_react_agent(counted, [get_weather, save_note], prompt=SYSTEM)
notes = create_react_agent(
    uncounted, ToolNode([get_weather, fail_to_save], handle_tool_errors=True), prompt=SYSTEM
)
broken = create_react_agent(ChatOpenAI(base_url=os.environ["BROKEN_LLM"], max_retries=0), [])
asking = (
    StateGraph(MessagesState)
    .add_node("ask", ask)
    .add_edge(START, "ask")
    .add_edge("ask", END)
    .compile()
)
