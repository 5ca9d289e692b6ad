"""`agent-profiler run WORKLOAD`: replay a workload against an agent and profile it."""

# No `from __future__ import annotations`: typer would compile each of so many options' annotations
# twice, whatever the command, `--help` included.

import gc
import os
from typing import Any

import typer

from profiler.cli import run_arguments as given
from profiler.measure.syncing import Fsync


def command(
    context: typer.Context,
    workload: given.Workload = None,
    url: given.Url = None,
    http2: given.Http2 = False,
    mock_speed: given.MockSpeed = 1.0,
    mock_faults: given.MockFaults = None,
    users: given.Users = None,
    rate: given.Rate = None,
    requests: given.Requests = None,
    sessions: given.Sessions = None,
    duration: given.Duration = None,
    warmup: given.Warmup = None,
    seed: given.Seed = None,
    max_in_flight: given.MaxInFlight = None,
    until_stable: given.UntilStable = False,
    max_requests: given.MaxRequests = None,
    error_limit: given.ErrorLimit = None,
    ramp_up: given.RampUp = None,
    yes: given.Yes = False,
    dry_run: given.DryRun = False,
    max_cost: given.MaxCost = None,
    max_tokens: given.MaxTokens = None,
    price_input: given.PriceInput = None,
    price_output: given.PriceOutput = None,
    no_backoff: given.NoBackoff = False,
    gateway: given.Gateway = None,
    upstream: given.Upstream = None,
    otlp: given.Otlp = None,
    otlp_grpc: given.OtlpGrpc = None,
    otlp_grace: given.OtlpGrace = None,
    state: given.State = None,
    prometheus: given.Prometheus = None,
    otlp_export: given.OtlpExport = None,
    buckets: given.Buckets = None,
    tag_interactions: given.TagInteractions = False,
    workers: given.Workers = None,
    cluster: given.Cluster = None,
    conductor: given.Conductor = None,
    shard: given.Shard = None,
    start_at: given.StartAt = None,
    find_capacity: given.FindCapacity = False,
    objective: given.Objective = None,
    start_rate: given.StartRate = "1/s",
    max_rate: given.MaxRate = "1000/s",
    resolution: given.Resolution = 0.05,
    max_steps: given.MaxSteps = 20,
    settle: given.Settle = "2s",
    goodput: given.Goodput = None,
    out: given.Out = None,
    resume: given.Resume = None,
    fsync: given.Fsync = Fsync.INTERVAL,
    save_text: given.SaveText = False,
    redact: given.Redact = None,
    quiet: given.Quiet = False,
    json: given.Json = False,
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
        files=files_of(
            save_text=save_text,
            search=find_capacity,
            is_split=cluster is not None or (split.workers or 1) > 1,
            is_mock=loaded.target.url is None,
        ),
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
