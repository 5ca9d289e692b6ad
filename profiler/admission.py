"""Who may use a server that we open: on loopback this machine, beyond it who has the token.

A token is sent as `Authorization: Bearer TOKEN` (RFC 6750), or in front of the path, as
`/t/TOKEN/...`, by a client that can be told a URL and nothing else.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import TYPE_CHECKING

from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

SERVER_TOKEN_VARIABLE = "AGENT_PROFILER_TOKEN"  # noqa: S105 - the name of a variable
REFUSAL = "this server wants its token, as Authorization: Bearer TOKEN"

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,256}")
_TOKEN_PREFIX = b"/t/"
_BEARER = b"bearer "


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(token: str, where: str) -> str:
    """Return a token that can stand in a URL. Raises `UsageError`, which does not quote it."""
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            "the token cannot be used",
            where=where,
            fix="Take 16 to 256 letters, digits and . _ ~ -",
        )
    return token


def checked_opening(host: str, token: str | None, where: str) -> None:
    """Raise `UsageError` for a host that others can reach without a token, and for a bad token."""
    if token is not None:
        checked_token(token, where)
    elif not is_loopback(host):
        raise UsageError(
            f"a server on {host or 'every address'} can be used by others",
            where=where,
            fix=f"Give it a token ({SERVER_TOKEN_VARIABLE}), or listen on 127.0.0.1",
        )


def split_token(path: bytes) -> tuple[bytes | None, bytes]:
    """Return the token that a path begins with (`/t/TOKEN/...`), and the path without it."""
    if not path.startswith(_TOKEN_PREFIX):
        return None, path
    token, separator, rest = path[len(_TOKEN_PREFIX) :].partition(b"/")
    return token, separator + rest


def is_bearer(value: bytes, token: bytes) -> bool:
    """Say whether a header's value is that token, in a time that does not tell how much of it."""
    scheme, given = value[: len(_BEARER)].lower(), value[len(_BEARER) :].strip()
    return scheme == _BEARER and hmac.compare_digest(given, token)


def admitting(
    app: ASGIApp,
    host: str,
    token: str | None,
    *,
    where: str,
    refused: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """Return an application for that host: the same, or one that wants the token of each request.

    `refused` is told of each request without it. Raises `UsageError` as `checked_opening` does.
    """
    checked_opening(host, token, where)
    return app if token is None else _Admitting(app, token.encode("ascii"), refused)


class _Admitting:
    """An application behind a token: what has it goes on, the rest is a 401, its body unread."""

    def __init__(self, app: ASGIApp, token: bytes, refused: Callable[[], None]) -> None:
        self._app = app
        self._token = token
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._has_bearer(scope["headers"]):
            await self._app(scope, receive, send)
            return
        token, path = split_token(scope["raw_path"])
        if token is not None and hmac.compare_digest(token, self._token):
            # The token has no characters that a path's percent-encoding would change.
            plain = scope["path"][len(_TOKEN_PREFIX) + len(token) :]
            await self._app({**scope, "path": plain, "raw_path": path}, receive, send)
            return
        self._refused()
        await _refuse(send)

    def _has_bearer(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        return any(
            is_bearer(value, self._token) for name, value in headers if name == b"authorization"
        )


async def _refuse(send: Send) -> None:
    body = REFUSAL.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
