"""What the SDKs make of a provider: directly and through the gateway, the same.

The SDKs take seconds to import: they are when a test runs, as every worker collects this file.
"""

import asyncio
import json

import httpx
import pytest

from profiler.measure.records import Attribution, LlmAttempt, LlmCall, Outcome
from profiler.mock.options import LlmOptions
from profiler.mock.serve import running_mocks
from profiler.observers.in_flight import InFlight
from tests.observers.gateway import payloads as p
from tests.observers.gateway.wire import (
    STREAM,
    chunk,
    gateway_to,
    running_upstream,
    whole_json,
)

KEY = "sk-canary-7f3a9c2e51"
OUR_LOGGERS = ("profiler", "uvicorn", "asyncio")
MESSAGES = [{"role": "user", "content": "Where is my order?"}]


async def provider(request, writer):
    """Speak all four APIs, in the documented sequences, in pieces that are no events."""
    path, body = request.target.partition("?")[0], request.json
    options = body.get("stream_options") or {}
    if not body.get("stream"):
        answers = {
            "/v1/chat/completions": p.chat_answer(tool_calls=[p.tool_call("call_a", "get")]),
            "/v1/responses": p.response(p.MESSAGE_ITEM, p.FUNCTION_ITEM),
            "/v1/messages": p.anthropic_answer({"type": "text", "text": "Hello!"}, p.TOOL_USE),
            "/v1/embeddings": p.EMBEDDINGS_ANSWER,
        }
        writer.write(whole_json(answers[path], "request-id: req_1", "x-request-id: req_1"))
        return
    streams = {
        "/v1/chat/completions": p.sse(
            *p.chat_events(with_usage=options.get("include_usage") is True), done=True
        ),
        "/v1/responses": p.sse(*p.RESPONSES_EVENTS, named=True),
        "/v1/messages": p.sse(*p.ANTHROPIC_EVENTS, named=True),
    }
    writer.write(STREAM)
    for start in range(0, len(streams[path]), 50):
        writer.write(chunk(streams[path][start : start + 50]))
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(chunk(b""))


def openai_to(url):
    import openai

    return openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0)


def anthropic_to(url):
    import anthropic

    return anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0)


OPENAI_CALLS = {
    "chat": lambda c: c.chat.completions.create(model="gpt-4o", messages=MESSAGES),
    "responses": lambda c: c.responses.create(model="gpt-4o", input="Where is my order?"),
    "embeddings": lambda c: c.embeddings.create(
        model="text-embedding-ada-002", input="Where is my order?", encoding_format="float"
    ),
}
OPENAI_STREAMS = {
    "chat": lambda c: c.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True),
    "chat with usage": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ),
    "responses": lambda c: c.responses.create(
        model="gpt-4o", input="Where is my order?", stream=True
    ),
}


def anthropic_call(client, **more):
    return client.messages.create(model="claude-test", max_tokens=100, messages=MESSAGES, **more)


async def parsed(client, call):
    """Return what the SDK makes of an answer, set fields only: a null is not nothing."""
    return (await call(client)).to_dict()


async def parsed_stream(client, call):
    return [event.to_dict() async for event in await call(client)]


@pytest.mark.parametrize("name", OPENAI_CALLS)
async def test_openais_answers_are_the_same(name):
    async with running_upstream(provider) as upstream, gateway_to(upstream.url) as running:
        urls = (f"{upstream.url}/v1", running.gateway.openai_base_url)
        async with openai_to(urls[0]) as direct, openai_to(urls[1]) as through:
            expected = await parsed(direct, OPENAI_CALLS[name])
            assert await parsed(through, OPENAI_CALLS[name]) == expected
        (call,) = await running.drained(LlmCall)
    assert call.outcome is Outcome.OK
    assert call.usage is not None
    first, second = upstream.requests
    assert first.body == second.body
    assert sent(first) == sent(second)


def sent(request):
    """Return the headers that say something: not where to, and not for one connection only."""
    headers = ((name.lower(), content) for name, content in request.headers)
    return sorted(header for header in headers if header[0] not in ("host", "connection"))


@pytest.mark.parametrize("name", OPENAI_STREAMS)
async def test_openais_streams_are_the_same(name):
    async with running_upstream(provider) as upstream, gateway_to(upstream.url) as running:
        urls = (f"{upstream.url}/v1", running.gateway.openai_base_url)
        async with openai_to(urls[0]) as direct, openai_to(urls[1]) as through:
            expected = await parsed_stream(direct, OPENAI_STREAMS[name])
            assert await parsed_stream(through, OPENAI_STREAMS[name]) == expected
        (call,) = await running.drained(LlmCall)
    assert len(expected) > 3
    assert call.outcome is Outcome.OK
    assert call.usage.input_tokens in (2006, 328)


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_answers_are_the_same(stream):
    async with running_upstream(provider) as upstream, gateway_to(upstream.url) as running:
        urls = (upstream.url, running.gateway.anthropic_base_url)
        async with anthropic_to(urls[0]) as direct, anthropic_to(urls[1]) as through:
            if stream:
                found = [
                    await parsed_stream(client, lambda c: anthropic_call(c, stream=True))
                    for client in (direct, through)
                ]
            else:
                found = [await parsed(client, anthropic_call) for client in (direct, through)]
        (call,) = await running.drained(LlmCall)
    assert found[0] == found[1]
    assert (call.api, call.outcome) == ("anthropic_messages", Outcome.OK)
    assert call.usage.input_tokens == 30721
    assert call.tool_calls == ("get_weather",)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["chat/completions", "responses", "messages"])
async def test_the_bytes_of_the_bodies_are_the_same(path, stream):
    body = {"model": "m", "stream": stream}
    async with (
        running_upstream(provider) as upstream,
        gateway_to(upstream.url) as running,
        httpx.AsyncClient() as client,
    ):
        urls = (f"{upstream.url}/v1", running.gateway.openai_base_url)
        direct, through = [await client.post(f"{url}/{path}", json=body) for url in urls]
    assert direct.content == through.content
    for name in ("content-type", "content-length", "x-request-id"):
        assert direct.headers.get(name) == through.headers.get(name)


async def test_the_projects_mock_llm_is_the_same_through_the_gateway():
    """Instant, so that a stream's pieces do not depend on time; its limits set headers."""
    options = LlmOptions(speed=float("inf"), rpm=1000, tpm=1_000_000)
    flying = InFlight()
    flying.begin("a" * 32, MESSAGES[0]["content"])
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
    async with (
        running_mocks(llm=options) as urls,
        gateway_to(urls.llm, in_flight=flying) as running,
        openai_to(urls.llm) as direct,
        openai_to(running.gateway.openai_base_url) as through,
    ):
        for more in ({}, {"tools": [tool]}):
            for stream in (False, True):
                found = []
                for client in (direct, through):
                    request = client.chat.completions.create(
                        model="gpt-4o", messages=MESSAGES, stream=stream, **more
                    )
                    answer = await request
                    items = [x async for x in answer] if stream else [answer]
                    dicts = [item.to_dict() for item in items]
                    for item in dicts:  # a number for each answer to the same request, and a time
                        del item["id"], item["created"]
                    found.append(dicts)
                assert found[0] == found[1]
        models = [[m.id async for m in client.models.list()] for client in (direct, through)]
        assert models[0] == models[1]
        calls = await running.drained(LlmCall)
    assert len(calls) == 4
    for call in calls:
        assert (call.trace_id, call.attribution) == ("a" * 32, Attribution.USER_TEXT)
        assert call.rate_limit.limit_requests == 1000
        tokens = call.tokens
        parts = (tokens.system, tokens.tool_schemas, tokens.history, tokens.user)
        # The mock counts its prompts by the same rules: ours add up to what it reports.
        assert sum(parts) + tokens.tool_results + tokens.overhead == call.usage.input_tokens
        assert call.counted_output == call.usage.output_tokens


async def test_the_sdks_own_retries_are_one_call():
    answers = [
        whole_json({"error": {"message": "slow down"}}, "retry-after-ms: 1", status=429),
        whole_json({"error": {"message": "overloaded"}}, "retry-after-ms: 1", status=529),
        whole_json(p.chat_answer()),
    ]

    import openai

    async def handler(_, writer):
        writer.write(answers.pop(0))

    flying = InFlight()
    flying.begin("a" * 32, MESSAGES[0]["content"])
    async with (
        running_upstream(handler) as upstream,
        gateway_to(upstream.url, in_flight=flying) as running,
        openai.AsyncOpenAI(base_url=running.gateway.openai_base_url, api_key=KEY) as client,
    ):
        await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        (call,) = await running.drained(LlmCall)
    assert (call.outcome, call.attempts) == (Outcome.OK, 3)
    attempts = running.of(LlmAttempt)
    assert [attempt.retry for attempt in attempts] == [0, 1, 2]
    assert [attempt.http_status for attempt in attempts] == [429, 529, 200]


async def test_keys_are_nowhere(caplog, capfd):
    """Requests of all kinds, faults of all kinds: the keys are in nothing that we write."""
    import anthropic
    import openai

    secret_words = (KEY, "canary-org", "canary-query", "canary-body")

    async def handler(request, writer):
        if "cut" in request.target:
            writer.write(STREAM + chunk(b"data: {}\n\n"))
            await writer.drain()
            writer.close()
        else:
            error = {"message": f"Incorrect API key provided: {KEY}", "type": "x"}
            writer.write(whole_json({"error": error}, status=401))

    async with running_upstream(handler) as upstream, gateway_to(upstream.url) as running:
        gateway = running.gateway
        headers = {"OpenAI-Organization": "canary-org"}
        client = openai.AsyncOpenAI(
            base_url=gateway.openai_base_url, api_key=KEY, default_headers=headers, max_retries=0
        )
        async with client:
            query = {"key": "canary-query"}
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(
                    model="m",
                    messages=[{"role": "user", "content": "canary-body"}],
                    extra_query=query,
                )
            with pytest.raises(openai.APIError):
                async for _ in await client.chat.completions.create(
                    model="m", messages=MESSAGES, stream=True, extra_query={"cut": "canary-query"}
                ):
                    pass
            with pytest.raises(openai.APIStatusError):
                await client.get("/canary-path", cast_to=object, options={"params": query})
        await gateway.drain()
    url = upstream.url  # nobody listens there any more
    async with gateway_to(url) as refused, anthropic_to(refused.gateway.url) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await anthropic_call(client, extra_query={"key": "canary-query"})
        assert caught.value.status_code == 502
        answer = json.dumps(caught.value.body)
        await refused.gateway.drain()
    ours = (entry for entry in caplog.records if entry.name.partition(".")[0] in OUR_LOGGERS)
    logs = "".join(entry.getMessage() for entry in ours)
    output = "".join(capfd.readouterr())
    written = [repr(running.records), repr(refused.records), answer, logs, output]
    for word in secret_words:
        for text in written:
            assert word not in text
