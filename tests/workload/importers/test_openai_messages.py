from typing import Any

import pytest

from profiler.workload.importers.messages import ATTACHED, ORPHAN, SAME_CALL, RefusedError
from profiler.workload.importers.openai_messages import session
from profiler.workload.importers.times import AWAY, BACKWARDS

ASK = {"role": "user", "content": "Where is it?"}
ANSWER = {"role": "assistant", "content": "There."}


def call(call_id: str = "c1", arguments: Any = "{}") -> dict[str, Any]:
    function = {"name": "find", "arguments": arguments}
    asked = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [asked]}


def result(call_id: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "here"}


def test_a_line_is_a_list_of_messages_or_an_object_with_them() -> None:
    bare, named = session([ASK, ANSWER]), session({"id": "a", "messages": [ASK, ANSWER], "x": 1})
    assert (bare.id, named.id) == (None, "a")
    assert bare.messages == named.messages == [ASK, ANSWER]
    assert bare.turns == named.turns == 1


@pytest.mark.parametrize(("given", "expected"), [(7, "7"), ("", None), (None, None)])
def test_an_id_may_be_a_number_or_left_out(given: Any, expected: Any) -> None:
    assert session({"id": given, "messages": [ASK]}).id == expected


def test_messages_are_kept_as_they_are_tool_calls_included() -> None:
    messages = [ASK, call(), result(), ANSWER, ASK]
    read = session(messages)
    assert read.messages == messages
    assert (read.turns, read.notes) == (2, ())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (7, "neither a list of messages nor an object"),
        ({"text": "x"}, "without 'messages'"),
        ({"messages": None}, "no list"),
        ([], "an empty conversation"),
        ([ANSWER], "no user message"),
        ([ASK, "x"], "not an object"),
        ([{"role": "narrator", "content": "x"}], "the unknown role 'narrator'"),
        ([{"content": "x"}], "a message without a role"),
        ([{"role": ["user"], "content": "x"}], "the unknown role 'list'"),
        ([{"role": "user", "content": 7}], "neither text, null nor a list of parts"),
        ([{"role": "user", "content": " "}], "a user message without text"),
        ([ASK, {"role": "assistant", "tool_calls": {"a": 1}}], "tool calls that are no list"),
        ([ASK, {"role": "assistant", "tool_calls": [{"id": "1"}]}], "without a function's name"),
        ({"id": [1], "messages": [ASK]}, "an id that is neither text nor a number"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_its_reason(data: Any, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        session(data)


def test_images_of_a_user_are_not_replayed_and_that_is_noted() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.example/1.png"}}
    seen = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}
    assert session([seen, ANSWER]).notes == (ATTACHED,)
    assert session([{"role": "user", "content": seen["content"][:1]}, ANSWER]).notes == ()
    with pytest.raises(RefusedError, match="a user message without text"):
        session([{"role": "user", "content": [image]}, ANSWER])


def test_calls_of_one_id_are_noted_within_a_message_and_across() -> None:
    twice = call()
    twice["tool_calls"] *= 2
    assert session([ASK, twice, ANSWER]).notes == (SAME_CALL,)
    assert session([ASK, call(), result(), call(), result(), ANSWER]).notes == (SAME_CALL,)
    assert session([ASK, call("c1"), call("c2"), ANSWER]).notes == ()


def test_a_tool_result_without_a_call_is_kept_and_noted() -> None:
    read = session([ASK, call("c1"), result("c2"), ANSWER])
    assert read.notes == (ORPHAN,)
    assert read.messages[2] == result("c2")


def test_a_result_of_the_older_kind_belongs_to_a_call_of_its_name() -> None:
    asked = {"role": "assistant", "function_call": {"name": "find", "arguments": "{}"}}
    told = {"role": "function", "name": "find", "content": "here"}
    assert session([ASK, asked, told]).notes == ()
    assert session([ASK, told]).notes == (ORPHAN,)


def test_arguments_that_are_an_object_become_text_and_that_is_noted() -> None:
    read = session([ASK, call(arguments={"id": 1}), result()])
    assert read.messages[1]["tool_calls"][0]["function"]["arguments"] == '{"id":1}'
    assert "written as JSON text" in read.notes[0]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (86_400, 86_400.0),
        (1_700_000_000_000, 1_700_000_000.0),
        ("1970-01-02T00:00:00Z", 86_400.0),
        ("1970-01-02T02:00:00+02:00", 86_400.0),
        ("1970-01-02", 86_400.0),
    ],
)
def test_times_are_seconds_milliseconds_or_iso_8601(time: Any, expected: float) -> None:
    assert session({"timestamp": time, "messages": [ASK]}).begin_s == expected
    assert session([{**ASK, "created_at": time}]).begin_s == expected


@pytest.mark.parametrize("time", ["soon", True, -1, {"a": 1}])
def test_a_time_that_is_none_is_noted(time: Any) -> None:
    read = session({"created_at": time, "messages": [ASK]})
    assert (read.begin_s, read.notes) == (None, ("a timestamp that is no time",))


def said(role: str, time: Any = None, key: str = "timestamp") -> dict[str, Any]:
    return {"role": role, "content": "x", **({} if time is None else {key: time})}


def test_think_times_are_the_pauses_before_messages_of_the_user() -> None:
    """By hand: asked at 100, answered at 103, asked again at 110, answered, asked at 121.5."""
    messages = [said("user", 100), said("assistant", 103), said("user", 110)]
    messages += [said("assistant", 120, "created_at"), said("user", "1970-01-01T00:02:01.5Z")]
    found = session(messages)
    assert found.think_times_s == (None, 7.0, 1.5)
    assert (found.begin_s, found.notes) == (100, ())


def test_a_pause_is_not_known_where_a_time_is_missing() -> None:
    messages = [said("user", 100), said("assistant"), said("user", 110)]
    messages += [said("assistant", 112), said("user", 115)]
    assert session(messages).think_times_s == (None, None, 3.0)
    assert session([said("user"), said("user")]).think_times_s is None


def test_times_that_go_backwards_are_named_and_give_no_pause() -> None:
    messages = [said("user", 100), said("assistant", 130), said("user", 110)]
    found = session([*messages, said("assistant", 131), said("user", 132)])
    assert found.think_times_s == (None, None, 1.0)
    assert found.notes == (BACKWARDS,)


def test_a_pause_of_a_night_is_no_think_time() -> None:
    messages = [said("user", 100), said("assistant", 101), said("user", 30_000)]
    found = session(messages)
    assert (found.think_times_s, found.notes) == (None, (AWAY,))


def test_a_time_of_a_message_that_is_none_is_named() -> None:
    found = session([said("user", 100), said("assistant", "noon"), said("user", 110)])
    assert (found.think_times_s, found.notes) == (None, ("a timestamp that is no time",))


def test_a_result_of_something_that_is_no_id_belongs_to_no_call():
    result = {"role": "tool", "tool_call_id": ["c1"], "content": "There."}
    found = session({"messages": [ASK, result, ANSWER]})
    assert found.notes == (ORPHAN,)
