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
        ("OPENAI_API_KEY=hunter2hunter2", "OPENAI_API_KEY=[key]"),
        ("AWS_SECRET_ACCESS_KEY=wJalr/XUtn", "AWS_SECRET_ACCESS_KEY=[key]"),
        ("dbPassword: hunter2hunter2", "dbPassword: [key]"),
        ("?client_secret=hunter2hunter2", "?client_secret=[key]"),
        ("access_token=abc.def&token=abcdef123456", "access_token=[key]"),
        ("token=abcdef123456", "token=[key]"),
        ("Authorization: Basic bWU6cGFzc3dvcmQ=", "Authorization: Basic [key]"),
        (r'"{\"password\": \"hunter2\"}"', r'"{\"password\": \"[key]\"}"'),
        ("redis://:hunter2@cache:6379/0", "redis://[key]@cache:6379/0"),
        ("SG." + "a1" * 11 + "." + "b2" * 20, "[key]"),
        ("npm_" + "a1B2" * 9, "[key]"),
        ("xapp-1-A012-345-abc", "[key]"),
        ("https://x.example/?to=ann%40mail.example&n=1", "https://x.example/?to=[email]&n=1"),
        # As copied from a page: with blanks and hyphens that do not break a line, and dashes.
        ("+1\u00a0555\u00a0234\u00a05678", "[phone]"),
        ("+1\u2011555\u2011234\u20115678", "[phone]"),
        ("555\u2013234\u20135678", "[phone]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[card]"),
        ("4111  1111  1111  1111", "[card]"),
        ("4111.1111.1111.1111", "[card]"),
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
        "token: the next word",
        "max_tokens=2000000000",
        "pip install package@1.2.3",
        "3.14159265358979323846",
        "https://x.example:8080/a?b=c",
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


def test_fields_of_arguments_that_are_called_keys_are_keys_whatever_stands_in_them() -> None:
    """A value stands alone there: nothing in it says what it is."""
    given = {
        "password": "abc",
        "headers": {"X-Api-Key": "hunter2", "Authorization": "Basic bWU6cA=="},
        "clientSecret": 123456,
        "keyword": "abc",
        "secret": None,
        "password_required": True,
        "tokens": 12,
    }
    function = {"name": "f", "arguments": json.dumps(given)}
    redactor = Redactor()
    found = json.loads(redactor.message({"function_call": function})["function_call"]["arguments"])
    assert found == given | {
        "password": "[key]",
        "headers": {"X-Api-Key": "[key]", "Authorization": "[key]"},
        "clientSecret": "[key]",
    }
    assert redactor.counts == {"key": 4}


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
    "unit",
    [
        "a",
        "1",
        "1 ",
        "0 ",
        "a.",
        "+1 ",
        "1-",
        "eyJ",
        "key=",
        "@",
        "(0",
        "%40",
        "%2b",
        "://",
        "token=",
        "\\",
    ],
)
def test_time_grows_with_the_length_of_a_text_whatever_is_in_it(unit: str) -> None:
    """Ten times what the slowest takes of a processor: what is quadratic takes thousands."""
    begin = time.process_time()
    Redactor().text("a@b.example " + unit * (50_000 // len(unit)))
    assert time.process_time() - begin < 10
