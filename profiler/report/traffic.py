"""Traffic as people read it: what passed, how long it took, and how near the limits it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report.markdown import bullets, escape, fact_bullets, section_block
from profiler.report.observations import Section, ledger_section, note_lines, refusals
from profiler.report.quantities import (
    NOTHING,
    observed,
    percent,
    plural,
    printable,
    quantity,
    whole,
)
from profiler.report.summary import CALL_ROWS, UNSTABLE, failures, mean_cell, p95_cell
from profiler.report.terminal import cell, facts_grid, section_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from profiler.profile.distribution import Distribution
    from profiler.profile.rate_limits import RateLimitInfo
    from profiler.profile.traffic import ModelTraffic, PerMinute, Rates, TokenSums, Traffic

TITLE = "LLM traffic through the gateway"
_FILE = "traffic.json"
_MOST_MODELS = 12
_MOST_TOOLS = 12
_TOKEN_ROWS = (
    ("input_tokens", "input tokens"),
    ("cached_input_tokens", "of them cached"),
    ("cache_write_tokens", "of them written to a cache"),
    ("output_tokens", "output tokens"),
    ("reasoning_tokens", "of them reasoning"),
)
_OF_RETRIES = frozenset({"attempts", "retry_time"})
_ONLY_IF_ANY = frozenset({"cached_input_tokens", "cache_write_tokens", "reasoning_tokens"})
_AMOUNTS = (
    ("requests", "requests"),
    ("input_tokens", "input tokens"),
    ("output_tokens", "output tokens"),
    ("tokens", "tokens, both"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; `label` may hold names from outside, printable but not escaped."""

    label: str
    cells: tuple[str, ...]
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table: rows of cells under the names of their columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class TrafficSummary:
    """All that is shown: facts above the tables, lines and notes below them."""

    facts: tuple[tuple[str, str], ...]
    tables: tuple[Numbers, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]


def summarise_traffic(traffic: Traffic) -> TrafficSummary:
    """Choose and format what is shown of traffic."""
    columns = ("mean ±95 % CI", "p50", "p95 [95 % CI]")
    tables = (
        Numbers("One LLM call", columns, tuple(_call_rows(traffic))),
        Numbers("Tool round trips", columns, tuple(_round_trip_rows(traffic))),
        Numbers("Per minute", ("mean", "busiest", "limit", "used"), tuple(_minute_rows(traffic))),
    )
    notes = (line for report in traffic.observers.values() for line in note_lines(report, _FILE))
    sections = (
        Section("What limits what was seen", (*_missing(traffic), *notes)),
        ledger_section(traffic.ledger, _FILE),
    )
    shown = tuple(table for table in tables if table.rows)
    return TrafficSummary(
        facts=tuple((name, printable(text, 400)) for name, text in _facts(traffic)),
        tables=shown,
        sections=tuple(section for section in sections if section.lines),
        notes=tuple(_legend(traffic, shown)),
    )


def _facts(traffic: Traffic) -> Iterable[tuple[str, str]]:
    yield "upstream", traffic.run.upstream or NOTHING
    yield "calls", _calls(traffic)
    if not traffic.calls:
        return
    yield "failed", failures(traffic.failed, traffic.calls)
    yield "requests", _requests(traffic)
    refused = refusals(traffic.rate_limits)
    if refused is not None:
        yield "429s", refused
    yield "tokens", _tokens(traffic.tokens)
    yield "traces", _traces(traffic)
    if traffic.partial:
        yield "partial", "; ".join(traffic.partial_reasons)


def _calls(traffic: Traffic) -> str:
    if not traffic.calls:
        return "none passed"
    text = f"{whole(traffic.calls)} in {quantity(traffic.duration_s, 's')}"
    mean = traffic.per_minute.calls.mean
    return text if mean is None else f"{text}, {quantity(mean, 'count')} a minute"


def _requests(traffic: Traffic) -> str:
    text = whole(traffic.requests)
    if traffic.retried_calls:
        text += f": {plural(traffic.retried_calls, 'call')} took more than one"
    return text


def _tokens(tokens: TokenSums) -> str:
    """Write `2.34M in (1.20M cached), 123k out (12.0k reasoning)`."""
    given = f"{observed(tokens.input_tokens, 'tokens')} in"
    if tokens.cached_input_tokens:
        given += f" ({observed(tokens.cached_input_tokens, 'tokens')} cached)"
    written = f"{observed(tokens.output_tokens, 'tokens')} out"
    if tokens.reasoning_tokens:
        written += f" ({observed(tokens.reasoning_tokens, 'tokens')} reasoning)"
    return f"{given}, {written}"


def _traces(traffic: Traffic) -> str:
    if traffic.traces is None:
        return "none: the agent passes no trace on, each call counts for itself"
    text = whole(traffic.traces)
    if traffic.untraced_calls:
        text += f"; {plural(traffic.untraced_calls, 'call')} without one"
    return text


def _call_rows(traffic: Traffic) -> Iterable[Row]:
    for name, label in (*CALL_ROWS, *_TOKEN_ROWS):
        found = traffic.llm_call.get(name)
        if found is None or (name in _OF_RETRIES and not traffic.retried_calls):
            continue
        if name in _ONLY_IF_ANY and not found.max:
            continue
        yield _row(label, found, 1 if name in _ONLY_IF_ANY else 0)
        if len(traffic.models) > 1:
            for model, of_model in _most_used(traffic):
                if name in of_model.metrics:
                    yield _row(printable(model, 40), of_model.metrics[name], 1)


def _row(label: str, found: Distribution, indent: int = 0) -> Row:
    middle = observed(found.p50, found.unit)
    return Row(label, (mean_cell(found), middle, p95_cell(found)), indent)


def _most_used(traffic: Traffic) -> list[tuple[str, ModelTraffic]]:
    most = sorted(traffic.models.items(), key=lambda item: (-item[1].calls, item[0]))
    return most[:_MOST_MODELS]


def _round_trip_rows(traffic: Traffic) -> Iterable[Row]:
    most = sorted(traffic.tool_round_trips.items(), key=lambda item: (-item[1].count, item[0]))
    for name, duration in most[:_MOST_TOOLS]:
        yield _row(printable(name, 30), duration)
    if len(most) > _MOST_TOOLS:
        yield Row(f"… {len(most) - _MOST_TOOLS} more in {_FILE}", ("", "", ""))


def _minute_rows(traffic: Traffic) -> Iterable[Row]:
    """Give each model's amounts beside its limits, for limits are of a model; then all together."""
    if not traffic.calls:
        return
    shown = _most_used(traffic)
    for model, of_model in shown:
        yield Row(printable(model, 40), ("", "", "", ""))
        info = traffic.rate_limits.get(model)
        yield from _amount_rows(of_model.per_minute, info)
    if len(traffic.models) > len(shown):
        yield Row(f"… {len(traffic.models) - len(shown)} more in {_FILE}", ("", "", "", ""))
    if len(traffic.models) > 1:
        yield Row("all models", ("", "", "", ""))
        yield from _amount_rows(traffic.per_minute, None)


def _amount_rows(rates: Rates, info: RateLimitInfo | None) -> Iterable[Row]:
    limits = (
        {}
        if info is None
        else {
            "requests": (info.limit_requests_lowest, info.limit_requests_highest),
            "tokens": (info.limit_tokens_lowest, info.limit_tokens_highest),
        }
    )
    for name, label in _AMOUNTS:
        amount: PerMinute | None = getattr(rates, name)
        if amount is None:
            continue
        low, high = limits.get(name, (None, None))
        cells = (
            quantity(amount.mean, "count"),
            _number(amount.busiest),
            _limit(low, high),
            _used(amount.busiest, low),
        )
        yield Row(label, cells, 1)


def _limit(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return ""
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"


def _used(amount: int, limit: int | None) -> str:
    """Write a share of a limit, which may be over it: `43 %`, `1,130 %`."""
    if not limit:
        return ""
    return percent(amount / limit) if amount <= limit else f"{amount / limit * 100:,.0f} %"


def _number(amount: int) -> str:
    return whole(amount) if amount < 10_000 else quantity(amount, "count")  # noqa: PLR2004 - as k


def _missing(traffic: Traffic) -> Iterable[str]:
    unreported = traffic.tokens.unreported_calls
    if unreported:
        yield (
            f"{plural(unreported, 'call')} that succeeded came without usage: tokens and their "
            "peaks are too low by theirs."
        )


def _legend(traffic: Traffic, tables: Iterable[Numbers]) -> Iterable[str]:
    rows = [row for table in tables for row in table.rows]
    cells = [text for row in rows for text in row.cells]
    if any(text.startswith(UNSTABLE) for text in cells):
        yield f"{UNSTABLE} rough: the interval is over ±5 % (mean) or ±10 % (p95)."
    if any(text.endswith(("[?]", "±?")) or text == NOTHING for text in cells):
        yield f"[?], ±? or {NOTHING}: too few values, or less than a minute."
    if not traffic.calls:
        return
    yield "busiest: the most in any 60 s. A request, and its tokens, counts when it was sent."
    limits = traffic.rate_limits.values()
    if any(info.limit_requests_lowest or info.limit_tokens_lowest for info in limits):
        yield (
            "limit: as the provider announced it; used: busiest / lowest limit. Providers count in "
            "their own way (max_tokens, cached input, shorter windows): the 429s decide."
        )


def traffic_report(traffic: Traffic) -> RenderableType:
    """Return facts, tables and notes, for any rich console. No markup in names is interpreted."""
    summary = summarise_traffic(traffic)
    return Group(
        Text(TITLE, style="bold"),
        facts_grid(summary.facts, {}),
        *(_table(table) for table in summary.tables),
        *(section_lines(section) for section in summary.sections),
        *(Text(note, style="dim") for note in summary.notes),
    )


def _table(numbers: Numbers) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column(Text(numbers.title, style="bold"), overflow="fold")
    for name in numbers.columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in numbers.rows:
        label = Text("  " * (row.indent + 1) + row.label, style="dim" if row.indent else "")
        table.add_row(label, *(cell(text) for text in row.cells))
    return table


def traffic_markdown(traffic: Traffic) -> str:
    """Return the same content as Markdown with tables (GitHub's dialect)."""
    summary = summarise_traffic(traffic)
    blocks = [f"# {TITLE}", fact_bullets(summary.facts)]
    blocks += [_markdown_table(table) for table in summary.tables]
    blocks += [section_block(section) for section in summary.sections]
    if summary.notes:
        notes = bullets(summary.notes)
        # A list after a list would be read as one.
        blocks.append("\n".join(["## Notes", "", *notes] if summary.sections else notes))
    blocks.append(
        "Intervals are of 95 %: the mean's by Student t over traces, the p95's by order "
        f"statistics. All numbers, histograms included, are in `{_FILE}`."
    )
    return "\n\n".join(blocks) + "\n"


def _markdown_table(numbers: Numbers) -> str:
    lines = [
        f"## {escape(numbers.title)}",
        "",
        f"| | {' | '.join(numbers.columns)} |",
        f"|---|{'--:|' * len(numbers.columns)}",
    ]
    for row in numbers.rows:
        label = "&emsp;" * row.indent + escape(row.label)
        lines.append(f"| {' | '.join((label, *map(escape, row.cells)))} |")
    return "\n".join(lines)
