"""The http-json adapter: a protocol described by the workload."""

from __future__ import annotations

from urllib.parse import quote

import orjson
import pytest

from profiler.endpoints.exchange import Reply
from profiler.endpoints.http_json import HttpJson, HttpJsonDialogue
from profiler.measure.records import Usage
from profiler.workload.http_json import HttpJson as Template


def endpoint(**changes) -> HttpJson:
    described = {
        "body": {
            "session_id": "{{ session_id }}",
            "message": "{{ user }}",
            "meta": ["{{turn}}", 1],
        },
        "reply": "reply",
        "session_id": "session_id",
        "usage": {"input_tokens": "usage.in", "output_tokens": "usage.out"},
        "error": "error.message",
        "trace": "trace",
        **changes,
    }
    template = Template.model_validate(described)
    return HttpJson(url="http://agent/chat", template=template, headers={"x-key": "k"})


def read(adapter: HttpJson, body: object) -> Reply:
    reader = adapter.begin("s").reader(status=200, content_type="application/json")
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    for at in range(0, len(data), 5):
        reader.feed(data[at : at + 5], at)
    return reader.finish()


def test_the_body_is_the_template_filled_in_at_every_depth():
    outgoing = endpoint().begin("s-1").request('say "hi" {{ user }}')
    assert orjson.loads(outgoing.body) == {
        "session_id": "s-1",
        "message": 'say "hi" {{ user }}',
        "meta": ["0", 1],
    }
    assert outgoing.headers["x-key"] == "k"


def test_the_session_id_that_the_agent_gives_is_sent_with_the_next_turn():
    dialogue = endpoint().begin("ours")
    dialogue.accept("Hi", Reply(text="x", body={"session_id": "theirs"}))
    sent = orjson.loads(dialogue.request("Next").body)
    assert (sent["session_id"], sent["meta"]) == ("theirs", ["1", 1])


@pytest.mark.parametrize(("given", "sent"), [(17, "17"), (None, "ours"), (True, "ours")])
def test_a_session_id_may_be_a_number_and_anything_else_is_none(given, sent):
    dialogue = endpoint().begin("ours")
    dialogue.accept("Hi", Reply(body={"session_id": given}))
    assert orjson.loads(dialogue.request("Next").body)["session_id"] == sent


def test_without_an_expression_our_session_id_stays():
    dialogue = endpoint(session_id=None).begin("ours")
    dialogue.accept("Hi", Reply(body={"session_id": "theirs"}))
    assert orjson.loads(dialogue.request("Next").body)["session_id"] == "ours"


def test_reply_usage_and_trace_are_found_where_the_template_says():
    answer = {"reply": "Done.", "usage": {"in": 12, "out": 3}, "trace": {"version": 1}}
    reply = read(endpoint(), answer)
    assert reply.text == "Done."
    assert reply.usage == Usage(input_tokens=12, output_tokens=3)
    assert reply.trace == {"version": 1}
    assert reply.error_kind is None


def test_usage_that_is_not_there_is_not_observed():
    assert read(endpoint(), {"reply": "x"}).usage is None
    assert read(endpoint(usage=None), {"reply": "x", "usage": {"in": 1}}).usage is None
    assert read(endpoint(), {"reply": "x", "usage": {"in": True, "out": 0}}).usage == Usage(
        output_tokens=0
    )


def test_an_error_inside_a_200_is_the_agents():
    reply = read(endpoint(), {"reply": None, "error": {"message": "no\n way"}})
    assert (reply.error_kind, reply.error_detail) == ("error_in_body", "no way")
    assert not reply.is_protocol_error


def test_an_answer_without_a_reply_breaks_the_protocol_and_names_the_place():
    reply = read(endpoint(), {"answer": "x"})
    assert (reply.error_kind, reply.is_protocol_error) == ("no_reply", True)
    assert reply.error_detail is not None
    assert "`reply`" in reply.error_detail


def test_a_body_that_is_no_json_breaks_the_protocol():
    assert read(endpoint(), b"<html>").error_kind == "not_json"


def test_a_reply_that_is_no_text_is_kept_as_json():
    assert read(endpoint(), {"reply": {"a": 1}}).text == '{"a":1}'


@pytest.mark.parametrize("given", ["a\r\nx-evil: 1", "Ø", "\x00"])
def test_a_session_id_that_no_header_may_have_is_quoted_in_it(given):
    dialogue = endpoint().begin("ours")
    dialogue.accept("Hi", Reply(body={"session_id": given}))
    outgoing = dialogue.request("Next")
    assert orjson.loads(outgoing.body)["session_id"] == given
    assert outgoing.session_headers == {"x-session-id": quote(given)}


def test_a_session_id_that_is_far_too_long_is_none():
    dialogue = endpoint().begin("ours")
    dialogue.accept("Hi", Reply(body={"session_id": "x" * 1001}))
    assert orjson.loads(dialogue.request("Next").body)["session_id"] == "ours"


SETUP = {
    "path": "/sessions?of={{ client_session_id }}",
    "body": {"id": "{{ session_id }}"},
    "session_id": "name",
}


def opened(adapter: HttpJson, answer: bytes, status: int = 200) -> tuple[HttpJsonDialogue, Reply]:
    dialogue = adapter.begin("ours/1")
    opening = dialogue.request("Hi").opening
    assert opening is not None
    reader = opening.reader(status=status, content_type="application/json")
    reader.feed(answer, 1)
    reply = reader.finish()
    opening.accept("Hi", reply)
    return dialogue, reply


def test_a_session_is_opened_by_a_request_of_its_own_before_its_first_message():
    adapter = endpoint(setup=SETUP, path="/chat/{{ session_id }}/{{ client_session_id }}")
    first = adapter.begin("ours/1").request("Hi").opening
    assert first is not None
    outgoing = first.request("Hi")
    assert outgoing.url == "http://agent/chat/sessions?of=ours%2F1"
    assert (orjson.loads(outgoing.body), outgoing.opening) == ({"id": "ours/1"}, None)
    dialogue, _ = opened(adapter, b'{"name": "theirs"}')
    message = dialogue.request("Hi")
    assert message.opening is None
    assert message.url == "http://agent/chat/chat/theirs/ours%2F1"
    assert orjson.loads(message.body)["session_id"] == "theirs"


def test_a_session_that_was_opened_without_a_name_breaks_the_protocol():
    _, reply = opened(endpoint(setup=SETUP), b'{"id": "theirs"}')
    assert (reply.error_kind, reply.is_protocol_error) == ("no_session_id", True)
    _, silent = opened(endpoint(setup={"path": "/sessions"}), b"")
    assert silent.error_kind is None


def test_the_query_of_the_targets_url_stays_behind_a_path():
    template = Template.model_validate(
        {"body": {"m": "{{ user }}"}, "reply": "r", "path": "/say?x=1"}
    )
    adapter = HttpJson(url="http://agent/api/?key=k", template=template, headers={})
    assert adapter.begin("s").request("Hi").url == "http://agent/api/say?key=k&x=1"


def test_a_reply_that_is_nested_too_deeply_to_be_written_breaks_the_protocol():
    template = Template.model_validate({"body": {"m": "{{ user }}"}, "reply": "@"})
    dialogue = HttpJson(url="http://agent", template=template, headers={}).begin("s")
    reader = dialogue.reader(status=200, content_type="application/json")
    reader.feed(b'{"a":' * 900 + b"1" + b"}" * 900, 1)
    reply = reader.finish()
    assert (reply.error_kind, reply.is_protocol_error) == ("no_reply", True)
