"""A workload before it runs, on a terminal: what is sent, how much of it, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from profiler.report.importing import dispersion_words
from profiler.report.quantities import percent, plural, printable, quantity, whole
from profiler.report.terminal import facts_grid
from profiler.workload.dispersion import MINUTE_S
from profiler.workload.outlook import NOT_OBSERVED, figures, histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from profiler.planner.expected_spend import ListedSpend
    from profiler.profile.spend import Prices, Spend
    from profiler.workload.model import Workload
    from profiler.workload.outlook import Bin, Drawn, Expected, Figures, Outlook

NS_PER_MS, MS_PER_S = 1_000_000, 1000
_BAR = 24
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What latency and spend were taken from. `profile` names the earlier run, if there is one.

    `is_latency_given`: the latency is not the profile's. `is_other_workload`: the profile is of a
    workload that sends something else.
    """

    profile: str | None = None
    is_latency_given: bool = False
    is_other_workload: bool = False
    prices: Prices | None = None
    spend: Spend | None = None
    listed: ListedSpend | None = None
    no_price: str | None = None
    """Why there is no spend at list prices: what the price data lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values of one kind, in whole units of `unit` (`ms` or a noun), with what to know of them."""

    name: str
    unit: str
    values: Sequence[int]
    note: str | None = None


def series(outlook: Outlook, *, is_generated: bool) -> list[Series]:
    """Return what is drawn as histograms, what is empty left out."""
    drawn = outlook.drawn
    user = "prompt tokens" if is_generated else "user tokens per message"
    found = [
        Series(name="turns per session", unit="turns", values=drawn.turns),
        Series(name=user, unit="tokens", values=drawn.user_tokens),
        Series(
            name="history: the user's own earlier tokens, per message",
            unit="tokens",
            values=drawn.history_tokens if any(drawn.history_tokens) else (),
            note="the client's share; answers, tool calls and their results add to it",
        ),
        Series(
            name="recorded replies",
            unit="tokens",
            values=drawn.replies,
            note=f"of {whole(len(drawn.replies))} messages whose answer's length was recorded; "
            "your agent's will differ",
        ),
        Series(
            name="history with replies as recorded, per message",
            unit="tokens",
            values=drawn.history_with_replies if any(drawn.history_with_replies) else (),
        ),
        Series(
            name="think time",
            unit="ms",
            values=_thinking(drawn),
        ),
    ]
    if outlook.arrivals is not None:
        gaps = [gap // NS_PER_MS for gap in outlook.arrivals.gaps_ns()]
        name = f"gaps between arrivals of {outlook.arrivals.of}"
        found.append(Series(name=name, unit="ms", values=gaps))
    return [one for one in found if one.values]


def _thinking(drawn: Drawn) -> Sequence[int]:
    """Return pauses in milliseconds; none at all where nobody ever thinks."""
    times_ms = [time // NS_PER_MS for time in drawn.think_times_ns]
    return times_ms if any(times_ms) else ()


def outlook_report(
    workload: Workload, outlook: Outlook, estimate: Estimate, *, encoding: str
) -> RenderableType:
    """Return facts, mix and histograms for any rich console, readable at 80 columns."""
    is_generated = any(scenario.generated is not None for scenario in workload.scenarios)
    parts: list[RenderableType] = [
        Text(f"Outlook of {printable(workload.name)}: nothing was sent", style="bold"),
        facts_grid(facts(workload, outlook, estimate), {}),
        Text(),
        _mix(workload, outlook),
    ]
    for one in series(outlook, is_generated=is_generated):
        parts += [*_histogram(one), Text()]
    if outlook.drawn.think_times_ns and not any(outlook.drawn.think_times_ns):
        parts += [Text("Think time", style="bold"), Text("  none: users answer at once"), Text()]
    missing = "; ".join(NOT_OBSERVED)
    parts.append(
        Text(
            f"Not observed before a run, being the agent's: {missing}. "
            "`run` with --gateway or --otlp shows them."
        )
    )
    parts.append(Text(f"Tokens: {encoding}, of the messages' texts alone.", style="dim"))
    return Group(*parts)


def facts(workload: Workload, outlook: Outlook, estimate: Estimate) -> Iterator[tuple[str, str]]:
    """Yield what is said of the run, by name."""
    target = workload.redacted_target()
    where = "the mock agent" if target["url"] is None else printable(target["url"], 200)
    yield "target", f"{where} · {target['protocol']}"
    yield "load", _load(workload)
    yield "sends", _sends(outlook)
    if outlook.arrivals is not None:
        yield from _arrivals(workload, outlook)
    yield "duration", _duration(outlook.expected, estimate)
    yield "spend", _spend(outlook.expected, estimate)
    if estimate.is_other_workload:
        yield "profile", "is of another workload: latency and tokens may not be this one's"


def _load(workload: Workload) -> str:
    load = workload.load
    parts = []
    if not load.is_open:
        parts.append(f"closed loop, {plural(load.users or 1, 'user')}")
    else:
        parts.append(f"open loop, {load.arrivals.kind} arrivals")
        if load.arrivals.trace is not None:
            parts.append(f"from {printable(load.arrivals.trace.path.name)} at speed {load.speed:g}")
        if load.rate_per_s is not None:
            parts.append(f"{load.rate_per_s:g}/s")
        elif load.rate is not None:
            parts.append("a ramp" if load.rate.ramp is not None else "steps")
        if load.max_in_flight is not None:
            parts.append(f"at most {whole(load.max_in_flight)} in flight")
    ends = []
    if load.requests is not None:
        ends.append(plural(load.requests, "interaction"))
    if load.sessions is not None:
        ends.append(plural(load.sessions, "session"))
    if load.duration_s is not None:
        ends.append(quantity(load.duration_s, "s"))
    if load.arrivals.trace is not None:
        ends.append("the trace's end")
    parts.append(f"until {' or '.join(ends)}")
    return f"{', '.join(parts)}; seed {load.seed}"


def _sends(outlook: Outlook) -> str:
    drawn, expected = outlook.drawn, outlook.expected
    text = f"{plural(drawn.interactions, 'interaction')} in {plural(drawn.sessions, 'session')}"
    if expected.is_cut and expected.is_bound:
        text = f"as many as the agent answers in that time; below are the first {text}"
    elif expected.is_cut:
        text = f"more than is drawn here: below are the first {text}"
    else:
        text = f"at most {text}" if expected.is_bound else text
        if drawn.cut_sessions:
            text += f", {whole(drawn.cut_sessions)} of them cut off by the end"
    if expected.warmup:
        text += f", after {whole(expected.warmup)} of warm-up"
    if expected.dropped:
        text += f"; {plural(expected.dropped, 'arrival')} dropped"
    return text


def _arrivals(workload: Workload, outlook: Outlook) -> Iterator[tuple[str, str]]:
    arrivals = outlook.arrivals
    if arrivals is None or not arrivals.offsets_ns:
        yield "arrivals", "none within the run"
        return
    rate = arrivals.rate_per_s
    asked = f"{plural(len(arrivals.offsets_ns), 'arrival')} of {arrivals.of}"
    yield "arrivals", asked + ("" if rate is None else f", {rate:.3g} per second")
    second = dispersion_words(arrivals.dispersion(1), "second")
    minute = dispersion_words(arrivals.dispersion(MINUTE_S), "minute")
    yield "burstiness", f"asked: {second}; {minute}"
    if workload.load.rate is not None and workload.load.rate_per_s is None:
        yield "", "the rate changes, which the index of dispersion counts as bursts"


def _duration(expected: Expected, estimate: Estimate) -> str:
    text = quantity(expected.duration_s, "s")
    if expected.latency_s is not None:
        least = "more than" if expected.is_cut else "about"
        if estimate.profile is not None and not estimate.is_latency_given:
            whose = f" (the mean of {printable(estimate.profile, 200)})"
        else:
            whose = ""
        took = quantity(expected.latency_s, "s")
        return f"{least} {text}, if every answer takes {took}{whose} and nothing fails"
    if not expected.duration_s:
        return (
            "not known: there is neither think time nor a schedule, it is all the agent's latency. "
            "--latency 2s or --profile RUN estimates it"
        )
    return (
        f"at least {text}, which is think time and schedule alone: how long the agent takes is "
        "not known. --latency 2s or --profile RUN estimates it"
    )


def _spend(expected: Expected, estimate: Estimate) -> str:
    if estimate.listed is not None:
        return _at_list_prices(expected, estimate.listed)
    if estimate.prices is None:
        why = estimate.no_price or "the tokens of its LLM calls are the agent's"
        return (
            f"not known: {why}. --profile RUN of a run that saw them estimates it, at list prices "
            "or with --price-input and --price-output (USD per million)"
        )
    spend = estimate.spend
    if spend is None:
        return "not known: nobody observed input and output tokens in the run of that profile"
    text = usd(spend.usd)
    if spend.interval_usd is not None:
        low, high = spend.interval_usd
        text += f" [{usd(low)} to {usd(high)}]"
    interactions = expected.warmup + expected.interactions
    text = (
        f"about {text}: {plural(interactions, 'interaction')}, warm-up included, of "
        f"{quantity(spend.input_tokens, 'tokens')} input and "
        f"{quantity(spend.output_tokens, 'tokens')} output tokens, as in the profile; "
        "cached input at the full price"
    )
    if spend.coverage < 1:
        text += f"; tokens were observed in {percent(spend.coverage)} of its interactions"
    if expected.is_cut:
        text += "; of what is drawn here alone, the run goes on"
    return text


def _at_list_prices(expected: Expected, spend: ListedSpend) -> str:
    interactions = plural(expected.warmup + expected.interactions, "interaction")
    models = ", ".join(f"{name} ({provider})" for name, provider in spend.models)
    text = (
        f"about {usd(float(spend.usd))}: {interactions}, warm-up included, with the calls and mean "
        f"tokens of the profile, at list prices of {models} in {spend.source}"
    )
    if spend.coverage < 1:
        text += f"; tokens were observed in {percent(spend.coverage)} of the calls"
    if expected.is_cut:
        text += "; of what is drawn here alone, the run goes on"
    return text


def usd(amount: float) -> str:
    """Write dollars: cents from a dollar on, below it two digits that tell."""
    if amount >= 1 or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if amount >= 0.0001 else "<$0.0001"  # noqa: PLR2004 - hundredths of cents


def _mix(workload: Workload, outlook: Outlook) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("scenario", overflow="fold")
    for name in ("weight", "sessions", "turns", "tokens a message"):
        table.add_column(name, justify="right", no_wrap=True)
    total = sum(scenario.weight for scenario in workload.scenarios)
    all_sessions = max(1, outlook.drawn.sessions)
    for scenario in workload.scenarios:
        drawn: Drawn = outlook.scenarios[scenario.name]
        turns, tokens = figures(drawn.turns), figures(drawn.user_tokens)
        table.add_row(
            Text(printable(scenario.name)),
            percent(scenario.weight / total),
            f"{whole(drawn.sessions)} ({percent(drawn.sessions / all_sessions)})",
            "—" if turns is None else _range(turns),
            "—"
            if tokens is None
            else f"{tokens.mean:,.3g}"
            if tokens.mean < 1000  # noqa: PLR2004
            else f"{tokens.mean:,.0f}",
        )
    return table


def _range(found: Figures) -> str:
    return f"{found.min}" if found.min == found.max else f"{found.min} to {found.max}"


def _histogram(one: Series) -> Iterator[Text]:
    found = figures(one.values)
    if found is None:
        return
    heading = Text(one.name[0].upper() + one.name[1:], style="bold")
    values = f"median {value(found.p50, one.unit)}, mean {value(found.mean, one.unit)}"
    values += f", p95 {value(found.p95, one.unit)}, most {value(found.max, one.unit)}"
    yield heading
    yield Text(f"  {values}")
    if one.note is not None:
        yield Text(f"  {one.note}", style="dim")
    bins = histogram(one.values)
    labels = [label(b, one.unit) for b in bins]
    width = max(map(len, labels))
    highest = max(b.count for b in bins)
    for b, text in zip(bins, labels, strict=True):
        share = percent(b.count / found.count)
        bar = _bar(b.count / highest)
        yield Text(f"  {text:>{width}}  {bar:<{_BAR}}  {share:>7}  {whole(b.count):>7}")


def _bar(share: float) -> str:
    eighths = round(share * _BAR * 8)
    if share and not eighths:
        eighths = 1
    return _FULL * (eighths // 8) + (_PARTS[eighths % 8] if eighths % 8 else "")


def value(amount: float, unit: str) -> str:
    """Write a value of a series."""
    if unit == "ms":
        return quantity(amount / MS_PER_S, "s")
    if amount == round(amount):
        return whole(round(amount))
    return f"{amount:,.1f}" if amount < 1000 else f"{amount:,.0f}"  # noqa: PLR2004 - 3 digits


def label(b: Bin, unit: str) -> str:
    """Write a bin: `3`, `20 to 49`, `100 ms to 200 ms`."""
    if unit == "ms":
        if b.high - b.low == 1:
            return value(b.low, unit)
        return f"{_short(b.low)} to {_short(b.high)}"
    return whole(b.low) if b.high - b.low == 1 else f"{whole(b.low)} to {whole(b.high - 1)}"


def _short(ms: int) -> str:
    if not ms:
        return "0"
    if ms < MS_PER_S:
        return f"{ms} ms"
    seconds = ms / MS_PER_S
    return f"{seconds:,g} s" if seconds < 120 else f"{seconds / 60:,.4g} min"  # noqa: PLR2004 - as `quantity`
