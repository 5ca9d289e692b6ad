"""One example for each convention, its attributes as its source publishes them."""

from __future__ import annotations

import json

import pytest

from profiler.measure.records import Usage
from profiler.observers.otlp.dialects import read
from profiler.observers.otlp.seen import AgentRun, Embedding, Inference, Other, ToolRun
from profiler.observers.otlp.spans import Event
from tests.observers.otlp.making import MS, WALL_NS, span


def seen(attributes, *, scope="", name="", events=()):
    return read(span(attributes=attributes, scope=scope, name=name, events=events))


def usage(inputs, outputs, cached=None, written=None, reasoning=None):
    return Usage(
        input_tokens=inputs,
        output_tokens=outputs,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


# OpenTelemetry GenAI.


def test_genai_as_it_is():
    messages = [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {}},
                {"type": "tool_call", "id": "c2", "name": "save_note", "arguments": {}},
            ],
            "finish_reason": "tool_call",
        }
    ]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.cache_creation.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 30,
        "gen_ai.response.time_to_first_chunk": 0.004,
        "gen_ai.output.messages": messages,
    }
    expected = Inference(
        model="gpt-4o",
        usage=usage(120, 40, 64, 8, 30),
        tool_calls=("get_weather", "save_note"),
        first_token_ns=WALL_NS + 4 * MS,
    )
    assert seen(attributes) == expected
    assert seen({**attributes, "gen_ai.output.messages": json.dumps(messages)}) == expected
    del attributes["gen_ai.output.messages"]
    event = Event(
        name="gen_ai.client.inference.operation.details",
        attributes={"gen_ai.output.messages": messages},
    )
    assert seen(attributes, events=(event,)) == expected


def test_genai_in_the_names_of_1_26():
    attributes = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4",
        "gen_ai.usage.prompt_tokens": 42,
        "gen_ai.usage.completion_tokens": 7,
    }
    assert seen(attributes) == Inference(model="gpt-4", usage=usage(42, 7))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "Flights",
                "gen_ai.tool.call.id": "call_1",
            },
            ToolRun(name="Flights", call_id="call_1"),
        ),
        (
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "Math Tutor",
                "gen_ai.request.model": "gpt-4",
                "gen_ai.usage.input_tokens": 9999,
            },
            AgentRun(),
        ),
        (
            {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 9},
            Embedding(),
        ),
        ({"service": "anything"}, Other()),
    ],
)
def test_genai_other_operations(attributes, expected):
    assert seen(attributes) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Anthropic's own numbers passed on: cache beside input. The total tells...
        ({"input": 50, "output": 10, "read": 30, "total": 90}, usage(80, 10, 30)),
        # ... or a part larger than the whole does (numbers from langfuse/langfuse#12306).
        ({"input": 5, "output": 10, "read": 128955, "written": 1253}, (130213, 10)),
        ({"input": 130213, "output": 10, "read": 128955, "written": 1253}, (130213, 10)),
        # Gemini: thoughts beside candidates.
        ({"input": 50, "output": 10, "reasoning": 30}, (50, 40)),
        ({"input": 50, "output": 40, "reasoning": 30, "total": 90}, (50, 40)),
    ],
)
def test_usage_is_whole(counts, expected):
    names = {
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "read": "gen_ai.usage.cache_read.input_tokens",
        "written": "gen_ai.usage.cache_creation.input_tokens",
        "reasoning": "gen_ai.usage.reasoning.output_tokens",
        "total": "gen_ai.usage.total_tokens",
    }
    attributes = {names[name]: count for name, count in counts.items()}
    found = seen({"gen_ai.operation.name": "chat", **attributes})
    if isinstance(expected, tuple):
        assert (found.usage.input_tokens, found.usage.output_tokens) == expected
    else:
        assert found.usage == expected


@pytest.mark.parametrize("count", [-1, "12", True, None, 1.5, float("nan"), [1], 10**15])
def test_a_count_that_is_none_is_not_observed(count):
    assert seen({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": count}) == (
        Inference()
    )


def test_some_sdks_write_counts_as_doubles():
    found = seen({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 12.0})
    assert found.usage == usage(12, None)


# pydantic-ai, formats 2 to 5.

PYDANTIC_CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 234,
    "gen_ai.usage.output_tokens": 24,
    "gen_ai.usage.details.reasoning_tokens": 7,
    "gen_ai.usage.details.cached_tokens": 64,
}


@pytest.mark.parametrize(
    "agent",
    [
        {"agent_name": "a", "model_name": "gpt-4o", "gen_ai.usage.input_tokens": 700},  # 2
        {  # 3 and 4
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "a",
            "model_name": "gpt-4o",
            "gen_ai.usage.input_tokens": 700,
            "gen_ai.usage.output_tokens": 68,
        },
        {  # 5
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "a",
            "gen_ai.aggregated_usage.input_tokens": 700,
        },
    ],
)
def test_pydantic_ai_agents_repeat_what_their_inferences_say(agent):
    assert seen(agent, scope="pydantic-ai", name="agent run") == AgentRun()
    assert seen(PYDANTIC_CHAT, scope="pydantic-ai").usage == usage(234, 24, 64, None, 7)


@pytest.mark.parametrize(
    "tool",
    [
        {"gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "c", "tool_arguments": "{}"},
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.call.id": "c",
            "gen_ai.agent.name": "a",
        },
    ],
)
def test_pydantic_ai_tools(tool):
    assert seen(tool, scope="pydantic-ai") == ToolRun(name="get_weather", call_id="c")
    group = {"tools": ["get_weather", "save_note"], "logfire.msg": "running 2 tools"}
    assert seen(group, scope="pydantic-ai", name="running tools") == Other()


# OpenInference.

OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.system": "anthropic",
    "llm.model_name": "claude",
    "llm.token_count.prompt": 2255,
    "llm.token_count.completion": 5,
    "llm.token_count.total": 2260,
    "llm.token_count.prompt_details.cache_read": 512,
    "llm.token_count.prompt_details.cache_write": 1733,
    "llm.output_messages.0.message.role": "assistant",
}


def test_openinference():  # numbers from Arize-ai/openinference#3734
    assert seen(OPENINFERENCE) == Inference(
        model="claude", usage=usage(2255, 5, 512, 1733), tool_calls=()
    )
    name = "llm.output_messages.0.message.tool_calls.{}.tool_call.function.name"
    tools = {name.format(10): "third", name.format(2): "second", name.format(0): "first"}
    assert seen({**OPENINFERENCE, **tools}).tool_calls == ("first", "second", "third")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("AGENT", AgentRun()),
        ("CHAIN", AgentRun()),
        ("TOOL", ToolRun(name="search")),
        ("EMBEDDING", Embedding()),
        ("RETRIEVER", Other()),
        ("GUARDRAIL", Other()),
    ],
)
def test_openinference_kinds(kind, expected):
    attributes = {"openinference.span.kind": kind, "tool.name": "search"}
    assert seen({**attributes, "llm.token_count.prompt": 5}) == expected


def test_openinference_on_top_of_genai_is_read_once():
    both = {**PYDANTIC_CHAT, "openinference.span.kind": "LLM", "llm.token_count.prompt": 234}
    assert seen(both) == Inference(model="gpt-4o", usage=usage(234, 24, 64, None, 7))


# OpenLLMetry.


def test_openllmetry():
    attributes = {
        "gen_ai.system": "Anthropic",
        "llm.request.type": "chat",
        "gen_ai.request.model": "claude",
        "gen_ai.usage.prompt_tokens": 1163,
        "gen_ai.usage.completion_tokens": 187,
        "llm.usage.total_tokens": 1350,
        "gen_ai.usage.cache_read_input_tokens": 1159,
        "gen_ai.usage.cache_creation_input_tokens": 0,
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.tool_calls.0.name": "get_weather",
        "gen_ai.completion.0.tool_calls.0.id": "c1",
    }
    assert seen(attributes) == Inference(
        model="claude", usage=usage(1163, 187, 1159, 0), tool_calls=("get_weather",)
    )


def test_openllmetry_on_bedrock_leaves_the_cache_out_of_input():  # traceloop/openllmetry#4449
    attributes = {
        "llm.request.type": "chat",
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read_input_tokens": 1159,
    }
    assert seen(attributes).usage == usage(1163, 10, 1159)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"},
            ToolRun(name="search"),
        ),
        ({"traceloop.span.kind": "agent", "gen_ai.usage.input_tokens": 5}, AgentRun()),
        ({"traceloop.span.kind": "workflow", "traceloop.entity.name": "w"}, AgentRun()),
        ({"llm.request.type": "embedding"}, Embedding()),
        ({"llm.request.type": "rerank"}, Other()),
    ],
)
def test_openllmetry_kinds(attributes, expected):
    assert seen(attributes) == expected


# Langfuse.


def langfuse(details, **more):
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o",
        "langfuse.observation.usage_details": json.dumps(details),
        **more,
    }


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"input": 12, "output": 3, "total": 15}, usage(12, 3)),
        (  # from langfuse-python's tests: 4096 in, 1024 of them cached; 8 out, 2 of them reasoning
            {
                "input": 3072,
                "input_cache_read": 1024,
                "output": 6,
                "output_reasoning": 2,
                "total": 4104,
            },
            usage(4096, 8, 1024, None, 2),
        ),
        (  # Anthropic through the SDK's documentation: cache beside input
            {"input": 5, "output": 10, "cache_read_input_tokens": 100},
            usage(105, 10, 100),
        ),
        (  # OpenAI's wrapper passes OpenAI's usage on
            {
                "prompt_tokens": 15000,
                "completion_tokens": 500,
                "total_tokens": 15500,
                "prompt_tokens_details": {"cached_tokens": 12000},
                "completion_tokens_details": {"reasoning_tokens": 200},
            },
            usage(15000, 500, 12000, None, 200),
        ),
    ],
)
def test_langfuse_usage(details, expected):
    assert seen(langfuse(details)).usage == expected


def test_langfuse():
    output = {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather"}}]}
    attributes = langfuse(
        {"input": 1, "output": 1},
        **{
            "langfuse.observation.output": json.dumps(output),
            "langfuse.observation.completion_start_time": '"2023-11-14T22:13:20.005000Z"',
        },
    )
    found = seen(attributes)
    assert found.tool_calls == ("get_weather",)
    assert found.first_token_ns == WALL_NS + 5 * MS  # 1_700_000_000 s is 22:13:20 of that day
    assert found.model == "gpt-4o"
    assert seen({"langfuse.observation.type": "tool"}, name="search") == ToolRun(name="search")
    assert seen({"langfuse.observation.type": "agent"}) == AgentRun()
    assert seen({"langfuse.observation.type": "span"}) == AgentRun()
    assert seen({"langfuse.observation.type": "retriever"}) == Other()
    assert seen(langfuse({}) | {"langfuse.observation.type": "embedding"}) == Embedding()


# Google ADK.


def adk(metadata=None, model="gemini-2.5-flash", **more):
    response = {
        "content": {"parts": [{"function_call": {"name": "get_weather", "args": {}}}]},
        "usage_metadata": metadata,
    }
    return {
        "gen_ai.system": "gcp.vertex.agent",
        "gen_ai.request.model": model,
        "gcp.vertex.agent.llm_request": "{}",
        "gcp.vertex.agent.llm_response": json.dumps(response) if metadata else "{}",
        **more,
    }


@pytest.mark.parametrize(
    ("metadata", "written", "expected"),
    [
        (  # Vertex: thoughts beside candidates
            {"prompt": 100, "candidates": 15, "thoughts": 30, "total": 145},
            15,
            usage(100, 45, None, None, 30),
        ),
        (  # LiteLLM: the output of 45 has the thoughts in it; ADK writes 75
            {"prompt": 100, "candidates": 45, "thoughts": 30, "total": 145},
            75,
            usage(100, 45, None, None, 30),
        ),
        (  # Gemini's own API with thoughts within, from Arize-ai/openinference#3177: 3703 in all
            {"prompt": 341, "candidates": 3362, "thoughts": 3347, "total": 3703},
            6709,
            usage(341, 3362, None, None, 3347),
        ),
        (  # without a total thoughts are beside candidates, as Gemini's reference says
            {"prompt": 100, "candidates": 15, "thoughts": 30},
            15,
            usage(100, 45, None, None, 30),
        ),
        ({"prompt": 100, "thoughts": 30}, 0, usage(100, 30, None, None, 30)),
        (
            {"prompt": 100, "candidates": 15, "total": 115, "cached_content": 64},
            15,
            usage(100, 15, 64),
        ),
    ],
)
def test_adk_takes_the_total_for_it_is_never_counted_twice(metadata, written, expected):
    counts = {f"{name}_token_count": count for name, count in metadata.items()}
    attributes = adk(
        counts,
        **{
            "gen_ai.usage.input_tokens": metadata["prompt"],
            "gen_ai.usage.output_tokens": written,
        },
    )
    found = seen(attributes, scope="gcp.vertex.agent", name="call_llm")
    assert found.usage == expected
    assert found.tool_calls == ("get_weather",)


@pytest.mark.parametrize(
    ("model", "name", "written", "output"),
    [
        ("openai/o3", "gen_ai.usage.reasoning.output_tokens", 75, 45),
        ("openai/o3", "gen_ai.usage.experimental.reasoning_tokens", 45, 45),
        ("gemini-2.5-flash", "gen_ai.usage.reasoning.output_tokens", 45, 45),
        ("gemini-2.5-flash", "gen_ai.usage.experimental.reasoning_tokens", 15, 45),
    ],
)
def test_adk_without_content(model, name, written, output):
    attributes = adk(model=model) | {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": written,
        name: 30,
    }
    found = seen(attributes, scope="gcp.vertex.agent")
    assert found.usage == usage(100, output, None, None, 30)
    assert found.tool_calls is None


def test_adk_tools_and_agents():
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.call.id": "c",
        "gcp.vertex.agent.llm_request": "{}",
        "gcp.vertex.agent.llm_response": "{}",
    }
    scope = "gcp.vertex.agent"
    assert seen(tool, scope=scope) == ToolRun(name="get_weather", call_id="c")
    assert seen({**tool, "gen_ai.tool.name": "(merged tools)"}, scope=scope) == Other()
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}
    assert seen(agent, scope=scope) == AgentRun()
    assert seen({}, scope=scope, name="invocation") == AgentRun()
