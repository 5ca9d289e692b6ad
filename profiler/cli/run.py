"""`agent-profiler run WORKLOAD`: replay a workload against an agent and profile it."""

# No `from __future__ import annotations`: typer would compile each of so many options' annotations
# twice, whatever the command, `--help` included.

import gc
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from profiler.measure.syncing import Fsync

_TARGET, _LOAD, _OUTPUT = "Target", "Load (overrides the workload file)", "Output"
_SPREAD = "Spread over processes and machines"
_CARE = "Care for others' systems, and for spend"
_CAPACITY = "Find the capacity"
_INSIDE = "See inside the agent"
_SHOW = "Show the run on production's dashboard"


def command(
    context: typer.Context,
    workload: Annotated[
        str | None,
        typer.Argument(
            help="A workload file, or the name of a shipped one: airline, support, smoke.",
            metavar="WORKLOAD",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="The agent's address. Without one here or in the file, the mock agent is started.",
            rich_help_panel=_TARGET,
        ),
    ] = None,
    http2: Annotated[
        bool,
        typer.Option(
            "--http2",
            help="Speak HTTP/2 where the agent does (needs the extra http2).",
            rich_help_panel=_TARGET,
        ),
    ] = False,
    mock_speed: Annotated[
        float,
        typer.Option(
            help="The mock agent runs so many times faster than life.",
            min=0.01,
            rich_help_panel=_TARGET,
        ),
    ] = 1.0,
    mock_faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="It injects the faults of this plan (YAML; docs/faults.md lists them).",
            rich_help_panel=_TARGET,
        ),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(help="Closed loop: so many users at a time.", rich_help_panel=_LOAD),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            help="Open loop: arrivals at this rate, like 5/s or 120/min.", rich_help_panel=_LOAD
        ),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option("--requests", "-n", help="Measured interactions.", rich_help_panel=_LOAD),
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option(help="Whole sessions, in place of --requests.", rich_help_panel=_LOAD),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(help="Start nothing after so long, like 90s or 5m.", rich_help_panel=_LOAD),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(help="Interactions before those that count.", rich_help_panel=_LOAD),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed sends the same sessions.", rich_help_panel=_LOAD),
    ] = None,
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            help="Open loop: drop (and count) arrivals that find so many under way.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    until_stable: Annotated[
        bool,
        typer.Option(
            "--until-stable",
            help="Go on past --requests until the key numbers are stable.",
            rich_help_panel=_LOAD,
        ),
    ] = False,
    max_requests: Annotated[
        int | None,
        typer.Option(
            help="Where --until-stable gives up (default: ten times --requests).",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    error_limit: Annotated[
        float | None,
        typer.Option(
            help="Stop when more than this share (0 to 1) of the interactions fails.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    ramp_up: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Closed loop: users begin evenly over so long (default beyond this machine: "
            "0.1 s each, 10 s at most; else none).",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            "-y",
            help="Do not ask before loading a target beyond this machine.",
            rich_help_panel=_CARE,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what would be sent, to whom and at what cost, and send nothing.",
            rich_help_panel=_CARE,
        ),
    ] = False,
    max_cost: Annotated[
        str | None,
        typer.Option(
            metavar="USD",
            help="Send nothing more once calls of so much were observed, like 5USD.",
            rich_help_panel=_CARE,
        ),
    ] = None,
    max_tokens: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Or calls of so many tokens, like 2M.",
            rich_help_panel=_CARE,
        ),
    ] = None,
    price_input: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            help="For --max-cost: of a million input tokens, for all models, not list prices.",
            min=0.0,
            rich_help_panel=_CARE,
        ),
    ] = None,
    price_output: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            help="Of a million output tokens; goes with --price-input.",
            min=0.0,
            rich_help_panel=_CARE,
        ),
    ] = None,
    no_backoff: Annotated[
        bool,
        typer.Option(
            "--no-backoff",
            help="Go on at full load where the target answers only 429 and 503.",
            rich_help_panel=_CARE,
        ),
    ] = False,
    gateway: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:PORT]",
            help="Record the agent's LLM calls, on their way to --upstream (default port: 8787).",
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The provider's base URL, like https://api.openai.com/v1.",
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    otlp: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:PORT]",
            help="Receive the agent's OpenTelemetry spans over HTTP (default port: 4318).",
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    otlp_grpc: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            help="And over gRPC, usually at 4317 (needs the extra grpc).",
            min=0,
            max=65535,
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    otlp_grace: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Wait so long for spans that come late (default: 6s).",
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Count a store's operations: redis://... or postgresql://...; may be given again.",
            rich_help_panel=_INSIDE,
        ),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:PORT]",
            help="Show the run's metrics to Prometheus, as production's (default port: 9464).",
            rich_help_panel=_SHOW,
        ),
    ] = None,
    otlp_export: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Push them to an OpenTelemetry collector, like http://127.0.0.1:4318.",
            rich_help_panel=_SHOW,
        ),
    ] = None,
    buckets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Buckets of a plan's thresholds: its monitoring/opentelemetry/buckets.json.",
            rich_help_panel=_SHOW,
        ),
    ] = None,
    tag_interactions: Annotated[
        bool,
        typer.Option(
            "--tag-interactions",
            help="Add a marker to the texts of scenarios that are taggable, for the gateway.",
            rich_help_panel=_INSIDE,
        ),
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Split the run over so many processes; auto: as many as there are cores.",
            rich_help_panel=_SPREAD,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT",
            help="Split it over the workers of the Dask cluster with this scheduler.",
            rich_help_panel=_SPREAD,
        ),
    ] = None,
    conductor: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Where the workers of the cluster reach this machine (default: found out).",
            rich_help_panel=_SPREAD,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Run only part I of N; /N takes I from JOB_COMPLETION_INDEX. Then `merge`.",
            rich_help_panel=_SPREAD,
        ),
    ] = None,
    start_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Send nothing before this time, like 2026-03-01T12:00:00Z or +30s.",
            rich_help_panel=_SPREAD,
        ),
    ] = None,
    find_capacity: Annotated[
        bool,
        typer.Option(
            "--find-capacity",
            help="Step the rate up to the highest that meets --objective.",
            rich_help_panel=_CAPACITY,
        ),
    ] = False,
    objective: Annotated[
        str | None,
        typer.Option(
            help="What a rate must meet, like 'latency.p95<2s, error_rate<1%'.",
            rich_help_panel=_CAPACITY,
        ),
    ] = None,
    start_rate: Annotated[
        str,
        typer.Option(help="The first rate, in interactions.", rich_help_panel=_CAPACITY),
    ] = "1/s",
    max_rate: Annotated[
        str, typer.Option(help="Never offer more than this.", rich_help_panel=_CAPACITY)
    ] = "1000/s",
    resolution: Annotated[
        float,
        typer.Option(
            help="How near the rates that meet and miss must be, as a share.",
            min=0.005,
            max=1.0,
            rich_help_panel=_CAPACITY,
        ),
    ] = 0.05,
    max_steps: Annotated[
        int, typer.Option(help="Most rates that are tried.", min=1, rich_help_panel=_CAPACITY)
    ] = 20,
    settle: Annotated[
        str, typer.Option(help="Pause between steps.", rich_help_panel=_CAPACITY)
    ] = "2s",
    goodput: Annotated[
        str | None,
        typer.Option(
            help="What makes an interaction good, like 'latency<2s'; its share is reported.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The run's directory (default: results/<workload>-<date>-<time>).",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN_DIR",
            help="Go on with a run that ended early, where it ended, with its own options.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    fsync: Annotated[
        Fsync,
        typer.Option(
            metavar="WHEN",
            help="Force the journal to the disk: always, every second (interval), or never.",
            rich_help_panel=_OUTPUT,
        ),
    ] = Fsync.INTERVAL,
    save_text: Annotated[
        bool,
        typer.Option(
            "--save-text",
            help="Keep what was said, redacted, in texts.jsonl (default: texts are kept nowhere).",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="With --save-text: replace what this matches, too; may be given again.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print only the path of the profile.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print JSON lines for other programs: started, progress, profile, end.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
) -> int:
    """Replay a workload against an agent and write what one interaction costs.

    Writes journal.jsonl while it runs, then profile.json and profile.md, and prints the profile.
    Ctrl-C ends early and profiles what there is. With --find-capacity it runs one step after
    another, each a run of its own, and writes capacity.json and capacity.md. With several workers,
    journals and profiles of each are in shards/, and profile.json is all of them merged. --resume
    goes on with a run that was killed or interrupted: sessions that had ended are not sent again,
    the others from their start, by as many workers as before; of a run that had done all it sends
    nothing. --max-cost and --max-tokens may be given anew with it.

    Exit codes: 0 done, 2 wrong input, 3 even the lowest rate misses the objective, 4 the harness
    was the bottleneck, a worker was lost, a spend limit was reached, or --until-stable or
    --find-capacity found no answer, 5 the target was unusable, 130 interrupted.
    """
    from profiler.cli import exporting
    from profiler.cli.again import AGAIN, options_again
    from profiler.cli.caution import ask, check_saving, files_of, gently, show
    from profiler.cli.concluding import EXIT_OK
    from profiler.cli.events import Events
    from profiler.cli.intent import Intent
    from profiler.cli.objective_options import (
        check_goodput,
        refuse_with_search,
        refuse_without_search,
        search,
    )
    from profiler.cli.observing import check_fits, observing_of, options_of
    from profiler.cli.run_options import RunOptions, reproducing_argv
    from profiler.cli.session import execute
    from profiler.cli.spending import meter_of, prices_of
    from profiler.cli.split import split_of
    from profiler.errors import UsageError
    from profiler.workload.load import load_workload
    from profiler.workload.shipped import find_workload

    gc.enable()  # see `app`
    if resume is not None and context.info_name != AGAIN:
        return command(**options_again(context, resume))
    if workload is None:
        raise UsageError(
            "there is no WORKLOAD", fix="Name one: a file, or airline, support or smoke"
        )
    overrides: dict[str, Any] = {
        "url": url,
        "users": users,
        "rate": rate,
        "requests": requests,
        "sessions": sessions,
        "duration": duration,
        "warmup": warmup,
        "seed": seed,
        "max_in_flight": max_in_flight,
        "http2": True if http2 else None,
        "max_requests": max_requests,
        "error_limit": error_limit,
        "ramp_up": ramp_up,
        "max_cost": max_cost,
        "max_tokens": max_tokens,
        "backoff": False if no_backoff else None,
    }
    split = split_of(
        workers=workers,
        cluster=cluster,
        conductor=conductor,
        shard=shard,
        start_at=start_at,
        environ=os.environ,
    )
    observing = observing_of(
        gateway=gateway,
        upstream=upstream,
        otlp=otlp,
        otlp_grpc=otlp_grpc,
        otlp_grace=otlp_grace,
        state=state or (),
        tag_interactions=tag_interactions,
        environ=os.environ,
    )
    shown_to = exporting.exporting_of(
        prometheus=prometheus, otlp_export=otlp_export, buckets=buckets
    )
    path = find_workload(workload)
    loaded = gently(load_workload(path, overrides=overrides, environ=os.environ))
    prices = prices_of(loaded, price_input=price_input, price_output=price_output)
    meter = meter_of(loaded, prices, late=bool(observing.names))
    check_saving(save_text=save_text, redact=redact or (), cluster=cluster, search=find_capacity)
    shown: dict[str, Any] = {
        "workers": workers,
        "cluster": cluster,
        "shard": shard,
        "goodput": goodput,
        "mock_faults": mock_faults,
        "price_input": price_input,
        "price_output": price_output,
        "save_text": save_text or None,
        "no_backoff": no_backoff or None,
    }
    if not find_capacity:
        refuse_without_search(objective)
        check_goodput(goodput)
    else:
        refuse_with_search(limits=meter is not None, events=json, faults=mock_faults is not None)
        shown |= {
            "find-capacity": True,
            "objective": objective,
            "start-rate": start_rate,
            "max-rate": max_rate,
            "resolution": resolution,
            "max-steps": max_steps,
            "settle": settle,
        }
    argv = reproducing_argv(
        workload,
        loaded,
        {name: value for name, value in overrides.items() if name != "backoff"} | shown,
        until_stable=until_stable,
        mock_speed=mock_speed,
    )
    argv += options_of(observing) + exporting.options_of(shown_to)
    for pattern in redact or ():
        argv += ("--redact", pattern)
    intent = Intent(
        workload=loaded,
        prices=prices,
        search=None
        if not find_capacity
        else f"up to {max_steps} steps of {requests or 200} interactions or more, up to {max_rate}",
        out=None if out is None else str(out),
        files=files_of(save_text=save_text, search=find_capacity),
    )
    if dry_run:
        show(intent)
        return EXIT_OK
    ask(intent, yes=yes)
    if find_capacity:
        exporting.check_alone(shown_to, alone=False)
        check_fits(observing, loaded, alone=False)
        return search(
            loaded,
            argv,
            objective=objective,
            goodput=goodput,
            mock_speed=mock_speed,
            out=out,
            quiet=quiet,
            requests=requests,
            start_rate=start_rate,
            max_rate=max_rate,
            resolution=resolution,
            max_steps=max_steps,
            settle=settle,
            excluded={
                "rate": rate,
                "users": users,
                "sessions": sessions,
                "duration": duration,
                "until-stable": until_stable or None,
                "workers": workers,
                "cluster": cluster,
                "shard": shard,
            },
        )
    options = RunOptions(
        workload=loaded,
        workload_path=path,
        argv=argv,
        until_stable=until_stable,
        mock_speed=mock_speed,
        mock_faults=mock_faults,
        out=out,
        quiet=quiet,
        split=split,
        goodput=goodput,
        observing=observing,
        events=Events() if json else None,
        exporting=shown_to,
        resume=resume,
        fsync=fsync,
        meter=meter,
        save_text=save_text,
        redact=tuple(redact or ()),
    )
    return execute(options)
