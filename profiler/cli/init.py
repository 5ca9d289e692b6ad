"""`agent-profiler init`: from an agent's address to a workload that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiler.cli.completing import protocols

if TYPE_CHECKING:
    from profiler.cli.init_finding import Address
    from profiler.endpoints.recognise import Candidate
    from profiler.workload.starter import Starter
    from profiler.workload.target import Target

DEFAULT_OUT = Path("scenarios/mine.yaml")


def command(
    url: Annotated[
        str | None,
        typer.Option(help="The agent's address; asked for on a terminal if not given."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="How the agent is spoken to; recognised if not given.",
            metavar="P",
            autocompletion=protocols,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Sent as `model`, where the protocol has one.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Of a server with several: LangGraph's assistant, Google ADK's app."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'",
            help="Sent with every request; may be given again. Secrets as ${NAME} only: "
            "'Authorization: Bearer ${AGENT_TOKEN}', in single quotes.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The workload to write.")] = DEFAULT_OUT,
    message: Annotated[
        str, typer.Option(help="What is said to the agent, once, to see what it shows.")
    ] = "Hello",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Send nothing at all: only write the workload.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the workload.")] = False,
) -> None:
    """Write a workload for an agent: find out its protocol, say one thing to it, write down how.

    The protocol is told by the URL's path and by a few GETs (OpenAPI document, agent card, lists of
    agents and models). Then exactly one message is sent, and what the answer shows is printed:
    status, latency, first token, LLM calls, tokens, tools. What the agent answers to it decides
    whether anything is written. Protocols: openai-chat, openai-responses, anthropic-messages,
    ag-ui, vercel-ai, langgraph, a2a, google-adk, http-json.
    """
    from profiler.cli import init_finding as finding
    from profiler.cli.init_asking import confirmed, is_terminal
    from profiler.workload.references import parsed_headers

    may_ask = is_terminal() and not yes
    finding.check_place(out, force=force)
    finding.check_protocol(protocol)
    finding.check_message(message)
    address = finding.address(
        url, parsed_headers(header or []), may_ask=may_ask, sends=not no_probe
    )
    found = finding.recognised(address, protocol, may_ask=may_ask, sends=not no_probe)
    starter = finding.starter(
        address,
        found,
        name=out.stem,
        model=model,
        agent=agent,
        message=message,
        may_ask=may_ask,
        sends=not no_probe,
    )
    target = finding.target_of(starter)
    if no_probe:
        _write(starter, out, force=force)
        return
    if may_ask and not confirmed(f'Send it one message, "{message}"?'):
        typer.echo("Nothing was sent or written; --no-probe writes it unprobed.", err=True)
        raise typer.Abort
    starter = _probed(address, found, starter, target)
    _write(starter, out, force=force)


def _probed(address: Address, found: Candidate, starter: Starter, target: Target) -> Starter:
    """Send one message, say what was seen, and return what is to be written."""
    from dataclasses import replace
    from uuid import uuid4

    import anyio

    from profiler.cli.init_describing import described
    from profiler.cli.init_seen import INSIDE, seen_in, seen_lines, unusable
    from profiler.endpoints.probe import interact
    from profiler.measure.records import Outcome

    typer.echo(f"sending one message to {address.shown(found.url)} ({found.protocol})")
    exchange, answer = anyio.run(interact, target, found.url, starter.message, str(uuid4()))
    reply = exchange.reply
    if found.protocol == "http-json":
        exchange, reply, starter = described(exchange, answer, starter)
    if exchange.outcome is not Outcome.OK:
        raise unusable(
            exchange,
            address.shown(found.url),
            found.protocol,
            has_headers=bool(address.headers),
        )
    seen = seen_in(exchange, reply)
    for line in seen_lines(seen, target.secrets()):
        typer.echo(line)
    if not (missing := seen.missing()):
        return starter
    told = f"Not observed in one message: {', '.join(missing)}."
    typer.echo(f"{told} {INSIDE}" if missing != ("time to first token",) else told)
    return replace(starter, notes=(*starter.notes, told, f"{INSIDE}."))


def _write(starter: Starter, out: Path, *, force: bool) -> None:
    import shlex

    from profiler.cli import init_finding as finding
    from profiler.cli.files import write_whole
    from profiler.workload.starter import starter_yaml

    finding.target_of(starter)  # it loads, or nothing is written
    finding.check_place(out, force=force)  # a person may have taken a while to answer
    write_whole(out, starter_yaml(starter).encode())
    typer.echo(f"wrote {out}")
    for names, what in ((starter.to_fill, "to fill in"), (starter.to_check, "guessed, to check")):
        if names:
            typer.echo(f"{what}: {', '.join(f'target.http_json.{name}' for name in names)}")
    typer.echo("to replace: its scenarios, by what your users say (or see `agent-profiler import`)")
    typer.echo(f"run it: agent-profiler run {shlex.quote(str(out))}")
