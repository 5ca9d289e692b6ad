"""Texts for a workload file in which a secret may only stand as `${NAME}`."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from profiler.errors import UsageError
from profiler.workload.importers.redact import KEY, Redactor
from profiler.workload.target import CREDENTIAL_HEADER

_REFERENCED = re.compile(r"(?:(?:[A-Za-z][\w.-]{0,40}[ =:] ?)?\$\{[A-Za-z_]\w*\}[;,]? ?)+")
"""`Bearer ${TOKEN}`, `session=${S}; user=${U}`: before each reference a word, and nothing else."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parsed_headers(texts: list[str]) -> dict[str, str]:
    """Take `Name: value` texts apart. Raises `UsageError`, also for a secret that is written out.

    No message quotes a value.
    """
    headers: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not _NAME.fullmatch(name):
            fix = "Write it like --header 'Authorization: Bearer ${AGENT_TOKEN}'"
            raise UsageError("that is no header", where="--header", fix=fix)
        if name in headers:
            raise UsageError("a header is given twice", where=f"--header {name}", fix="Keep one")
        _check_header(name, value)
        headers[name] = value
    return headers


def _check_header(name: str, value: str) -> None:
    is_credential = CREDENTIAL_HEADER.search(name) is not None
    if (is_credential and not _REFERENCED.fullmatch(value)) or shows_key(value):
        variable = "AGENT_TOKEN"
        scheme = "Bearer " if name == "authorization" else ""
        raise UsageError(
            "a secret is written out (or the shell has filled it in), and would be in the file",
            where=f"--header {name}",
            fix=f"Put it into the environment, as {variable}, and give --header "
            f"'{name}: {scheme}${{{variable}}}' in single quotes",
        )


def check_url_secrets(url: str) -> None:
    """Raise `UsageError` for a URL with a secret that is written out. Never quotes it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # what is wrong with it is said where it is used
    user = parts.netloc.rpartition("@")[0]
    written = [word for word in user.split(":") if word and not _is_reference(word)]
    query = parse_qsl(parts.query.replace("${", "%24{"))
    named = [v for n, v in query if v and CREDENTIAL_HEADER.search(n) and not _is_reference(v)]
    if written or named or shows_key(url):
        fix = "Put it into the environment and write ${NAME} in its place, in single quotes"
        raise UsageError("the URL has a secret written out", where="--url", fix=fix)


def shows_key(text: str) -> bool:
    """Tell whether a text looks like it holds a key."""
    redactor = Redactor()
    redactor.text(re.sub(r"\$\{\w+\}", "[", text))  # which is in no key
    return bool(redactor.counts[KEY])


def _is_reference(text: str) -> bool:
    return re.fullmatch(r"\$\{[A-Za-z_]\w*\}", text) is not None
