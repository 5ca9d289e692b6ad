"""What is replaced and what is not. Card numbers are the issuers' published test numbers."""

import json
import time

import pytest

from profiler.errors import UsageError
from profiler.workload.importers.redact import Redactor, passes_luhn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ann.lee+x@mail.example.co.uk.", "write to [email]."),
        ("<jürgen@büro.example>", "<[email]>"),
        ("card 4111 1111 1111 1111, please", "card [card], please"),
        ("4111-1111-1111-1111 123", "[card] 123"),
        ("378282246310005", "[card]"),
        ("call +49 30 1234567 now", "call [phone] now"),
        ("call +1 (555) 234-5678.", "call [phone]."),
        ("(555) 234-5678", "[phone]"),
        ("555-234-5678 on 2024-05-15", "[phone] on 2024-05-15"),
        ("5552345678", "[phone]"),
        ("020 7946 0958", "[phone]"),
        ("06 12 34 56 78", "[phone]"),
        ("0049 30 1234567", "[phone]"),
        ("use sk-proj-abcdefghijklmnop1234", "use [key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("ghp_" + "a1B2" * 9, "[key]"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [key]"),
        ('"api_key": "hunter2hunter2"', '"api_key": "[key]"'),
        ("password=correcthorse", "password=[key]"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2lnbmF0dXJl", "[key]"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nok", "[key]\nok"),
    ],
)
def test_what_names_or_endangers_a_person_is_replaced(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # fails the Luhn check
        "on 2024-05-15 15:00:00 EST",
        "05/15/2024 at 3",
        "1716000000",  # seconds since 1970
        "flight HAT170 for $1,234.56",
        "reservation 4WQ150, gift_card_8190333",
        "3.14159265358979",
        "10.0.0.1:8080",
        "@handle and a @ b",
        "the key is under the mat",
        "",
    ],
)
def test_what_only_looks_a_little_like_it_stays(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(text) == text
    assert redactor.counts.total() == 0


@pytest.mark.parametrize(
    ("digits", "passes"),
    [("79927398713", True), ("79927398710", False), ("4242424242424242", True), ("18", True)],
)
def test_luhn_as_the_published_example_has_it(digits: str, passes: bool) -> None:
    assert passes_luhn(digits) is passes


def test_all_texts_of_a_message_are_redacted_and_arguments_stay_json() -> None:
    arguments = '{"mail": "a@b.example", "card": 4111111111111111, "seats": 2}'
    function = {"name": "pay", "arguments": arguments}
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "To a@b.example"}],
        "name": "a@b.example",
        "tool_calls": [{"id": "4111111111111111", "type": "function", "function": function}],
    }
    redactor = Redactor()
    redacted = redactor.message(message)
    assert redacted["content"] == [{"type": "text", "text": "To [email]"}]
    assert redacted["name"] == "[email]"
    (call,) = redacted["tool_calls"]
    assert call["id"] == "4111111111111111"
    found = json.loads(call["function"]["arguments"])
    assert found == {"mail": "[email]", "card": "[card]", "seats": 2}
    assert redactor.counts == {"email": 3, "card": 1}
    assert function["arguments"] == arguments, "the message that was given is not changed"


def test_arguments_in_which_nothing_is_found_keep_their_spelling() -> None:
    function = {"name": "f", "arguments": '{ "a" :1}'}
    assert Redactor().message({"function_call": function}) == {"function_call": function}


def test_own_patterns_are_replaced_first() -> None:
    redactor = Redactor([r"[A-Z]\d{3}", r"a@b\.example"])
    assert redactor.text("Z123 a@b.example c@b.example") == "[redacted] [redacted] [email]"
    assert redactor.counts == {"redacted": 2, "email": 1}


@pytest.mark.parametrize(("pattern", "what"), [("(", "no regular expression"), ("x*", "matches")])
def test_a_pattern_that_cannot_be_used_is_named(pattern: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Redactor([pattern])


@pytest.mark.parametrize(
    "unit", ["a", "1", "1 ", "0 ", "a.", "+1 ", "1-", "eyJ", "key=", "@", "(0"]
)
def test_time_grows_with_the_length_of_a_text_whatever_is_in_it(unit: str) -> None:
    """A hundred times more than it takes: what is quadratic takes thousands of times more."""
    begin = time.perf_counter()
    Redactor().text("a@b.example " + unit * (50_000 // len(unit)))
    assert time.perf_counter() - begin < 10
