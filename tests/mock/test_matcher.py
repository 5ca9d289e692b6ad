from __future__ import annotations

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.mock.matcher import Matcher
from profiler.mock.recordings import (
    Recording,
    RecordingIndex,
    calls_of,
    canonical_arguments,
    function_of,
    step_key,
    text_of,
)


def index_of(conversations):
    recordings = [Recording.of(c["id"], c["messages"]) for c in conversations]
    return RecordingIndex(recordings, default_system="default")


def replay(conversations, served, order, *, hints=False):
    """Play agent and LLM against the matchers alone, one LLM call of some session at a time."""
    index = index_of(served)
    llm, agent = Matcher(index), Matcher(index)
    answers: dict[str, list] = {c["id"]: [] for c in conversations}

    def session(conversation):
        hint = conversation["id"] if hints else None
        users = [m for m in conversation["messages"] if m["role"] == "user"]
        opening = agent.opening(text_of(users[0]["content"]), hint)
        history = opening.start("default")
        for message in users:
            history.append(message)
            while True:
                match, recorded = llm.answer(history, hint)
                assert recorded
                yield
                if match is None:
                    break
                answers[conversation["id"]].append(match.step.message)
                history.append(match.step.message)
                calls = calls_of(match.step.message)
                if calls:
                    results = agent.results(history, hint)
                    history.extend({"role": "tool", "content": r} for r in results if r is not None)
                elif not match.step.goes_on:
                    break

    running = [session(c) for c in conversations]
    while running:
        chosen = running[order(len(running))]
        if next(chosen, running) is running:
            running.remove(chosen)
    return answers


def keys(messages):
    return Counter(step_key(m) for m in messages if m["role"] == "assistant")


TEXTS = st.sampled_from(["yes", "no", "hi"])
CALLS = st.lists(st.sampled_from(["find", "book"]), min_size=1, max_size=2)


@st.composite
def recorded_turn(draw):
    messages = [{"role": "user", "content": draw(TEXTS)}]
    for names in draw(st.lists(CALLS, max_size=2)):
        functions = [{"function": {"name": name, "arguments": "{}"}, "id": "c"} for name in names]
        messages.append({"role": "assistant", "content": None, "tool_calls": functions})
        results = draw(st.lists(TEXTS, min_size=len(names), max_size=len(names)))
        messages.extend({"role": "tool", "content": text, "tool_call_id": "c"} for text in results)
    texts = draw(st.lists(TEXTS, min_size=1, max_size=2))
    return [*messages, *({"role": "assistant", "content": text} for text in texts)]


@st.composite
def recorded_file(draw):
    turns = st.lists(recorded_turn(), min_size=1, max_size=3)
    files = draw(st.lists(turns, min_size=1, max_size=6))
    prompts = st.sampled_from([[], [{"role": "system", "content": "S"}]])
    return [
        {"id": str(n), "messages": [*draw(prompts), *(m for turn in file for m in turn)]}
        for n, file in enumerate(files)
    ]


@given(conversations=recorded_file(), data=st.data())
@settings(max_examples=120, deadline=None)
def test_without_hints_a_replay_of_each_gives_every_recorded_message_once(conversations, data):
    def order(running):
        return data.draw(st.integers(0, running - 1))

    answers = replay(conversations, conversations, order)
    given_ = sum((keys(messages) for messages in answers.values()), Counter())
    assert given_ == sum((keys(c["messages"]) for c in conversations), Counter())


@given(conversations=recorded_file(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_with_hints_each_session_gives_its_own_recording(conversations, data):
    def order(running):
        return data.draw(st.integers(0, running - 1))

    answers = replay(conversations, conversations, order, hints=True)
    for conversation in conversations:
        recorded = [m for m in conversation["messages"] if m["role"] == "assistant"]
        assert answers[conversation["id"]] == recorded


def test_a_released_answer_is_served_to_the_next():
    turn = [{"role": "user", "content": "hi"}]
    twins = [
        {"id": name, "messages": [*turn, {"role": "assistant", "content": name}]}
        for name in ("a", "b")
    ]
    matcher = Matcher(index_of(twins))
    first, _ = matcher.answer(turn)
    first.release()
    served = [matcher.answer(turn)[0].conversation for _ in range(4)]
    assert Counter(served[:2]) == Counter(served[2:]) == Counter(["a", "b"])


def test_the_same_system_prompt_decides_between_recordings_not_yet_served():
    def recording(name):
        return {
            "id": name,
            "messages": [
                {"role": "system", "content": name},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": f"I am {name}"},
            ],
        }

    matcher = Matcher(index_of([recording("a"), recording("b"), recording("c")]))
    for name in ("c", "a", "b"):
        match, _ = matcher.answer(recording(name)["messages"][:2])
        assert match.conversation == name


def test_many_alike_recordings_cost_no_more_than_one():
    turn = [{"role": "user", "content": "hi"}]
    many = [
        {"id": str(n), "messages": [*turn, {"role": "assistant", "content": str(n)}]}
        for n in range(3_000)
    ]
    matcher = Matcher(index_of(many))
    assert {matcher.answer(turn)[0].conversation for _ in range(3_000)} == {
        str(n) for n in range(3_000)
    }


def test_what_no_recording_has_is_told_from_what_one_has_no_answer_for():
    recording = {
        "id": "a",
        "messages": [
            {"role": "user", "content": "unanswered"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
        ],
    }
    matcher = Matcher(index_of([recording]))
    first = [{"role": "user", "content": "unanswered"}]
    assert matcher.answer(first) == (None, True)
    scripted = {"role": "assistant", "content": "something"}
    match, _ = matcher.answer([*first, scripted, {"role": "user", "content": "hi"}])
    assert match.conversation == "a"
    assert matcher.answer([{"role": "user", "content": "stranger"}]) == (None, False)
    assert matcher.answer([]) == (None, False)
    assert matcher.answer([{"role": "system", "content": "x"}, scripted]) == (None, False)
    assert matcher.results([*first, scripted]) is None
    assert matcher.opening("stranger") is None


def test_results_go_to_their_calls_by_id_and_by_place_where_ids_do_not_tell():
    def recording(ids, tool_ids):
        functions = [{"id": i, "function": {"name": "f", "arguments": "{}"}} for i in ids]
        tools = [
            {"role": "tool", "tool_call_id": i, "content": f"{n}:{i}"}
            for n, i in enumerate(tool_ids)
        ]
        turn = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": functions},
        ]
        return turn, Matcher(index_of([{"id": "a", "messages": [*turn, *tools]}]))

    for ids, tool_ids, results in (
        (["x", "y"], ["y", "x"], ("1:x", "0:y")),
        (["x", "x"], ["x", "x"], ("0:x", "1:x")),
        (["x", "y"], ["x"], ("0:x", None)),
        ([None, None], ["x", "y"], ("0:x", "1:y")),
    ):
        turn, matcher = recording(ids, tool_ids)
        assert matcher.results(turn) == results


def test_content_and_arguments_are_compared_by_meaning():
    assert text_of(None) == text_of([]) == text_of(7) == ""
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert text_of(parts) == "ab"
    assert canonical_arguments('{"b": 1, "a": [2]}') == canonical_arguments('{"a":[2],"b":1}')
    assert canonical_arguments("{broken") == "{broken"
    assert function_of({"function": {"name": "f", "arguments": {"a": 1}}}) == ("f", '{"a":1}')
    assert function_of({"function": {"name": "f"}}) == ("f", "{}")
    assert function_of({}) == ("", "{}")
    assert calls_of({"tool_calls": None}) == calls_of({}) == []


def test_the_opening_is_the_recordings_own():
    recording = Recording.of(
        "a",
        [
            {"role": "system", "content": "one"},
            {"role": "developer", "content": "two"},
            {"role": "assistant", "content": "Welcome"},
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "later: left out"},
            {"role": "assistant", "content": "hello"},
        ],
    )
    assert json.dumps(recording.start("default")) == json.dumps(
        [{"role": "system", "content": "one\n\ntwo"}, {"role": "assistant", "content": "Welcome"}]
    )
    assert [m["role"] for m in recording.messages] == ["user", "assistant"]
    bare = Recording.of("b", [{"role": "user", "content": "hi"}])
    assert bare.start("default") == [{"role": "system", "content": "default"}]
