from typing import Any

import pytest

from profiler.workload.importers.messages import ORPHAN, RefusedError
from profiler.workload.importers.sharegpt import UNREAD_CALL, session


def said(*turns: tuple[str, Any], id: Any = "a") -> dict[str, Any]:  # noqa: A002 - the file's key
    return {"id": id, "conversations": [{"from": who, "value": what} for who, what in turns]}


def find(call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "find", "arguments": arguments}}


def test_senders_become_roles() -> None:
    read = session(said(("system", "Be kind."), ("human", "Hi"), ("gpt", "Hello"), ("user", "Bye")))
    assert read.messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    assert (read.id, read.turns, read.notes) == ("a", 2, ())


def test_a_function_call_and_its_observation_become_a_call_and_its_result() -> None:
    asked = '{"name": "find", "arguments": {"id": 7}}'
    read = session(said(("human", "Hi"), ("function_call", asked), ("observation", "here")))
    assert read.messages[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [find("call_1", '{"id":7}')]},
        {"role": "tool", "content": "here", "tool_call_id": "call_1", "name": "find"},
    ]
    assert read.notes == ()


def test_calls_within_what_gpt_says_get_their_results_in_order() -> None:
    one = '<tool_call>\n{"name": "find", "arguments": {"id": 1}}\n</tool_call>'
    two = '<tool_call>{"name": "find", "arguments": "{}"}</tool_call>'
    results = "<tool_response>A</tool_response>\n<tool_response>\nB\n</tool_response>"
    read = session(said(("human", "Hi"), ("gpt", f"Let me see. {one}{two}"), ("tool", results)))
    assert read.messages[1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [find("call_1", '{"id":1}'), find("call_2", "{}")],
        },
        {"role": "tool", "content": "A", "tool_call_id": "call_1", "name": "find"},
        {"role": "tool", "content": "B", "tool_call_id": "call_2", "name": "find"},
    ]


def test_a_result_without_a_call_and_a_call_that_is_no_json_are_kept_and_noted() -> None:
    read = session(said(("human", "Hi"), ("function_call", "find(7)"), ("tool", "here")))
    assert read.messages[1:] == [
        {"role": "assistant", "content": "find(7)"},
        {"role": "tool", "content": "here"},
    ]
    assert read.notes == (UNREAD_CALL, ORPHAN)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "not a JSON object"),
        ({"id": "a"}, "without a list 'conversations'"),
        (said(), "an empty conversation"),
        (said(("gpt", "Hi")), "no user message"),
        (said(("human", None)), "'value' is no text"),
        (said(("human", "")), "a user message without text"),
        (said(("narrator", "x")), "the unknown role 'narrator'"),
        ({"conversations": ["x"]}, "not an object"),
        ({"conversations": [{"value": "x"}]}, "without 'from'"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_its_reason(data: Any, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        session(data)
