"""The workload that `agent-profiler init` writes: commented, and it runs as it is.

Text from outside (names that a server told, headers) goes into it only as double-quoted scalars
and as printable comments, so that no server can write keys.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

GREETING = "Hello"
_COMMENTS_FROM = 30
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_STREAMS = "# streaming gives the time to the first token"
_FIXED_STREAM = frozenset({"ag-ui", "vercel-ai", "http-json"})
"""Protocols in which `stream` changes nothing."""
_REPLY_COMMENTS = {
    "reply": "# where the answer has the text (JMESPath)",
    "session_id": "# where it names the session; sent with the next turn",
    "usage": "# where it reports tokens",
    "trace": "# where the agent says what it did",
    "events": "# what the events of its stream mean: docs/http-json.md",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What is known of an agent. `url` and `headers` as they are to be written, `${NAME}` included.

    `agent` is the assistant (LangGraph) or the app (Google ADK). `http_json` is the template's
    content; keys of it in `to_check` were guessed, those in `to_fill` made up. `notes` are lines
    about what the probe saw.
    """

    name: str
    url: str
    protocol: str
    model: str | None = None
    agent: str | None = None
    version: str | None = None
    stream: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    http_json: Mapping[str, Any] | None = None
    to_check: tuple[str, ...] = ()
    to_fill: tuple[str, ...] = ()
    message: str = GREETING
    notes: tuple[str, ...] = ()


def starter_yaml(starter: Starter) -> str:
    """Return the text of the workload."""
    notes = "".join(f"# {one_line(note)}\n" for note in starter.notes)
    target = "\n".join(_target(starter))
    return f"""\
# Written by `agent-profiler init`. Every key is explained in scenarios/README.md.
{notes}
name: {scalar(starter.name)}

target:
{target}

load:
{_line("  users: 2", "# closed loop: so many at a time, each waits for the reply")}
{_line("  # rate: 1/s", "# open loop, in place of users: so many arrivals, whatever it does")}
{_line("  requests: 100", "# measured interactions (one user message and its answer each)")}
{_line("  warmup: 5", "# interactions before them, left out of every figure")}
{_line("  seed: 1", "# the same seed draws the same sessions in the same order")}

# REPLACE THESE SCENARIOS: they only show that the agent answers, and a profile is as good as its
# workload is representative. Write what your users say, or take it from production:
#   agent-profiler import openai-messages production.jsonl -o scenarios/production.yaml
scenarios:
  - name: greeting
{_line("    weight: 1", "# drawn half as often as those with weight 2")}
    turns:
      - user: {scalar(starter.message)}
  - name: what-it-does
    weight: 2
{_line("    think_time: 1s", "# before every turn but the first; or, as people do,")}
{_line("", "# {lognormal: {median: 5s, p95: 30s}}")}
    turns:
      - user: "What can you help me with?"
      - user: "Give me an example of that."
      - user: "Thank you. Sum that up in one sentence."
  - name: one-topic
    weight: 2
    think_time: 1s
    variables:
{_line("      topic:", "# one is drawn for each session")}
        values: ["prices", "opening hours", "how to reach a person"]
    turns:
      - user: "I have a question about {{{{ topic }}}}."
        # check: {{contains: price}}           # an answer without it counts as failed
      - user: "What else should I know about {{{{ topic }}}}?"
"""


def scalar(text: str) -> str:
    """Return a text as a double-quoted YAML scalar in one line, whatever is in it."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c == " " or c.isprintable() else _escaped(c) for c in quoted)


def one_line(text: str) -> str:
    """Return a text as one line that may stand in a comment or on a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - YAML 1.2, 5.7


def _target(starter: Starter) -> list[str]:
    protocol = starter.protocol
    lines = [
        _line(f"  url: {scalar(starter.url)}", "# --url overrides it for one run"),
        _line(f"  protocol: {protocol}", "# how the agent is spoken to"),
    ]
    if starter.model is not None:
        lines.append(_line(f"  model: {scalar(starter.model)}", "# sent as `model`"))
    if protocol not in _FIXED_STREAM:
        lines.append(_line(f"  stream: {str(starter.stream).lower()}", _STREAMS))
    lines.append(_line("  timeout: 120s", "# of one interaction"))
    if starter.headers:
        lines.append(_line("  headers:", "# ${NAME} is taken from the environment for each run"))
        lines += [f"    {_key(n)}: {scalar(v)}" for n, v in starter.headers.items()]
    else:
        lines.append("  # headers:")
        comment = "# from the environment, never written down"
        lines.append(f'  #   authorization: "Bearer ${{AGENT_TOKEN}}"    {comment}')
    return lines + _section(starter)


def _section(starter: Starter) -> list[str]:
    """Return the keys that only this protocol has."""
    if starter.protocol == "http-json":
        return _described(starter)
    keys = {
        "langgraph": (
            f"assistant: {scalar(starter.agent or 'agent')}",
            "# its id, or the name of its graph",
        ),
        "google-adk": (f"app: {scalar(starter.agent or '')}", "# the agent's folder"),
        "a2a": (f'version: "{starter.version or "1.0"}"', "# of the protocol, as its card says"),
        "openai-responses": ("state: server", "# or resend: who keeps the conversation"),
        "anthropic-messages": ("max_tokens: 4096", "# which the protocol requires"),
    }
    if starter.protocol not in keys:
        return []
    key, comment = keys[starter.protocol]
    return [f"  {starter.protocol.replace('-', '_')}:", _line(f"    {key}", comment)]


def _described(starter: Starter) -> list[str]:
    template = starter.http_json or {}
    lines = [_line("  http_json:", "# a protocol of its own: docs/http-json.md")]
    body = "# what is sent: {{ user }}, the message, and {{ session_id }}"
    lines.append(_line("    body:", body))
    for name, value in template.get("body", {}).items():
        mark = f"body.{name}"
        comment = "# FILL IN" if mark in starter.to_fill else ""
        lines.append(_line(f"      {_key(name)}: {_flow(value)}", comment))
    for name, value in template.items():
        if name == "body":
            continue
        comment = _REPLY_COMMENTS.get(name, "")
        if name in starter.to_fill:
            comment = f"# FILL IN: {comment.removeprefix('# ')}"
        elif name in starter.to_check:
            comment = f"# guessed, check it: {comment.removeprefix('# ')}"
        if isinstance(value, dict):
            lines.append(_line(f"    {name}:", comment))
            lines += [f"      {_key(k)}: {_flow(v)}" for k, v in value.items()]
        else:
            lines.append(_line(f"    {name}: {_flow(value)}", comment))
    optional = {
        "session_id": "session_id    # where the answer names the session, if it does",
        "usage": "{input_tokens: usage.input_tokens, output_tokens: usage.output_tokens}",
        "error": "error.message     # something found there is an error inside a 200",
    }
    if "events" not in template:
        lines += [f"    # {n}: {text}" for n, text in optional.items() if n not in template]
    return lines


def _key(name: str) -> str:
    """Return a key, in quotes where YAML might read something else than its text."""
    is_plain = re.fullmatch(r"[a-zA-Z_][\w-]*", name, re.ASCII) and name.lower() not in _WORDS
    return name if is_plain else scalar(name)


def _flow(value: Any) -> str:
    """Return a JSON value as flow YAML in one line."""
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)


def _line(content: str, comment: str) -> str:
    """Return a line with its comment in the column where comments begin."""
    return f"{content:<{_COMMENTS_FROM - 1}}  {comment}".rstrip()
