"""What a run is going to do, said before it does: for `--dry-run`, and where it asks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from profiler.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.cli.spending import Prices
    from profiler.workload.model import Workload
    from profiler.workload.outlook import Outlook

_PAIRS = "--profile RUN of `agent-profiler workload` estimates it from an earlier run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One run, or one search for the capacity (`search`: what it will do at most, in words)."""

    workload: Workload
    prices: Prices
    search: str | None = None
    out: str | None = None
    files: tuple[str, ...] = ()

    def outlook(self) -> Outlook:
        """Draw what is sent, as `agent-profiler workload` does."""
        from profiler.load.outlook import outlook
        from profiler.measure.tokens import DEFAULT_ENCODING, TokenCounter

        return outlook(self.workload, TokenCounter(DEFAULT_ENCODING).count_text)

    @property
    def host(self) -> str:
        """The target's host and port; of the mock agent, its name."""
        from profiler.report.quantities import printable

        url = self.workload.redacted_target()["url"]
        return "the mock agent" if url is None else printable(urlsplit(url).netloc)

    def sentence(self) -> str:
        """Say it in one line: host, interactions, rate or users, tokens and spend."""
        if self.search is not None:
            return f"{self.search} to {self.host}; tokens and spend are not known"
        seen = self.outlook()
        parts = [f"{_interactions(seen)} to {self.host}", _pace(self.workload)]
        tokens, spend = self._least(seen)
        brief_spend = spend.partition(":")[0].partition(" for them")[0]
        parts += [tokens.partition(" of conversation")[0], f"spend {brief_spend}"]
        return ", ".join(parts)

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield everything that is to be known before, by name."""
        from profiler.report.outlook import Estimate, facts

        workload, target = self.workload, self.workload.redacted_target()
        if self.search is not None:
            yield "target", f"{self.host} · {target['protocol']}"
            yield "search", self.search
            tokens, spend = "not known", f"not known: {_PAIRS}"
        else:
            seen = self.outlook()
            for name, text in facts(workload, seen, Estimate()):
                if name != "spend":
                    yield name, text
            if workload.load.ramp_up_s and workload.load.users:
                yield "begins", _pace(workload)
            tokens, spend = self._least(seen)
        # A search steps a rate up: it has no users, and looks for what is turned away.
        pauses = workload.load.backoff and self.search is None
        hidden = ", ".join(f"{name}: ***" for name in target["headers"])
        yield "headers", hidden or "none of your own"
        yield "tokens", tokens
        yield "spend", spend
        yield "stops", _stops(workload, pauses=pauses)
        yield "writes", f"{self.out or 'results/<workload>-<date>-<time>'}: {', '.join(self.files)}"

    def _least(self, seen: Outlook) -> tuple[str, str]:
        """Return tokens and spend in words: of the users' texts, which the agent adds to."""
        from profiler.planner.tariffs import PER_MILLION
        from profiler.report.quantities import whole

        drawn, expected = seen.drawn, seen.expected
        history = drawn.history_with_replies or drawn.history_tokens
        share = 1 + expected.warmup / expected.interactions if expected.interactions else 1.0
        inputs = round((sum(drawn.user_tokens) + sum(history)) * share)
        outputs = round(sum(drawn.replies) * share)
        more = " and more, for not all is drawn" if expected.is_cut else ""
        least = "at most" if expected.is_bound and not expected.is_cut else "at least"
        said = f"{least} {whole(inputs)} tokens of conversation{more}, without what the agent adds"
        try:
            tariff = self.prices.tariff(self.workload.target.model)
        except PlanError:
            return said, f"not known: no price of its model; {_PAIRS}"
        usd = inputs * tariff.input.base_usd / PER_MILLION
        if tariff.output is not None:
            usd += outputs * tariff.output.base_usd / PER_MILLION
        return said, f"{least} ${usd:.4f} for them at {tariff.source}; the agent's own calls add"


def _interactions(seen: Outlook) -> str:
    from profiler.report.quantities import plural, whole

    expected = seen.expected
    text = plural(expected.interactions + expected.warmup, "interaction")
    if expected.is_cut:
        text = f"more than {text}"
    return f"{text} ({whole(expected.warmup)} of warm-up)" if expected.warmup else text


def _pace(workload: Workload) -> str:
    from profiler.report.quantities import plural, quantity

    load = workload.load
    if not load.is_open:
        text = plural(load.users or 1, "user")
        return text if not load.ramp_up_s else f"{text} within {quantity(load.ramp_up_s, 's')}"
    if load.rate_per_s is not None:
        return f"{load.rate_per_s:g}/s"
    return "at a trace's pace" if load.arrivals.trace is not None else "at a changing rate"


def _stops(workload: Workload, *, pauses: bool) -> str:
    from profiler.report.quantities import whole

    load = workload.load
    limits = []
    if load.max_cost_usd is not None:
        limits.append(f"at ${load.max_cost_usd}")
    if load.max_tokens is not None:
        limits.append(f"at {whole(load.max_tokens)} tokens")
    if load.error_limit is not None:
        limits.append(f"when over {load.error_limit:.0%} of the interactions fail")
    limits.append(
        "pauses where it answers only 429 or 503" if pauses else "never pauses on 429 or 503"
    )
    return "; ".join(limits)


def is_beyond(url: str) -> bool:
    """Tell whether a URL leads beyond this machine. A name that nobody knows does."""
    found = _addresses(urlsplit(url).hostname or "")
    return not found or not all(_is_here(address) for address in found)


def is_known(url: str) -> bool:
    """Tell whether a URL's host has an address."""
    return bool(_addresses(urlsplit(url).hostname or ""))


def _addresses(host: str) -> list[str]:
    """Return the addresses of a host; of a name that nobody knows, none."""
    if host == "localhost" or host.endswith(".localhost"):
        return ["127.0.0.1"]  # by RFC 6761, whatever a name server says
    try:
        return [str(ip_address(host.partition("%")[0]))]
    except ValueError:
        pass
    import socket

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


def _is_here(address: str) -> bool:
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback or parsed.is_unspecified)
