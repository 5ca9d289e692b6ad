from __future__ import annotations

import pytest

from profiler.endpoints.a2a import A2a
from profiler.endpoints.ag_ui import AgUi
from profiler.endpoints.anthropic_messages import AnthropicMessages
from profiler.endpoints.http_json import HttpJson
from profiler.endpoints.langgraph import LangGraph
from profiler.endpoints.openai_chat import OpenAiChat
from profiler.endpoints.openai_responses import OpenAiResponses
from profiler.endpoints.select import endpoint_for
from profiler.endpoints.vercel_ai import VercelAi
from profiler.errors import WorkloadError
from profiler.workload.target import Target


def test_each_protocol_has_its_adapter():
    assert isinstance(endpoint_for(Target.model_validate({}), "http://a"), OpenAiChat)
    described = {
        "protocol": "http-json",
        "http_json": {"body": {"message": "{{ user }}"}, "reply": "reply"},
    }
    assert isinstance(endpoint_for(Target.model_validate(described), "http://a"), HttpJson)
    for protocol, adapter in (("ag-ui", AgUi), ("vercel-ai", VercelAi)):
        target = Target.model_validate({"protocol": protocol})
        assert isinstance(endpoint_for(target, "http://a"), adapter)


def test_the_settings_of_a_protocol_reach_its_adapter():
    for section, resend in (({}, False), ({"openai_responses": {"state": "resend"}}, True)):
        target = Target.model_validate({"protocol": "openai-responses", "stream": False, **section})
        responses = endpoint_for(target, "http://a")
        assert isinstance(responses, OpenAiResponses)
        assert (responses.resend, responses.stream) == (resend, False)
    for section, most in (({}, 4096), ({"anthropic_messages": {"max_tokens": 9}}, 9)):
        target = Target.model_validate({"protocol": "anthropic-messages", "model": "m", **section})
        messages = endpoint_for(target, "http://a")
        assert isinstance(messages, AnthropicMessages)
        assert (messages.max_tokens, messages.model) == (most, "m")


@pytest.mark.parametrize("url", ["http://a:8000", "http://a:8000/", "http://a:8000/run_sse"])
def test_google_adk_is_http_json_described_by_us(url):
    for stream, path in ((True, "/run_sse"), (False, "/run")):
        target = Target.model_validate(
            {"protocol": "google-adk", "stream": stream, "google_adk": {"app": "shop"}}
        )
        adapter = endpoint_for(target, url)
        assert isinstance(adapter, HttpJson)
        assert adapter.begin("s").request("Hi").url == "http://a:8000" + path


def test_the_settings_of_agent_servers_reach_their_adapters():
    settings = {"assistant": "travel", "interrupt": "resume"}
    for section, expected in (({}, ("agent", False)), (settings, ("travel", True))):
        target = Target.model_validate({"protocol": "langgraph", "langgraph": section})
        threads = endpoint_for(target, "http://a")
        assert isinstance(threads, LangGraph)
        assert (threads.assistant, threads.resume) == expected
    for section, version in (({}, "1.0"), ({"version": "0.3"}, "0.3"), ({"version": 0.3}, "0.3")):
        target = Target.model_validate({"protocol": "a2a", "a2a": section, "stream": False})
        agent = endpoint_for(target, "http://a")
        assert isinstance(agent, A2a)
        assert (agent.version, agent.stream) == (version, False)


def test_http_json_without_a_template_is_refused():
    target = Target.model_construct(protocol="http-json", header_texts={}, http_json=None)
    with pytest.raises(WorkloadError, match="no template"):
        endpoint_for(target, "http://a")
