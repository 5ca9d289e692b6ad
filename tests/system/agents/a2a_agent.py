"""One agent behind three forms of A2A, each in its versions 1.0 and 0.3.

`/artifact`: each message is a task whose artifact grows as the LLM writes; `/message`: no tasks;
`/input`: one task for a conversation, which waits for input after each turn.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Role
from openai import AsyncOpenAI, OpenAIError
from starlette.applications import Starlette

SYSTEM = {"role": "system", "content": "You help travellers. Use the tools."}


def schema(name: str, parameter: str) -> dict:
    parameters = {"type": "object", "properties": {parameter: {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [schema("get_weather", "city"), schema("save_note", "text")]
llm = AsyncOpenAI(max_retries=0)
histories: dict[str, list[dict]] = {}


async def run_tool(name: str, arguments: dict) -> str:
    if name == "save_note":
        return "saved"
    await asyncio.sleep(0.02)
    return f"Sunny in {arguments['city']}, 21 degrees."


async def answer(context: str, user: str):
    """Yield the reply in pieces, as the LLM writes it; run the tools that it asks for."""
    history = [*histories.get(context, [SYSTEM]), {"role": "user", "content": user}]
    while True:
        text, calls = "", {}
        chunks = await llm.chat.completions.create(
            model="gpt-4o", messages=history, tools=TOOLS, stream=True
        )
        async for chunk in chunks:
            for choice in chunk.choices:
                if choice.delta.content:
                    text += choice.delta.content
                    yield choice.delta.content
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(
                        part.index, {"id": part.id, "name": "", "arguments": ""}
                    )
                    call["name"] += part.function.name or ""
                    call["arguments"] += part.function.arguments or ""
        message = {"role": "assistant", "content": text or None}
        history.append(message)
        if not calls:
            histories[context] = history
            return
        message["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls.values()
        ]
        for call in calls.values():
            result = await run_tool(call["name"], json.loads(call["arguments"]))
            history.append({"role": "tool", "tool_call_id": call["id"], "content": result})


class Travel(AgentExecutor):
    def __init__(self, form: str) -> None:
        self.form = form

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        pieces = answer(context.context_id, context.get_user_input())
        if self.form == "message":  # a failure of the LLM is for the SDK to tell
            text = "".join([piece async for piece in pieces])
            said = new_text_message(text, context_id=context.context_id, role=Role.ROLE_AGENT)
            await event_queue.enqueue_event(said)
            return
        if context.current_task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        try:
            if self.form == "artifact":
                await self.write(pieces, updater)
                await updater.complete()
            else:
                parts = [new_text_part("".join([piece async for piece in pieces]))]
                await updater.requires_input(updater.new_agent_message(parts))
        except OpenAIError as exc:
            message = updater.new_agent_message([new_text_part(f"the model failed: {exc}")])
            await updater.failed(message)

    async def write(self, pieces, updater: TaskUpdater) -> None:
        first = True
        async for piece in pieces:
            parts = [new_text_part(piece)]
            await updater.add_artifact(parts, artifact_id="reply", append=not first)
            first = False

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


def routes(form: str, port: int) -> list:
    url = f"http://127.0.0.1:{port}/{form}"
    card = AgentCard(
        name="travel",
        description="Helps travellers.",
        version="1",
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="weather", name="weather", description="Weather.", tags=["travel"])],
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version)
            for version in ("1.0", "0.3")
        ],
    )
    handler = DefaultRequestHandler(
        agent_executor=Travel(form), task_store=InMemoryTaskStore(), agent_card=card
    )
    rpc = create_jsonrpc_routes(handler, f"/{form}", enable_v0_3_compat=True)
    return [*rpc, *create_agent_card_routes(card, card_url=f"/{form}/.well-known/agent-card.json")]


port = int(sys.argv[1])
app = Starlette(routes=[r for form in ("artifact", "message", "input") for r in routes(form, port)])
uvicorn.run(app, port=port, log_level="warning")
