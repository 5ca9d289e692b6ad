"""What the gateway reads out of the providers' bodies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.measure.records import TokenParts, Usage
from profiler.measure.tokens import TokenCounter
from profiler.observers.gateway.apis import api_for
from profiler.observers.gateway.apis.anthropic import Anthropic
from profiler.observers.gateway.apis.chat import Chat
from profiler.observers.gateway.apis.embeddings import Embeddings
from profiler.observers.gateway.apis.responses import Responses
from profiler.observers.gateway.apis.values import AnswerFault, ToolAsked
from profiler.observers.gateway.counting import counts_of
from tests.observers.gateway import payloads as p

APIS = (Chat(), Responses(), Anthropic(), Embeddings())


def read_stream(api, data, *, step=None):
    """Feed a stream in pieces of `step` bytes, the nth at time n."""
    reader = api.stream()
    step = step or len(data)
    for number, start in enumerate(range(0, len(data), step)):
        reader.feed(data[start : start + step], number)
    return reader.finish()


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/chat/completions", "chat_completions"),
        ("POST", "/openai/deployments/x/chat/completions", "chat_completions"),
        ("POST", "/v1/responses", "responses"),
        ("POST", "/v1/messages", "anthropic_messages"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("GET", "/v1/chat/completions", None),
        ("POST", "/v1/responses/resp_1/cancel", None),
        ("POST", "/v1/threads/thread_1/messages", None),
        ("POST", "/v1/messages/count_tokens", None),
        ("POST", "/v1/messages/batches", None),
        ("GET", "/v1/models", None),
    ],
)
def test_the_path_tells_the_api(method, path, name):
    api = api_for(method, path)
    assert (None if api is None else api.name) == name


# Usage: the whole input with its cached part, by each provider's semantics


def test_openais_cached_and_reasoning_tokens_are_inside():
    usage = Chat().read_answer(json.dumps(p.chat_answer()).encode()).usage
    assert usage == Usage(
        input_tokens=2006, output_tokens=300, cached_input_tokens=1920, reasoning_tokens=256
    )
    usage = Responses().read_answer(json.dumps(p.response(p.MESSAGE_ITEM)).encode()).usage
    assert usage == Usage(
        input_tokens=328,
        output_tokens=52,
        cached_input_tokens=128,
        cache_write_tokens=0,
        reasoning_tokens=20,
    )


def test_anthropics_cached_tokens_are_added():
    usage = Anthropic().read_answer(json.dumps(p.anthropic_answer()).encode()).usage
    assert usage == Usage(
        input_tokens=1 + 287 + 30433,
        output_tokens=67,
        cached_input_tokens=30433,
        cache_write_tokens=287,
    )


def test_anthropics_thinking_tokens_are_within_the_output():
    answer = p.anthropic_answer()
    answer["usage"] = {
        "input_tokens": 10,
        "output_tokens": 500,
        "output_tokens_details": {"thinking_tokens": 420},
    }
    usage = Anthropic().read_answer(json.dumps(answer).encode()).usage
    assert usage == Usage(input_tokens=10, output_tokens=500, reasoning_tokens=420)


def test_embeddings_have_input_only_and_long_ones_are_read_at_their_ends():
    short = Embeddings().read_answer(json.dumps(p.EMBEDDINGS_ANSWER).encode())
    long = dict(p.EMBEDDINGS_ANSWER, data=[{"embedding": [0.25] * 100_000, "index": 0}])
    whole = Embeddings().read_answer(json.dumps(long).encode())
    for answer in (short, whole):
        assert answer.usage == Usage(input_tokens=8)
        assert answer.model == "text-embedding-ada-002"


# Streams


@pytest.mark.parametrize("step", [1, 7, 100, None])
def test_a_chat_stream_tells_tools_usage_and_texts(step):
    answer = read_stream(Chat(), p.sse(*p.CHAT_TOOL_EVENTS, done=True), step=step)
    assert answer.asked == (
        ToolAsked(id="call_a", name="get_weather"),
        ToolAsked(id="call_b", name="get_time"),
    )
    assert answer.texts == ("get_weather", '{"city":"Paris"}', "get_time", "{}")
    assert answer.usage is not None
    assert answer.usage.input_tokens == 2006
    assert answer.model == "gpt-4o-mini"
    assert answer.fault is None


@pytest.mark.parametrize("step", [1, 7, 100, None])
def test_a_responses_stream_tells_tools_usage_and_texts(step):
    answer = read_stream(Responses(), p.sse(*p.RESPONSES_EVENTS, named=True), step=step)
    assert answer.asked == (
        ToolAsked(id="call_unLAR8MvFNptuiZK6K6HCy5k", name="get_current_weather"),
    )
    assert answer.texts == (
        "In a peaceful grove",
        "get_current_weather",
        '{"location":"Boston, MA"}',
    )
    assert answer.usage is not None
    assert answer.usage.output_tokens == 52
    assert answer.fault is None


@pytest.mark.parametrize("step", [1, 7, 100, None])
def test_an_anthropic_stream_takes_the_last_cumulative_usage(step):
    answer = read_stream(Anthropic(), p.sse(*p.ANTHROPIC_EVENTS, named=True), step=step)
    assert answer.usage == Usage(
        input_tokens=30721, output_tokens=67, cached_input_tokens=30433, cache_write_tokens=287
    )
    assert answer.asked == (ToolAsked(id="toolu_01T1x1fJ34qAmk2tNTrN7Up6", name="get_weather"),)
    assert answer.texts == (
        "Okay, let me check",
        "get_weather",
        '{"location": "San Francisco, CA"}',
    )
    assert answer.fault is None


@pytest.mark.parametrize(
    ("api", "events", "first", "last"),
    [
        (Chat(), p.chat_events(with_usage=True), 1, 2),
        (Responses(), p.RESPONSES_EVENTS, 4, 11),
        (Anthropic(), p.ANTHROPIC_EVENTS, 3, 9),
    ],
)
def test_the_first_token_is_the_first_output_not_the_first_event(api, events, first, last):
    reader = api.stream()
    for number, event in enumerate(events):
        reader.feed(p.sse(event), number)
    answer = reader.finish()
    assert (answer.first_token_ns, answer.last_token_ns) == (first, last)


@pytest.mark.parametrize(
    ("api", "events"),
    [
        (Chat(), p.chat_events(with_usage=False)[:3]),
        (Responses(), p.RESPONSES_EVENTS[:-1]),
        (Anthropic(), p.ANTHROPIC_EVENTS[:-1]),
    ],
)
def test_a_stream_without_its_end_is_cut_and_what_came_is_known(api, events):
    answer = read_stream(api, p.sse(*events))
    assert answer.fault is AnswerFault.CUT
    assert answer.texts != ()


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize(
    ("api", "events"),
    [
        (Chat(), [{"error": {"message": "The server had an error", "type": "server_error"}}]),
        (Responses(), [{"type": "error", "code": "x", "message": "m", "sequence_number": 1}]),
        (Responses(), [{"type": "response.failed", "response": p.response(status="failed")}]),
        (Anthropic(), [p.ANTHROPIC_EVENTS[0], OVERLOADED]),
    ],
)
def test_an_error_within_a_stream_is_one(api, events):
    assert read_stream(api, p.sse(*events)).fault is AnswerFault.ERROR


def test_a_response_that_ended_early_by_its_limit_is_complete():
    end = {"type": "response.incomplete", "response": p.response(status="incomplete")}
    answer = read_stream(Responses(), p.sse(*p.RESPONSES_EVENTS[:-1], end))
    assert answer.fault is None
    assert answer.usage is not None
    assert answer.usage.input_tokens == 328


def test_a_stream_with_a_finish_reason_needs_no_done():
    answer = read_stream(Chat(), p.sse(*p.chat_events(with_usage=False)))
    assert answer.fault is None


# Requests

USER = {"role": "user", "content": "What is the weather in Paris?"}


def test_a_chat_request_brings_the_results_of_its_last_round():
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "an earlier question"},
            {"role": "assistant", "tool_calls": [p.tool_call("call_0", "old")]},
            {"role": "tool", "tool_call_id": "call_0", "content": "old"},
            {"role": "assistant", "content": "an earlier answer"},
            USER,
            {"role": "assistant", "tool_calls": [p.tool_call("call_a", "a")]},
            {"role": "tool", "tool_call_id": "call_a", "content": "1"},
            {"role": "tool", "tool_call_id": "call_b", "content": "2"},
        ],
    }
    request = Chat().read_request(body)
    assert (request.model, request.is_stream) == ("gpt-4o", True)
    assert request.user == "What is the weather in Paris?"
    assert request.brings == ("call_a", "call_b")
    assert request.ends_in_results
    body["messages"] = body["messages"][:6]
    request = Chat().read_request(body)
    assert request.brings == ()
    assert not request.ends_in_results


def test_results_that_a_users_message_follows_at_once_are_new_and_not_the_end():
    body = {
        "messages": [
            USER,
            {"role": "assistant", "tool_calls": [p.tool_call("call_a", "a")]},
            {"role": "tool", "tool_call_id": "call_a", "content": "1"},
            {"role": "user", "content": "Forget it."},
        ]
    }
    request = Chat().read_request(body)
    assert (request.user, request.brings) == ("Forget it.", ("call_a",))
    assert not request.ends_in_results


def test_a_responses_request_brings_results_with_its_history_or_without():
    call = {"type": "function_call", "call_id": "call_a", "name": "a", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_a", "output": "1"}
    request = Responses().read_request({"model": "m", "input": [USER, call, result]})
    assert (request.user, request.brings) == (USER["content"], ("call_a",))
    request = Responses().read_request({"input": [result], "previous_response_id": "resp_1"})
    assert (request.user, request.brings) == (None, ("call_a",))
    request = Responses().read_request({"input": "Hello"})
    assert request.user == "Hello"


def test_anthropics_tool_results_are_no_users_message():
    body = {
        "model": "claude-sonnet-4-5",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
            {"role": "assistant", "content": [p.TOOL_USE]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": p.TOOL_USE["id"], "content": "15"},
                    {"type": "text", "text": "A reminder by the framework."},
                ],
            },
        ],
    }
    request = Anthropic().read_request(body)
    assert request.user == "What is it?"
    assert request.brings == ("toolu_01T1x1fJ34qAmk2tNTrN7Up6",)
    assert request.ends_in_results


def counts(counter, api, body, answer):
    return counts_of(counter, api, body, answer)


# Counting: 3 tokens a message (the cookbook's rule), 1 for each short word here


@pytest.fixture(scope="module")
def counter():
    return TokenCounter("o200k_base")


def test_the_same_conversation_counts_the_same_in_every_api(counter):
    """By hand: a message is 3 + 1 for its role + the text; "Hello", "get" and "{}" are 1 each."""
    chat = {
        "messages": [
            {"role": "system", "content": "Hello"},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None, "tool_calls": [p.tool_call("c", "get")]},
            {"role": "tool", "tool_call_id": "c", "content": "Hello"},
        ]
    }
    responses = {
        "instructions": "Hello",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "c", "name": "get", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "Hello"},
        ],
    }
    anthropic = {
        "system": [{"type": "text", "text": "Hello"}],
        "messages": [
            {"role": "user", "content": "Hello"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c", "name": "get", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "content": "Hello"}],
            },
        ],
    }
    expected = TokenParts(system=5, tool_schemas=0, history=6, user=5, tool_results=5, overhead=3)
    for api, body in ((Chat(), chat), (Responses(), responses), (Anthropic(), anthropic)):
        assert counts(counter, api, body, None).tokens == expected, api.name


def test_tool_schemas_count_the_same_in_every_api(counter):
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "Where"}}}
    bare = {"name": "get_weather", "description": "Weather."}
    chat = {"tools": [{"type": "function", "function": {**bare, "parameters": schema}}]}
    responses = {"tools": [{"type": "function", **bare, "parameters": schema}]}
    anthropic = {"tools": [{**bare, "input_schema": schema}]}
    pairs = ((Chat(), chat), (Responses(), responses), (Anthropic(), anthropic))
    found = [counts(counter, api, body, None).tokens for api, body in pairs]
    assert found[0] == found[1] == found[2]
    assert found[0] is not None
    # The cookbook: 7 for the function, 3 and 3 for its properties, 12 at the end, and the texts.
    texts = map(counter.count_text, ("get_weather:Weather", "city:string:Where"))
    assert found[0].tool_schemas == 7 + 3 + 3 + 12 + sum(texts)


def test_what_is_kept_at_the_provider_is_not_observed_rather_than_zero(counter):
    result = {"type": "function_call_output", "call_id": "c", "output": "Hello"}
    body = {"input": [result], "previous_response_id": "resp_1", "instructions": "Hello"}
    parts = counts(counter, Responses(), body, None).tokens
    assert parts == TokenParts(
        system=5, tool_schemas=0, history=None, user=None, tool_results=5, overhead=3
    )
    body = {"input": "Hello", "conversation": "conv_1", "prompt": {"id": "pmpt_1"}}
    parts = counts(counter, Responses(), body, None).tokens
    assert parts == TokenParts(
        system=None, tool_schemas=0, history=None, user=None, tool_results=0, overhead=3
    )


def test_embeddings_count_texts_or_the_tokens_that_were_sent(counter):
    for given_input, tokens in (("Hello", 1), (["Hello", "Hello"], 2), ([[1, 2], [3]], 3)):
        found = counts(counter, Embeddings(), {"input": given_input}, None)
        assert found.tokens == TokenParts(user=tokens)


def test_output_is_texts_and_tool_calls(counter):
    message = p.chat_answer("Hello", tool_calls=[p.tool_call("c", "get")])
    answer = Chat().read_answer(json.dumps(message).encode())
    assert counts(counter, Chat(), None, answer).output == 3


# Hostile bodies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
KEYS = st.sampled_from(
    """model stream messages role content tool_calls function name arguments id tool_call_id input
    type text call_id output instructions system tools input_schema parameters properties
    choices delta index usage item response message content_block partial_json output_index
    prompt_tokens_details input_tokens cache_read_input_tokens finish_reason error""".split()  # noqa: SIM905 - a list of 50 lines
)
WORDS = st.sampled_from(
    """user assistant tool function system message function_call function_call_output tool_result
    tool_use text text_delta input_json_delta message_start content_block_start message_delta
    content_block_delta response.completed response.output_item.added response.x.delta""".split()  # noqa: SIM905 - the same
)
SHAPED = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(KEYS, SHAPED, max_size=8))
def test_no_request_makes_a_reader_raise(body):
    counter = TokenCounter("o200k_base")
    for api in APIS:
        request = api.read_request(body)
        assert all(isinstance(call_id, str) for call_id in request.brings)
        counts(counter, api, body, None)


@given(SHAPED | st.dictionaries(KEYS, SHAPED, max_size=8))
def test_no_answer_makes_a_reader_raise(body):
    data = json.dumps(body).encode()
    for api in APIS:
        api.read_answer(data)
        reader = api.stream()
        reader.feed(b"data: " + data + b"\n\n", 1)
        reader.finish()


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_a_reader_raise(pieces):
    for api in APIS:
        api.read_answer(b"".join(pieces))
        reader = api.stream()
        for number, piece in enumerate(pieces):
            reader.feed(piece, number)
        reader.finish()
