import json
from collections import Counter
from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload.conversations import read_conversations, read_recordings


@pytest.fixture
def read(tmp_path: Any) -> Any:
    def write_and_read(*lines: Any) -> Any:
        path = tmp_path / "c.jsonl"
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return read_conversations(path)

    return write_and_read


def conversation(*messages: Any, id: Any = "a") -> Any:  # noqa: A002 - the key in the file
    return {"id": id, "messages": list(messages)}


SYSTEM = {"role": "system", "content": "Be kind."}
HELLO = {"role": "assistant", "content": "Hello!"}
ASK = {"role": "user", "content": "Where is it?"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "there"}
ANSWER = {"role": "assistant", "content": "There."}
THANKS = {"role": "user", "content": "Thanks."}


def test_the_airline_recordings_are_whole(airline: Any) -> None:
    """The counts were taken from the file with another program (see the issue)."""
    conversations = read_conversations(airline)
    turns = [turn for conversation in conversations for turn in conversation.turns()]
    replies = [message for turn in turns for message in turn.replies]
    assert len(conversations) == 50
    assert len(turns) == 360
    roles = Counter(message["role"] for message in replies)
    assert roles == {"assistant": 629, "tool": 269}
    assert all(c.preamble[0]["role"] == "system" for c in conversations)
    most = max(Counter(m["role"] for m in turn.replies)["assistant"] for turn in turns)
    assert most == 13


def test_a_turn_has_everything_up_to_the_next_user_message(read: Any) -> None:
    (recorded,) = read(conversation(SYSTEM, HELLO, ASK, CALL, RESULT, ANSWER, THANKS))
    assert recorded.preamble == (SYSTEM, HELLO)
    first, second = recorded.turns()
    assert (first.user, first.replies) == ("Where is it?", (CALL, RESULT, ANSWER))
    assert (second.user, second.replies) == ("Thanks.", ())
    assert recorded.messages == (SYSTEM, HELLO, ASK, CALL, RESULT, ANSWER, THANKS)


def test_user_messages_in_a_row_are_turns_of_their_own(read: Any) -> None:
    (recorded,) = read(conversation(ASK, THANKS, ANSWER))
    assert [(turn.user, turn.replies) for turn in recorded.turns()] == [
        ("Where is it?", ()),
        ("Thanks.", (ANSWER,)),
    ]
    assert recorded.preamble == ()


def test_the_text_parts_of_a_content_are_joined(read: Any) -> None:
    parts = [
        {"type": "text", "text": "What "},
        {"type": "image_url"},
        {"type": "text", "text": "is it?"},
    ]
    (recorded,) = read(conversation({"role": "user", "content": parts}))
    assert recorded.turns()[0].user == "What is it?"


def test_more_keys_and_blank_lines_are_allowed(read: Any) -> None:
    assert len(read(conversation(ASK) | {"source": "x"}, "", conversation(ASK, id="b"))) == 2


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Any) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(conversation(ASK)).encode())
    assert read_conversations(path)[0].id == "a"


def test_recordings_know_their_file(airline: Any) -> None:
    """The digest was taken with sha256sum."""
    recordings = read_recordings(airline)
    assert recordings.sha256 == "c1f07c558275e4b70dac49e35751a85fe9881085b4015ab5fd3f6527b360f1ff"
    assert len(repr(recordings)) < 500


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not a line of JSON"),
        ("[]", "the line is not a JSON object"),
        ({"messages": [ASK]}, "'id' is missing"),
        ({"id": 3, "messages": [ASK]}, "'id' is missing, empty or not text"),
        ({"id": "b"}, "'messages' is missing"),
        ({"id": "b", "messages": {}}, "'messages' is missing, empty or not a list"),
        (conversation(id="b"), "'messages' is missing, empty"),
        (conversation(ANSWER, id="b"), "conversation 'b' has no user message"),
        (conversation("hi", id="b"), "messages[0] is not an object"),
        (conversation(ASK, {"role": "asistant"}, id="b"), "messages[1] has the unknown role"),
        (conversation({"role": []}, id="b"), "unknown role"),
        (conversation({"role": "user", "content": 3}, id="b"), "neither text, null nor a list"),
        (conversation({"role": "user", "content": ["x"]}, id="b"), "neither text, null nor"),
        (conversation({"role": "user", "content": [{"type": "text"}]}, id="b"), "neither text"),
        (conversation({"role": "user"}, id="b"), "messages[0] is a user message without text"),
        (conversation({"role": "user", "content": " "}, id="b"), "without text"),
        (conversation(ASK), "the id 'a' was used already in line 1"),
    ],
)
def test_a_broken_line_is_an_error_with_file_and_line(read: Any, line: Any, says: Any) -> None:
    with pytest.raises(WorkloadError) as caught:
        read(conversation(ASK), line)
    assert str(caught.value.where).endswith("c.jsonl:2")
    assert says in caught.value.what
    assert caught.value.fix


def test_a_file_with_nothing_in_it_is_refused(read: Any, tmp_path: Any) -> None:
    with pytest.raises(WorkloadError, match="no conversations"):
        read("")
    with pytest.raises(WorkloadError, match="cannot read the conversations"):
        read_conversations(tmp_path / "nope.jsonl")
