"""Where a request goes and how it begins: made once for each URL, used for every request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import httpx

from profiler.redaction import basic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DEFAULT_PORTS = {"http": 80, "https": 443}
ALWAYS_SAY_LENGTH = frozenset({b"POST", b"PUT", b"PATCH"})
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINES = re.compile(rb"(?:" + _TOKEN + rb": [^\r\n\0]*\r\n)*")
_REQUEST_LINE = re.compile(_TOKEN + rb" [^\x00-\x20\x7f]+ HTTP/1\.1\r\n")
_CLOSES = re.compile(rb"\r\nconnection: [^\r]*\bclose\b", re.IGNORECASE)
_FRAMED = re.compile(rb"\r\n(?:content-length|transfer-encoding): ", re.IGNORECASE)


class Origin(NamedTuple):
    """What connections are pooled by. `server_name`: the name in TLS, where it is not the host."""

    scheme: str
    host: str
    port: int
    server_name: str | None = None

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.scheme == "https"


def origin_of(url: httpx.URL, server_name: str | None = None) -> Origin:
    """Return the origin of `url`. Raises `UnsupportedProtocol` for all but http and https."""
    scheme = url.scheme
    if scheme not in _DEFAULT_PORTS:
        raise httpx.UnsupportedProtocol(f"the scheme {scheme!r} is neither http nor https")
    host = url.raw_host.decode("ascii")
    if not host:
        raise httpx.UnsupportedProtocol(f"the URL {str(url)!r} names no host")
    port = url.port
    return Origin(scheme, host, _DEFAULT_PORTS[scheme] if port is None else port, server_name)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The request line and the headers that are the same each time, as they go on the wire."""

    method: bytes
    prefix: bytes
    closes: bool

    @property
    def expects_no_body(self) -> bool:
        """Whether the response has none whatever its headers say."""
        return self.method == b"HEAD"

    def message(self, body: bytes, lines: bytes = b"") -> bytes:
        """Return a whole request with `body`; `lines` are from `header_lines`."""
        return self.before(len(body), lines) + body

    def before(self, length: int, lines: bytes = b"") -> bytes:
        """Return what comes before a body of `length` bytes."""
        if length or self.method in ALWAYS_SAY_LENGTH:
            return b"%bcontent-length: %d\r\n%b\r\n" % (self.prefix, length, lines)
        return b"%b%b\r\n" % (self.prefix, lines)


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, taken apart once."""

    url: httpx.URL
    origin: Origin
    path: bytes
    host: bytes

    @classmethod
    def of(cls, url: str | httpx.URL) -> Destination:
        """Take a URL apart. Raises `InvalidURL` or `UnsupportedProtocol`."""
        url = httpx.URL(url)
        return cls(url, origin_of(url), url.raw_path, url.netloc)

    def head(self, method: str, headers: Iterable[tuple[str, str]] = ()) -> RequestHead:
        """Prepare the head of requests to this URL. Raises `LocalProtocolError`.

        `Host` is added where it is missing. The length of the body is added to each request, so
        neither `content-length` nor `transfer-encoding` may be among `headers`.
        """
        lines = header_lines(headers)
        if not re.search(rb"(?:^|\n)host: ", lines, re.IGNORECASE):
            lines = b"Host: " + self.host + b"\r\n" + lines
        prefix = request_line(method.encode("ascii"), self.path) + lines
        if _FRAMED.search(prefix):
            raise httpx.LocalProtocolError("the length of the body is not for the caller to say")
        return RequestHead(method.encode("ascii"), prefix, closes(prefix))

    def request(self, head: RequestHead) -> httpx.Request:
        """Return the request as httpx has it: what its exceptions carry."""
        return httpx.Request(head.method.decode("ascii"), self.url)


def login_header(url: httpx.URL, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the header that a URL's user and password become (RFC 7617); it may have none.

    None either where `headers` have an authorization of their own, which is the one that is meant.
    """
    if not url.userinfo or any(name.lower() == "authorization" for name in headers):
        return {}
    return {"authorization": f"Basic {basic(url.username, url.password)}"}


def request_line(method: bytes, path: bytes) -> bytes:
    """Return the first line of a request. Raises `LocalProtocolError`."""
    line = b"%b %b HTTP/1.1\r\n" % (method, path)
    if not _REQUEST_LINE.fullmatch(line):
        raise httpx.LocalProtocolError(f"a request cannot begin with {line!r}")
    return line


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return headers as they go on the wire. Raises `LocalProtocolError` for what is no header."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    return checked_lines("".join(lines).encode("utf-8"), len(lines))


def checked_lines(lines: bytes, count: int) -> bytes:
    """Return `lines`, if they are so many header lines: no name or value can add another."""
    if not _LINES.fullmatch(lines) or lines.count(b"\n") != count:
        raise httpx.LocalProtocolError("a header name or value has characters that end it")
    return lines


def closes(head: bytes) -> bool:
    """Whether a request says that it is the last of its connection."""
    return _CLOSES.search(head) is not None
