"""What is hidden, and what is not."""

from __future__ import annotations

import sys
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.redaction import (
    PLACE,
    forget_all,
    header_secrets,
    hidden,
    hide_in_tracebacks,
    login_secrets,
    remember,
    without_user,
)

SECRET = "canary/Zx81-Q+w"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    forget_all()
    yield
    forget_all()


def test_a_secret_goes_however_it_is_written():
    remember(SECRET)
    assert hidden(f"a {SECRET} b") == f"a {PLACE} b"
    assert hidden("at /x?k=canary%2FZx81-Q%2Bw ") == f"at /x?k={PLACE} "


@pytest.mark.parametrize(
    "written",
    [
        "can&quot;ary&lt;&#x27;\\ &amp;7",  # HTML
        "can&quot;ary&lt;&#39;\\ &amp;7",  # HTML, of other libraries
        "can\"ary&lt;'\\ &amp;7",  # HTML, between tags
        "can\\\"ary<'\\\\ &7",  # JSON
        "can\"ary<\\'\\\\ &7",  # Python's repr
        "can%22ary%3C%27%5C+%267",  # a form
    ],
)
def test_a_secret_goes_as_those_write_it_who_quote_it(written):
    remember("can\"ary<'\\ &7")
    assert hidden(f"a {written} b") == f"a {PLACE} b"


def test_what_is_short_once_it_is_undone_is_no_secret():
    assert hidden("a lab", ["%61%62"]) == "a lab"


def test_each_part_of_a_credential_is_a_secret():
    assert set(header_secrets("Bearer t0ken")) == {"Bearer t0ken", "t0ken"}
    assert {"canary1", "canary2", "=="} <= set(header_secrets('a=canary1; b="canary2"; c==='))
    login = b64encode(b"me:p:w").decode()
    assert set(header_secrets(f"Basic {login}")) == {f"Basic {login}", login, "me:p:w", "p:w"}
    assert set(header_secrets("Basic ?")) == {"Basic ?", "?"}


@pytest.mark.parametrize("text", ["Bearer ${AGENT_TOKEN}", "api_key: ${OPENAI_API_KEY}"])
def test_the_name_of_a_variable_is_no_secret(text):
    assert hidden(text) == text


@given(st.integers(6, len(SECRET)))
def test_the_beginning_of_a_secret_goes_where_a_text_was_cut_off(length):
    assert hidden(f"no {SECRET[:length]}", [SECRET]) == f"no {PLACE}"
    assert hidden(f"no {SECRET[:length]}…", [SECRET]) == f"no {PLACE}…"


@given(
    st.text(min_size=6), st.text(st.characters(exclude_characters="[]redact")), st.text(max_size=9)
)
def test_no_secret_is_left_in_any_text(secret, before, after):
    if secret not in PLACE:
        assert secret not in hidden(before + secret + after, [secret]).replace(PLACE, "\0")


def test_a_reference_to_a_password_in_a_url_stays():
    for url in ("https://${USER}:${PASSWORD}@db/app", "https://me:${PASSWORD}@db/app"):
        assert hidden(f"GET {url}: refused") == f"GET {url}: refused"


def test_short_words_stay():
    assert hidden("hello tok", ["tok"]) == "hello tok"


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijklmnop1234",
        "Bearer abc.def-ghi",
        "api_key=abcdef123456",
        "DB_PASSWORD=hunter2",
        "postgres://me:hunter2@db/app",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln",
    ],
)
def test_keys_of_others_go_by_their_form(key):
    assert key not in hidden(f"Incorrect credentials: {key} was given")


def test_a_url_is_shown_without_who_and_without_what_was_asked():
    assert without_user("https://u:pw@host:1/p?key=v#f") == "https://host:1/p"
    assert without_user("http://[::1") == "(unreadable)"


def test_a_login_is_hidden_as_a_header_has_it_too():
    assert login_secrets("http://me:p%40ss@h") == (
        "p%40ss",
        b64encode(b"me:p@ss").decode(),
    )
    alone = ("tokenalone", b64encode(b"tokenalone:").decode())
    assert login_secrets("http://tokenalone@h") == login_secrets("http://tokenalone:@h") == alone
    assert login_secrets("http://h/x") == ()


def test_what_nobody_catches_is_printed_without_secrets(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    remember(SECRET)
    hide_in_tracebacks()
    exc = RuntimeError(f"cannot send {SECRET}")
    sys.excepthook(type(exc), exc, None)
    assert capsys.readouterr().err == "RuntimeError: cannot send [redacted]\n"
