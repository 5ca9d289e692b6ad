"""What must not be written down: secrets that this process was told, and what looks like a key.

Everything that may quote others (an error's detail, a message, a traceback) passes `hidden`. A text
that was cut off may end within a secret: its beginning goes, too. Secrets of fewer than `SHORTEST`
characters stay, for they would be found in ordinary words.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from base64 import b64decode, b64encode
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

SHORTEST = 6
PLACE = "[redacted]"
_ELLIPSIS = "…"

KEYS = re.compile(
    r"""-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<![\w-])(?:
        (?:sk|pk|rk)[-_][\w-]{16,}          # OpenAI, Anthropic, Stripe
      | gh[pousr]_\w{20,} | github_pat_\w{20,} | glpat-[\w-]{16,} | hf_\w{20,}
      | (?:AKIA|ASIA)[0-9A-Z]{16} | AIza[\w-]{35} | ya29\.[\w-]{20,} | dop_v1_\w{40,}
      | xox[abeprs]-[\w-]{10,} | xapp-[\w-]{10,} | whsec_\w{16,} | SG\.[\w-]{16,}\.[\w-]{16,}
      | npm_\w{30,} | pypi-AgE[\w-]{16,} | gsk_\w{20,} | xai-\w{20,} | r8_\w{20,}
      | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*    # JSON Web Token
    )""",
    re.VERBOSE | re.DOTALL,
)
"""Keys that are known by their form."""
_NAMES = r"""(?:(?:api|access|account|private|secret|signing)[_ -]?key|secret|pass(?:word|wd|phrase)
    |(?:access|auth|refresh|session|id|bearer)[_ -]?token)"""
_IS = r"""\\*["']?\s*[:=]\s*\\*["']?"""
"""What stands between a name and a value: in YAML, a shell, JSON, and JSON that is text in JSON."""
NAMED_KEY = re.compile(
    rf"""(?i:(\bbearer\s+ | \bauthorization{_IS}basic\s+ | {_NAMES}{_IS}
    | (?:\b|_)token{_IS}(?=[\w.~+/-]{{12}})(?=[\w.~+/-]*\d)))    # a token may be a word, too
    (?!\$\{{\w+\}})((?:[^\s"',;\[\\]|\\(?!["'])){{6,}})""",
    re.VERBOSE,
)
"""Keys that are called so: group 1 is the name, group 2 the key. `${NAME}` is none."""
NAMED_KEY_HINT = re.compile(r"(?i)bearer|authoriz|key|token|secret|pass(?:w|ph)")
LOGIN = re.compile(r"""(?<=://)[^\s/:@"']*:(?!\$\{\w+\}@)[^\s/@"'\[]+(?=@)""")
"""The user and the password of a URL. `${NAME}` is none."""
KEY_NAME = re.compile(rf"(?ix:(?:{_NAMES}|authorization)\Z)")
"""Names whose values are keys, whatever they look like: of fields, where a value stands alone."""

_known: set[str] = set()


def remember(*secrets: str) -> None:
    """Take note of secrets of this process, which `hidden` leaves out of every text from now on."""
    _known.update(_forms(secrets))


def forget_all() -> None:
    """Forget what was remembered: for tests, of which many share a process."""
    _known.clear()


def hidden(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without secrets: those given, those remembered, and what looks like a key."""
    for secret in sorted(_known | _forms(secrets), key=len, reverse=True):
        text = _without_beginning(text.replace(secret, PLACE), secret)
    text = KEYS.sub(PLACE, text)
    if "://" in text:
        text = LOGIN.sub(PLACE, text)
    if NAMED_KEY_HINT.search(text):
        text = NAMED_KEY.sub(rf"\1{PLACE}", text)
    return text


def basic(user: str, password: str) -> str:
    """Return what stands for a user and a password in a header (RFC 7617)."""
    return b64encode(f"{user}:{password}".encode()).decode()


def without_user(url: str) -> str:
    """Return a URL without user, password, query and what looks like a key."""
    try:
        parts = urlsplit(url)
    except ValueError:  # [::1 and the like: who knows where its password is
        return "(unreadable)"
    host = parts.netloc.rpartition("@")[2]
    return hidden(urlunsplit((parts.scheme, host, parts.path, "", "")))


def login_secrets(url: str) -> tuple[str, ...]:
    """Return what of a URL's user and password must not be shown; the user, where it is alone."""
    try:
        user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    except ValueError:
        return ()
    if not user and not password:
        return ()
    said = password or user  # `KEY:@host` is how some have a key
    return tuple(one for one in (said, basic(unquote(user), unquote(password))) if one)


def header_secrets(value: str) -> tuple[str, ...]:
    """Return what of a credential's header must not be shown: all of it, and each of its parts.

    The parts are what follows a scheme, the user and password within Basic, and the values of
    cookies: a server that complains may quote any of them alone.
    """
    scheme, _, rest = value.rpartition(" ")
    cookies = [pair.partition("=")[2].strip(' "') for pair in value.split(";")]
    found = [value, rest, *cookies]
    if scheme.lower() == "basic":
        try:
            login = b64decode(rest).decode()
        except ValueError:
            login = ""
        found += [login, login.partition(":")[2]]
    return tuple(dict.fromkeys(one for one in found if one))


def hide_in_tracebacks() -> None:
    """Have what nobody catches printed without secrets."""

    def show(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(hidden("".join(traceback.format_exception(kind, exc, trace))))

    sys.excepthook = show


def _forms(secrets: Iterable[str]) -> set[str]:
    """Return secrets worth hiding, also as others write them."""
    return {form for one in secrets if len(one) >= SHORTEST for form in _forms_of(one)}


@lru_cache(maxsize=256)
def _forms_of(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, and as it is in a URL, a form, HTML, JSON and a traceback."""
    in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    in_url = (quote(secret, safe=""), quote_plus(secret), unquote(secret))
    in_html = (
        escape(secret),
        escape(secret, quote=False),
        escape(secret).replace("&#x27;", "&#39;"),
    )
    forms = (secret, *in_url, *in_html, *in_json, repr(secret)[1:-1])
    # What is undone may be short: `%61%62` is, and "ab" is in many words.
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST))


def _without_beginning(text: str, secret: str) -> str:
    """Return a text without the beginning of a secret in which it was cut off."""
    end = _ELLIPSIS if text.endswith(_ELLIPSIS) else ""
    body = text.removesuffix(_ELLIPSIS)
    at = body.rfind(secret[:SHORTEST])
    if at >= 0 and secret.startswith(body[at:]):
        return f"{body[:at]}{PLACE}{end}"
    return text
