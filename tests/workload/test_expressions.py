"""JMESPath as we evaluate it, against the reference implementation."""

from __future__ import annotations

import pickle
from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from profiler.workload.expressions import JmesPath

EXPRESSIONS = [
    "@",
    "a",
    "a.b.c",
    '"a".b',
    "!a",
    "!a.b",
    "!(a.b)",
    "a && b",
    "a && b.c",
    "a || b || c",
    "!a && (b || c.a)",
    "!(a[?b || c]) || b && !c",
    "a[0].b",
    "a[].b[]",
    "a[?!b].c | join('', @)",
    "a == 'x' || b == `0`",
    "a && sum(b.[c, a || `0`])",
    "a | b || c",
    "a.{x: b, y: c} && a.*",
    "contains(a, b)",
    "length(a) > `1`",
]
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "x", 0.0, 1.5]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


PARSED = {text: JmesPath.parse(text) for text in EXPRESSIONS}


@settings(max_examples=300)
@given(document=documents)
def test_an_expression_finds_what_the_reference_finds(document: Any) -> None:
    for text, expression in PARSED.items():
        try:
            expected = jmespath.search(text, document)
        except (JMESPathError, TypeError, ValueError):
            expected = None  # it does not fit the document
        found = expression.search(document)
        assert (text, found, type(found)) == (text, expected, type(expected))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_may_go_to_another_process(text: str) -> None:
    path = JmesPath.parse(text)
    document = {"a": {"b": {"c": [1, "x"]}}, "b": 2}
    assert pickle.loads(pickle.dumps(path)).search(document) == path.search(document)


def test_a_document_that_the_reference_stumbles_over_has_nothing() -> None:
    assert JmesPath.parse("contains(a, b)").search({"a": "text", "b": 1}) is None
