"""The mock agent on real sockets, with the mock LLM or a broken one behind it."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest

from profiler.clock import monotonic_ns
from profiler.measure.tokens import TokenCounter
from profiler.mock.options import AgentOptions, LlmOptions
from profiler.mock.serve import running_mocks
from profiler.serving import listening

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
ONE_CALL = {
    "id": "one",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c", "function": {"name": "find", "arguments": "{}"}},
                {"id": "d", "function": {"name": "book", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "name": "find", "content": "found"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "bye"},
        {"role": "assistant", "content": "Goodbye."},
    ],
}


@asynccontextmanager
async def serving(write_lines, *, agent=None, llm=None, conversations=(ONE_CALL,), **more):
    agent = AgentOptions(**{"speed": math.inf, **(agent or {})})
    llm = LlmOptions(**{"speed": math.inf, **(llm or {})})
    paths = [write_lines(list(conversations))] if conversations else []
    async with (
        running_mocks(conversations=paths, agent=agent, llm=llm, **more) as urls,
        httpx.AsyncClient(base_url=urls.agent, verify=False, timeout=30) as client,
    ):
        yield client


def chat(*texts, **more):
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"model": "my-agent", "messages": messages, **more}


def reply(response):
    return response.json()["choices"][0]["message"]["content"]


PATH = "/v1/chat/completions"


async def test_one_interaction_is_a_loop_of_calls_tools_and_checkpoints(write_lines):
    async with serving(write_lines) as client:
        response = await client.post(PATH, json=chat("hi"), headers={"x-session-id": "s"})
    answer = response.json()
    trace = answer["trace"]
    assert reply(response) == "Hello."
    assert answer["model"] == "my-agent"
    assert response.headers["x-session-id"] == "s"
    first, second = trace["llm_calls"]
    assert trace["version"] == 1
    assert first["tool_calls"] == ["find", "book"]
    assert second["tool_calls"] == []
    assert [call["name"] for call in trace["tool_calls"]] == ["find", "book"]
    assert {call["outcome"] for call in trace["tool_calls"]} == {"ok"}
    assert all(
        first["end_s"] <= call["start_s"] <= call["end_s"] <= second["start_s"]
        for call in trace["tool_calls"]
    )
    assert trace["state_ops"] == [
        {"store": "memory", "kind": "read", "count": 1},
        {"store": "memory", "kind": "write", "count": 2},
    ]
    assert "rate_limit" not in first
    counter = TokenCounter("o200k_base")
    parts = first["input_tokens_by_part"]
    assert parts["system"] == counter.count_message(ONE_CALL["messages"][0])
    assert parts["user"] == counter.count_message(ONE_CALL["messages"][1])
    assert parts["tool_schemas"] > 0
    assert sum(parts.values()) == first["usage"]["input_tokens"]
    assert second["input_tokens_by_part"]["tool_results"] > 0
    assert answer["usage"]["prompt_tokens"] == sum(
        call["usage"]["input_tokens"] for call in (first, second)
    )


async def test_the_stream_carries_usage_and_trace_in_its_last_chunk(write_lines, events_of):
    headers = {"x-session-id": "s"}
    async with serving(write_lines) as client:
        response = await client.post(PATH, json=chat("hi", stream=True), headers=headers)
    chunks = events_of(response.text)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"] == []
    assert len(chunks[-1]["trace"]["llm_calls"]) == 2
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    text = "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )
    assert text == "Hello."


async def test_the_store_is_the_truth_for_a_known_session(write_lines):
    headers = {"x-session-id": "s"}
    async with serving(write_lines) as client:
        await client.post(PATH, json=chat("hi"), headers=headers)
        # What the client claims to have seen is wrong; the recording is followed nevertheless.
        second = await client.post(PATH, json=chat("no", "never", "bye"), headers=headers)
    assert reply(second) == "Goodbye."
    parts = second.json()["trace"]["llm_calls"][0]["input_tokens_by_part"]
    assert parts["history"] > TokenCounter("o200k_base").count_text("no never")


@pytest.mark.parametrize("headers", [{}, {"x-session-id": "unknown"}])
async def test_an_unknown_session_is_rebuilt_from_what_the_client_saw(write_lines, headers):
    async with serving(write_lines) as client:
        body = chat("hi", "Hello.", "bye")
        body["messages"].insert(0, {"role": "system", "content": "The client's, left out."})
        response = await client.post(PATH, json=body, headers=headers)
    assert reply(response) == "Goodbye."
    assert response.headers["x-session-id"]
    reads = {op["kind"]: op["count"] for op in response.json()["trace"]["state_ops"]}
    assert reads == {"read": 1 if headers else 0, "write": 1}


async def test_plain_chat_hands_out_a_session_id_and_goes_on_with_it(write_lines):
    async with serving(write_lines) as client:
        first = (await client.post("/chat", json={"message": "hi"})).json()
        again = {"session_id": first["session_id"], "message": "bye"}
        second = (await client.post("/chat", json=again)).json()
    assert first["reply"] == "Hello."
    assert second["reply"] == "Goodbye."
    assert second["session_id"] == first["session_id"]
    assert set(first["usage"]) == {
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "reasoning_tokens",
    }
    assert len(first["trace"]["llm_calls"]) == 2


@pytest.mark.parametrize("path", [PATH, "/chat"])
async def test_an_error_inside_a_200_can_be_asked_for(write_lines, path):
    async with serving(write_lines) as client:
        response = await client.post(path, json={}, headers={"x-mock-fault": "agent-error"})
    assert response.status_code == 200
    assert response.json()["error"]["message"]
    assert response.json()["trace"]["llm_calls"] == []


BAD_REQUESTS = [
    (PATH, {}),
    (PATH, {"messages": ["hi"]}),
    (PATH, {"messages": [{"role": "assistant", "content": "hi"}]}),
    ("/chat", {}),
    ("/chat", {"message": "hi", "session_id": 7}),
]


async def test_bad_requests_are_400_and_logged(write_lines, tmp_path, read_lines):
    truth = tmp_path / "truth.jsonl"
    async with serving(write_lines, truth=truth) as client:
        for path, body in BAD_REQUESTS:
            response = await client.post(path, json=body)
            assert response.status_code == 400
            assert response.json()["error"]["message"]
    lines = read_lines(truth)
    assert len(lines) == len(BAD_REQUESTS)
    for line in lines:
        assert (line["status"], line["llm_calls"], line["state_reads"]) == (400, 0, 0)


async def test_scripted_chats_use_the_scripted_tools(write_lines):
    always = {"tool_call_probability": 1}
    async with serving(write_lines, llm=always, conversations=()) as client:
        response = await client.post(PATH, json=chat("Where is my order A-17?"))
    trace = response.json()["trace"]
    assert len(trace["llm_calls"]) == 3  # at most two rounds of tools a turn
    names = {call["name"] for call in trace["tool_calls"]}
    assert names <= {"lookup_order", "search_kb", "create_ticket"}
    assert "order A-17" in reply(response)
    assert trace["llm_calls"][0]["input_tokens_by_part"]["tool_schemas"] > 0


async def test_an_llm_that_does_not_stream_gives_the_same_without_a_first_token(write_lines):
    async with serving(write_lines, agent={"llm_stream": False}) as client:
        response = await client.post(PATH, json=chat("hi"))
    assert reply(response) == "Hello."
    assert [c["first_token_s"] for c in response.json()["trace"]["llm_calls"]] == [None, None]


async def test_a_rate_limit_is_passed_on_with_the_trace(write_lines, tmp_path, read_lines):
    truth = tmp_path / "truth.jsonl"
    async with serving(write_lines, llm={"rpm": 1}, truth=truth) as client:
        headers = {"x-session-id": "s", "traceparent": TRACEPARENT}
        response = await client.post(PATH, json=chat("hi"), headers=headers)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    body = response.json()
    assert body["error"]["code"] == "rate_limit_exceeded"
    passed, refused = body["trace"]["llm_calls"]
    assert (passed["outcome"], refused["outcome"]) == ("ok", "http_429")
    assert "usage" not in refused
    assert passed["rate_limit"]["limit_requests"] == 1
    assert passed["rate_limit"]["remaining_requests"] == 0
    assert 0 < passed["rate_limit"]["reset_requests_s"] <= 60
    assert 0 < refused["rate_limit"]["retry_after_s"] <= 60
    assert body["trace"]["state_ops"][1]["count"] == 1
    lines = read_lines(truth)
    assert {line["trace_id"] for line in lines} == {"a" * 32}
    assert [line["status"] for line in lines] == [200, 429, 429]
    assert lines[-1]["llm_calls"] == 2
    assert lines[-1]["tool_calls"] == {"find": 1, "book": 1}


async def test_retries_wait_as_long_as_the_llm_asks(write_lines):
    asked_ns: list[int] = []

    async def busy(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        asked_ns.append(monotonic_ns())
        is_first = len(asked_ns) == 1
        headers = [(b"content-type", b"application/json")]
        if is_first:  # unasked it would be half a second
            headers.append((b"retry-after-ms", b"600"))
        body = b"{}" if is_first else b'{"choices":[{"message":{"content":"x"}}]}'
        status = 429 if is_first else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async with (
        listening(busy, "127.0.0.1", 0) as llm,
        serving(write_lines, llm_url=f"{llm}/v1", agent={"llm_retries": 1}) as client,
    ):
        response = await client.post(PATH, json=chat("hi"))
    assert response.status_code == 200
    (call,) = response.json()["trace"]["llm_calls"]
    assert call["attempts"] == 2
    assert asked_ns[1] - asked_ns[0] >= 600_000_000


class Broken:
    """An LLM that answers each request with the next of some prepared responses."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = []
        self.bodies = []

    async def __call__(self, scope, receive, send):
        self.requests.append({k.decode(): v.decode() for k, v in scope["headers"]})
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(orjson.loads(body))
        status, content_type, chunks, whole = self.responses.pop(0)
        headers = [(b"content-type", content_type.encode())]
        if not whole:  # more is promised than is sent
            headers.append((b"content-length", b"100000"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if whole:
            await send({"type": "http.response.body", "body": b""})
        else:
            raise ConnectionAbortedError


def event(**chunk):
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def said(text):
    return event(choices=[{"index": 0, "delta": {"content": text}}])


def stream(*chunks, whole=True):
    return (200, "text/event-stream", chunks, whole)


def plain(content, status=200):
    return (status, "application/json", [content], True)


DONE = b"data: [DONE]\n\n"


FAILURES = [
    (plain(b'{"error": {"message": "down"}}', 500), "http_5xx"),
    (plain(b"<html>", 503), "http_5xx"),
    (plain(b'{"error": {"message": "bad"}}', 400), "http_4xx"),
    (plain(b"", 302), "protocol_error"),
    (plain(b"no json"), "protocol_error"),
    (plain(b'{"choices": []}'), "protocol_error"),
    (stream(b"data: no json\n\n", DONE), "protocol_error"),
    (stream(event(choices=[{"delta": 7}]), DONE), "protocol_error"),
    (stream(event(error={"message": "overloaded"}), DONE), "protocol_error"),
    (stream(event(choices=[])), "protocol_error"),
]


async def test_an_llm_that_fails_makes_the_agent_answer_502_with_the_trace(write_lines):
    async with (
        listening(Broken(*(response for response, _ in FAILURES)), "127.0.0.1", 0) as llm,
        serving(write_lines, llm_url=f"{llm}/v1") as client,
    ):
        for _, outcome in FAILURES:
            answer = await client.post(PATH, json=chat("hi", stream=True))
            assert answer.status_code == 502
            assert answer.json()["error"]["code"] == f"llm_{outcome}"
            (call,) = answer.json()["trace"]["llm_calls"]
            assert call["outcome"] == outcome
            assert call["input_tokens_by_part"]["user"] > 0
            assert "usage" not in call


async def test_an_llm_that_nobody_runs_is_a_connect_error(write_lines):
    async with serving(write_lines, llm_url="http://127.0.0.1:9/v1") as client:
        answer = await client.post(PATH, json=chat("hi"))
        plainly = await client.post("/chat", json={"message": "hi", "session_id": "a\r\nb"})
    assert answer.status_code == plainly.status_code == 502
    assert answer.json()["trace"]["llm_calls"][0]["outcome"] == "connect_error"
    assert "x-session-id" not in plainly.headers


async def test_a_failure_after_the_first_words_is_in_the_last_chunk(write_lines, events_of):
    async with (
        listening(Broken(stream(said("Well, "))), "127.0.0.1", 0) as llm,
        serving(write_lines, llm_url=f"{llm}/v1") as client,
    ):
        answer = await client.post(PATH, json=chat("hi", stream=True))
    chunks = events_of(answer.text)
    assert answer.status_code == 200
    assert chunks[1]["choices"][0]["delta"]["content"] == "Well, "
    assert chunks[-1]["error"]["code"] == "llm_protocol_error"
    assert chunks[-1]["trace"]["llm_calls"][0]["outcome"] == "protocol_error"


async def test_failures_that_pass_are_retried_and_the_context_goes_along(write_lines):
    final = stream(said("Fine."), DONE)
    broken = Broken(plain(b"", 500), plain(b"", 502), final)
    async with (
        listening(broken, "127.0.0.1", 0) as llm,
        serving(write_lines, llm_url=f"{llm}/v1/", agent={"llm_retries": 2}) as client,
    ):
        headers = {"traceparent": TRACEPARENT, "baggage": "agent_profiler.conversation=one"}
        answer = await client.post(PATH, json=chat("hi"), headers=headers)
    assert reply(answer) == "Fine."
    (call,) = answer.json()["trace"]["llm_calls"]
    assert call["attempts"] == 3
    assert "usage" not in call  # it reported none
    assert answer.json()["usage"]["total_tokens"] == 0
    for request in broken.requests:
        assert request["baggage"] == "agent_profiler.conversation=one"
        assert request["traceparent"].split("-")[1] == "a" * 32
        assert request["traceparent"] != TRACEPARENT


async def test_a_turn_that_broke_off_is_forgotten_by_the_next(write_lines):
    asks = event(
        choices=[{"delta": {"tool_calls": [{"index": 0, "function": {"name": "search_kb"}}]}}]
    )
    broken = Broken(
        stream(said("Hello."), DONE),
        stream(asks, DONE),
        plain(b"", 500),
        stream(said("Goodbye."), DONE),
    )
    headers = {"x-session-id": "s"}
    async with (
        listening(broken, "127.0.0.1", 0) as llm,
        serving(write_lines, llm_url=f"{llm}/v1", conversations=()) as client,
    ):
        answers = [
            await client.post(PATH, json=chat(text), headers=headers)
            for text in ("hi", "bye", "bye")
        ]
    assert [answer.status_code for answer in answers] == [200, 502, 200]
    assert answers[1].json()["trace"]["tool_calls"][0]["name"] == "search_kb"
    contents = [message["content"] for message in broken.bodies[-1]["messages"][1:]]
    assert contents == ["hi", "Hello.", "bye"]


async def test_an_llm_without_an_end_is_stopped_after_the_most_rounds(write_lines):
    goes_on = stream(event(choices=[{"delta": {"content": "on"}, "finish_reason": "length"}]), DONE)
    async with (
        listening(Broken(*[goes_on] * 3), "127.0.0.1", 0) as llm,
        serving(
            write_lines, llm_url=f"{llm}/v1", agent={"max_rounds": 3}, conversations=()
        ) as client,
    ):
        answer = await client.post(PATH, json=chat("hi"))
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "too_many_rounds"
    assert len(answer.json()["trace"]["llm_calls"]) == 3


async def test_a_recorded_turn_longer_than_the_most_rounds_is_followed(write_lines, replay):
    think = {"role": "assistant", "tool_calls": [{"function": {"name": "think"}, "id": "c"}]}
    result = {"role": "tool", "content": "", "tool_call_id": "c"}
    done = {"role": "assistant", "content": "done"}
    long = {
        "id": "long",
        "messages": [{"role": "user", "content": "hi"}, *[think, result] * 30, done],
    }
    async with serving(write_lines, conversations=[long]) as client:
        sessions = await replay(str(client.base_url.join(PATH)), [long])
    assert sessions.llm_calls("long") == 31
    assert sessions.replies("long") == ["done"]


async def test_an_empty_answer_is_an_answer(write_lines, events_of):
    silent = {
        "id": "silent",
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}],
    }
    async with serving(write_lines, conversations=[silent]) as client:
        plainly = await client.post(PATH, json=chat("hi"))
        streamed = await client.post(PATH, json=chat("hi", stream=True))
    assert reply(plainly) == ""
    assert events_of(streamed.text)[-1]["trace"]["llm_calls"]


async def test_rate_limit_headers_in_other_spellings_are_read_or_left_out(write_lines):
    async def odd(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        headers = [
            (b"content-type", b"application/json"),
            (b"retry-after", odd.after),
            (b"x-ratelimit-limit-tokens", b"many"),
            (b"x-ratelimit-reset-tokens", b"6m0s"),
        ]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    for after, expected in (
        (b"7", {"reset_tokens_s": 360.0, "retry_after_s": 7.0}),
        (b"Wed, 21 Oct 2026 07:28:00 GMT", {"reset_tokens_s": 360.0}),
    ):
        odd.after = after
        async with (
            listening(odd, "127.0.0.1", 0) as llm,
            serving(write_lines, llm_url=f"{llm}/v1") as client,
        ):
            answer = await client.post(PATH, json=chat("hi"))
        assert answer.json()["trace"]["llm_calls"][0]["rate_limit"] == expected


async def test_an_llm_that_is_too_slow_is_a_timeout(write_lines):
    slow = {"ttft_median_s": 30, "ttft_p95_s": 30, "speed": 1}
    async with serving(write_lines, agent={"llm_timeout_s": 0.5}, llm=slow) as client:
        answer = await client.post(PATH, json=chat("hi"))
    assert answer.status_code == 502
    assert answer.json()["trace"]["llm_calls"][0]["outcome"] == "timeout"
