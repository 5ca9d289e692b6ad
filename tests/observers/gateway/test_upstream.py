"""Where requests go, and with which headers."""

import pytest

from profiler.errors import UsageError
from profiler.observers.gateway.upstream import (
    Upstream,
    can_decode,
    request_headers,
    response_headers,
    with_readable_coding,
)


@pytest.mark.parametrize(
    ("upstream", "path", "target"),
    [
        ("https://api.openai.com/v1", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("https://api.openai.com/v1/", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("https://api.openai.com", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("https://api.openai.com/v1", b"/chat/completions", b"/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", b"/v1/models", b"/api/v1/models"),
        ("https://g.example/v1beta/openai", b"/v1/embeddings", b"/v1beta/openai/embeddings"),
        ("http://127.0.0.1:1234", b"/healthz", b"/healthz"),
        ("http://127.0.0.1:1234", b"/v1", b"/v1"),
    ],
)
def test_openais_version_is_in_the_base_url(upstream, path, target):
    assert Upstream.of(upstream).target(path, b"", is_anthropic=False) == target


@pytest.mark.parametrize(
    ("upstream", "target"),
    [
        ("https://api.anthropic.com", b"/v1/messages"),
        ("https://api.anthropic.com/v1", b"/v1/messages"),
        ("https://api.deepseek.com/anthropic", b"/anthropic/v1/messages"),
    ],
)
def test_anthropics_version_is_in_the_path(upstream, target):
    assert Upstream.of(upstream).target(b"/v1/messages", b"", is_anthropic=True) == target


def test_the_query_and_escapes_stay_as_they_are():
    upstream = Upstream.of("https://api.openai.com/v1")
    target = upstream.target(b"/v1/models/ft%3Agpt", b"a=1&b=%20", is_anthropic=False)
    assert target == b"/v1/models/ft%3Agpt?a=1&b=%20"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://x/",
        "https://",
        "https://u:sk-canary@x/",
        "https://x/?key=sk-canary",
    ],
)
def test_an_upstream_that_cannot_be_used_is_refused_without_being_quoted(url):
    with pytest.raises(UsageError) as caught:
        Upstream.of(url)
    assert "sk-canary" not in str(caught.value)
    assert "https://api.openai.com/v1" in str(caught.value)


def test_headers_for_one_connection_only_are_not_passed_on():
    given = [
        (b"host", b"gateway"),
        (b"connection", b"keep-alive, x-hop"),
        (b"x-hop", b"1"),
        (b"te", b"trailers"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"3"),
        (b"authorization", b"Bearer k"),
        (b"x-stainless-retry-count", b"0"),
    ]
    assert request_headers(given) == [
        (b"authorization", b"Bearer k"),
        (b"x-stainless-retry-count", b"0"),
    ]


def test_repeated_answer_headers_stay_in_order():
    given = [
        (b"Set-Cookie", b"a=1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"set-cookie", b"b=2"),
        (b"Content-Length", b"3"),
    ]
    assert response_headers(given, status=200) == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"3"),
    ]


@pytest.mark.parametrize(
    ("accepts", "asked"),
    [
        ("gzip, deflate", "gzip, deflate"),
        ("gzip;q=1.0, zstd", "gzip;q=1.0"),
        ("zstd", "identity"),
        ("*", "identity"),
    ],
)
def test_only_codings_that_can_be_undone_are_asked_for(accepts, asked):
    headers = with_readable_coding([(b"accept-encoding", accepts.encode())], as_it_is=False)
    assert headers == [(b"accept-encoding", asked.encode())]


def test_a_request_that_asks_for_no_coding_is_left_so():
    assert with_readable_coding([], as_it_is=False) == []
    assert with_readable_coding([], as_it_is=True) == [(b"accept-encoding", b"identity")]


def test_codings_that_can_be_undone():
    assert can_decode("")
    assert can_decode("gzip, deflate")
    assert not can_decode("zstd")
