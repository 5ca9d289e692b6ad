"""`agent-profiler mock agent|llm|null`: serve the mocks on real sockets."""

# No `from __future__ import annotations`: typer would compile each of so many options' annotations
# twice, whatever the command, `--help` included.

from collections.abc import Callable, Coroutine
from os.path import expandvars
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from profiler.cli.help_text import Command
from profiler.errors import UsageError

if TYPE_CHECKING:
    from profiler.mock.null_server import NullUrls
    from profiler.mock.options import LlmOptions
    from profiler.mock.serve import MockUrls

app = typer.Typer(help="Serve the mock agent, the mock LLM provider alone, or the null server.")

_PARENT = "For a parent process"
_LLM = "The LLM"

Host = Annotated[
    str,
    typer.Option(help="Address to listen on. Beyond this machine it takes AGENT_PROFILER_TOKEN."),
]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)]
Recordings = Annotated[
    list[Path] | None,
    typer.Option(
        "--recordings",
        help="Conversations to replay (JSON Lines, as in a workload); may be given again.",
    ),
]
Truth = Annotated[
    Path | None,
    typer.Option(help="Write what was really served to this file, as JSON Lines."),
]
Faults = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Inject the faults of this plan (YAML; docs/faults.md lists them)."
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same answers and durations.")]
Speed = Annotated[float, typer.Option(help="So many times faster than life.", min=0.01)]
Announce = Annotated[
    bool,
    typer.Option(
        "--announce", help="Print the addresses as one line of JSON.", rich_help_panel=_PARENT
    ),
]
UntilStdinCloses = Annotated[
    bool,
    typer.Option(
        "--until-stdin-closes",
        help="End when standard input ends, as it does when the parent dies.",
        rich_help_panel=_PARENT,
    ),
]
FirstToken = Annotated[
    float,
    typer.Option(
        "--ttft", help="Median time to first token, seconds.", min=0, rich_help_panel=_LLM
    ),
]
FirstTokenP95 = Annotated[
    float | None,
    typer.Option(
        "--ttft-p95",
        help="Its 95th percentile, seconds (default: 2.7 times the median).",
        min=0,
        rich_help_panel=_LLM,
    ),
]
Gap = Annotated[
    float, typer.Option(help="Mean gap between tokens, seconds.", min=0, rich_help_panel=_LLM)
]
Rpm = Annotated[
    float | None,
    typer.Option(help="Refuse more requests a minute than this, with 429.", rich_help_panel=_LLM),
]
Tpm = Annotated[
    float | None,
    typer.Option(help="Refuse more tokens a minute than this, with 429.", rich_help_panel=_LLM),
]
LimitWindow = Annotated[
    float,
    typer.Option(
        help="Seconds of the limits that may be used at once.", min=0.001, rich_help_panel=_LLM
    ),
]

_DEFAULT_SEED, _DEFAULT_TTFT_S, _P95_OVER_MEDIAN, _DEFAULT_GAP_S = 1, 0.150, 400 / 150, 0.004
_DEFAULT_WINDOW_S = 60.0


@app.command("agent", cls=Command)
def agent(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    llm_port: Annotated[
        int, typer.Option(help="Port of its own mock LLM; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    llm_url: Annotated[
        str | None,
        typer.Option(help="Call this OpenAI base URL (ending in /v1) in place of a mock LLM."),
    ] = None,
    recordings: Recordings = None,
    truth: Truth = None,
    faults: Faults = None,
    seed: Seed = _DEFAULT_SEED,
    speed: Speed = 1.0,
    model: Annotated[str, typer.Option(help="The model that it asks its LLM for.")] = "gpt-4o",
    llm_retries: Annotated[
        int, typer.Option(help="How often it repeats an LLM call that failed.", min=0)
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(help="So many workers; what they have no slot for waits in line.", min=1),
    ] = None,
    worker_slots: Annotated[
        int | None,
        typer.Option(help="Interactions that each worker has at a time (default: 1).", min=1),
    ] = None,
    buckets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Buckets of a plan's thresholds: its buckets.json.",
        ),
    ] = None,
    tool_time: Annotated[
        list[str] | None,
        typer.Option(help="An exact tool duration, like search=200ms; may be given again."),
    ] = None,
    ttft: FirstToken = _DEFAULT_TTFT_S,
    ttft_p95: FirstTokenP95 = None,
    gap: Gap = _DEFAULT_GAP_S,
    rpm: Rpm = None,
    tpm: Tpm = None,
    limit_window: LimitWindow = _DEFAULT_WINDOW_S,
    announce: Announce = False,
    until_stdin_closes: UntilStdinCloses = False,
) -> None:
    """Serve the mock agent, with a mock LLM of its own, until Ctrl-C.

    A real agent loop: it keeps history in a state store, calls an LLM over HTTP, runs the tools
    that the LLM asks for and calls again. POST /v1/chat/completions (openai-chat) and POST /chat;
    GET /metrics shows production's metrics of it to Prometheus.
    """
    from profiler.export.buckets import read_buckets
    from profiler.mock.fault_plan import load_faults
    from profiler.mock.options import AgentOptions
    from profiler.mock.serve import serve_mocks

    token = _token(host, port)
    plan = None if faults is None else load_faults(faults)
    options = AgentOptions(
        seed=seed,
        speed=speed,
        model=model,
        llm_retries=llm_retries,
        workers=workers,
        worker_slots=worker_slots,
        tool_times_s=dict(_tool_time(text) for text in tool_time or ()),
    )
    llm = _llm_options(seed, speed, ttft, ttft_p95, gap, rpm, tpm, limit_window)

    async def serve() -> None:
        await serve_mocks(
            host=host,
            port=port,
            token=token,
            llm_port=llm_port,
            llm_url=None if llm_url is None else expandvars(llm_url),
            conversations=recordings or (),
            agent=options,
            llm=llm,
            truth=truth,
            faults=plan,
            announce=_announcer(as_json=announce, token=token),
            exit_on_stdin_eof=until_stdin_closes,
            buckets=None if buckets is None else read_buckets(buckets),
        )

    _run(serve)


@app.command("llm", cls=Command)
def llm(
    host: Host = "127.0.0.1",
    port: Port = 8081,
    recordings: Recordings = None,
    truth: Truth = None,
    faults: Faults = None,
    seed: Seed = _DEFAULT_SEED,
    speed: Speed = 1.0,
    ttft: FirstToken = _DEFAULT_TTFT_S,
    ttft_p95: FirstTokenP95 = None,
    gap: Gap = _DEFAULT_GAP_S,
    rpm: Rpm = None,
    tpm: Tpm = None,
    limit_window: LimitWindow = _DEFAULT_WINDOW_S,
    announce: Announce = False,
    until_stdin_closes: UntilStdinCloses = False,
) -> None:
    """Serve the mock LLM provider, until Ctrl-C.

    OpenAI Chat Completions, plain and streaming. It replays recorded answers where the conversation
    matches a recording and scripted ones elsewhere, at seeded speeds, within limits if asked.
    """
    from profiler.mock.fault_plan import load_faults
    from profiler.mock.serve import serve_llm

    token = _token(host, port)
    plan = None if faults is None else load_faults(faults)
    options = _llm_options(seed, speed, ttft, ttft_p95, gap, rpm, tpm, limit_window)

    async def serve() -> None:
        await serve_llm(
            host=host,
            port=port,
            token=token,
            conversations=recordings or (),
            llm=options,
            truth=truth,
            faults=plan,
            announce=_announcer(as_json=announce, token=token),
            exit_on_stdin_eof=until_stdin_closes,
        )

    _run(serve)


@app.command("null", cls=Command)
def null(
    host: Host = "127.0.0.1",
    port: Port = 8082,
    chunks: Annotated[
        int, typer.Option(help="Chunks with content in a streamed answer.", min=1, max=100_000)
    ] = 64,
    chunk_gap: Annotated[
        str, typer.Option(help="Exact time between chunks, like 5ms; 0: all at once.")
    ] = "0s",
    delay: Annotated[
        str, typer.Option(help="Exact time before a plain answer, like 100ms.")
    ] = "0s",
    ttft: Annotated[
        str | None,
        typer.Option(help="Exact time before a stream's first chunk (default: as --delay)."),
    ] = None,
    announce: Announce = False,
    until_stdin_closes: UntilStdinCloses = False,
) -> None:
    """Serve the null server, until Ctrl-C: an agent that costs nothing, to measure a harness with.

    OpenAI Chat Completions, plain and streaming, from bytes that were made before. At its end, and
    at GET /stats, it says what CPU it used and how late its delays really were.
    """
    import gc

    from profiler.mock.null_server import NullOptions, serve_null

    token = _token(host, port)
    options = NullOptions(
        chunks=chunks,
        chunk_gap_s=_seconds(chunk_gap, "--chunk-gap"),
        delay_s=_seconds(delay, "--delay"),
        ttft_s=None if ttft is None else _seconds(ttft, "--ttft"),
    )

    async def serve() -> None:
        stats = await serve_null(
            host=host,
            port=port,
            token=token,
            options=options,
            announce=_null_announcer(as_json=announce, token=token),
            exit_on_stdin_eof=until_stdin_closes,
        )
        import orjson

        typer.echo(orjson.dumps(stats.as_dict()).decode())

    gc.freeze()
    gc.disable()  # nothing that it makes goes in circles, and a collection would delay an answer
    _run(serve)


def _token(host: str, port: int) -> str | None:
    """Return what each request has to have; None: only this machine can send any."""
    import os

    from profiler.cli.observing import Address, server_token

    return server_token(Address(host=host, port=port), "--host", "a mock", os.environ)


def _say_token(token: str | None) -> None:
    if token is not None:
        typer.echo("Requests need    Authorization: Bearer $AGENT_PROFILER_TOKEN")


def _seconds(text: str, option: str) -> float:
    from profiler.workload.units import duration_s

    try:
        return duration_s(text)
    except ValueError as exc:
        raise UsageError(str(exc), where=option, fix="Write it like 100ms or 2s") from exc


def _null_announcer(*, as_json: bool, token: str | None) -> "Callable[[NullUrls], None]":
    def announce(urls: "NullUrls") -> None:
        if as_json:
            import orjson

            typer.echo(orjson.dumps({"url": urls.url, "stats": urls.stats}).decode())
            return
        typer.echo(f"null server  {urls.url}   (openai-chat)")
        typer.echo(f"             {urls.stats}   (its own figures)")
        _say_token(token)
        typer.echo("Ctrl-C ends it.")

    return announce


def _llm_options(
    seed: int,
    speed: float,
    ttft_s: float,
    ttft_p95_s: float | None,
    gap_s: float,
    rpm: float | None,
    tpm: float | None,
    limit_window_s: float,
) -> "LlmOptions":
    from profiler.mock.options import LlmOptions

    return LlmOptions(
        seed=seed,
        speed=speed,
        ttft_median_s=ttft_s,
        ttft_p95_s=ttft_s * _P95_OVER_MEDIAN if ttft_p95_s is None else ttft_p95_s,
        gap_s=gap_s,
        rpm=rpm,
        tpm=tpm,
        limit_window_s=limit_window_s,
    )


def _tool_time(text: str) -> tuple[str, float]:
    from profiler.workload.units import duration_s

    name, _, duration = text.partition("=")
    try:
        seconds = duration_s(duration)
    except ValueError as exc:
        raise UsageError(
            f"{text!r} is no tool duration", where="--tool-time", fix="Write it like search=200ms"
        ) from exc
    return name, seconds


def _announcer(*, as_json: bool, token: str | None) -> "Callable[[MockUrls], None]":
    def announce(urls: "MockUrls") -> None:
        if as_json:
            import orjson

            typer.echo(orjson.dumps({"agent": urls.agent, "llm": urls.llm}).decode())
            return
        if urls.agent is not None:
            typer.echo(f"mock agent  {urls.chat_completions}   (openai-chat)")
            typer.echo(f"            {urls.chat}   (http-json)")
        if urls.llm is not None:
            typer.echo(f"mock LLM    {urls.llm}")
        _say_token(token)
        typer.echo("Ctrl-C ends it.")

    return announce


def _run(serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import anyio

    from profiler.load.event_loop import has_uvloop

    anyio.run(serve, backend_options={"use_uvloop": has_uvloop()})
