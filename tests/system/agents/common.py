"""What the three agents share: state in Redis, two tools' work, spans to OTLP, and the server."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import redis.asyncio as redis
import uvicorn
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic import BaseModel

SYSTEM = "You help travellers. Use the tools."


class Message(BaseModel):
    session_id: str
    message: str


def provider() -> TracerProvider | None:
    """Send spans where the environment says, if it does."""
    if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
        return None
    made = TracerProvider(resource=Resource.create({"service.name": sys.argv[0]}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500))
    trace.set_tracer_provider(made)
    RedisInstrumentor().instrument()
    return made


class Store:
    """One read when a turn begins, one write when it ends; a note is one write more."""

    def __init__(self) -> None:
        self._redis = redis.from_url(os.environ["REDIS_URL"])

    async def history(self, session: str) -> list:
        stored = await self._redis.get(f"history:{session}")
        return [] if stored is None else json.loads(stored)

    async def remember(self, session: str, history: list) -> None:
        await self._redis.set(f"history:{session}", json.dumps(history))

    async def note(self, text: str) -> None:
        await self._redis.rpush("notes", text)


async def weather(city: str) -> str:
    """Take 20 ms."""
    await asyncio.sleep(0.021)  # uvloop's timers may fire 0.4 ms early: 0.02 at least
    return f"Sunny in {city}, 21 degrees."


def serve(answer) -> None:
    """Serve `answer(session, message) -> text` at /chat, on the port that is free."""
    app = FastAPI()

    @app.post("/chat")
    async def chat(body: Message) -> dict[str, str]:
        return {"session_id": body.session_id, "reply": await answer(body.session_id, body.message)}

    if os.environ.get("PROPAGATE") == "1":
        FastAPIInstrumentor.instrument_app(app)
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
