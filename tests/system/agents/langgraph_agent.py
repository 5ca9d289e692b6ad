from __future__ import annotations

from common import SYSTEM, Store, provider, serve, weather
from langchain_core.messages import HumanMessage, messages_from_dict, messages_to_dict
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from openinference.instrumentation.langchain import LangChainInstrumentor

tracing = provider()
if tracing is not None:
    LangChainInstrumentor().instrument(tracer_provider=tracing)
store = Store()


@tool
async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return await weather(city)


@tool
async def save_note(text: str) -> str:
    """Keep a note."""
    await store.note(text)
    return "saved"


graph = create_react_agent(ChatOpenAI(model="gpt-4o"), [get_weather, save_note], prompt=SYSTEM)


async def answer(session: str, message: str) -> str:
    history = messages_from_dict(await store.history(session))
    result = await graph.ainvoke({"messages": [*history, HumanMessage(message)]})
    await store.remember(session, messages_to_dict(result["messages"]))
    return result["messages"][-1].text


serve(answer)
