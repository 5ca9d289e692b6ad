"""The a2a adapter: what is sent, and what is read from responses as the specification has them."""

from __future__ import annotations

from typing import Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.a2a import A2a, A2aDialogue
from profiler.endpoints.exchange import Reply
from profiler.observers.response import records_in

STREAM = "text/event-stream; charset=utf-8"
SECOND = 10**9
IDS = {"taskId": "t-1", "contextId": "c-1"}


def status(state: str, said: str = "") -> dict:
    message = {"role": "ROLE_AGENT", "messageId": f"m-{said}", "parts": [{"text": said}]}
    return {"state": state, **({"message": message} if said else {})}


def task(state: str, said: str = "", **rest: object) -> dict:
    return {"task": {"id": "t-1", "contextId": "c-1", "status": status(state, said), **rest}}


def became(state: str, said: str = "") -> dict:
    return {"statusUpdate": {**IDS, "status": status(f"TASK_STATE_{state}", said)}}


def wrote(text: str, name: str = "a-1", **rest: object) -> dict:
    artifact = {"artifactId": name, "parts": [{"text": text}]}
    return {"artifactUpdate": {**IDS, "artifact": artifact, **rest}}


STREAMED = [
    task("TASK_STATE_SUBMITTED"),
    became("WORKING"),
    wrote("It is "),
    wrote("sunny.", append=True),
    became("COMPLETED"),
]
MESSAGE = {"message": {"role": "ROLE_AGENT", "messageId": "m", "parts": [{"text": "Hello."}]}}
OLD_STREAMED = [  # the same in version 0.3
    {"kind": "task", "id": "t-1", "contextId": "c-1", "status": {"state": "submitted"}},
    {"kind": "status-update", **IDS, "status": {"state": "working"}, "final": False},
    {
        "kind": "artifact-update",
        **IDS,
        "artifact": {"artifactId": "a-1", "parts": [{"kind": "text", "text": "It is "}]},
    },
    {
        "kind": "artifact-update",
        **IDS,
        "artifact": {"artifactId": "a-1", "parts": [{"kind": "text", "text": "sunny."}]},
        "append": True,
    },
    {"kind": "status-update", **IDS, "status": {"state": "completed"}, "final": True},
]


def begin(version: Literal["1.0", "0.3"] = "1.0", *, stream: bool = True) -> A2aDialogue:
    headers = {"authorization": "Bearer t"}
    endpoint = A2a(url="http://agent/a2a", stream=stream, headers=headers, version=version)
    return endpoint.begin("s-1")


def rpc(result: object) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": "1", "result": result})


def refused(error: object) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": "1", "error": error})


def answer(dialogue: A2aDialogue, results: list) -> Reply:
    reader = dialogue.reader(status=200, content_type=STREAM)
    for number, result in enumerate(results):
        data = result if isinstance(result, bytes) else rpc(result)
        reader.feed(b"data: " + data + b"\n\n", number * SECOND)
    return reader.finish()


def plain(dialogue: A2aDialogue, body: object, http_status: int = 200) -> Reply:
    reader = dialogue.reader(status=http_status, content_type="application/json")
    reader.feed(body if isinstance(body, bytes) else rpc(body), SECOND)
    return reader.finish()


def sent(dialogue: A2aDialogue, user: str = "More") -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(dialogue.request(user).body)
    return body


def test_the_first_message_names_no_context():
    outgoing = begin().request("Hi")
    assert orjson.loads(outgoing.body) == {
        "jsonrpc": "2.0",
        "id": "s-1-message-1",
        "method": "SendStreamingMessage",
        "params": {
            "message": {
                "messageId": "s-1-message-1",
                "role": "ROLE_USER",
                "parts": [{"text": "Hi"}],
            }
        },
    }
    assert outgoing.headers["a2a-version"] == "1.0"
    assert outgoing.headers["accept"] == "text/event-stream"
    assert outgoing.headers["authorization"] == "Bearer t"
    assert sent(begin(stream=False))["method"] == "SendMessage"


def test_version_0_3_has_its_own_methods_roles_and_parts():
    outgoing = begin("0.3", stream=False).request("Hi")
    assert orjson.loads(outgoing.body) == {
        "jsonrpc": "2.0",
        "id": "s-1-message-1",
        "method": "message/send",
        "params": {
            "message": {
                "kind": "message",
                "messageId": "s-1-message-1",
                "role": "user",
                "parts": [{"kind": "text", "text": "Hi"}],
            },
            "configuration": {"blocking": True},
        },
    }
    assert "a2a-version" not in outgoing.headers
    body = sent(begin("0.3"))
    assert body["method"] == "message/stream"
    assert "configuration" not in body["params"]


@pytest.mark.parametrize(
    ("version", "results"), [("1.0", STREAMED), ("0.3", OLD_STREAMED), ("1.0", OLD_STREAMED)]
)
def test_an_artifact_that_grows_is_the_reply_and_its_first_piece_the_first_token(version, results):
    dialogue = begin(version)
    dialogue.request("Hi")
    reply = answer(dialogue, results)
    assert (reply.text, reply.error_kind) == ("It is sunny.", None)
    assert (reply.first_token_ns, reply.last_token_ns) == (2 * SECOND, 3 * SECOND)


def test_neither_llm_calls_nor_tools_nor_tokens_are_told():
    for reply in (answer(begin(), STREAMED), plain(begin(), task("TASK_STATE_COMPLETED", "Hi"))):
        assert (reply.usage, reply.trace, reply.tools) == (None, None, None)
        assert records_in(reply, "t") == ()


def test_the_context_is_carried_and_a_task_that_is_over_is_not():
    dialogue = begin()
    dialogue.accept("Hi", answer(dialogue, STREAMED))
    message = sent(dialogue)["params"]["message"]
    assert message["contextId"] == "c-1"
    assert "taskId" not in message


def test_a_message_may_name_the_context_too():
    dialogue = begin()
    said = {"message": {**MESSAGE["message"], "contextId": "c-7"}}
    reply = answer(dialogue, [said])
    assert (reply.text, reply.first_token_ns, reply.error_kind) == ("Hello.", 0, None)
    dialogue.accept("Hi", reply)
    assert sent(dialogue)["params"]["message"]["contextId"] == "c-7"


def test_a_task_that_waits_for_input_is_a_success_and_takes_the_next_message():
    dialogue = begin()
    reply = answer(dialogue, [task("TASK_STATE_WORKING"), became("INPUT_REQUIRED", "Which order?")])
    assert (reply.text, reply.first_token_ns, reply.error_kind) == ("Which order?", SECOND, None)
    dialogue.accept("Hi", reply)
    message = sent(dialogue)["params"]["message"]
    assert (message["contextId"], message["taskId"]) == ("c-1", "t-1")
    dialogue.accept("A-17", answer(dialogue, STREAMED))
    assert "taskId" not in sent(dialogue)["params"]["message"]


def test_what_a_continued_task_had_before_is_no_news():
    dialogue = begin()
    artifact = {"artifactId": "a-1", "parts": [{"text": "Draft."}]}
    waits = task("TASK_STATE_INPUT_REQUIRED", "Good?", artifacts=[artifact])
    first = plain(dialogue, waits)
    assert first.text == "Draft.\n\nGood?"
    dialogue.accept("Write", first)
    dialogue.request("Yes")
    assert answer(dialogue, [waits]).error_kind == "stream_cut"
    reply = answer(
        dialogue, [waits, became("WORKING"), wrote("Final.", "a-2"), became("COMPLETED")]
    )
    assert (reply.text, reply.first_token_ns) == ("Final.", 2 * SECOND)
    grown = answer(dialogue, [waits, wrote(" Done.", append=True), became("COMPLETED")])
    assert grown.text == " Done."


def test_status_messages_are_first_content_and_the_reply_only_if_there_is_no_other():
    on_the_way = [task("TASK_STATE_SUBMITTED"), became("WORKING", "Looking it up.")]
    reply = answer(begin(), [*on_the_way, wrote("Sunny."), became("COMPLETED", "Done.")])
    assert (reply.text, reply.first_token_ns) == ("Sunny.\n\nDone.", SECOND)
    reply = answer(begin(), [*on_the_way, became("WORKING", "Sunny."), became("COMPLETED")])
    assert reply.text == "Looking it up.\n\nSunny."


def test_an_artifact_that_is_sent_again_takes_the_place_of_the_old_one():
    sent_again = [wrote("Draft."), wrote("Final."), became("COMPLETED", "Final.")]
    assert answer(begin(), sent_again).text == "Final."


def test_the_parts_of_a_whole_artifact_are_the_pieces_that_it_grew_by():
    parts = [{"text": "It is "}, {"data": {"x": 1}}, {"text": "sunny."}]
    whole = task("TASK_STATE_COMPLETED", artifacts=[{"artifactId": "a", "parts": parts}])
    reply = plain(begin(stream=False), whole)
    assert (reply.text, reply.first_token_ns) == ("It is sunny.", None)


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "REJECTED", "AUTH_REQUIRED"])
def test_other_ends_of_a_task_are_the_agents_errors(state):
    word = state.lower().replace("_", "-")
    for reply, kind in (
        (answer(begin(), [*STREAMED[:3], became(state, "no\nkey")]), "error_in_stream"),
        (plain(begin(), task(f"TASK_STATE_{state}", "no key")), "error_in_body"),
        (plain(begin("0.3"), {"kind": "task", **task(word, "no key")["task"]}), "error_in_body"),
    ):
        assert (reply.error_kind, reply.is_protocol_error) == (kind, False)
        assert reply.error_detail == f"the task is {word}: no key"
        assert reply.carried is None


def test_a_task_that_asked_for_authentication_and_went_on_is_a_success():
    reply = answer(begin(), [*STREAMED[:2], became("AUTH_REQUIRED", "Log in."), *STREAMED[2:]])
    assert (reply.text, reply.error_kind) == ("It is sunny.", None)


@pytest.mark.parametrize("stop", range(5))
def test_a_stream_that_ends_before_its_task_is_cut(stop):
    reply = answer(begin(), STREAMED[:stop])
    assert (reply.error_kind, reply.is_protocol_error) == ("stream_cut", True)


@pytest.mark.parametrize("state", ["TASK_STATE_WORKING", "submitted", "unknown", ""])
def test_a_task_that_is_not_over_is_no_answer(state):
    reply = plain(begin(stream=False), task(state))
    assert (reply.error_kind, reply.is_protocol_error) == ("unfinished", True)


def test_a_json_rpc_error_inside_a_200_is_the_agents():
    error = {"code": -32603, "message": "Internal\nerror", "data": []}
    reply = plain(begin(), refused(error))
    assert (reply.error_kind, reply.error_detail) == ("error_in_body", "Internal error (-32603)")
    assert not reply.is_protocol_error
    reply = answer(begin(), [*STREAMED[:3], refused(error)])
    assert (reply.error_kind, reply.error_detail) == ("error_in_stream", "Internal error (-32603)")
    assert answer(begin(), [*STREAMED, refused("late")]).error_detail == "late"


@pytest.mark.parametrize(
    ("http_status", "body", "kind", "is_protocol_error"),
    [
        (200, b"oops", "not_json", True),
        (200, b"[]", "wrong_shape", True),
        (200, b'{"jsonrpc": "2.0", "id": 1}', "wrong_shape", True),
        (200, rpc({"new": {}}), "unfinished", True),
        (401, refused({"code": -32000, "message": "no key"}), "error_in_body", False),
        (500, b"oops", "not_json", True),
    ],
)
def test_other_answers_are_errors(http_status, body, kind, is_protocol_error):
    reply = plain(begin(), body, http_status)
    assert (reply.error_kind, reply.is_protocol_error) == (kind, is_protocol_error)


def test_results_of_unknown_kinds_mean_nothing():
    odd = [{"newUpdate": {"x": 1}}, {"kind": "new"}, {}]
    assert answer(begin(), [*odd, *STREAMED]).text == "It is sunny."


@pytest.mark.parametrize(
    ("data", "kind"), [(b"{", "event_not_json"), (b"17", "event_not_json"), (b"{}", "wrong_shape")]
)
def test_an_event_that_is_no_json_rpc_response_breaks_the_protocol(data, kind):
    reply = answer(begin(), [*STREAMED, data])
    assert (reply.error_kind, reply.is_protocol_error) == (kind, True)


def test_the_end_mark_of_other_protocols_means_nothing():
    assert answer(begin(), [*STREAMED, b"[DONE]"]).error_kind is None


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
def test_bytes_may_be_cut_anywhere(sizes):
    stream = b"".join(b"data: " + rpc(result) + b"\n\n" for result in STREAMED)
    for whole in (stream, b": ping\r\n\r\n" + stream.replace(b"\n", b"\r\n")):
        reader, rest = begin().reader(status=200, content_type=STREAM), whole
        for number, size in enumerate([*sizes, len(whole)]):
            reader.feed(rest[:size], number)
            rest = rest[size:]
        reply = reader.finish()
        assert (reply.text, reply.error_kind) == ("It is sunny.", None)


KEYS = ["task", "message", "statusUpdate", "artifactUpdate", "kind", "id", "taskId", "contextId"]
KEYS += ["status", "state", "parts", "text", "artifact", "artifacts", "artifactId", "append"]
KEYS += ["error", "result", "code", "final"]
WORDS = ["", "a", "completed", "TASK_STATE_FAILED", "input-required", "task", "status-update"]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.lists(values, max_size=8), st.sampled_from(["completed", "input-required"]))
def test_no_results_make_a_reader_raise_or_the_next_request(results, state):
    dialogue = begin()
    for _ in range(2):
        dialogue.accept("Hi", answer(dialogue, [*results, task(state)]))
        dialogue.request("More")
    for result in results:
        plain(dialogue, result)
        plain(dialogue, refused(result))


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_raise(garbage):
    answer(begin(), [garbage])
    plain(begin(), garbage)


def test_what_is_nested_too_deep_does_no_harm():
    error = b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert answer(begin(), [error]).error_kind == "error_in_stream"
    assert plain(begin(), error).error_kind == "error_in_body"
    nested = (
        b'{"result": {"task": {"id": "t", "status": {"state": "completed", "message": {"parts": '
    )
    nested += b"[" * 900 + b"]" * 900 + b"}}}}}"
    assert plain(begin(), nested).error_kind is None
