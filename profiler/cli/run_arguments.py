"""The arguments of `agent-profiler run`, as `--help` shows them: a type for each."""

# No `from __future__ import annotations`: typer looks at these types, whatever the command.

from pathlib import Path
from typing import Annotated

import typer

from profiler.cli.completing import workloads
from profiler.measure.syncing import Fsync as FsyncWhen

_TARGET, _LOAD, _OUTPUT = "Target", "Load (overrides the workload file)", "Output"
_SPREAD = "Spread over processes and machines"
_CARE = "Care for others' systems, and for spend"
_CAPACITY = "Find the capacity"
_INSIDE = "See inside the agent"
_SHOW = "Show the run on production's dashboard"

Workload = Annotated[
    str | None,
    typer.Argument(
        help="A workload file, or the name of a shipped one: airline, support, smoke.",
        metavar="WORKLOAD",
        autocompletion=workloads,
        show_default=False,
    ),
]

Url = Annotated[
    str | None,
    typer.Option(
        help="The agent's address. Without one here or in the file, the mock agent is started.",
        rich_help_panel=_TARGET,
    ),
]

Http2 = Annotated[
    bool,
    typer.Option(
        "--http2",
        help="Speak HTTP/2 where the agent does (needs the extra http2).",
        rich_help_panel=_TARGET,
    ),
]

MockSpeed = Annotated[
    float,
    typer.Option(
        help="The mock agent runs so many times faster than life.",
        min=0.01,
        rich_help_panel=_TARGET,
    ),
]

MockFaults = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="It injects the faults of this plan (YAML; docs/faults.md lists them).",
        rich_help_panel=_TARGET,
    ),
]

Users = Annotated[
    int | None,
    typer.Option(help="Closed loop: so many users at a time.", rich_help_panel=_LOAD),
]

Rate = Annotated[
    str | None,
    typer.Option(
        help="Open loop: arrivals at this rate, like 5/s or 120/min.", rich_help_panel=_LOAD
    ),
]

Requests = Annotated[
    int | None,
    typer.Option("--requests", "-n", help="Measured interactions.", rich_help_panel=_LOAD),
]

Sessions = Annotated[
    int | None,
    typer.Option(help="Whole sessions, in place of --requests.", rich_help_panel=_LOAD),
]

Duration = Annotated[
    str | None,
    typer.Option(help="Start nothing after so long, like 90s or 5m.", rich_help_panel=_LOAD),
]

Warmup = Annotated[
    int | None,
    typer.Option(help="Interactions before those that count.", rich_help_panel=_LOAD),
]

Seed = Annotated[
    int | None,
    typer.Option(help="The same seed sends the same sessions.", rich_help_panel=_LOAD),
]

MaxInFlight = Annotated[
    int | None,
    typer.Option(
        help="Open loop: drop (and count) arrivals that find so many under way.",
        rich_help_panel=_LOAD,
    ),
]

UntilStable = Annotated[
    bool,
    typer.Option(
        "--until-stable",
        help="Go on past --requests until the key numbers are stable.",
        rich_help_panel=_LOAD,
    ),
]

MaxRequests = Annotated[
    int | None,
    typer.Option(
        help="Where --until-stable gives up (default: ten times --requests).",
        rich_help_panel=_LOAD,
    ),
]

ErrorLimit = Annotated[
    float | None,
    typer.Option(
        help="Stop when more than this share (0 to 1) of the interactions fails.",
        rich_help_panel=_LOAD,
    ),
]

RampUp = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Closed loop: users begin evenly over so long (default beyond this machine: "
        "0.1 s each, 10 s at most; else none).",
        rich_help_panel=_LOAD,
    ),
]

Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        "-y",
        help="Do not ask before loading a target beyond this machine.",
        rich_help_panel=_CARE,
    ),
]

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be sent, to whom and at what cost, and send nothing.",
        rich_help_panel=_CARE,
    ),
]

MaxCost = Annotated[
    str | None,
    typer.Option(
        metavar="USD",
        help="Send nothing more once calls of so much were observed, like 5USD.",
        rich_help_panel=_CARE,
    ),
]

MaxTokens = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Or calls of so many tokens, like 2M.",
        rich_help_panel=_CARE,
    ),
]

PriceInput = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        help="For --max-cost: of a million input tokens, for all models, not list prices.",
        min=0.0,
        rich_help_panel=_CARE,
    ),
]

PriceOutput = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        help="Of a million output tokens; goes with --price-input.",
        min=0.0,
        rich_help_panel=_CARE,
    ),
]

NoBackoff = Annotated[
    bool,
    typer.Option(
        "--no-backoff",
        help="Go on at full load where the target answers only 429 and 503.",
        rich_help_panel=_CARE,
    ),
]

Gateway = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:PORT]",
        help="Record the agent's LLM calls, on their way to --upstream (default port: 8787).",
        rich_help_panel=_INSIDE,
    ),
]

Upstream = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The provider's base URL, like https://api.openai.com/v1.",
        rich_help_panel=_INSIDE,
    ),
]

Otlp = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:PORT]",
        help="Receive the agent's OpenTelemetry spans over HTTP (default port: 4318).",
        rich_help_panel=_INSIDE,
    ),
]

OtlpGrpc = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        help="And over gRPC, usually at 4317 (needs the extra grpc).",
        min=0,
        max=65535,
        rich_help_panel=_INSIDE,
    ),
]

OtlpGrace = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Wait so long for spans that come late (default: 6s).",
        rich_help_panel=_INSIDE,
    ),
]

State = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Count a store's operations: redis://... or postgresql://...; may be given again.",
        rich_help_panel=_INSIDE,
    ),
]

Prometheus = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:PORT]",
        help="Show the run's metrics to Prometheus, as production's (default port: 9464).",
        rich_help_panel=_SHOW,
    ),
]

OtlpExport = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Push them to an OpenTelemetry collector, like http://127.0.0.1:4318.",
        rich_help_panel=_SHOW,
    ),
]

Buckets = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Buckets of a plan's thresholds: its monitoring/opentelemetry/buckets.json.",
        rich_help_panel=_SHOW,
    ),
]

TagInteractions = Annotated[
    bool,
    typer.Option(
        "--tag-interactions",
        help="Add a marker to the texts of scenarios that are taggable, for the gateway.",
        rich_help_panel=_INSIDE,
    ),
]

Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Split the run over so many processes; auto: as many as there are cores.",
        rich_help_panel=_SPREAD,
    ),
]

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Split it over the workers of the Dask cluster with this scheduler.",
        rich_help_panel=_SPREAD,
    ),
]

Conductor = Annotated[
    str | None,
    typer.Option(
        metavar="HOST[:PORT]",
        help="Where the workers of the cluster reach this machine (default: found out).",
        rich_help_panel=_SPREAD,
    ),
]

Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Run only part I of N; /N takes I from JOB_COMPLETION_INDEX. Then `merge`.",
        rich_help_panel=_SPREAD,
    ),
]

StartAt = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Send nothing before this time, like 2026-03-01T12:00:00Z or +30s.",
        rich_help_panel=_SPREAD,
    ),
]

FindCapacity = Annotated[
    bool,
    typer.Option(
        "--find-capacity",
        help="Step the rate up to the highest that meets --objective.",
        rich_help_panel=_CAPACITY,
    ),
]

Objective = Annotated[
    str | None,
    typer.Option(
        help="What a rate must meet, like 'latency.p95<2s, error_rate<1%'.",
        rich_help_panel=_CAPACITY,
    ),
]

StartRate = Annotated[
    str,
    typer.Option(help="The first rate, in interactions.", rich_help_panel=_CAPACITY),
]

MaxRate = Annotated[
    str, typer.Option(help="Never offer more than this.", rich_help_panel=_CAPACITY)
]

Resolution = Annotated[
    float,
    typer.Option(
        help="How near the rates that meet and miss must be, as a share.",
        min=0.005,
        max=1.0,
        rich_help_panel=_CAPACITY,
    ),
]

MaxSteps = Annotated[
    int, typer.Option(help="Most rates that are tried.", min=1, rich_help_panel=_CAPACITY)
]

Settle = Annotated[str, typer.Option(help="Pause between steps.", rich_help_panel=_CAPACITY)]

Goodput = Annotated[
    str | None,
    typer.Option(
        help="What makes an interaction good, like 'latency<2s'; its share is reported.",
        rich_help_panel=_OUTPUT,
    ),
]

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="The run's directory (default: results/<workload>-<date>-<time>).",
        rich_help_panel=_OUTPUT,
    ),
]

Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN_DIR",
        help="Go on with a run that ended early, where it ended, with its own options.",
        rich_help_panel=_OUTPUT,
    ),
]

Fsync = Annotated[
    FsyncWhen,
    typer.Option(
        metavar="WHEN",
        help="Force the journal to the disk: always, every second (interval), or never.",
        rich_help_panel=_OUTPUT,
    ),
]

SaveText = Annotated[
    bool,
    typer.Option(
        "--save-text",
        help="Keep what was said, redacted, in texts.jsonl (default: texts are kept nowhere).",
        rich_help_panel=_OUTPUT,
    ),
]

Redact = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="With --save-text: replace what this matches, too; may be given again.",
        rich_help_panel=_OUTPUT,
    ),
]

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print only the path of the profile.",
        rich_help_panel=_OUTPUT,
    ),
]

Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print JSON lines for other programs: started, progress, profile, end.",
        rich_help_panel=_OUTPUT,
    ),
]
