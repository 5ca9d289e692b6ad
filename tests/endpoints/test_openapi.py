"""What an OpenAPI document says a route accepts; they are in the form that FastAPI has."""

from __future__ import annotations

import pytest

from profiler.endpoints.openapi import BodyGuess, accepted_at, posted_routes


def document(properties, required=(), path="/chat", **more):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Message"}}}}
    return {
        "openapi": "3.1.0",
        "paths": {path: {"post": {"requestBody": body}}, **more},
        "components": {"schemas": {"Message": schema}},
    }


TEXT, NULLABLE = {"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_the_text_and_the_session_are_found():
    guess = BodyGuess(body={"message": "{{ user }}", "session_id": "{{ session_id }}"})
    made = document({"session_id": TEXT, "message": TEXT}, ["session_id", "message"])
    assert accepted_at(made, "/chat") == ("http-json", guess)
    assert list(posted_routes(made)) == [("/chat", "http-json", guess)]
    optional = document({"message": TEXT, "session_id": NULLABLE, "debug": NULLABLE}, ["message"])
    assert accepted_at(optional, "/chat") == ("http-json", guess)


def test_what_else_is_required_is_told_by_the_document_or_to_be_filled_in():
    fields = {
        "query": TEXT,
        "tenant": TEXT,
        "language": {"type": "string", "default": "en"},
        "mode": {"enum": ["fast", "slow"]},
        "top_k": {"type": "integer"},
    }
    _, guess = accepted_at(document(fields, fields), "/chat")
    assert guess == BodyGuess(
        body={"query": "{{ user }}", "tenant": "", "language": "en", "mode": "fast", "top_k": 0},
        to_fill=("tenant", "top_k"),
    )


def test_a_list_of_messages_and_the_only_text_that_is_required_are_the_message():
    messages = document({"messages": {"type": "array"}}, ["messages"])
    assert accepted_at(messages, "/chat")[1].body == {
        "messages": [{"role": "user", "content": "{{ user }}"}]
    }
    odd = document({"utter": TEXT, "hint": TEXT}, ["utter"])
    assert accepted_at(odd, "/chat")[1].body == {"utter": "{{ user }}"}
    assert list(posted_routes(odd)) == []  # it might be anything


@pytest.mark.parametrize(
    ("fields", "protocol"),
    [
        (("threadId", "runId", "state", "messages", "tools", "context"), "ag-ui"),
        (("thread_id", "run_id", "messages"), "ag-ui"),
        (("id", "messages", "trigger"), "vercel-ai"),
        (("model", "messages", "temperature"), "openai-chat"),
        (("model", "messages", "max_tokens", "system", "stop_sequences"), "anthropic-messages"),
        (("model", "input", "previous_response_id"), "openai-responses"),
    ],
)
def test_known_protocols_are_known_by_their_fields(fields, protocol):
    made = document({name: {} for name in fields})
    assert accepted_at(made, "/chat") == (protocol, None)


def test_a_path_with_parameters_is_that_of_the_url_that_fits():
    made = document({"message": TEXT}, path="/agents/{name}/chat")
    assert accepted_at(made, "/agents/x/chat")[0] == "http-json"
    assert accepted_at(made, "/agents/x/y/chat") == (None, None)
    assert list(posted_routes(made)) == []


LOOP = {
    "paths": {
        "/chat": {
            "post": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/a"}}}
                }
            }
        }
    },
    "components": {
        "a": {"allOf": [{"$ref": "#/components/a"}] * 50, "anyOf": [{"$ref": "#/components/a"}] * 9}
    },
}


@pytest.mark.parametrize(
    "made",
    [
        None,
        [],
        {"paths": []},
        {"paths": {"/chat": []}},
        {"paths": {"/chat": {"post": 7}}},
        {"paths": {"/chat": {"post": {"requestBody": {"content": "x"}}}}},
        document({"a": {"$ref": 7}, "b": {"$ref": "#/nowhere"}, "c": {"type": [7]}}),
        document({"message": {"type": {}}}, [7]),
        LOOP,
    ],
)
@pytest.mark.timeout(5)
def test_a_document_in_any_other_shape_tells_nothing(made):
    assert accepted_at(made, "/chat") == (None, None)
    assert list(posted_routes(made)) == []


def test_a_default_that_looks_like_a_placeholder_is_not_taken():
    made = document({"message": TEXT, "note": {"default": "{{ user_name }}"}}, ["message", "note"])
    assert accepted_at(made, "/chat")[1] == BodyGuess(
        body={"message": "{{ user }}", "note": None}, to_fill=("note",)
    )
