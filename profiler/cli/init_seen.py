"""What `agent-profiler init` says of its one interaction: what was seen, and what was not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.errors import TargetUnusableError
from profiler.measure.records import LlmCall, Outcome, ToolCall
from profiler.observers.response import records_in
from profiler.redaction import hidden
from profiler.workload.starter import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.endpoints.exchange import Exchange, Reply
    from profiler.measure.records import Usage

_REPLY_CHARACTERS = 70
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_OK_UNTIL, _REFUSALS_FROM, _FAILURES_FROM = 300, 400, 500
NOT_OBSERVED = "not observed"
INSIDE = "--gateway and --otlp see inside the agent: docs/observers.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one interaction showed. Counts are None, and texts empty, where nothing tells.

    Times in seconds. `tools` are names with how often each ran; empty: it is told that none did.
    """

    http_status: int | None
    latency_s: float
    first_token_s: float | None
    reply: str
    llm_calls: int | None
    input_tokens: int | None
    output_tokens: int | None
    tools: tuple[tuple[str, int], ...] | None

    def missing(self) -> tuple[str, ...]:
        """Return what was not observed, in words."""
        absent = {
            "time to first token": self.first_token_s is None,
            "LLM calls": self.llm_calls is None,
            "tokens": self.input_tokens is None and self.output_tokens is None,
            "tools": self.tools is None,
        }
        return tuple(name for name, is_absent in absent.items() if is_absent)


def seen_in(exchange: Exchange, reply: Reply) -> Seen:
    """Return what an exchange shows, `reply` being how its answer was read in the end."""
    records = records_in(reply, "")
    llm_calls = [record for record in records if isinstance(record, LlmCall)]
    tools = Counter(record.name for record in records if isinstance(record, ToolCall))
    has_tools = reply.tools is not None if reply.trace is None else "tool_calls" in reply.trace
    told = bool(llm_calls) or (reply.trace is not None and "llm_calls" in reply.trace)
    usages = [reply.usage] if reply.usage is not None else [c.usage for c in llm_calls]
    first_ns = reply.first_token_ns
    return Seen(
        http_status=exchange.http_status,
        latency_s=(exchange.end_ns - exchange.send_ns) / NS_PER_S,
        first_token_s=None if first_ns is None else (first_ns - exchange.send_ns) / NS_PER_S,
        reply=reply.text,
        llm_calls=len(llm_calls) if told else None,
        input_tokens=_sum(usages, "input_tokens"),
        output_tokens=_sum(usages, "output_tokens"),
        tools=tuple(sorted(tools.items())) if has_tools else None,
    )


def _sum(usages: Sequence[Usage | None], name: str) -> int | None:
    """Return the sum of a count that every usage has; None where one lacks it."""
    counts = [None if usage is None else getattr(usage, name) for usage in usages]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def seen_lines(seen: Seen, secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is printed: no control character of the server's, and no secret."""
    tokens = NOT_OBSERVED
    if seen.input_tokens is not None or seen.output_tokens is not None:
        counts = ((seen.input_tokens, "input"), (seen.output_tokens, "output"))
        tokens = ", ".join(
            f"{NOT_OBSERVED if n is None else f'{n:,}'} {name}" for n, name in counts
        )
    tools = NOT_OBSERVED
    if seen.tools is not None:
        times = "×"  # noqa: RUF001 - as in reports
        tools = ", ".join(f"{name} {times}{n}" for name, n in seen.tools) or "told: none ran"
    first = f"{NOT_OBSERVED}: the answer came in one piece"
    if seen.first_token_s is not None:
        first = f"after {seen.first_token_s:.2f} s"
    rows = (
        ("status", str(seen.http_status)),
        ("latency", f"{seen.latency_s:.2f} s"),
        ("first token", first),
        ("LLM calls", NOT_OBSERVED if seen.llm_calls is None else str(seen.llm_calls)),
        ("tokens", tokens),
        ("tools", tools),
        ("reply", beginning(seen.reply, secrets)),
    )
    return tuple(f"  {name:<12} {one_line(text)}" for name, text in rows)


def beginning(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return the beginning of a text in one line, in quotes."""
    text = one_line(hidden(text[: 20 * _REPLY_CHARACTERS], secrets))
    if not text:
        return "empty"
    cut = text[:_REPLY_CHARACTERS]
    return f'"{cut}{"…" if len(text) > len(cut) else ""}"'


def unusable(
    exchange: Exchange, url: str, protocol: str, *, has_headers: bool
) -> TargetUnusableError:
    """Say why the interaction failed, and what to do about it."""
    what, fix = _reason(exchange, protocol, has_headers=has_headers)
    detail = f" ({one_line(exchange.error_detail)})" if exchange.error_detail else ""
    fix += ". Nothing was written; --no-probe writes the workload unprobed"
    return TargetUnusableError(what + detail, where=url, fix=fix)


def refused(url: str, *, has_headers: bool) -> TargetUnusableError:
    """Say that the server lets nobody in, as far as it was asked what it is."""
    what, fix = _not_let_in(_UNAUTHORIZED, has_headers=has_headers)
    return TargetUnusableError(what, where=url, fix=f"{fix}. Nothing was written")


def unreachable(url: str, outcome: Outcome, kind: str, detail: str) -> TargetUnusableError:
    """Say that no connection could be made."""
    what, fix = _without_answer(outcome, kind)
    fix += ". Nothing was written; --no-probe writes the workload unprobed"
    return TargetUnusableError(f"{what} ({one_line(detail)})", where=url, fix=fix)


def _reason(exchange: Exchange, protocol: str, *, has_headers: bool) -> tuple[str, str]:
    status = exchange.http_status
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return _not_let_in(status, has_headers=has_headers)
    if status is None or exchange.outcome in {Outcome.CONNECT_ERROR, Outcome.TIMEOUT}:
        return _without_answer(exchange.outcome, exchange.error_kind or "")
    if status >= _OK_UNTIL:
        return _refusal(status, protocol)
    if exchange.outcome is Outcome.AGENT_ERROR:
        return "the agent answered with an error", "Look at its log"
    what = f"the answer is not what {protocol} says: {exchange.error_kind}"
    return what, "Give another --protocol, if the agent speaks another"


def _refusal(status: int, protocol: str) -> tuple[str, str]:
    told = {
        404: ("nothing takes a message there", "Check the URL's path, or --protocol"),
        405: ("nothing takes a message there", "Check the URL's path, or --protocol"),
        429: ("the agent is rate limited", "Try again later"),
    }
    refused = ("the agent does not take such a request", f"Check --protocol ({protocol}), --model")
    what, fix = told.get(status, refused)
    if status >= _FAILURES_FROM:
        what, fix = "the agent failed", "Look at its log"
    elif status < _REFUSALS_FROM:
        fix = "Give the address that it redirects to: often https, or with or without a last '/'"
        what = "the URL redirects"
    return f"{what} ({status})", fix


def _not_let_in(status: int, *, has_headers: bool) -> tuple[str, str]:
    if has_headers:
        return (
            f"the agent does not let us in ({status})",
            "Check what the --header's variables hold",
        )
    fix = (
        "Put the key into the environment, as AGENT_TOKEN, and give "
        "--header 'Authorization: Bearer ${AGENT_TOKEN}' in single quotes"
    )
    return f"the agent does not let us in ({status})", fix


def _without_answer(outcome: Outcome, kind: str) -> tuple[str, str]:
    if outcome is Outcome.TIMEOUT:
        return "the agent did not answer in time", "Check that it works at all"
    if outcome is not Outcome.CONNECT_ERROR:
        return "the connection broke before an answer", "Check that this port speaks HTTP"
    fixes = {
        "refused": "Start the agent, or check the port",
        "dns": "Check the host's name",
        "tls": "Check the certificate, or whether the port speaks https at all",
    }
    return "no connection to the agent", fixes.get(kind, "Check the host and the port")
