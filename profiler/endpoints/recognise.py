"""Which protocol a server speaks, told by its URL and by what it answers to plain GETs.

Pure: `questions` says what to ask, `candidates` what the answers mean. Nothing here, and nothing
that is asked, is an interaction with the agent. Each rule says what it rests on (`why`); where two
are equally sure, it is for the user to say.

What servers answer: agent cards (https://a2a-protocol.org, sections 5 and 8), `/info` and `/ok` of
LangGraph's Agent Server, `/list-apps` of Google ADK's API server, `/v1/models` of
OpenAI-compatible ones (https://platform.openai.com/docs/api-reference/models/list), the OpenAPI
document of FastAPI services. A route for POST alone answers a GET with 405 (RFC 9110, 15.5.6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from profiler.endpoints.json_values import mapping, mappings, string
from profiler.endpoints.openapi import BodyGuess, accepted_at, posted_routes
from profiler.workload.secrets import check_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CERTAIN, SAID, LIKELY, POSSIBLE = 4, 3, 2, 1
"""How sure a candidate is: the server or the path names it; the server's answers fit it at the
place that was given; something speaks for it; nothing speaks against it."""
_DESCRIBED = 5
"""Surer than the path: the server's own description of what it accepts there."""

_OK, _NOT_ALLOWED = 200, 405
_MOST_NAMES = 100
_SUFFIXES = (
    ("/v1/chat/completions", "openai-chat"),
    ("/chat/completions", "openai-chat"),
    ("/v1/responses", "openai-responses"),
    ("/responses", "openai-responses"),
    ("/v1/messages", "anthropic-messages"),
    ("/run_sse", "google-adk"),
)
_SEGMENTS = {"ag-ui": "ag-ui", "agui": "ag-ui", "ag_ui": "ag-ui", "vercel-ai": "vercel-ai"}
_USUAL_PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - names, not bound to
_NO_ROUTE = "/v1/agent-profiler-no-such-route"
"""Asked for to see what the server answers where nothing is: some answer 405 everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A GET of `url`; `about` is what it is asked for, `root` the path that it was asked below."""

    about: str
    url: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What came back: a status and, if the body was JSON, what it holds."""

    question: Question
    status: int
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A protocol that the server may speak, at `url`, where interactions are posted to.

    `agents` are those of a server with several (Google ADK's apps), `models` those it lists,
    `version` and `stream` what an agent card says, `body` what an own protocol accepts.
    """

    protocol: str
    url: str
    why: str
    sure: int
    agents: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    version: str | None = None
    stream: bool | None = None
    body: BodyGuess | None = None


def questions(url: str) -> tuple[Question, ...]:
    """Return what to ask, the most telling first: at the URL's own place, and at its server."""
    base = _base(url)
    asked: list[Question] = []
    for root in dict.fromkeys((base, "")):
        abouts = [
            ("agent_card", "/.well-known/agent-card.json"),
            ("agent_card", "/.well-known/agent.json"),
            ("openapi", "/openapi.json"),
            ("list_apps", "/list-apps"),
            ("info", "/info"),
            ("ok", "/ok"),
        ]
        if root == base:
            abouts += [("models", "/v1/models"), ("no_route", _NO_ROUTE)]
            abouts += list(_USUAL_PATHS.items())
        asked += [Question(about=a, url=_at(url, root + path), root=root) for a, path in abouts]
    return tuple(asked)


def candidates(url: str, sightings: Sequence[Sighting]) -> tuple[Candidate, ...]:
    """Return what the server may speak, the surest first, each protocol and URL once."""
    found: dict[tuple[str, str], Candidate] = {}
    every = (*_by_path(url), *_by_answers(url, sightings))
    for candidate in sorted(every, key=lambda c: -c.sure):
        found.setdefault((candidate.protocol, candidate.url), candidate)
    models = next((m for s in sightings if (m := _models(s))), ())
    return tuple(_with_models(c, models) for c in found.values())


def of_protocol(protocol: str, url: str, found: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that speak `protocol`; without any, the URL as it was given."""
    fitting = tuple(candidate for candidate in found if candidate.protocol == protocol)
    return fitting or (assumed(protocol, url),)


def assumed(protocol: str, url: str) -> Candidate:
    """Return what a protocol that was named means for a URL that nothing is known of."""
    return Candidate(protocol=protocol, url=_usual(protocol, url), why="you said so", sure=CERTAIN)


def surest(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return those of which no other is surer."""
    return tuple(c for c in found if c.sure == found[0].sure)


def _by_path(url: str) -> Iterator[Candidate]:
    path = urlsplit(url).path.rstrip("/")
    for suffix, protocol in _SUFFIXES:
        if path.endswith(suffix):
            where = _at(url, _base(url)) if protocol == "google-adk" else url
            yield _candidate(protocol, where, f"the path ends in {suffix}", CERTAIN)
            return
    segments = path.lower().split("/")
    for segment in segments:
        if segment in _SEGMENTS:
            yield _candidate(_SEGMENTS[segment], url, f"the path has {segment}", CERTAIN)
            return
    if "a2a" in segments:
        yield _candidate("a2a", url, "the path has a2a", CERTAIN)
    elif "threads" in segments and "runs" in segments:
        where = _at(url, _base(url))
        yield _candidate("langgraph", where, "the path is that of a thread's runs", CERTAIN)
    elif path.endswith("/api/chat"):
        why = "/api/chat is where the AI SDK's hooks post to"
        yield _candidate("vercel-ai", url, why, POSSIBLE)


def _by_answers(url: str, sightings: Sequence[Sighting]) -> Iterator[Candidate]:
    base = _base(url)
    for sighting in sightings:
        at_place = sighting.question.root == base
        if sighting.status == _OK:
            match sighting.question.about:
                case "agent_card":
                    yield from _by_card(url, sighting, at_place=at_place)
                case "list_apps" if apps := _names(sighting.body):
                    yield _of_server(url, sighting, "google-adk", "/list-apps", apps)
                case "info" if _is_langgraph(sighting.body):
                    yield _of_server(url, sighting, "langgraph", "/info")
                case "openapi":
                    yield from _by_openapi(url, sighting)
                case "ok" if mapping(sighting.body).get("ok") is True:
                    yield _candidate("langgraph", url, "/ok answers as LangGraph's does", LIKELY)
                case "models" if _models(sighting):
                    yield _openai(url, at_place=at_place)
    yield from _by_routes(url, sightings)


def _of_server(
    url: str, sighting: Sighting, protocol: str, told: str, agents: tuple[str, ...] = ()
) -> Candidate:
    root = sighting.question.root
    sure = CERTAIN if root == _base(url) else LIKELY
    return Candidate(
        protocol=protocol,
        url=_at(url, root),
        why=f"its server says so ({told})",
        sure=sure,
        agents=agents,
    )


def _is_langgraph(body: Any) -> bool:
    return any(name.startswith("langgraph") for name in mapping(body))


def _names(body: Any) -> tuple[str, ...]:
    """Return a list of names; nothing for anything else."""
    if not isinstance(body, list) or not all(isinstance(name, str) for name in body):
        return ()
    return tuple(name for name in body[:_MOST_NAMES] if name)


def _models(sighting: Sighting) -> tuple[str, ...]:
    if sighting.question.about != "models" or sighting.status != _OK:
        return ()
    ids = (string(m.get("id")) for m in mappings(mapping(sighting.body).get("data")))
    return tuple(name for name in ids if name)[:_MOST_NAMES]


def _with_models(candidate: Candidate, models: tuple[str, ...]) -> Candidate:
    if candidate.protocol not in _USUAL_PATHS or not models:
        return candidate
    return replace(candidate, models=models)


def _openai(url: str, *, at_place: bool) -> Candidate:
    why = "/v1/models lists models"
    has_path = bool(_base(url))
    sure = SAID if at_place and not has_path else POSSIBLE
    return _candidate("openai-chat", _usual("openai-chat", url), why, sure)


def _by_routes(url: str, sightings: Sequence[Sighting]) -> Iterator[Candidate]:
    """Tell by routes that exist, and take only POST: Chat Completions goes before its siblings."""
    status = {s.question.about: s.status for s in sightings}
    if status.get("no_route") in {None, _NOT_ALLOWED}:
        return
    sure = SAID
    for protocol, path in _USUAL_PATHS.items():
        if status.get(protocol) == _NOT_ALLOWED:
            yield _candidate(protocol, _at(url, _base(url) + path), f"{path} takes POST", sure)
            sure = LIKELY


def _by_openapi(url: str, sighting: Sighting) -> Iterator[Candidate]:
    root, path = sighting.question.root, urlsplit(url).path.rstrip("/")
    if "/threads/{thread_id}/runs/stream" in mapping(mapping(sighting.body).get("paths")):
        yield _of_server(url, sighting, "langgraph", "/openapi.json")
        return
    here = path.removeprefix(root) if root else path
    if here:
        protocol, guess = accepted_at(sighting.body, here)
        if protocol is not None:
            why = f"/openapi.json says what {here} accepts"
            yield Candidate(protocol=protocol, url=url, why=why, sure=_DESCRIBED, body=guess)
        return
    for route, protocol, guess in posted_routes(sighting.body):
        why = f"/openapi.json says what {route} accepts"
        where = _at(url, root + route)
        yield Candidate(protocol=protocol, url=where, why=why, sure=SAID, body=guess)


def _by_card(url: str, sighting: Sighting, *, at_place: bool) -> Iterator[Candidate]:
    card = mapping(sighting.body)
    streaming = mapping(card.get("capabilities")).get("streaming")
    for address, version in _interfaces(card):
        where = _same_server(url, address)
        path = urlsplit(url).path.rstrip("/")
        is_meant = at_place or urlsplit(where).path.rstrip("/") == path
        yield Candidate(
            protocol="a2a",
            url=where,
            why="its agent card says so",
            sure=CERTAIN if is_meant else LIKELY,
            version=version,
            stream=streaming if isinstance(streaming, bool) else None,
        )
        return


def _interfaces(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the card's JSON-RPC interfaces and their versions, the newest that we speak first."""
    listed: list[tuple[str | None, str]] = []
    for entry in mappings(card.get("supportedInterfaces")):
        if string(entry.get("protocolBinding")) == "JSONRPC":
            version = string(entry.get("protocolVersion")) or "1.0"
            listed.append((string(entry.get("url")), version))
    if not listed and string(card.get("preferredTransport")) in {None, "JSONRPC"}:
        listed.append((string(card.get("url")), string(card.get("protocolVersion")) or "0.3"))
    if not listed:
        listed += [
            (string(entry.get("url")), "0.3")
            for entry in mappings(card.get("additionalInterfaces"))
            if string(entry.get("transport")) == "JSONRPC"
        ]
    spoken = [
        (address, "0.3" if version.startswith("0.") else "1.0")
        for address, version in listed
        if address is not None and check_url(address) is None
    ]
    return sorted(spoken, key=lambda item: item[1], reverse=True)


def _same_server(url: str, address: str) -> str:
    """Return an address of a card as our URL writes the host, where both name the same."""
    there, here = urlsplit(address), urlsplit(url)
    both_local = {there.hostname, here.hostname} <= _LOOPBACK
    is_same = both_local or there.hostname == here.hostname
    if is_same and (there.scheme, there.port) == (here.scheme, here.port):
        return urlunsplit(there._replace(netloc=here.netloc))
    return address


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return what has to be the same for credentials to be sent: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _candidate(protocol: str, url: str, why: str, sure: int) -> Candidate:
    return Candidate(protocol=protocol, url=url, why=why, sure=sure)


def _base(url: str) -> str:
    """Return the path below which a server has its routes: without those that we know."""
    path = urlsplit(url).path.rstrip("/")
    for suffix, _ in _SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix).removesuffix("/v1")
    if "/threads/" in path:
        return path.partition("/threads/")[0]
    return path.removesuffix("/v1").removesuffix("/run")


def _usual(protocol: str, url: str) -> str:
    """Return where a protocol is posted to: its usual path, where the URL has none."""
    path = urlsplit(url).path.rstrip("/")
    usual = _USUAL_PATHS.get(protocol)
    if usual is not None and (not path or path.endswith("/v1")):
        return _at(url, _base(url) + usual)
    return url


def _at(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=path))
