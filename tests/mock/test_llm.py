"""The mock LLM on a real socket."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest

from profiler.measure.tokens import TokenCounter
from profiler.mock.options import LlmOptions
from profiler.mock.serve import running_llm

HI = [{"role": "user", "content": "hi"}]
CALL = {
    "id": "call_a",
    "type": "function",
    "function": {"name": "find", "arguments": '{"q": "flights to Rome"}'},
}
RECORDED = [
    {
        "id": "one",
        "messages": [
            *HI,
            {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_a", "content": "none"},
            {"role": "assistant", "content": "There are none."},
        ],
    },
    {
        "id": "no-id",
        "messages": [
            {"role": "user", "content": "no id"},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
        ],
    },
]


@asynccontextmanager
async def serving(write_lines, conversations=RECORDED, truth=None, **options):
    options.setdefault("speed", math.inf)
    paths = [write_lines(conversations)] if conversations else []
    async with (
        running_llm(conversations=paths, llm=LlmOptions(**options), truth=truth) as urls,
        httpx.AsyncClient(base_url=urls.llm, verify=False, timeout=30) as client,
    ):
        yield client


def body(messages=HI, **more):
    return {"model": "gpt-4o", "messages": messages, **more}


async def test_a_plain_answer_has_openais_shape(write_lines):
    async with serving(write_lines) as client:
        response = await client.post("/chat/completions", json=body())
    answer = response.json()
    counter = TokenCounter("o200k_base")
    prompt = counter.count_chat(HI)
    texts = ("Let me see.", "find", '{"q": "flights to Rome"}')
    completion = sum(counter.count_text(text) for text in texts)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-4o"
    assert answer["id"].startswith("chatcmpl-")
    assert isinstance(answer["created"], int)
    assert answer["system_fingerprint"]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    message = answer["choices"][0]["message"]
    assert message["content"] == "Let me see."
    assert message["tool_calls"] == [CALL]
    assert answer["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert response.headers["x-request-id"]
    assert "x-ratelimit-limit-requests" not in response.headers


async def test_a_stream_sends_role_content_call_finish_and_usage_in_this_order(
    write_lines, events_of
):
    request = body(stream=True, stream_options={"include_usage": True})
    async with serving(write_lines) as client:
        plain = (await client.post("/chat/completions", json=body())).json()
        response = await client.post("/chat/completions", json=request)
        without = await client.post("/chat/completions", json=body(stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events_of(response.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(d.get("content", "") for d in deltas) == "Let me see."
    calls = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
    assert calls[0] == {
        "index": 0,
        "id": "call_a",
        "type": "function",
        "function": {"name": "find", "arguments": ""},
    }
    fragments = [c["function"]["arguments"] for c in calls[1:]]
    assert "".join(fragments) == CALL["function"]["arguments"]
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
    assert finishes == [None] * (len(chunks) - 2) + ["tool_calls"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == plain["usage"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in events_of(without.text))


async def test_a_stream_takes_as_long_as_its_tokens(write_lines, events_of):
    options = {"ttft_median_s": 0.02, "ttft_p95_s": 0.02, "gap_s": 0.002, "speed": 1}
    request = body(stream=True, stream_options={"include_usage": True})
    async with serving(write_lines, **options) as client:
        response = await client.post("/chat/completions", json=request)
        plain = await client.post("/chat/completions", json=body())
    tokens = events_of(response.text)[-1]["usage"]["completion_tokens"]
    least_s = 0.02 + (tokens - 1) * 0.001  # gaps are the mean, give or take a half
    assert response.elapsed.total_seconds() >= least_s
    assert plain.elapsed.total_seconds() >= least_s
    assert len(events_of(response.text)) > 3


async def test_a_recorded_call_without_an_id_gets_one(write_lines):
    async with serving(write_lines) as client:
        answer = await client.post(
            "/chat/completions", json=body([{"role": "user", "content": "no id"}])
        )
    call = answer.json()["choices"][0]["message"]["tool_calls"][0]
    assert call["id"].startswith("call_")
    assert call["function"] == {"name": "f", "arguments": "{}"}


async def test_a_chat_that_left_its_recording_gets_a_text_and_never_a_tool_call(write_lines):
    left = [*HI, {"role": "assistant", "content": "Something else."}]
    tools = [{"type": "function", "function": {"name": "find"}}]
    async with serving(write_lines, tool_call_probability=1) as client:
        answer = await client.post("/chat/completions", json=body(left, tools=tools))
        stranger = await client.post(
            "/chat/completions", json=body([{"role": "user", "content": "?"}], tools=tools)
        )
    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    assert stranger.json()["choices"][0]["finish_reason"] == "tool_calls"


async def test_the_previous_prompt_counts_as_cached_in_steps_of_128(write_lines):
    counter = TokenCounter("o200k_base")
    long = [{"role": "user", "content": "one two three " * 600}]
    followed = [*long, {"role": "assistant", "content": "yes"}, *HI]
    async with serving(write_lines, conversations=[]) as client:
        first = await client.post("/chat/completions", json=body(long))
        second = await client.post("/chat/completions", json=body(followed))
        short = [*HI, {"role": "assistant", "content": "yes"}, *HI]
        third = await client.post("/chat/completions", json=body(short))
    async with serving(write_lines, conversations=[], prompt_cache=False) as client:
        fourth = await client.post("/chat/completions", json=body(followed))
    cached = [
        response.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
        for response in (first, second, third, fourth)
    ]
    assert cached == [0, counter.count_chat(long) // 128 * 128, 0, 0]
    assert cached[1] >= 1024


async def test_rate_limits_answer_429_with_openais_error_and_headers(
    write_lines, tmp_path, read_lines
):
    truth = tmp_path / "truth.jsonl"
    async with serving(write_lines, truth=truth, rpm=1, tpm=100_000) as client:
        passed = await client.post("/chat/completions", json=body())
        refused = await client.post("/chat/completions", json=body())
    assert passed.status_code == 200
    assert passed.headers["x-ratelimit-limit-requests"] == "1"
    assert passed.headers["x-ratelimit-remaining-requests"] == "0"
    assert passed.headers["x-ratelimit-limit-tokens"] == "100000"
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-reset-requests"]
    error = refused.json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["type"] == "requests"
    lines = read_lines(truth)
    assert [(line["status"], line["tool_calls"]) for line in lines] == [(200, ["find"]), (429, [])]
    assert lines[1]["conversation"] == "one"
    assert lines[1]["completion_tokens"] == 0


async def test_a_refused_answer_is_still_there_for_the_next(write_lines):
    twins = [
        {"id": text, "messages": [*HI, {"role": "assistant", "content": text}]} for text in "abc"
    ]
    async with serving(write_lines, conversations=twins, tpm=6000, limit_window_s=0.16) as client:
        replies = []
        while len(replies) < 3:  # 16 tokens of burst: two requests never pass together
            response = await client.post("/chat/completions", json=body())
            if response.status_code == 200:
                replies.append(response.json()["choices"][0]["message"]["content"])
    assert sorted(replies) == ["a", "b", "c"]


async def test_bad_requests_get_openais_error_and_are_logged(write_lines, tmp_path, read_lines):
    truth = tmp_path / "truth.jsonl"
    too_large = b"x" * (32 * 2**20 + 1)
    bad = {b"{broken": 400, b"[]": 400, b"{}": 400, b"": 400, too_large: 413}
    async with serving(write_lines, truth=truth) as client:
        for content, status in bad.items():
            response = await client.post("/chat/completions", content=content)
            assert response.status_code == status
            assert response.json()["error"]["type"] == "invalid_request_error"
    assert [line["status"] for line in read_lines(truth)] == list(bad.values())


async def test_a_body_without_a_length_is_limited_too(write_lines):
    async def chunks():
        for _ in range(33):
            yield b"x" * 2**20

    async with serving(write_lines) as client:
        response = await client.post("/chat/completions", content=chunks())
    assert response.status_code == 413


async def test_the_other_paths(write_lines):
    async with serving(write_lines) as client:
        models = (await client.get("/models")).json()
        healthy = await client.get(str(client.base_url).replace("/v1/", "/healthz"))
        missing = await client.get("/nothing")
        method = await client.get("/chat/completions")
    assert "gpt-4o" in [model["id"] for model in models["data"]]
    assert healthy.json() == {"status": "ok"}
    assert missing.status_code == 404
    assert "Invalid URL (GET /v1/nothing)" in missing.json()["error"]["message"]
    assert method.status_code == 405


async def test_the_same_requests_take_the_same_times_in_any_order(write_lines):
    from profiler.mock.chat import Counters
    from profiler.mock.llm import LlmServer
    from profiler.mock.matcher import Matcher
    from profiler.mock.recordings import RecordingIndex

    def times(order):
        index = RecordingIndex([], default_system="")
        server = LlmServer(LlmOptions(), matcher=Matcher(index), counters=Counters())
        return sorted(server.times(d, server.occurrences.next(d), 5).due_s for d in order)

    assert times("aabc") == times("cbaa")
    assert len(set(times("aaaa"))) == 4


@pytest.mark.parametrize("length", [0, 1, 352])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_baggage_says_how_long_an_answer_is(write_lines, length, stream):
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    asked = body([{"role": "user", "content": "something that nobody recorded"}], **more)
    async with serving(write_lines) as client:
        headers = {"baggage": f"x=1,agent_profiler.output_tokens={length}"}
        response = await client.post("/chat/completions", json=asked, headers=headers)
    assert response.status_code == 200
    assert f'"completion_tokens":{length},' in response.text


@pytest.mark.parametrize("length", ["", "x", "-1", "²", "9" * 5000])
async def test_a_length_that_is_none_is_not_followed(write_lines, length):
    async with serving(write_lines, conversations=None) as client:
        headers = {"baggage": f"agent_profiler.output_tokens={quote(length)}"}
        response = await client.post("/chat/completions", json=body(), headers=headers)
        plain = await client.post("/chat/completions", json=body())
    assert response.json()["choices"] == plain.json()["choices"]


async def test_a_recorded_answer_goes_before_a_length(write_lines):
    async with serving(write_lines) as client:
        headers = {"baggage": "agent_profiler.output_tokens=5"}
        response = await client.post("/chat/completions", json=body(), headers=headers)
    assert response.json()["choices"][0]["message"]["content"] == "Let me see."
