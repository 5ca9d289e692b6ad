from __future__ import annotations

from agents import Agent, Runner, function_tool, set_default_openai_api, set_tracing_disabled
from common import SYSTEM, Store, provider, serve, weather
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

set_default_openai_api("chat_completions")
tracing = provider()
if tracing is not None:
    OpenAIAgentsInstrumentor().instrument(tracer_provider=tracing)
else:
    set_tracing_disabled(True)
store = Store()


@function_tool
async def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return await weather(city)


@function_tool
async def save_note(text: str) -> str:
    """Keep a note."""
    await store.note(text)
    return "saved"


agent = Agent(name="traveller", instructions=SYSTEM, model="gpt-4o", tools=[get_weather, save_note])


async def answer(session: str, message: str) -> str:
    history = await store.history(session)
    result = await Runner.run(agent, [*history, {"role": "user", "content": message}])
    await store.remember(session, result.to_input_list())
    return result.final_output


serve(answer)
