from __future__ import annotations

import pytest

from profiler.measure.records import Outcome
from profiler.observers.otlp.dialects.outcomes import of
from profiler.observers.otlp.spans import Status
from tests.observers.otlp.making import error, span


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, (Outcome.OK, None)),
        ({"status": Status.OK}, (Outcome.OK, None)),
        ({"status": Status.ERROR}, (Outcome.AGENT_ERROR, None)),
        ({"attributes": {"error.type": "429"}}, (Outcome.HTTP_429, 429)),
        ({"attributes": {"error.type": "timeout"}}, (Outcome.TIMEOUT, None)),
        ({"attributes": {"error.type": "ValueError"}}, (Outcome.AGENT_ERROR, None)),
        (
            {"status": Status.ERROR, "attributes": {"http.response.status_code": 401}},
            (Outcome.HTTP_4XX, 401),
        ),
        (
            {"status": Status.ERROR, "events": (error("openai.RateLimitError"),)},
            (Outcome.HTTP_429, None),
        ),
        (
            {"status": Status.ERROR, "events": (error("openai.APITimeoutError"),)},
            (Outcome.TIMEOUT, None),
        ),
        (
            {"status": Status.ERROR, "events": (error("openai.APIConnectionError"),)},
            (Outcome.CONNECT_ERROR, None),
        ),
        (
            {"status": Status.ERROR, "events": (error("asyncio.CancelledError"),)},
            (Outcome.CANCELLED, None),
        ),
        (  # the two messages are those of the captures
            {"status": Status.ERROR, "message": "ModelServerError: status_code: 500, model_name"},
            (Outcome.HTTP_5XX, 500),
        ),
        (
            {"status": Status.ERROR, "message": "{'error': 'Error code: 503 - scripted'}"},
            (Outcome.HTTP_5XX, 503),
        ),
        (
            {
                "attributes": {
                    "langfuse.observation.level": "ERROR",
                    "langfuse.observation.status_message": "Error code: 429 - slow down",
                }
            },
            (Outcome.HTTP_429, 429),
        ),
    ],
)
def test_an_error_is_told_by_status_type_event_or_message(more, expected):
    assert of(span(**more)) == expected
