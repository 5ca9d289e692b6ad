"""The gateway on real sockets: what the agent gets, and what is recorded of it."""

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import httpx
import pytest

from profiler.errors import UsageError
from profiler.measure.journal import to_line
from profiler.measure.records import (
    NO_TRACE,
    Attribution,
    LlmAttempt,
    LlmCall,
    Observer,
    ObserverNote,
    Outcome,
    RateLimit,
    ToolRoundTrip,
    Watched,
)
from profiler.observers.gateway import proxy as proxy_module
from profiler.observers.gateway.gateway import running_gateway
from profiler.observers.gateway.notes import Kind
from profiler.observers.in_flight import InFlight
from tests.observers.gateway import payloads as p
from tests.observers.gateway.wire import (
    COUNTER,
    STREAM,
    answering,
    chunk,
    gateway_to,
    head,
    running_upstream,
    whole,
    whole_json,
)

A, B = "a" * 32, "b" * 32
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
CHAT = "/v1/chat/completions"


def trace(trace_id=A):
    return {"traceparent": f"00-{trace_id}-{'1' * 16}-01"}


@pytest.fixture
def flying():
    flying = InFlight()
    flying.begin(A, "Hello")
    return flying


@asynccontextmanager
async def passing(handler, **options):
    """Give an upstream, a gateway in front of it, and a client of the gateway."""
    async with (
        running_upstream(handler) as upstream,
        gateway_to(upstream.url, **options) as running,
        httpx.AsyncClient(base_url=running.gateway.anthropic_base_url) as client,
    ):
        yield upstream, running, client


async def only_call(running):
    (call,) = await running.drained(LlmCall)
    return call


def kinds(running):
    return {str(note.kind): note.count for note in running.gateway.notes()}


async def test_a_plain_call_passes_unchanged_and_is_recorded(flying):
    answer = whole_json(
        p.chat_answer(),
        "set-cookie: a=1",
        "set-cookie: b=2",
        "x-request-id: req_1",
        "x-ratelimit-remaining-tokens: 149984",
        "x-ratelimit-reset-tokens: 6m0s",
    )
    async with passing(answering(answer), in_flight=flying) as (upstream, running, client):
        raw = b'{ "model": "gpt-4o","messages":[{"role":"user","content":"Hello"}]}'
        headers = {**trace(), "authorization": "Bearer k", "x-mine": "1"}
        got = await client.post(CHAT + "?a=%20b", content=raw, headers=headers)
        call = await only_call(running)
    (request,) = upstream.requests
    assert (request.method, request.target, request.body) == ("POST", CHAT + "?a=%20b", raw)
    assert request.header("authorization") == "Bearer k"
    assert request.header("x-mine") == "1"
    assert request.header("host") == upstream.url.removeprefix("http://")
    assert got.content == json.dumps(p.chat_answer()).encode()
    assert got.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert got.headers["x-request-id"] == "req_1"
    assert "date" not in got.headers  # the upstream sent none
    assert (call.trace_id, call.attribution) == (A, Attribution.TRACE)
    assert (call.outcome, call.http_status, call.attempts) == (Outcome.OK, 200, 1)
    assert (call.model, call.api) == ("gpt-4o", "chat_completions")
    assert call.usage.input_tokens == 2006
    # By hand: 3 + 1 + 1 for the message, 3 for the reply; "Hello" and "!" are a token each.
    assert (call.tokens.user, call.tokens.overhead) == (5, 3)
    assert call.counted_output == 2
    assert call.rate_limit == RateLimit(
        remaining_tokens=149_984, reset_tokens_ns=360 * 1_000_000_000
    )
    assert call.first_token_ns is None
    assert call.start_ns < call.end_ns
    (attempt,) = running.of(LlmAttempt)
    assert (attempt.retry, attempt.outcome) == (0, Outcome.OK)


async def test_every_record_can_be_journaled(flying):
    async with passing(answering(whole_json(p.chat_answer())), in_flight=flying) as (_, running, c):
        await c.post(CHAT, json=HELLO)
        await c.get("/v1/files")
    assert len(running.records) == 3
    for record in running.records:
        json.loads(to_line(record))


@pytest.mark.parametrize("asks", [True, False])
async def test_pieces_of_a_stream_are_not_held_back(flying, asks):
    """The upstream sends each event only when the agent has got the one before."""
    got = asyncio.Semaphore(0)
    events = [p.sse(event) for event in p.chat_events(with_usage=True)[:-1]]

    async def handler(_, writer):
        writer.write(STREAM)
        for event in events:
            writer.write(chunk(event))
            await asyncio.wait_for(got.acquire(), 5)
        writer.write(chunk(p.sse(p.chat_usage_chunk(), done=True)) + chunk(b""))

    body = {**HELLO, "stream": True}
    if asks:
        body["stream_options"] = {"include_usage": True}
    async with (
        passing(handler, in_flight=flying) as (_, running, client),
        client.stream("POST", CHAT, json=body) as response,
    ):
        pieces = []
        async for piece in response.aiter_raw():
            pieces.append(piece)
            got.release()
        call = await only_call(running)
    expected = p.sse(*p.chat_events(with_usage=asks), done=True)
    assert b"".join(pieces) == expected
    assert call.first_token_ns is not None
    assert call.start_ns < call.first_token_ns < call.end_ns
    assert call.usage.input_tokens == 2006
    assert ("usage_added" in {str(note.kind) for note in running.of(ObserverNote)}) is not asks


@pytest.mark.parametrize(
    ("path", "stream", "with_tools"),
    [
        (CHAT, p.sse(*p.chat_events(with_usage=True), done=True), False),
        ("/v1/responses", p.sse(*p.RESPONSES_EVENTS, named=True), True),
        ("/v1/messages", p.sse(*p.ANTHROPIC_EVENTS, named=True), True),
    ],
)
async def test_a_stream_passes_byte_for_byte_however_it_is_cut(flying, path, stream, with_tools):
    async def handler(_, writer):
        writer.write(STREAM)
        for start in range(len(stream)):
            writer.write(chunk(stream[start : start + 1]))
            if start % 16 == 0:
                await writer.drain()
        writer.write(chunk(b""))

    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    async with passing(handler, in_flight=flying) as (_, running, client):
        got = await client.post(path, json=body, headers=trace())
        call = await only_call(running)
    assert got.content == stream
    assert call.outcome is Outcome.OK
    assert call.usage is not None
    assert len(call.tool_calls) == with_tools


async def test_a_compressed_answer_passes_as_it_is_and_is_read(flying):
    packed = gzip.compress(json.dumps(p.chat_answer()).encode())
    answer = whole(packed, "content-encoding: gzip", "content-type: application/json")
    async with passing(answering(answer), in_flight=flying) as (upstream, running, client):
        asks = {"accept-encoding": "gzip, zstd"}
        async with client.stream("POST", CHAT, json=HELLO, headers=asks) as response:
            got = b"".join([piece async for piece in response.aiter_raw()])
            assert response.headers["content-encoding"] == "gzip"
        call = await only_call(running)
    assert got == packed
    assert upstream.requests[0].header("accept-encoding") == "gzip"
    assert call.usage.input_tokens == 2006


async def test_an_answer_in_an_unknown_coding_passes_and_is_not_read(flying):
    answer = whole(b"\x28\xb5\x2f\xfd", "content-encoding: zstd")
    async with passing(answering(answer), in_flight=flying) as (_, running, client):
        async with client.stream("POST", CHAT, json=HELLO) as response:
            got = b"".join([piece async for piece in response.aiter_raw()])
        assert kinds(running)["unreadable_answer"] == 1
        call = await only_call(running)
    assert got == b"\x28\xb5\x2f\xfd"
    assert (call.outcome, call.usage, call.tool_calls) == (Outcome.OK, None, None)


async def test_other_paths_and_methods_pass_unrecorded():
    async def handler(request, writer):
        if request.method == "HEAD":
            writer.write(head(200, "content-length: 1234"))
        else:
            writer.write(whole(request.method.encode() + request.body))

    async with passing(handler) as (upstream, running, client):
        got = await client.get("/v1/models/ft%3Agpt", params={"limit": "2"})
        assert got.content == b"GET"
        got = await client.head("/v1/models")
        assert (got.content, got.headers["content-length"]) == (b"", "1234")
        got = await client.request("DELETE", "/v1/files/1")
        assert got.content == b"DELETE"
        got = await client.post("/v1/moderations", content=b"x" * 100)
        assert got.content == b"POST" + b"x" * 100

        async def parts():
            yield b"one"
            yield b"two"

        got = await client.put("/v1/upload", content=parts())
        assert got.content == b"PUTonetwo"
        assert kinds(running) == {"other_path": 5}
        await running.gateway.drain()
    assert [note.kind for note in running.records] == ["other_path"]
    assert upstream.requests[0].target == "/v1/models/ft%3Agpt?limit=2"


async def test_big_bodies_pass_both_ways(flying):
    big = "x" * 20_000_000

    async def handler(request, writer):
        writer.write(whole_json({**p.chat_answer(), "big": request.json["big"] + "y"}))

    async with passing(handler, in_flight=flying) as (_, running, client):
        got = await client.post(CHAT, json={**HELLO, "big": big}, headers=trace(), timeout=30)
        assert got.json()["big"] == big + "y"
        assert (await only_call(running)).usage.input_tokens == 2006


async def test_a_request_too_long_to_be_read_passes(flying, monkeypatch):
    monkeypatch.setattr(proxy_module, "MAX_REQUEST_BYTES", 1000)

    async def handler(request, writer):
        writer.write(whole_json({**p.chat_answer(), "got": len(request.body)}))

    async def parts():
        for _ in range(50):
            yield b"x" * 100

    async with passing(handler, in_flight=flying) as (_, running, client):
        for content in (b"x" * 5000, parts()):
            got = await client.post(CHAT, content=content, headers=trace())
            assert got.json()["got"] == 5000
        assert kinds(running)["too_long"] == 2
        calls = await running.drained(LlmCall)
    assert [(call.tokens, call.usage.output_tokens) for call in calls] == [(None, 300)] * 2


async def test_a_request_that_is_no_json_is_the_upstreams_to_judge(flying):
    answer = whole_json({"error": {"message": "no JSON"}}, status=400)
    async with passing(answering(answer), in_flight=flying) as (upstream, running, client):
        got = await client.post(CHAT, content=b"{no json")
        assert kinds(running) == {"unreadable_request": 1, "ambiguous": 1}
        call = await only_call(running)
    assert (got.status_code, upstream.requests[0].body) == (400, b"{no json")
    assert (call.outcome, call.trace_id) == (Outcome.HTTP_4XX, NO_TRACE)


# Faults


@pytest.mark.parametrize(
    ("path", "headers", "pick"),
    [
        (CHAT, {}, lambda body: (body["error"]["type"], body["error"])),
        ("/v1/messages", {"anthropic-version": "2023-06-01"}, lambda b: (b["type"], b["error"])),
    ],
)
async def test_an_upstream_that_refuses_is_a_502_in_the_providers_shape(
    flying, path, headers, pick
):
    async with running_upstream(answering(b"")) as upstream:
        url = upstream.url
    async with (
        gateway_to(url, in_flight=flying) as running,
        httpx.AsyncClient(base_url=running.gateway.url) as client,
    ):
        got = await client.post(path, json=HELLO, headers={**trace(), **headers})
        assert got.status_code == 502
        kind, error = pick(got.json())
        assert kind in ("gateway_error", "error")
        assert error["message"] == (
            f"agent-profiler gateway: cannot connect to the upstream {url} (refused);"
            " check --upstream"
        )
        (note,) = running.gateway.notes()
        assert (note.kind, note.count) == ("upstream_refused", 1)
        assert running.of(LlmCall) == []  # a retry may come
        call = await only_call(running)
    assert (call.outcome, call.http_status) == (Outcome.CONNECT_ERROR, None)
    assert running.of(LlmAttempt)[0].outcome is Outcome.CONNECT_ERROR


@pytest.mark.parametrize(
    "beginning",
    [
        STREAM + chunk(p.sse(*p.chat_events(with_usage=True)[:2])),
        head(200, "content-length: 1000", "content-type: application/json") + b"{",
    ],
)
async def test_an_upstream_that_breaks_off_breaks_the_agents_answer_off(flying, beginning, capfd):
    async def handler(_, writer):
        writer.write(beginning)
        await writer.drain()
        writer.close()

    body = {**HELLO, "stream": True}
    async with passing(handler, in_flight=flying) as (_, running, client):
        request = client.build_request("POST", CHAT, json=body, headers=trace())
        response = await client.send(request, stream=True)
        pieces = response.aiter_raw()
        assert await anext(pieces) in (b"{", p.sse(*p.chat_events(with_usage=False)[:2]))
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(pieces)
        assert kinds(running)["upstream_cut"] == 1
        call = await only_call(running)
    assert call.outcome is Outcome.PROTOCOL_ERROR
    assert call.http_status == 200
    assert capfd.readouterr().err == ""


async def test_an_upstream_that_closes_without_an_answer_is_a_502(flying):
    async def handler(_, writer):
        writer.close()

    async with passing(handler, in_flight=flying) as (_, running, client):
        got = await client.post(CHAT, json=HELLO)
        assert got.status_code == 502
        assert "broke off before its answer" in got.json()["error"]["message"]
        assert kinds(running) == {"upstream_broken": 1}


async def test_a_slow_upstream_is_a_504_and_within_a_stream_a_cut(flying):
    async def handler(request, writer):
        if request.json.get("stream"):
            writer.write(STREAM + chunk(p.sse(p.chat_chunk({"content": "a"}))))
        await asyncio.sleep(20)

    async with passing(handler, in_flight=flying, timeout_s=0.5) as (_, running, client):
        got = await client.post(CHAT, json=HELLO, headers=trace())
        assert got.status_code == 504
        assert "sent nothing for 0.5 s" in got.json()["error"]["message"]
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(CHAT, json={**HELLO, "stream": True}, headers=trace())
        assert kinds(running)["upstream_slow"] == 1
        assert kinds(running)["upstream_cut"] == 1
        calls = await running.drained(LlmCall)
    assert {call.outcome for call in calls} == {Outcome.TIMEOUT}


async def test_an_agent_that_goes_away_ends_the_upstreams_work(flying):
    async def handler(_, writer):
        writer.write(STREAM + chunk(p.sse(p.chat_chunk({"content": "a"}))))
        await writer.drain()
        await asyncio.sleep(10)

    async with passing(handler, in_flight=flying) as (_, running, client):
        async with client.stream("POST", CHAT, json={**HELLO, "stream": True}) as response:
            await anext(response.aiter_raw())
        await running.recorded(LlmAttempt)
        assert kinds(running)["client_gone"] == 1
        call = await only_call(running)
    assert call.outcome is Outcome.CANCELLED


# Retries


async def test_a_429_and_its_retry_are_one_call_of_two_attempts(flying):
    refused = whole_json(
        {"error": {"message": "Rate limit reached"}}, "retry-after-ms: 5", status=429
    )
    async with passing(answering(refused, whole_json(p.chat_answer())), in_flight=flying) as (
        _,
        running,
        client,
    ):
        for retry in ("0", "1"):
            headers = {**trace(), "x-stainless-retry-count": retry}
            got = await client.post(CHAT, json=HELLO, headers=headers)
        assert got.status_code == 200
        call = await only_call(running)
    assert (call.outcome, call.attempts) == (Outcome.OK, 2)
    assert call.start_ns < call.last_start_ns < call.end_ns
    first, second = running.of(LlmAttempt)
    assert (first.retry, first.outcome, first.http_status) == (0, Outcome.HTTP_429, 429)
    assert first.rate_limit == RateLimit(retry_after_ns=5_000_000)
    assert (second.retry, second.outcome) == (1, Outcome.OK)


async def test_the_end_of_an_interaction_gives_its_failed_call_up(flying):
    refused = whole_json({"error": {}}, status=503)
    async with passing(answering(refused), in_flight=flying) as (_, running, client):
        await client.post(CHAT, json=HELLO, headers=trace())
        flying.end(A)
        running.gateway.interaction_ended(A)
        await running.recorded(LlmCall)
        # One that fails after the end is given up at once.
        await client.post(CHAT, json=HELLO, headers=trace())
        await running.recorded(LlmCall, 2)


async def test_an_interaction_without_a_call_is_known_to_have_none(flying):
    flying.begin(B, "Good bye")
    async with passing(answering(whole_json(p.chat_answer())), in_flight=flying) as (
        _,
        running,
        client,
    ):
        await client.post(CHAT, json=HELLO, headers=trace(A))
        for trace_id in (A, B):
            flying.end(trace_id)
            running.gateway.interaction_ended(trace_id)
        assert await running.drained(Watched) == [Watched(trace_id=B, observer=Observer.GATEWAY)]


async def test_where_a_call_could_not_be_assigned_nobody_is_known_to_have_none(flying):
    flying.begin(B, "Hello")
    async with passing(answering(whole_json(p.chat_answer())), in_flight=flying) as (
        _,
        running,
        client,
    ):
        await client.post(CHAT, json=HELLO)
        for trace_id in (A, B):
            flying.end(trace_id)
            running.gateway.interaction_ended(trace_id)
        flying.begin("c" * 32, "later")
        running.gateway.interaction_ended("c" * 32)
        (later,) = await running.drained(Watched)
    assert later.trace_id == "c" * 32


async def test_what_is_under_way_when_the_gateway_ends_is_recorded(flying):
    async def handler(_, writer):
        writer.write(STREAM + chunk(p.sse(p.chat_chunk({"content": "a"}))))
        await writer.drain()
        await asyncio.sleep(10)

    async with running_upstream(handler) as upstream, httpx.AsyncClient() as client:
        async with gateway_to(upstream.url, in_flight=flying) as running:
            url = running.gateway.openai_base_url + "/chat/completions"
            request = client.build_request("POST", url, json={**HELLO, "stream": True})
            response = await client.send(request, stream=True)
            await anext(response.aiter_raw())
        await response.aclose()
    (call,) = running.of(LlmCall)
    assert call.outcome in (Outcome.CANCELLED, Outcome.PROTOCOL_ERROR)


# Usage that is asked for


async def test_an_upstream_that_does_not_know_the_option_gets_the_request_as_it_was(flying):
    stream = p.sse(*p.chat_events(with_usage=False), done=True)

    async def handler(request, writer):
        if b"stream_options" in request.body:
            error = {"message": "Unrecognized request argument supplied: stream_options"}
            writer.write(whole_json({"error": error}, status=400))
        else:
            writer.write(STREAM + chunk(stream) + chunk(b""))

    body = {**HELLO, "stream": True}
    async with passing(handler, in_flight=flying) as (upstream, running, client):
        for _ in range(2):
            got = await client.post(CHAT, json=body, headers=trace())
            assert (got.status_code, got.content) == (200, stream)
        assert kinds(running) == {"usage_refused": 1}
        calls = await running.drained(LlmCall)
    assert len(upstream.requests) == 3  # asked once, and then never again
    assert [(call.outcome, call.usage) for call in calls] == [(Outcome.OK, None)] * 2


async def test_another_bad_request_is_passed_on_once(flying):
    answer = whole_json({"error": {"message": "Invalid model"}}, status=400)
    async with passing(answering(answer), in_flight=flying) as (upstream, _, client):
        got = await client.post(CHAT, json={**HELLO, "stream": True})
    assert got.json() == {"error": {"message": "Invalid model"}}
    assert len(upstream.requests) == 1


# The token


async def test_beyond_loopback_a_token_is_needed():
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(UsageError, match="AGENT_PROFILER_GATEWAY_TOKEN"):
            async with gateway_to("http://127.0.0.1:9", host=host):
                pass


async def test_a_token_opens_the_gateway_and_is_not_passed_on():
    token = "correct-horse-battery"
    options = {"host": "0.0.0.0", "token": token, "in_flight": None}
    async with passing(answering(whole_json(p.chat_answer())), **options) as (up, running, client):
        gateway = running.gateway
        assert gateway.openai_base_url == f"{gateway.url}/t/{token}/v1"
        got = await client.post("/v1/chat/completions", json=HELLO)
        assert got.status_code == 200
        for wrong in ("/v1/models", "/t/wrong/v1/models", f"/t/{token}x/v1/models"):
            got = await client.get(gateway.url + wrong)
            assert got.status_code == 401
            assert token not in got.text
        await gateway.drain()
    assert [request.target for request in up.requests] == ["/v1/chat/completions"]
    assert token not in repr(running.records)
    assert token not in repr(up.requests)


# Attribution


async def test_tools_are_followed_from_answer_to_request(flying):
    flying.begin(B, "Something else")
    calls = [p.tool_call("call_a", "weather"), p.tool_call("call_b", "time")]
    asking = chunk(json.dumps(p.chat_answer(None, tool_calls=calls)).encode())
    plain = head(200, "content-type: application/json", "transfer-encoding: chunked")
    answers = answering(plain + asking + chunk(b""), whole_json(p.chat_answer()))
    messages = [
        *HELLO["messages"],
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_b", "content": "noon"},
    ]
    async with passing(answers, in_flight=flying) as (_, running, client):
        await client.post(CHAT, json=HELLO, headers=trace(B))
        await client.post(CHAT, json={"model": "gpt-4o", "messages": messages})
        first, second = await running.drained(LlmCall)
    assert first.tool_calls == ("weather", "time")
    assert (second.trace_id, second.attribution) == (B, Attribution.TOOL_CHAIN)
    (trip,) = running.of(ToolRoundTrip)
    assert (trip.trace_id, trip.tools) == (B, ("weather", "time"))
    assert (trip.start_ns, trip.end_ns) == (first.end_ns, second.start_ns)


async def test_tools_of_a_stream_are_known_before_its_end(flying):
    """An agent may begin as soon as it has read the calls: its next request comes first."""
    flying.begin(B, "Something else")
    done = asyncio.Event()
    events = [*p.CHAT_TOOL_EVENTS[:-1]]

    async def handler(request, writer):
        if request.json.get("stream"):
            writer.write(STREAM + chunk(p.sse(*events)))
            await writer.drain()
            await asyncio.wait_for(done.wait(), 5)
            writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))
        else:
            writer.write(whole_json(p.chat_answer()))

    result = {"role": "tool", "tool_call_id": "call_a", "content": "sunny"}
    body = {**HELLO, "stream": True}
    async with passing(handler, in_flight=flying) as (_, running, client):
        async with client.stream("POST", CHAT, json=body, headers=trace(B)) as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            await client.post(CHAT, json={"messages": [*HELLO["messages"], result]})
            done.set()
            async for _piece in pieces:
                pass
        calls = await running.drained(LlmCall)
    assert {(call.trace_id, call.attribution) for call in calls} == {
        (B, Attribution.TRACE),
        (B, Attribution.TOOL_CHAIN),
    }
    (trip,) = running.of(ToolRoundTrip)
    assert trip.tools == ("get_weather", "get_time")


async def several(texts, client):
    async def ask(text):
        await client.post(CHAT, json={"messages": [{"role": "user", "content": text}]})

    await asyncio.gather(*map(ask, texts))


async def test_12_interactions_at_once_are_told_by_their_texts():
    flying = InFlight()
    texts = {f"{number:032x}": f"Where is my order no. {number}?" for number in range(10, 22)}
    for trace_id, text in texts.items():
        flying.begin(trace_id, text)

    async def handler(request, writer):
        await asyncio.sleep(0.02)
        answer = p.chat_answer(request.json["messages"][0]["content"])
        writer.write(whole_json({**answer, "model": answer["choices"][0]["message"]["content"]}))

    async with passing(handler, in_flight=flying) as (_, running, client):
        await several(texts.values(), client)
        calls = await running.drained(LlmCall)
    assert {call.trace_id: call.model for call in calls} == texts  # the answer names its question
    assert {call.attribution for call in calls} == {Attribution.USER_TEXT}


async def test_12_interactions_with_one_text_are_ambiguous():
    flying = InFlight()
    for number in range(1, 13):
        flying.begin(f"{number:032x}", "Where is my order?")
    async with passing(answering(whole_json(p.chat_answer())), in_flight=flying) as (_, running, c):
        await several(["Where is my order?"] * 12, c)
        assert kinds(running) == {"ambiguous": 12}
        calls = await running.drained(LlmCall)
    assert [call.trace_id for call in calls] == [NO_TRACE] * 12
    assert {call.attribution for call in calls} == {Attribution.AMBIGUOUS}


async def test_a_mistake_of_ours_does_not_harm_the_traffic(flying, monkeypatch):
    def broken(*_):
        raise RuntimeError("sk-canary")

    monkeypatch.setattr("profiler.observers.gateway.apis.chat.Chat.read_answer", broken)
    async with passing(answering(whole_json(p.chat_answer())), in_flight=flying) as (_, running, c):
        got = await c.post(CHAT, json=HELLO, headers=trace())
        assert got.status_code == 200
        (note,) = running.gateway.notes()
    assert note.kind == "internal_error"
    assert "sk-canary" not in note.detail


# Without interactions: an agent under real traffic


async def test_without_interactions_any_trace_is_good_and_none_is_no_limitation():
    records: list = []
    async with (
        running_upstream(answering(*[whole_json(p.chat_answer())] * 2)) as upstream,
        running_gateway(
            upstream=upstream.url,
            record=lambda *some: records.extend(some),
            in_flight=None,
            counter=COUNTER,
            port=0,
        ) as gateway,
        httpx.AsyncClient(base_url=gateway.url) as client,
    ):
        await client.post("/v1/chat/completions", json=HELLO, headers=trace(A))
        await client.post("/v1/chat/completions", json=HELLO)
        await client.get("/v1/models")
        assert gateway.under_way == 0
        gateway.record_notes()
        gateway.record_notes()
        (note,) = [one for one in records if isinstance(one, ObserverNote)]
        assert (note.kind, note.count) == (Kind.OTHER_PATH, 1)
    calls = [one for one in records if isinstance(one, LlmCall)]
    assert [call.trace_id for call in calls] == [A, NO_TRACE]
    assert [one for one in records if isinstance(one, ObserverNote)] == [note]
