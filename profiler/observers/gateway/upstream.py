"""The provider behind the gateway: where a request goes, and which headers go with it.

The upstream is written as a base URL for an SDK is. OpenAI's SDKs have the version in theirs
(`https://api.openai.com/v1`), Anthropic's do not (`https://api.anthropic.com`), and an agent's base
URLs are the gateway's with and without `/v1`. So, with the upstream's path P:

- a request of Anthropic's (it has the header `anthropic-version`) goes to P without `/v1`, and the
  whole path of the request;
- any other to `/v1/REST` goes to P and `/REST`, where an upstream without a path has P = `/v1`;
- a path that does not begin with `/v1` goes to P and that path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from profiler.endpoints.decoding import has_brotli
from profiler.errors import UsageError
from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1, and what older programs send.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer"
    b" trailers transfer-encoding upgrade".split()
)
_NOT_SENT = _HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_DECODABLE = frozenset({"gzip", "deflate", "identity"} | ({"br"} if has_brotli() else set()))
_VERSION = b"/v1"


@value
class Upstream:
    """A base URL, taken apart. `name` is for people: scheme, host and port."""

    origin: httpx.URL
    path: bytes
    name: str

    @classmethod
    def of(cls, url: str) -> Upstream:
        """Read a base URL. Raises `UsageError`, which does not quote it: it may have a password."""
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as exc:
            raise _unusable("it is no URL") from exc
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise _unusable("it has to begin with http:// or https:// and name a host")
        if parsed.userinfo or parsed.query or parsed.fragment:
            raise _unusable("it may have no user, password, query or fragment")
        origin = parsed.copy_with(raw_path=b"/")
        return cls(origin=origin, path=parsed.raw_path.rstrip(b"/"), name=str(origin).rstrip("/"))

    def target(self, path: bytes, query: bytes, *, is_anthropic: bool) -> bytes:
        """Return the path and query to ask for, as they go on the wire."""
        if is_anthropic:
            base = self.path.removesuffix(_VERSION)
        elif path == _VERSION or path.startswith(_VERSION + b"/"):
            base, path = self.path or _VERSION, path[len(_VERSION) :]
        else:
            base = self.path
        target = base + path or b"/"
        return target + b"?" + query if query else target


def request_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers that go on to the upstream; names come in lower case."""
    given = list(headers)
    dropped = _NOT_SENT | _named_by_connection(given)
    return [header for header in given if header[0] not in dropped]


def response_headers(headers: Iterable[tuple[bytes, bytes]], *, status: int) -> Headers:
    """Return the headers that go back to the agent."""
    given = [(name.lower(), content) for name, content in headers]
    dropped = _HOP_BY_HOP | _named_by_connection(given)
    if status in (204, 304):
        dropped |= {b"content-length"}  # allowed there, and promised to our server as a body
    if any(name == b"transfer-encoding" for name, _ in given):
        dropped |= {b"content-length"}
    return [header for header in given if header[0] not in dropped]


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    return frozenset(
        token.strip().lower()
        for name, content in headers
        if name == b"connection"
        for token in content.split(b",")
    ) - {b"content-length", b"content-type", b"content-encoding", b"authorization"}


def with_readable_coding(headers: Headers, *, as_it_is: bool) -> Headers:
    """Ask only for content codings that we can undo; `as_it_is`: for none at all."""
    changed: Headers = []
    found = False
    for name, content in headers:
        if name != b"accept-encoding":
            changed.append((name, content))
            continue
        if found:
            continue
        found = True
        wanted = [
            part.strip()
            for part in content.decode("latin-1").split(",")
            if part.partition(";")[0].strip().lower() in _DECODABLE
        ]
        coding = "identity" if as_it_is or not wanted else ", ".join(wanted)
        changed.append((name, coding.encode("latin-1")))
    if not found and as_it_is:
        changed.append((b"accept-encoding", b"identity"))
    return changed


def can_decode(content_encoding: str) -> bool:
    """Say whether all codings of an answer can be undone."""
    codings = (coding.strip().lower() for coding in content_encoding.split(","))
    return all(coding in _DECODABLE or not coding for coding in codings)


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"the upstream cannot be used: {why}",
        where="gateway",
        fix="Give the provider's base URL, such as https://api.openai.com/v1",
    )
