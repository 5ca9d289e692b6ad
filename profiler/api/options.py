"""What a run may be told, by keyword: the options of `agent-profiler run`, under the same names."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - a TypedDict's types are read by editors at run time
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RunOptions(TypedDict, total=False):
    """Options of a run; one that is left out or None is as the workload says.

    - `url`: the agent's address. Without one, the mock agent is started (`mock_speed` times faster
      than life, with the faults of a plan, `mock_faults`).
    - `users` (closed loop) or `rate` (open loop, like "5/s"; `max_in_flight` drops arrivals).
    - `requests` (measured interactions), `sessions` in their place, `duration` ("90s"), `warmup`
      (interactions before), `seed`, `error_limit` (a share), `until_stable` up to `max_requests`.
    - `yes`: load a target beyond this machine, which is an error without. `ramp_up` ("10s": users
      begin over so long), `max_cost` ("5USD"; `price_input`, `price_output`), `max_tokens` ("2M"),
      `no_backoff`: see docs/safety.md.
    - `gateway`, `upstream`, `otlp`, `otlp_grpc`, `otlp_grace`, `state`, `tag_interactions`: who
      watches the inside; True is the usual address.
    - `prometheus`, `otlp_export`, `buckets`: who is shown the run's metrics while it goes on; True
      is the usual address.
    - `workers` (a number, or "auto") or `cluster` (`conductor`): how the run is spread.
    - `save_text` (with `redact`, patterns): keep what was said.
    - `goodput` ("latency<2s"), `http2`, `out` (the run's directory), `fsync` of its journal.
    """

    url: str | None
    http2: bool
    mock_speed: float
    mock_faults: str | Path | None
    users: int | None
    rate: str | None
    requests: int | None
    sessions: int | None
    duration: str | None
    warmup: int | None
    seed: int | None
    max_in_flight: int | None
    until_stable: bool
    max_requests: int | None
    error_limit: float | None
    ramp_up: str | None
    yes: bool
    max_cost: str | float | None
    max_tokens: str | int | None
    price_input: float | None
    price_output: float | None
    no_backoff: bool
    gateway: str | bool
    upstream: str | None
    otlp: str | bool
    otlp_grpc: int | None
    otlp_grace: str | None
    state: Sequence[str]
    tag_interactions: bool
    prometheus: str | bool
    otlp_export: str | None
    buckets: str | Path | None
    workers: int | Literal["auto"] | None
    cluster: str | None
    conductor: str | None
    goodput: str | None
    save_text: bool
    redact: Sequence[str]
    out: str | Path | None
    fsync: Literal["always", "interval", "never"]


def arguments(options: Mapping[str, object]) -> list[str]:
    """Return options as the command line takes them. Raises TypeError for a name it has not."""
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"run() got an unexpected keyword argument {min(unknown)!r}")
    given: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        match value:
            case None | False:
                continue
            case True:
                given.append(option)
            case list() | tuple():
                for item in value:
                    given += [option, str(item)]
            case _:
                given += [option, str(value)]
    return given
