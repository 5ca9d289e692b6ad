import re
from typing import Any

import pytest

from profiler.workload.checks import Check, failed_check
from profiler.workload.expressions import JmesPath


def failure(
    check: Any,
    *,
    reply: Any = "Your order A-17 is on its way.",
    status: Any = 200,
    body: Any = None,
    latency_s: Any = 0.5,
) -> Any:
    checks = (Check.model_validate(check),)
    return failed_check(checks, reply=reply, http_status=status, body=body, latency_s=latency_s)


PATH = JmesPath.parse("a.b")
BODY = {"items": [{"id": 1}], "zero": 0, "empty": [], "no": False, "text": "", "yes": True}


@pytest.mark.parametrize(
    "check",
    [
        {"status": 200},
        {"contains": "A-17"},
        {"regex": r"A-\d+"},
        {"regex": "^Your"},
        {"max_latency": "500ms"},
        {"json_path": "items[0].id"},
        {"json_path": "zero"},
        {"json_path": "length(items) > `0`"},
        {"json_path": {"path": "zero", "equals": 0}},
        {"json_path": {"path": "nothing", "equals": None}},
        {"json_path": {"path": "yes", "equals": True}},
        {"status": 200, "contains": "order", "max_latency": 1},
    ],
)
def test_what_holds_does_not_fail(check: Any) -> None:
    assert failure(check, body=BODY) is None


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ({"status": 201}, "status: 200 is not 201"),
        ({"contains": "a-17"}, "contains: a-17 is not in the reply"),
        ({"regex": r"B-\d+"}, r"regex: no match for B-\d+"),
        ({"max_latency": "400ms"}, "max_latency: 0.500 s is over 0.4 s"),
        ({"json_path": "missing"}, "json_path: nothing true at missing"),
        ({"json_path": "empty"}, "json_path: nothing true at empty"),
        ({"json_path": "no"}, "json_path: nothing true at no"),
        ({"json_path": "text"}, "json_path: nothing true at text"),
        ({"json_path": "length(zero)"}, "json_path: nothing true at length(zero)"),
        ({"json_path": {"path": "items[0].id", "equals": 2}}, "json_path: items[0].id is not 2"),
        ({"json_path": {"path": "yes", "equals": 1}}, "json_path: yes is not 1"),
        ({"json_path": {"path": "zero", "equals": None}}, "json_path: zero is not None"),
        (
            {"status": 200, "contains": "nope", "regex": "nope"},
            "contains: nope is not in the reply",
        ),
    ],
)
def test_the_first_condition_that_does_not_hold_is_named(check: Any, says: Any) -> None:
    assert failure(check, body=BODY) == says


def test_a_json_path_fails_where_there_is_no_body() -> None:
    assert failure({"json_path": "a"}, body=None) == "json_path: nothing true at a"


def test_the_first_of_several_checks_that_fails_is_told() -> None:
    checks = [Check.model_validate(check) for check in ({"status": 200}, {"contains": "x"})]
    said = failed_check(checks, reply="", http_status=200, body=None, latency_s=0)
    assert said == "contains: x is not in the reply"
    assert failed_check((), reply="", http_status=500, body=None, latency_s=9) is None


def test_a_regex_looks_at_no_more_than_the_first_100_000_characters() -> None:
    assert failure({"regex": "needle"}, reply="x" * 99_994 + "needle") is None
    assert failure({"regex": "needle"}, reply="x" * 99_995 + "needle") is not None


def test_a_description_is_short_and_one_line() -> None:
    said = failure({"contains": "long\ntext " * 50})
    assert len(said) < 100
    assert "\n" not in said


def test_paths_and_patterns_that_are_compiled_already_are_taken() -> None:
    check = Check.model_validate({"regex": re.compile("a+"), "json_path": {"path": PATH}})
    assert check == Check.model_validate({"regex": "a+", "json_path": PATH.text})


def test_a_slice_is_an_expression_like_any_other() -> None:
    assert failure({"json_path": "items[0:2].id"}, body=BODY) is None
