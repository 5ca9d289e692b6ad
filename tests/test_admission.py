"""Who may use a server that we open: this machine, or who has the token."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.admission import (
    admitting,
    checked_opening,
    checked_token,
    is_bearer,
    is_loopback,
    split_token,
)
from profiler.errors import UsageError
from profiler.serving import listening

TOKEN = "correct-horse-battery"


def test_the_token_is_the_paths_beginning():
    assert split_token(b"/t/secret/v1/models") == (b"secret", b"/v1/models")
    assert split_token(b"/v1/models") == (None, b"/v1/models")
    assert split_token(b"/t/secret") == (b"secret", b"")


@pytest.mark.parametrize("token", ["short", "with/slash/in/it/and/long", "ü" * 20, ""])
def test_a_token_has_to_stand_in_a_url(token):
    with pytest.raises(UsageError) as caught:
        checked_token(token, "gateway")
    if token:
        assert token not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_needs_no_token(host):
    assert is_loopback(host)
    checked_opening(host, None, "x")


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "a.example", "127.0.0.1.evil"])
def test_every_other_host_does(host):
    with pytest.raises(UsageError, match="AGENT_PROFILER_TOKEN"):
        checked_opening(host, None, "x")
    checked_opening(host, TOKEN, "x")


@given(value=st.binary(max_size=40))
def test_no_other_value_is_the_token(value):
    assert not is_bearer(value, TOKEN.encode())
    assert not is_bearer(b"Bearer " + value, TOKEN.encode())


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  "])
def test_the_scheme_is_read_in_any_case(scheme):
    assert is_bearer(scheme + TOKEN.encode(), TOKEN.encode())


async def _echo(scope, receive, send):
    """Answer with the path that the application sees."""
    body = scope["path"].encode() + b" " + scope["raw_path"]
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def test_a_request_with_the_token_goes_on_and_any_other_does_not():
    refused = []
    app = admitting(_echo, "0.0.0.0", TOKEN, where="x", refused=lambda: refused.append(1))
    async with listening(app, "0.0.0.0", 0) as url, httpx.AsyncClient() as client:
        base = url.replace("0.0.0.0", "127.0.0.1")
        given = await client.get(base + "/a%20b", headers={"authorization": f"Bearer {TOKEN}"})
        assert (given.status_code, given.text) == (200, "/a b /a%20b")
        given = await client.get(f"{base}/t/{TOKEN}/a%20b")
        assert (given.status_code, given.text) == (200, "/a b /a%20b")
        for path, value in (
            ("/", None),
            ("/", TOKEN),
            ("/", f"Basic {TOKEN}"),
            ("/", f"Bearer {TOKEN}x"),
            (f"/t/{TOKEN}x/a", None),
            (f"/t/{TOKEN[:-1]}/a", None),
            (f"/x/t/{TOKEN}/a", None),
            (f"/?/t/{TOKEN}/a", None),
        ):
            headers = {} if value is None else {"authorization": value}
            given = await client.post(base + path, headers=headers, content=b"x" * 100_000)
            assert given.status_code == 401, path
            assert given.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in given.text
    assert len(refused) == 8


async def test_on_loopback_the_application_is_as_it_was():
    assert admitting(_echo, "127.0.0.1", None, where="x") is _echo
