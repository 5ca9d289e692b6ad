"""JSON Patch, by the examples of RFC 6902, appendix A."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints import json_patch
from profiler.endpoints.json_patch import patched


@pytest.mark.parametrize(
    ("document", "operation", "expected"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": 1}, {"foo": "bar", "baz": 1}),
        ({"foo": [1, 3]}, {"op": "add", "path": "/foo/1", "value": 2}, {"foo": [1, 2, 3]}),
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": [1]}, {"foo": ["bar", [1]]}),
        ({"baz": 1, "foo": 2}, {"op": "remove", "path": "/baz"}, {"foo": 2}),
        ({"foo": [1, 2, 3]}, {"op": "remove", "path": "/foo/1"}, {"foo": [1, 3]}),
        ({"baz": 1}, {"op": "replace", "path": "/baz", "value": 2}, {"baz": 2}),
        (
            {"foo": {"bar": 1, "waldo": 2}, "qux": {}},
            {"op": "move", "from": "/foo/waldo", "path": "/qux/thud"},
            {"foo": {"bar": 1}, "qux": {"thud": 2}},
        ),
        (
            {"foo": [1, 2, 3]},
            {"op": "move", "from": "/foo/0", "path": "/foo/2"},
            {"foo": [2, 3, 1]},
        ),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"a/b": 1}, {"op": "replace", "path": "/a~1b", "value": 2}, {"a/b": 2}),
        ({"a": 1}, {"op": "replace", "path": "", "value": [1]}, [1]),
    ],
)
def test_an_operation_is_done(document, operation, expected):
    before = deepcopy(document)
    assert patched(document, [operation]) == expected
    assert document == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/q/bat", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "move", "from": "/none", "path": "/b"},
        {"op": "add", "path": "a", "value": 1},
        {"op": "spam", "path": "/a"},
        "add",
    ],
)
def test_where_one_operation_cannot_be_done_none_is(operation):
    document = {"a": 1, "list": []}
    assert patched(document, [{"op": "add", "path": "/b", "value": 1}, operation]) == document


values = st.recursive(
    st.none() | st.integers(-2, 2) | st.sampled_from(["", "/a", "/0", "/-", "/a/0", "add"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "0", "op", "path", "from", "value"]), inner)
    ),
    max_leaves=6,
)
operations = st.builds(
    lambda op, path, source, given: {"op": op, "path": path, "from": source, "value": given},
    st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
    values,
    values,
    values,
)


@given(values, st.lists(operations | values, max_size=4) | values)
def test_nothing_makes_it_raise_or_changes_the_document(document, given_operations):
    before = deepcopy(document)
    patched(document, given_operations)
    assert document == before


def test_copies_of_copies_end_at_a_limit(monkeypatch):
    """Each delta doubles the list: 2 values at first, so 5,000 are passed with the 12th or so."""
    monkeypatch.setattr(json_patch, "MOST_VALUES", most := 5_000)
    document = {"a": [1]}
    for _ in range(60):
        document = patched(document, [{"op": "copy", "from": "/a", "path": "/a/-"}])
    assert _values(document) <= most
    assert _values(document) > most / 4
    within_one = patched(document, [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60)
    assert within_one == document


def _values(document):
    inner = document.values() if isinstance(document, dict) else document
    return 1 + sum(map(_values, inner)) if isinstance(document, dict | list) else 1
