"""What `agent-profiler init` finds out before it says anything to the agent."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import anyio
import typer

from profiler.cli.init_asking import asked, chosen
from profiler.cli.init_describing import ANYTHING, UNKNOWN_BODY, UNKNOWN_REPLY
from profiler.cli.init_seen import refused, unreachable
from profiler.endpoints import recognise
from profiler.endpoints.inquiry import UnreachableError, ask, assistants
from profiler.errors import UsageError
from profiler.workload.load import load_workload
from profiler.workload.near import did_you_mean
from profiler.workload.references import check_url_secrets
from profiler.workload.secrets import EnvText, check_url, shown_url
from profiler.workload.starter import Starter, one_line, starter_yaml
from profiler.workload.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.endpoints.recognise import Candidate

PROTOCOLS: tuple[str, ...] = get_args(Target.model_fields["protocol"].annotation)
_REFUSALS = frozenset({401, 403})
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_EXAMPLE = "http://127.0.0.1:8080/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the agent is, as it is written down (`url.raw`) and as it is called (`url.value`).

    `headers` are written as they are, `sent` is what they come to.
    """

    url: EnvText
    headers: Mapping[str, str]
    sent: Mapping[str, str]

    def shown(self, url: str) -> str:
        """Return a URL of this agent fit for the screen."""
        return shown_url(EnvText(raw=self.written(url), value=url))

    def written(self, url: str) -> str:
        """Return how a URL that was found is written, with the `${NAME}`s of the one given."""
        raw, value = self.url.raw, self.url.value
        if url == value or "${" not in raw:
            return raw if url == value else url
        if url.startswith(value.rstrip("/")):
            return raw.rstrip("/") + url[len(value.rstrip("/")) :]
        rest = value[len(url) :]
        if value.startswith(url) and raw.endswith(rest):
            return raw[: -len(rest)]
        fix = "Give --url with the whole path, and --protocol"
        raise UsageError("the agent is elsewhere than the URL says", where="--url", fix=fix)


def check_place(out: Path, *, force: bool) -> None:
    """Raise `UsageError` where the workload cannot go."""
    if out.suffix not in {".yaml", ".yml"}:
        fix = "Give a place like scenarios/mine.yaml"
        raise UsageError("a workload is a .yaml file", where=f"--out {out}", fix=fix)
    if out.is_dir() or (out.exists() and not force):
        fix = "Give another --out, or --force to overwrite"
        raise UsageError("there is something already", where=str(out), fix=fix)


def check_protocol(protocol: str | None) -> None:
    """Raise `UsageError` for a protocol that there is not."""
    if protocol is not None and protocol not in PROTOCOLS:
        fix = did_you_mean(protocol, PROTOCOLS)
        raise UsageError(
            f"there is no protocol '{one_line(protocol)}'", where="--protocol", fix=fix
        )


def check_message(message: str) -> None:
    """Raise `UsageError` for a message that a workload would not send as it is."""
    if not message.strip() or "{{" in message:
        fix = "Give a plain text, without {{"
        raise UsageError("that is no message", where="--message", fix=fix)


def address(url: str | None, headers: Mapping[str, str], *, may_ask: bool, sends: bool) -> Address:
    """Return where the agent is; ask for it if it was not given. Raises `UsageError`."""
    if url is None and not may_ask:
        raise UsageError("no agent is named", where="--url", fix=f"Give --url {_EXAMPLE}")
    sent = (
        {name: _resolved(f"--header {name}", text) for name, text in headers.items()}
        if sends
        else {}
    )
    while True:
        given = url if url is not None else asked("The agent's URL")
        try:
            check_url_secrets(given)
            place = EnvText.resolve(given, os.environ)
            wrong = check_url(place.value)
            if wrong is not None:
                raise UsageError(wrong, where="--url", fix=f"Write it like {_EXAMPLE}")  # noqa: TRY301 - said as the others are
        except (UsageError, ValueError) as exc:
            error = exc if isinstance(exc, UsageError) else _unset("--url", exc)
            if url is not None:
                raise error from exc
            typer.echo(str(error), err=True)
            continue
        return Address(url=place, headers=headers, sent=sent)


def _resolved(where: str, text: str) -> str:
    try:
        value = EnvText.resolve(text, os.environ).value
    except ValueError as exc:
        raise _unset(where, exc) from exc
    if not (value.isascii() and value.isprintable()):
        what = "the value contains a line break or a character outside ASCII"
        raise UsageError(what, where=where, fix="Look at what the environment variable holds")
    return value


def _unset(where: str, exc: ValueError) -> UsageError:
    return UsageError(str(exc), where=where, fix="Set it, or name one that is")


def recognised(place: Address, protocol: str | None, *, may_ask: bool, sends: bool) -> Candidate:
    """Return how the agent is spoken to. Raises `UsageError`, `TargetUnusableError`."""
    url = place.url.value
    sightings: tuple[recognise.Sighting, ...] = ()
    if sends:
        asks = recognise.questions(url)
        try:
            sightings = anyio.run(ask, asks, place.sent)
        except UnreachableError as exc:
            raise unreachable(shown_url(place.url), exc.outcome, exc.kind, exc.detail) from exc
    found = recognise.candidates(url, sightings)
    if protocol is not None:
        found = recognise.of_protocol(protocol, url, found)
    elif not found or found[0].sure < recognise.LIKELY:
        if sightings and all(s.status in _REFUSALS for s in sightings):
            raise refused(shown_url(place.url), has_headers=bool(place.headers))
        answered = bool(sightings) or not sends
        found = _unknown(place, found, answered=answered, may_ask=may_ask)
    best = recognise.surest(found)
    names = [c.protocol for c in best]
    if len(set(names)) == 1:
        names = [place.shown(c.url) for c in best]
        what, option = f"several places speak {best[0].protocol}", "--url, the one that is meant"
    else:
        what, option = "several protocols are possible", "--protocol, the one that is meant"
    lines = [f"{c.protocol} at {place.shown(c.url)}: {c.why}" for c in best]
    taken = best[chosen(what, names, lines, option=option, may_ask=may_ask)]
    if recognise.origin(taken.url) != recognise.origin(url):
        fix = f"Give --url {one_line(taken.url)} --protocol {taken.protocol} if that is meant"
        raise UsageError("the agent card names another server", where=shown_url(place.url), fix=fix)
    if protocol is None:
        typer.echo(f"recognised {taken.protocol}: {one_line(taken.why)}")
    return taken


def _unknown(
    place: Address, possible: tuple[Candidate, ...], *, answered: bool, may_ask: bool
) -> tuple[Candidate, ...]:
    """Let a person say the protocol of a server that nothing tells of."""
    likelier = [c.protocol for c in possible]
    names = [*likelier, *(name for name in PROTOCOLS if name not in likelier)]
    what = "neither the URL nor the server tells the protocol"
    if not answered:
        what = "the server answers no GET, and the URL does not tell the protocol"
    if not may_ask:
        likely = f" (perhaps {' or '.join(likelier)})" if likelier else ""
        fix = f"Give --protocol{likely}: one of {', '.join(names)}"
        raise UsageError(what, where=shown_url(place.url), fix=fix)
    number = chosen(what, names, names, option="--protocol", may_ask=may_ask)
    return recognise.of_protocol(names[number], place.url.value, possible)[:1]


def starter(
    place: Address,
    found: Candidate,
    *,
    name: str,
    model: str | None,
    agent: str | None,
    message: str,
    may_ask: bool,
    sends: bool,
) -> Starter:
    """Return what is known of the agent, once it is asked what it does not say by itself."""
    made = Starter(
        name=name,
        url=place.written(found.url),
        protocol=found.protocol,
        model=model or _model(found, may_ask=may_ask),
        version=found.version,
        stream=found.stream is not False,
        headers=place.headers,
        message=message,
    )
    if found.protocol == "langgraph":
        names = anyio.run(assistants, found.url, place.sent) if sends and agent is None else ()
        return replace(made, agent=agent or _agent(names, may_ask=may_ask) or "agent")
    if found.protocol == "google-adk":
        app = agent or _agent(found.agents, may_ask=may_ask)
        if app is None:
            fix = "Give --agent, the name of the agent's folder"
            raise UsageError("the server does not say its agents", where=made.url, fix=fix)
        return replace(made, agent=app)
    return made if found.protocol != "http-json" else _undescribed(made, found, sends=sends)


def _agent(names: tuple[str, ...], *, may_ask: bool) -> str | None:
    if not names:
        return None
    what = "the server has several agents"
    return names[chosen(what, names, names, option="--agent", may_ask=may_ask)]


def _model(found: Candidate, *, may_ask: bool) -> str | None:
    if not found.models:
        return None
    what = "the server lists several models"
    number = chosen(what, found.models, found.models, option="--model", may_ask=may_ask)
    return found.models[number]


def _undescribed(made: Starter, found: Candidate, *, sends: bool) -> Starter:
    """Return a description with which anything is read that comes, or one to be filled in."""
    body: dict[str, Any] = dict(UNKNOWN_BODY if found.body is None else found.body.body)
    made_up = () if found.body is None else found.body.to_fill
    to_fill = tuple(f"body.{name}" for name in made_up)
    if sends:
        template = {"body": body, **ANYTHING}
        to_check = ("body",) if found.body is None else ()
        return replace(made, http_json=template, to_fill=to_fill, to_check=to_check)
    to_fill = tuple(f"body.{name}" for name in (made_up or body))
    return replace(made, http_json={"body": body, **UNKNOWN_REPLY}, to_fill=(*to_fill, "reply"))


def target_of(made: Starter) -> Target:
    """Return the target as the workload that would be written has it: what is probed is written.

    Variables that are not set do not matter here. Raises `UsageError` where it would not load.
    """
    used = _VARIABLE.findall(" ".join((made.url, *made.headers.values())))
    environ = dict.fromkeys(used, "unset") | os.environ
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workload.yaml"
        path.write_text(starter_yaml(made), "utf-8")
        try:
            return load_workload(path, environ=environ).target
        except UsageError as exc:
            raise UsageError(exc.what, where="what would be written", fix=exc.fix) from exc
