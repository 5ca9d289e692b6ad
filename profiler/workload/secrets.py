"""Texts with `${NAME}` in them: what the file says, what is sent, and what may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from profiler.redaction import hidden, login_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EnvText:
    """A text as the file has it (`raw`) and with the environment filled in (`value`).

    Neither is shown by `repr`: a secret may be written out as well as taken from the environment.
    """

    raw: str
    value: str
    environment: tuple[str, ...] = ()
    """The values that came from the environment."""

    @classmethod
    def resolve(cls, raw: str, environ: Mapping[str, str]) -> EnvText:
        """Fill in every `${NAME}`. Raises ValueError for one that is malformed or not set."""
        if "${" in _VARIABLE.sub("", raw):
            msg = "'${' is not followed by a variable's name and '}'"
            raise ValueError(msg)
        for name in _VARIABLE.findall(raw):
            if name not in environ:
                msg = f"the environment variable {name} is not set"
                raise ValueError(msg)
        values = tuple(environ[name] for name in _VARIABLE.findall(raw))
        return cls(
            raw=raw,
            value=_VARIABLE.sub(lambda found: environ[found[1]], raw),
            environment=values,
        )

    def __repr__(self) -> str:
        return "EnvText(***)"


def check_url(url: str) -> str | None:
    """Return what is wrong with an HTTP URL, None where nothing is. Never quotes the URL."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "the URL contains a space or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the URL's host or port is malformed"
    if "://" not in url:
        return "the URL has no scheme"
    if parts.scheme not in {"http", "https"}:
        return f"the URL's scheme is '{parts.scheme}', not http or https"
    if not parts.hostname or port == 0:
        return "the URL has no host" if not parts.hostname else "the URL's port is 0"
    return None if _is_host(parts.hostname) else "the URL's host is malformed"


def _is_host(name: str) -> bool:
    """Tell whether the labels of a name that are written in Punycode can be read."""
    try:
        labels = [label for label in name.split(".") if label.startswith("xn--")]
        return all(label.encode("ascii").decode("idna") for label in labels)
    except UnicodeError:
        return False


def shown_url(url: EnvText) -> str:
    """Return a URL fit for a manifest.

    Without user and password, values of the query and fragment; a `${NAME}` in the path stays as it
    is in the file, unless the variable holds the URL's beginning.
    """
    parts = urlsplit(url.value)
    host = parts.netloc.rpartition("@")[2]
    scheme_is_written = "://" in url.raw.partition("${")[0]
    path = _path_of(url.raw) if scheme_is_written else parts.path
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = "?" + "&".join(f"{name}=***" for name in names) if names else ""
    return hidden(f"{parts.scheme}://{host}{path}{query}")


def url_secrets(url: EnvText) -> tuple[str, ...]:
    """Return the parts of a URL that must not be written down."""
    parts = urlsplit(url.value)
    query = (value for _, value in parse_qsl(parts.query))
    found = (*login_secrets(url.value), *query, *url.environment)
    return tuple(part for part in found if part)


def _path_of(raw: str) -> str:
    rest = raw.partition("://")[2]
    before_query = re.split(r"[?#]", rest, maxsplit=1)[0]
    slash = before_query.find("/")
    return before_query[slash:] if slash >= 0 else ""
