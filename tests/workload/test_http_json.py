"""Mistakes in a described protocol: each is one line that says where it is and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from profiler.errors import WorkloadError

ONE_SCENARIO = "scenarios: [{name: a, turns: [{user: hi}]}]\n"
TEXT = "text: {value: t}"


def refused(load: Any, keys: str) -> str:
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO + f"target: {{protocol: http-json, http_json: {{{keys}}}}}")
    assert str(caught.value.where).endswith("w.yaml:2")
    return str(caught.value)


@pytest.mark.parametrize(
    ("rules", "place", "says"),
    [
        ("text: {value: 't['}", ".text.value", "is not a JMESPath expression"),
        ("text: {value: t, whn: {}}", "", "unknown key 'whn' under target.http_json.events.text"),
        ("text: {when: {event: a}}", "", "'value' is missing under target.http_json.events.text"),
        ("text: t", ".text", "should be a mapping of keys, not 't'"),
        ("final: {when: {event: x}}", "", "no rule says where the reply's text is"),
        (TEXT + ", txt: {value: t}", "", "unknown key 'txt'"),
        (TEXT + ", data: xml", ".data", "there is no 'xml'"),
        (TEXT + ", final: {}", "", "'when' is missing under target.http_json.events.final"),
        (TEXT + ", final: {when: {}}", ".final.when", "the condition is empty"),
        (TEXT + ", final: {when: {equals: 1}}", ".final.when", "'equals' has no path to look at"),
        (
            TEXT + ", final: {when: {event: x, in: [1]}}",
            ".final.when.in",
            "'in' has no path to look at",
        ),
        (
            TEXT + ", final: {when: {path: a, equals: 1, exists: true}}",
            ".final.when.exists",
            "equals and exists exclude each other",
        ),
        (TEXT + ", final: {when: {path: a, in: []}}", ".final.when.in", "at least 1 item"),
        (TEXT + ", final: {when: {path: a, in: [[1]]}}", ".final.when.in[0]", "is not a text"),
        (TEXT + ", final: {when: {path: a, equals: {}}}", ".when.equals", "is not a text"),
        (TEXT + ", final: {when: {path: a, exists: 1}}", ".when.exists", "true or false"),
        (TEXT + ", final: {when: {event: 3}}", ".when.event", "should be a list, not 3"),
        (TEXT + ", final: {when: {event: ''}}", ".when.event", "the text is empty"),
        (TEXT + ", usage: {combine: sum}", ".usage", "the rule finds no tokens"),
        (TEXT + ", usage: {combine: mean, input_tokens: a}", ".usage.combine", "no 'mean'"),
        (TEXT + ", usage: {tokens: a}", "", "unknown key 'tokens'"),
        (TEXT + ", error: {}", ".error", "neither 'when' nor 'message'"),
        (TEXT + ", tool_start: {when: {event: x}}", "", "'name' is missing"),
        (TEXT + ", tool_end: {when: {event: x}}", ".tool_end", "nothing names the tool"),
        (
            TEXT + ", llm_start: {when: {event: x}, id: i}, llm_end: {when: {event: y}}",
            ".llm_end",
            "llm_start has an id and llm_end has none",
        ),
    ],
)
def test_a_mistake_in_a_rule_names_its_place(load: Any, rules: str, place: str, says: str) -> None:
    message = refused(load, f"body: {{m: '{{{{ user }}}}'}}, events: {{{rules}}}")
    assert says in message
    assert place in message


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("reply: r, events: {text: {value: t}}", "reply has no use beside events"),
        ("usage: {input_tokens: a}, events: {text: {value: t}}", "Write it as a rule in events.us"),
        ("reply: r, path: chat", "the path does not begin with one '/'"),
        ("reply: r, path: //elsewhere/chat", "the path does not begin with one '/'"),
        ("reply: r, path: '/a b\u00e9'", "a character that no path has"),
        ("reply: r, path: '/a#b'", "a character that no path has"),
        ("reply: r, path: '/{{ user }}'", "unknown variable 'user'"),
        ("reply: r, setup: {body: {}}", "'path' is missing under target.http_json.setup"),
        ("reply: r, setup: {path: /s, body: {m: '{{ turn }}'}}", "unknown variable 'turn'"),
        ("reply: r, setup: {path: /s, session_id: '['}", "is not a JMESPath expression"),
    ],
)
def test_a_mistake_beside_the_rules_is_found_before_anything_is_sent(
    load: Any, keys: str, says: str
) -> None:
    assert says in refused(load, f"body: {{m: '{{{{ user }}}}'}}, {keys}")


def test_null_may_be_asked_for(load: Any) -> None:
    rules = "text: {value: t, when: {path: a, equals: null}}"
    workload = load(
        ONE_SCENARIO + "target: {protocol: http-json, http_json: {body: {m: '{{ user }}'}, "
        f"events: {{{rules}}}}}}}"
    )
    assert workload.target.http_json.events.text.when.tests() == ("equals",)
