from __future__ import annotations

import pytest

from profiler.observers.otlp.dialects import read
from profiler.observers.otlp.seen import HttpRequest, Other
from profiler.observers.otlp.spans import SpanKind
from tests.observers.otlp.making import span


@pytest.mark.parametrize(
    ("url", "to_llm"),
    [
        ("https://api.openai.com/v1/chat/completions", True),
        ("http://127.0.0.1:18001/v1/responses", True),
        ("https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", True),
        ("https://api.anthropic.com/v1/messages", True),
        ("https://generativelanguage.googleapis.com/v1beta/models/gemini:generateContent", True),
        ("https://h/v1/models/gemini:streamGenerateContent?alt=sse", True),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream", True),
        ("http://localhost:11434/api/chat", True),
        ("https://api.openai.com/v1/embeddings", False),
        ("https://api.openai.com/v1/files", False),
        ("https://shop/orders", False),
        ("http://[broken", False),
    ],
)
def test_requests_to_llms_are_known_by_their_path(url, to_llm):
    old = {"http.method": "POST", "http.url": url, "http.status_code": 200}
    new = {"http.request.method": "POST", "url.full": url, "http.response.status_code": 200}
    for attributes in (old, new):
        found = read(span(attributes=attributes, kind=SpanKind.CLIENT))
        assert found == HttpRequest(status=200, to_llm=to_llm)


def test_servers_are_no_clients():
    attributes = {"http.method": "POST", "http.url": "http://h/v1/chat/completions"}
    assert read(span(attributes=attributes, kind=SpanKind.SERVER)) == Other()
