"""The address of a state store: what is sent to its driver, and what may be shown of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from profiler.errors import UsageError
from profiler.redaction import remember
from profiler.workload.secrets import EnvText

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

OPTION = "--state"
REDIS = "redis"
POSTGRESQL = "postgresql"

_KINDS = {
    "redis": REDIS,
    "rediss": REDIS,
    "postgresql": POSTGRESQL,
    "postgres": POSTGRESQL,
}
_PORTS = {REDIS: 6379, POSTGRESQL: 5432}
_KNOWN = "Known: redis://, rediss:// (with TLS), postgresql://"
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)?(?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StoreAddress:
    """One `--state` URL, taken apart. Only `shown` and `location` may be written down.

    `kind` is the store's name in records; `server` (`host:port`) and `location`
    (`host:port/database`) tell several of a kind apart.
    """

    kind: str
    url: str
    shown: str
    server: str
    location: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"StoreAddress({self.shown!r})"

    def without_secrets(self, text: str) -> str:
        """Return the text in one line, with every secret of the URL masked."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


def address_of(raw: str, environ: Mapping[str, str] | None = None) -> StoreAddress:
    """Take a URL apart; `${NAME}` in it is filled in from the environment.

    Raises UsageError for one that cannot be used. No message quotes user, password or query.
    """
    try:
        text = EnvText.resolve(raw, os.environ if environ is None else environ)
    except ValueError as exc:
        raise UsageError(str(exc), where=OPTION) from None
    if any(character.isspace() or not character.isprintable() for character in text.value):
        raise UsageError("the URL has a space or a control character", where=OPTION)
    scheme, divided, _ = text.value.partition("://")
    if not divided:
        raise UsageError("this is not a URL", where=OPTION, fix=_KNOWN)
    kind = _KINDS.get(scheme.lower())
    if kind is None:
        # What stands before '://' may be half a password, where the scheme was forgotten.
        named = f" '{scheme}'" if re.fullmatch(r"[a-z][a-z0-9+]{0,15}", scheme) else ""
        raise UsageError(f"the scheme{named} is not known", where=OPTION, fix=_KNOWN)
    parts = _split(text.value)
    host = parts.netloc.rpartition("@")[2]
    after_host = f"{parts.path}{parts.query}{parts.fragment}"
    if "@" in after_host or not all(_HOST.fullmatch(one) for one in host.split(",")):
        raise UsageError(
            "the URL's host or port is malformed",
            where=OPTION,
            fix="Percent-encode '@', ':', '/', '?' and '#' in its user and password",
        )
    query = dict(parse_qsl(parts.query))
    server = _server(host or query.get("host", ""), query.get("port") or _PORTS[kind])
    secrets = _secrets(parts, query)
    remember(*secrets)
    database = parts.path.strip("/") or query.get("dbname", "") or ("0" if kind == REDIS else "")
    return StoreAddress(
        kind=kind,
        url=text.value,
        shown=f"{scheme.lower()}://{server}/{database}",
        server=server,
        location=f"{server}/{database}",
        secrets=secrets,
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise UsageError("the URL's host or port is malformed", where=OPTION) from None


def _server(host: str, port: str | int) -> str:
    host = host or "localhost"
    has_port = "," in host or re.search(r":\d+\Z", host.rpartition("]")[2]) is not None
    return host if has_port else f"{host}:{port}"


def _secrets(parts: SplitResult, query: Mapping[str, str]) -> tuple[str, ...]:
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    # A user without a password is one whose ':' was forgotten, or a token.
    login = password or user
    hidden = (value for name, value in query.items() if "password" in name)
    found = {login, unquote(login), *hidden}
    return tuple(sorted((secret for secret in found if secret), key=len, reverse=True))
