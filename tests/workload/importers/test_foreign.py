"""Messages of each dialect, as its documentation has them, become OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers.foreign import answer, asked_by_user, last_user, messages
from profiler.workload.importers.gist import Gist, gist

CALL = {
    "id": "c",
    "type": "function",
    "function": {"name": "find", "arguments": '{"id":7}'},
}
SAID = [
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "here", "tool_call_id": "c"},
    {"role": "assistant", "content": "Here."},
]
ARGUMENTS = {"id": 7}
DIALECTS: dict[str, Any] = {
    "OpenAI chat": SAID,
    "OpenAI content parts": [
        {"role": "user", "content": [{"type": "text", "text": "Where?"}]}, *SAID[1:]],
    "OpenAI Responses": [
        {"role": "user", "content": [{"type": "input_text", "text": "Where?"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "find",
         "arguments": '{"id":7}'},
        {"type": "function_call_output", "call_id": "c", "output": "here"},
        {"type": "message", "role": "assistant",
         "content": [{"type": "output_text", "text": "Here."}]}],
    "Anthropic": [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "c", "name": "find", "input": ARGUMENTS}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c",
             "content": [{"type": "text", "text": "here"}]}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Here."}]}],
    "OTel GenAI": [
        {"role": "user", "parts": [{"type": "text", "content": "Where?"}]},
        {"role": "assistant", "parts": [
            {"type": "tool_call", "id": "c", "name": "find", "arguments": ARGUMENTS}]},
        {"role": "tool", "parts": [
            {"type": "tool_call_response", "id": "c", "response": "here"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "Here."}]}],
    "AI SDK": [
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Where?"}]},
        {"id": "2", "role": "assistant", "parts": [
            {"type": "tool-find", "toolCallId": "c", "state": "output-available",
             "input": ARGUMENTS, "output": "here"}]},
        {"id": "3", "role": "assistant", "parts": [
            {"type": "step-start"}, {"type": "text", "text": "Here."}]}],
    "Gemini": [
        {"role": "user", "parts": [{"text": "Where?"}]},
        {"role": "model", "parts": [
            {"functionCall": {"id": "c", "name": "find", "args": ARGUMENTS}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "c", "name": "find", "response": "here"}}]},
        {"role": "model", "parts": [{"text": "Here."}]}],
    "LangChain": [
        {"type": "human", "content": "Where?"},
        {"type": "ai", "content": "", "tool_calls": [
            {"id": "c", "name": "find", "args": ARGUMENTS, "type": "tool_call"}]},
        {"type": "tool", "content": "here", "tool_call_id": "c"},
        {"type": "ai", "data": {"content": "Here."}}],
    "LangChain, serialised": [[
        {"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage"],
         "kwargs": {"content": "Where?", "type": "human"}}, *SAID[1:]]],
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("as_text", [False, True])
def test_every_dialect_says_the_same(dialect: str, as_text: bool) -> None:
    given = DIALECTS[dialect]
    found = messages(json.dumps(given) if as_text else given)
    without_names = [{k: v for k, v in m.items() if k != "name"} for m in found]
    assert without_names == SAID


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Where?", "Where?"),
        ({"question": "Where?"}, "Where?"),
        ({"inputs": {"messages": [{"type": "human", "content": "Where?"}]}, "tags": []}, "Where?"),
        ('{"args": ["Where?"], "kwargs": {}}', "Where?"),
        ({"args": [], "kwargs": {"query": "Where?"}}, "Where?"),
        ([*SAID, {"role": "user", "content": "And?"}], "And?"),
        ({"n": 3}, None),
        ("", None),
        (None, None),
        (SAID[1:], None),
    ],
)
def test_what_the_user_said_is_found_in_an_agents_input(given: Any, expected: Any) -> None:
    assert asked_by_user(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Here.", "Here."),
        ({"reply": "Here."}, "Here."),
        ({"output": {"answer": "Here."}}, "Here."),
        ({"messages": SAID}, "Here."),
        ({"choices": [{"message": {"role": "assistant", "content": "Here."}}]}, "Here."),
        ({"ok": True}, None),
    ],
)
def test_what_the_agent_said_is_found_in_its_output(given: Any, expected: Any) -> None:
    assert answer(given) == expected


def test_roles_that_are_not_known_are_named() -> None:
    notes: dict[str, None] = {}
    assert messages([{"role": "robot", "content": "beep"}, SAID[0]], notes) == [SAID[0]]
    assert list(notes) == ["a message of the unknown role 'robot', left out"]


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", 5, [], {}, [{"type": "text", "text": "t"}]]
)
CALLS: st.SearchStrategy[Any] = st.sampled_from(
    [None, [], [CALL], [5, CALL], [{"name": "f", "input": {"a": 1}}], "x", {}]
)
OPENAI: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant", "tool"]), "content": ODD},
    optional={"tool_calls": CALLS, "tool_call_id": ODD},
)


@given(message=OPENAI)
def test_a_message_of_openai_means_the_same_with_a_key_that_says_nothing(
    message: dict[str, Any],
) -> None:
    """The usual ones are taken a quicker way, which a key of their own keeps them from."""
    assert messages([message]) == messages([{**message, "created": 1}])


ANY: st.SearchStrategy[Any] = st.one_of(
    OPENAI,
    st.sampled_from([*SAID, {"role": "robot"}, {"type": "human", "content": "Hm?"}, [], "x"]),
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "system", "assistant", "developer"]),
            "content": st.sampled_from(["", " ", "Where?", "Be kind."]),
        }
    ),
)


@given(said=st.lists(ANY, max_size=6))
def test_the_gist_of_messages_is_what_all_of_them_say(said: list[Any]) -> None:
    """Those of OpenAI's own shape are looked at without being converted."""
    notes: dict[str, None] = {}
    systems = [m["content"] for m in messages(said, notes) if m["role"] == "system"]
    expected = Gist(systems[0] if systems else None, last_user(said), tuple(notes))
    assert gist(said) == gist(json.dumps(said)) == gist({"messages": said}) == expected
