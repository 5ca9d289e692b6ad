"""Patterns of others: bounded time, and the same meaning as Python's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.workload.checks import Check, failed_check
from profiler.workload.importers.redact import Redactor
from profiler.workload.patterns import TooSlowError, compiled, is_in, replaced

CATASTROPHIC = [r"(a|aa)+$", r"(.*?a){25}P"]
HARMLESS = [
    "a+b",
    "^Your",
    r"A-\d+",
    "(?i)yes|no",
    r"\bA\w*\b",
    "[^a]{2,}",
    "(?s)a.b",
    "(a)(?=b)",
    "",
]


@pytest.mark.parametrize("text", CATASTROPHIC)
def test_a_search_that_would_not_end_is_given_up(text):
    with pytest.raises(TooSlowError):
        is_in(compiled(text), "a" * 60 + "!", limit_s=0.05)
    with pytest.raises(TooSlowError):
        replaced(compiled(text), "x", "a" * 60 + "!", limit_s=0.05)


@given(st.sampled_from(HARMLESS), st.text(alphabet="aAbY ourns-1\n", max_size=30))
def test_a_pattern_means_what_it_means_to_python(text, searched):
    assert is_in(compiled(text), searched) == (re.search(text, searched) is not None)


@pytest.mark.parametrize("text", ["(", "a{2,1}", "(?P<a>x)(?P<a>y)", "[z-a]", "a{99999999999}"])
def test_what_is_no_pattern_says_so(text):
    with pytest.raises(ValueError, match="regular expression"):
        compiled(text)


def test_a_check_that_takes_too_long_has_failed_and_says_what_to_change():
    check = Check.model_validate({"regex": "(a|aa)+$"})
    wrong = failed_check([check], reply="a" * 60 + "!", http_status=200, body=None, latency_s=1.0)
    assert wrong is not None
    assert wrong.startswith("regex: gave up after 0.1 s on (a|aa)+$")
    assert "write it without" in wrong


def test_an_own_redaction_that_takes_too_long_ends_the_import(monkeypatch):
    monkeypatch.setattr("profiler.workload.importers.redact._OWN_LIMIT_S", 0.05)
    with pytest.raises(UsageError, match=r"--redact-pattern: .*takes more than"):
        Redactor(["(a|aa)+$"]).text("a" * 60 + "!")
