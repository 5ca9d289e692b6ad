from __future__ import annotations

import pytest

from profiler.endpoints.http_json import HttpJson
from profiler.endpoints.openai_chat import OpenAiChat
from profiler.endpoints.select import endpoint_for
from profiler.errors import WorkloadError
from profiler.workload.target import Target


def test_each_protocol_has_its_adapter():
    assert isinstance(endpoint_for(Target.model_validate({}), "http://a"), OpenAiChat)
    described = {
        "protocol": "http-json",
        "http_json": {"body": {"message": "{{ user }}"}, "reply": "reply"},
    }
    assert isinstance(endpoint_for(Target.model_validate(described), "http://a"), HttpJson)


def test_http_json_without_a_template_is_refused():
    target = Target.model_construct(protocol="http-json", header_texts={}, http_json=None)
    with pytest.raises(WorkloadError, match="no template"):
        endpoint_for(target, "http://a")
