"""Exports of Langfuse, after its documentation: the API's camelCase, the storage's snake_case.

https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields and
langfuse/langfuse, fern/apis/server/definition/commons.yml.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from profiler.workload.importers.langfuse import (
    NO_CALL,
    NO_GENERATION,
    NO_TRACE,
    SCORE,
    TWICE,
    UNKNOWN,
    gather,
)
from profiler.workload.importers.messages import TOO_DEEP
from profiler.workload.importers.turns import GENERATED
from tests.workload.importers.gathering import Gathered


def at(second: float) -> str:
    return f"2025-03-01T10:00:{second:06.3f}Z"


def trace(name: str, begin: float, session: str | None = "s1", **more: Any) -> dict[str, Any]:
    return {"id": name, "timestamp": at(begin), "name": "chat", "sessionId": session,
            "userId": "u1", "input": None, "output": None, **more}  # fmt: skip


def generation(of: str, begin: float, end: float, given: Any, said: Any, **more: Any) -> Any:
    return {"id": f"{of}-{begin}", "traceId": of, "type": "GENERATION", "startTime": at(begin),
            "endTime": at(end), "model": "gpt-4o", "input": given, "output": said,
            "parentObservationId": f"{of}-root", **more}  # fmt: skip


def tool(of: str, begin: float, name: str, result: Any) -> dict[str, Any]:
    return {"id": f"{of}-{begin}", "traceId": of, "type": "TOOL", "name": name,
            "startTime": at(begin), "endTime": at(begin + 0.5), "input": {"id": 7},
            "output": result, "parentObservationId": f"{of}-root"}  # fmt: skip


SYSTEM = {"role": "system", "content": "Be kind."}
FIRST = [SYSTEM, {"role": "user", "content": "Where is it?"}]
ASKED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c9", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}}
]}  # fmt: skip
SECOND = [*FIRST, {"role": "assistant", "content": "Here."}, {"role": "user", "content": "Thanks."}]
ROWS = [
    trace("t1", 0, input={"messages": [FIRST[1]]}),
    generation("t1", 1, 2, FIRST, ASKED),
    tool("t1", 2.25, "find", {"place": "here"}),
    generation("t1", 3, 4, FIRST, {"role": "assistant", "content": "Here."}),
    trace("t2", 10),
    generation("t2", 10.5, 12, SECOND, "You are welcome."),
]
SAID = [
    ("system", "Be kind."),
    ("user", "Where is it?"),
    ("assistant", ["find"]),
    ("tool", '{"place":"here"}'),
    ("assistant", "Here."),
    ("user", "Thanks."),
    ("assistant", "You are welcome."),
]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def full(name: str) -> dict[str, Any]:
    (of,) = (row for row in ROWS if row["id"] == name)
    return {**of, "observations": [row for row in ROWS if row.get("traceId") == name]}


FORMS = {
    "JSON Lines": lines(ROWS),
    "JSON array": json.dumps(ROWS),
    "JSON array, indented": json.dumps(ROWS, indent=2),
    "answer of the API": json.dumps({"data": ROWS, "meta": {"page": 1}}),
    "answer of the API, indented": json.dumps({"data": ROWS, "meta": {"page": 1}}, indent=2),
    "traces with observations": lines([full("t1"), full("t2")]),
    "session": json.dumps({"id": "s1", "traces": [full("t1"), full("t2")]}, indent=2),
    "observations as text": lines(
        [{**full(t), "observations": json.dumps(full(t)["observations"])} for t in ("t1", "t2")]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_session(form: str) -> None:
    found = Gathered(gather, FORMS[form])
    assert found.skipped == []
    assert list(found.sessions) == ["s1"]
    assert found.said("s1") == SAID


def test_a_downloaded_trace_is_one_turn() -> None:
    (of,) = (row for row in ROWS if row["id"] == "t1")
    data = {"trace": of, "observations": full("t1")["observations"]}
    assert Gathered(gather, json.dumps(data, indent=2)).said("s1") == SAID[:5]


def test_the_order_of_rows_is_of_no_account() -> None:
    rows = list(ROWS)
    for seed in range(10):
        random.Random(seed).shuffle(rows)
        assert Gathered(gather, lines(rows)).said("s1") == SAID


def test_the_think_time_is_from_the_last_answer_to_the_next_trace() -> None:
    """The first trace's last observation ends at 4 s, the second trace begins at 10 s."""
    session = Gathered(gather, lines(ROWS)).sessions["s1"]
    assert session.think_times_s == (None, 6.0)
    assert session.begin_s == 1740823200.0


def test_results_are_given_to_their_calls() -> None:
    messages = Gathered(gather, lines(ROWS)).sessions["s1"].messages
    assert messages[2]["tool_calls"][0]["id"] == messages[3]["tool_call_id"] == "c9"


def test_enriched_observations_of_the_storage_need_no_traces() -> None:
    """snake_case, inputs as text, times without a zone; the session stands in each row."""
    rows = [
        {
            "id": row["id"],
            "trace_id": row["traceId"],
            "session_id": "s1",
            "type": row["type"],
            "name": row.get("name"),
            "start_time": row["startTime"].replace("T", " ").replace("Z", "000"),
            "end_time": row["endTime"].replace("T", " ").replace("Z", "000"),
            "input": json.dumps(row["input"]),
            "output": row["output"]
            if isinstance(row["output"], str)
            else json.dumps(row["output"]),
            "parent_observation_id": row["parentObservationId"],
        }
        for row in ROWS
        if "traceId" in row
    ]
    found = Gathered(gather, lines(rows))
    assert found.skipped == []
    assert found.said("s1") == [*SAID[:3], ("tool", '{"place": "here"}'), *SAID[4:]]
    assert found.sessions["s1"].think_times_s == (None, 6.5)


def test_traces_without_observations_have_input_and_output() -> None:
    rows = [trace("t1", 0, input="Where?", output={"answer": "There."}, latency=2.5)]
    rows += [trace("t2", 5, input={"args": ["And?"], "kwargs": {}}, output="No.")]
    found = Gathered(gather, lines(rows))
    assert [text for _, text in found.said("s1")] == ["Where?", "There.", "And?", "No."]
    assert found.sessions["s1"].notes == (NO_GENERATION,)
    assert found.sessions["s1"].think_times_s == (None, 2.5)


def test_without_a_session_a_user_is_one_and_a_pause_of_an_hour_parts_it() -> None:
    rows = [trace(f"t{n}", n, None, input=f"q{n}", output="a") for n in range(3)]
    rows.append({**rows[0], "id": "t9", "timestamp": "2025-03-01T11:00:10Z", "input": "later"})
    found = Gathered(gather, lines(rows))
    assert {name: found.users(name) for name in found.sessions} == {
        "u1": ["q0", "q1", "q2"],
        "u1-2": ["later"],
    }


@pytest.mark.parametrize(
    "given", ["And?", {"question": "And?"}, {"messages": [], "input": "And?"}, FIRST[1:]]
)
def test_what_the_root_was_given_is_looked_through_where_the_trace_says_nothing(given: Any) -> None:
    rows = [
        trace("t1", 0),
        {**generation("t1", 1, 9, given, "Here."), "parentObservationId": None},
        generation("t1", 2, 3, FIRST, "Here."),
    ]
    expected = "And?" if given != FIRST[1:] else "Where is it?"
    assert Gathered(gather, lines(rows)).users("s1") == [expected]


def test_only_what_the_first_call_was_given_can_be_refused() -> None:
    """Arguments that orjson reads and does not write, in a text, whose depth is looked at late."""
    deep = json.dumps([{"role": "assistant", "tool_calls": [{"name": "f", "input": "PLACE"}]}])
    deep = deep.replace('"PLACE"', "[" * 900 + "]" * 900)
    of = trace("t1", 0, input="Where?")
    given = [generation("t1", 1, 2, FIRST, "Here."), generation("t1", 3, 4, deep, "There.")]
    assert Gathered(gather, lines([of, *given])).skipped == []
    given[0]["input"] = deep
    assert Gathered(gather, lines([of, *given])).skipped == [(1, TOO_DEEP)]


def test_without_content_lengths_are_those_of_usage() -> None:
    """First turn: 120 of input, the least there is 100, and one. Second: 170 - (120 + 30)."""
    none = {"input": None, "output": None}
    rows = [trace("t1", 0), trace("t2", 10), trace("t3", 20, "other")]
    rows += [
        {**generation("t1", 1, 2, None, None), **none, "usageDetails": {
            "input": 20, "input_cached_tokens": 100, "output": 30, "total": 150}},
        {**generation("t2", 11, 12, None, None), **none, "usage": {"input": 170, "output": 9}},
        {**generation("t3", 21, 22, None, None), **none, "usage": {"input": 100, "output": 5}},
    ]  # fmt: skip
    found = Gathered(gather, lines(rows))
    sizes = [(role, len(text.split())) for role, text in found.said("s1")]
    assert sizes == [("user", 21), ("assistant", 30), ("user", 20), ("assistant", 9)]
    assert found.sessions["s1"].notes == (GENERATED,)
    assert [len(text.split()) for text in found.users("other")] == [1]


def test_a_wrapper_around_a_generation_counts_for_nothing() -> None:
    outer = generation("t1", 0.5, 5, FIRST, "Here.")
    inner = {**generation("t1", 1, 2, FIRST, "Here."), "parentObservationId": outer["id"]}
    found = Gathered(gather, lines([trace("t1", 0), outer, inner]))
    assert [role for role, _ in found.said("s1")] == ["system", "user", "assistant"]


def test_what_is_left_out_is_named() -> None:
    rows: list[Any] = [
        {"id": "x", "traceId": "t1", "dataType": "NUMERIC", "value": 1, "timestamp": at(1)},
        {"id": "x", "startTime": at(1), "type": "SPAN"},
        {"hello": 1},
        [1],
        trace("empty", 1, "s2"),
        {**trace("no time", 1), "timestamp": "noon"},
        *ROWS,
        ROWS[1],
    ]
    found = Gathered(gather, lines(rows) + "{oops\n\xff\n")
    assert sorted(found.skipped, key=str) == sorted(
        [
            (1, SCORE),
            (2, NO_TRACE),
            (3, UNKNOWN),
            (4, "not a JSON object"),
            (5, NO_CALL),
            (6, "a trace without a time that can be read"),
            (14, "not JSON"),
            (15, "not JSON"),
        ],
        key=str,
    )
    assert found.said("s1") == SAID
    assert found.sessions["s1"].notes == (TWICE,)


def test_unknown_roles_are_named() -> None:
    given = [*FIRST, {"role": "robot", "content": "beep"}]
    rows = [trace("t1", 0), generation("t1", 1, 2, given, "Here.")]
    notes = Gathered(gather, lines(rows)).sessions["s1"].notes
    assert notes == ("a message of the unknown role 'robot', left out",)


JUNK: list[Any] = [None, 5, -1.5, True, "x", "{", "[[[[]]]]", [], {}, [[[1]]], {"messages": 3},
        {"role": 5}, [{"role": [], "content": {}}], [{"type": ["a"]}], {"kwargs": {"x": {}}},
        [{"role": "user", "content": [{"type": {}}]}], [{"role": "assistant", "tool_calls": 3}],
        [{"role": "assistant", "tool_calls": [{"function": 3}, 4]}], {"data": 7},
        "\ud800"]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_no_value_of_a_wrong_type_ends_the_import(junk: Any) -> None:
    for row in ROWS[:4]:
        for key in row:
            changed = [{**row, key: junk} if other is row else other for other in ROWS]
            Gathered(gather, lines(changed))


def test_what_is_nested_too_deeply_is_named_and_the_rest_is_taken() -> None:
    """orjson reads 1,024 levels and writes 254."""
    deep = "[" * 900 + "]" * 900
    wide = json.dumps([[] for _ in range(900)])
    of = trace("t", 0, input="Hello?")
    rows = [lines([of]), lines([generation("t", 1, 2, "Hello?", "Hi.")])]
    odd = [lines([tool("t", 3, "find", "PLACE")]).replace('"PLACE"', one) for one in (deep, wide)]
    found = Gathered(gather, "".join([*rows, *odd]))
    assert found.skipped == [(3, TOO_DEEP)]
    assert [m["role"] for m in found.sessions["s1"].messages] == ["user", "assistant", "tool"]
