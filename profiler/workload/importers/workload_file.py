"""The workload file that is written beside imported conversations: it runs as it is."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

_USERS = 8
_WARMUP = 10
_THINK_TIME = (
    "# think_time: {lognormal: {median: 5s, p95: 30s}}     # a person's pause before a message"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where conversations came from: `sessions` of the `of_sessions` in the file `source`.

    `has_think_times`: pauses were recorded, and stand in the data. `rate_per_s` is how often
    sessions began when they were recorded, None where nothing tells.
    """

    name: str
    source: str
    kind: str
    sessions: int
    of_sessions: int
    interactions: int
    seed: int
    redacted: bool
    rate_per_s: float | None = None
    has_think_times: bool = False


def workload_yaml(origin: Origin, conversations: str) -> str:
    """Return a commented workload; `conversations` is the data file, relative to it."""
    users = _key("users", min(_USERS, origin.sessions))
    sessions = _key("sessions", origin.sessions)
    warmup = _key("warmup", min(_WARMUP, origin.interactions // 10))
    if origin.sessions == origin.of_sessions:
        sample = f"all of its {origin.sessions:,} sessions"
    else:
        sample = (
            f"{origin.sessions:,} of its {origin.of_sessions:,} sessions, drawn with seed "
            f"{origin.seed}"
        )
    redacted = "redacted" if origin.redacted else "not redacted: it may hold personal data"
    rate = ""
    if origin.rate_per_s is not None:
        rate = f"""\
  {_key("# rate", _rate(origin.rate_per_s))}# open loop, in place of users: as it was recorded
"""
    pauses = f"    {_THINK_TIME}"
    if origin.has_think_times:
        pauses = "    think_time: recorded      # the pauses of the recording; without it, none"
    return f"""\
# Imported by `agent-profiler import {origin.kind}` from {_one_line(origin.source)}:
# {sample}, {origin.interactions:,} user messages in all; {redacted}.
# The agent under test answers them for itself; only the users' side is sent.

name: {_quoted(origin.name)}

target:
  # No url: the mock agent is started for the run, and answers as was recorded. Point it at your
  # agent with --url, or write the url here.
  protocol: openai-chat       # or http-json, for an agent with a protocol of its own
  stream: true                # streaming gives the time to the first token
  timeout: 120s               # of one interaction
  # headers:
  #   authorization: "Bearer ${{AGENT_TOKEN}}"    # from the environment, never written down

load:
  {users}# closed loop: so many at a time, each waits for the reply
{rate}\
  {sessions}# whole sessions, each once
  {warmup}# interactions before them, left out of every figure
  seed: 1                     # the same seed draws the same sessions in the same order

scenarios:
  - name: {_quoted(origin.name)}
    conversations: {_quoted(conversations)}
{pauses}
"""


def _key(name: str, value: object) -> str:
    """Return a key and its value, up to the column where comments begin."""
    return f"{f'{name}: {value}':<27} "


def _rate(per_s: float) -> str:
    return f"{per_s:.3g}/s" if per_s >= 0.01 else f"{per_s * 3600:.3g}/h"  # noqa: PLR2004


def _quoted(text: str) -> str:
    """Return a text as a double-quoted YAML scalar: JSON is one."""
    return orjson.dumps(text).decode()


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOrigin:
    """Where a trace came from: `requests` of the `of_requests` in the file `source`."""

    name: str
    source: str
    kind: str
    requests: int
    of_requests: int
    encoding: str
    block_tokens: int | None


def trace_workload_yaml(origin: TraceOrigin, trace: str) -> str:
    """Return a commented workload that replays a trace; `trace` is its file, relative to it."""
    sample = (
        f"all of its {origin.requests:,} requests"
        if origin.requests == origin.of_requests
        else f"{origin.requests:,} consecutive ones of its {origin.of_requests:,} requests"
    )
    blocks = ""
    if origin.block_tokens is not None:
        key = f"      block_tokens: {origin.block_tokens}"
        blocks = f"{key:<33} # of each id in its column `blocks`\n"
    return f"""\
# Imported by `agent-profiler import {origin.kind}` from {_one_line(origin.source)}: {sample}.
# The trace has times and lengths, no text: prompts are made to exactly these lengths. Each request
# is a session of one turn, sent at its recorded time whatever the agent does.

name: {_quoted(origin.name)}

target:
  # No url: the mock agent is started for the run, and answers with as many tokens as were recorded.
  # Point it at your agent with --url, or write the url here.
  protocol: openai-chat
  stream: true                # streaming gives the time to the first token
  timeout: 120s               # of one interaction

load:
  arrivals: {{trace: {_quoted(trace)}}}
  speed: 1                    # 10 replays the trace ten times as fast
  seed: 1                     # another seed makes other prompts of the same lengths
  # max_in_flight: 200        # arrivals that find so many under way are dropped, and counted

scenarios:
  - name: {_quoted(origin.name)}
    generated:
      trace: {_quoted(trace)}
      encoding: {origin.encoding}
{blocks}"""
