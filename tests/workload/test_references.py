"""Secrets in options may only be references, and no message quotes one."""

from __future__ import annotations

import pytest

from profiler.errors import UsageError
from profiler.workload.references import check_url_secrets, parsed_headers

SECRET = "hunter2hunter2"
KEY = "sk-" + "a1" * 12


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Authorization: Bearer ${AGENT_TOKEN}", ("authorization", "Bearer ${AGENT_TOKEN}")),
        ("X-Api-Key:${KEY}", ("x-api-key", "${KEY}")),
        (
            "Cookie: session=${S}; user=${U}",
            ("cookie", "session=${S}; user=${U}"),
        ),
        ("X-Tenant: acme", ("x-tenant", "acme")),
        ("x-url: http://a:1/b", ("x-url", "http://a:1/b")),
    ],
)
def test_headers_are_taken_apart(text, header):
    assert parsed_headers([text]) == dict([header])


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        "Authorization: Bearer ",  # the shell had nothing to fill in
        f"Authorization: Bearer {SECRET}${{X}}",
        f"Authorization: Bearer ${{X}}{SECRET}",
        f"Authorization: Bearer ${{X}} {SECRET}",
        f"X-Api-Key: {SECRET}",
        f"Cookie: session={SECRET}; token=${{T}}",
        f"X-Password: {SECRET}",
        f"X-Tenant: {KEY}",
    ],
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(text):
    with pytest.raises(UsageError) as refused:
        parsed_headers([text])
    assert SECRET not in str(refused.value)
    assert KEY not in str(refused.value)
    assert "single quotes" in str(refused.value)


@pytest.mark.parametrize("text", ["", ":", "no colon", ": x", "a b: x", "ä: x"])
def test_what_is_no_header_is_refused(text):
    with pytest.raises(UsageError, match="no header"):
        parsed_headers([text])


def test_a_header_that_is_given_twice_is_refused():
    with pytest.raises(UsageError, match="twice"):
        parsed_headers(["a: x", "A: y"])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a",
        "https://${USER_NAME}:${PASSWORD}@a.example/",
        "https://a.example/?api_key=${KEY}&version=2024-05-15",
        "${BASE}/chat",
    ],
)
def test_urls_without_a_secret_are_taken(url):
    check_url_secrets(url)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@a.example/",
        f"https://{SECRET}@a.example/",
        f"https://a.example/?api_key={SECRET}",
        f"https://a.example/{KEY}/chat",
        f"https://${{U}}:{SECRET}@a.example/",
    ],
)
def test_urls_with_a_secret_are_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match="secret") as refused:
        check_url_secrets(url)
    assert SECRET not in str(refused.value)
    assert KEY not in str(refused.value)
