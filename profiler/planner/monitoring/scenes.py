"""Made-up production for the tests of the rules: at its baseline, or broken in one way.

At the baseline it behaves as the profile measured and the plan expects: every histogram has the
measured shape, put into the buckets that the agent is asked to have, and the service level is kept.
A break drives one metric to an extreme, so that whatever watches it has to fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from profiler.planner import metric_names as names
from profiler.planner.monitoring.buckets import boundary_text, buckets
from profiler.planner.monitoring.rules import promised_latency_s
from profiler.planner.promql import selector
from profiler.profile.sample import SCALES, sample_of_distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.measure.histogram import Histogram
    from profiler.planner.plan import Plan
    from profiler.profile.distribution import Distribution
    from profiler.profile.model import WorkloadProfile

Labels = dict[str, str]

_FAR = 1000.0
"""How many times what is normal a broken gauge or counter shows."""
_MOSTLY = 0.9
_KEPT = 0.9
"""Where the profile is slower than what was promised: its p95, of what was promised."""
_PARTS = ("input", "output", "system", "history", "user")


Way = Literal["up", "down"]
Breaks = Mapping[str, Way]
"""What is wrong: metrics that go up out of all bounds, or down to nothing."""
NOTHING: Breaks = {}


@dataclass(frozen=True, slots=True)
class Series:
    """One series: a counter that rises by `per_minute`, or a gauge that stays at `value`."""

    name: str
    per_minute: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class _Spread:
    """A histogram of one label set: how often per minute, and how the values are spread."""

    metric: str
    labels: Labels
    per_minute: float
    measured: Distribution


class Stage:
    """All series of an agent that was profiled and planned, at a rate and with a break."""

    def __init__(self, plan: Plan, profile: WorkloadProfile) -> None:
        self._plan = plan
        self._profile = profile
        self._launch = plan.scales[0]
        self._buckets = buckets(plan)
        self._histograms: dict[int, Histogram] = {}
        self._shares: dict[tuple[int, float], float] = {}
        self._cost_usd = self._launch.cost.api / self._launch.demand.interactions_per_month
        self._kept = self._kept_share()
        self.planned_per_minute = self._launch.demand.interactions_per_minute

    def series(self, per_minute: float, broken: Breaks = NOTHING) -> Iterator[Series]:
        """Yield the series at so many interactions a minute."""
        spreads = list(self._spreads(per_minute))
        for spread in spreads:
            yield from self._buckets_of(spread, broken)
        counters = {
            **self._outcomes(per_minute, broken),
            **self._calls(spreads, broken),
            **self._work(per_minute, spreads, broken),
        }
        for (metric, labels), rate in counters.items():
            moved = 0.0 if broken.get(metric) == "down" else rate
            yield Series(selector(metric, dict(labels)), per_minute=moved)
        yield from self._gauges(broken)

    def _kept_share(self) -> float:
        """Return by what latencies are multiplied so that what was promised is kept."""
        latency = self._profile.interaction.get("latency")
        promised = promised_latency_s(self._plan)
        if promised is None or latency is None or latency.p95 is None:
            return 1.0
        return min(1.0, _KEPT * promised / latency.p95)

    def _spreads(self, per_minute: float) -> Iterator[_Spread]:
        profile = self._profile
        of_interactions = {
            names.INTERACTION_DURATION: "latency",
            names.TIME_TO_FIRST_TOKEN: "time_to_first_token",
            names.INTERACTION_LLM_CALLS: "llm_calls",
        }
        for metric, name in of_interactions.items():
            if name in profile.interaction:
                yield _Spread(metric, {}, per_minute, profile.interaction[name])
        for part in _PARTS:
            if f"{part}_tokens" in profile.interaction:
                found = profile.interaction[f"{part}_tokens"]
                yield _Spread(names.INTERACTION_TOKENS, {"part": part}, per_minute, found)
        yield from self._spreads_of_calls(per_minute)
        for tool, measured in profile.tools.items():
            if measured.duration is not None:
                each = per_minute * measured.calls_per_interaction.mean
                labels = {"gen_ai_tool_name": tool}
                yield _Spread(names.TOOL_DURATION, labels, each, measured.duration)

    def _spreads_of_calls(self, per_minute: float) -> Iterator[_Spread]:
        interactions = self._profile.sample.interactions
        for model, metrics in self._profile.models.items():
            labels = {"gen_ai_request_model": model}
            if "latency" in metrics:
                each = per_minute * metrics["latency"].count / interactions
                yield _Spread(names.LLM_DURATION, labels, each, metrics["latency"])
            for kind in ("input", "output"):
                if (tokens := metrics.get(f"{kind}_tokens")) is not None:
                    both = labels | {"gen_ai_token_type": kind}
                    each = per_minute * tokens.count / interactions
                    yield _Spread(names.LLM_TOKENS, both, each, tokens)

    def _buckets_of(self, spread: _Spread, broken: Breaks) -> Iterator[Series]:
        metric, labels, rate = spread.metric, spread.labels, spread.per_minute
        boundaries = self._buckets[metric]
        mean = spread.measured.mean * (self._kept if spread.measured.unit == "s" else 1.0)
        if metric in broken:
            is_down = broken[metric] == "down"
            full_from = 0 if is_down else len(boundaries) - 1
            shares = [1.0 if i >= full_from else 0.0 for i in range(len(boundaries))]
            mean = 0.0 if is_down else boundaries[-1]
        else:
            shares = [self._share(spread.measured, boundary) for boundary in boundaries]
        for boundary, share in zip(boundaries, shares, strict=True):
            end = labels | {"le": boundary_text(boundary)}
            yield Series(selector(f"{metric}_bucket", end), per_minute=rate * share)
        yield Series(selector(f"{metric}_bucket", labels | {"le": "+Inf"}), per_minute=rate)
        yield Series(selector(f"{metric}_count", labels), per_minute=rate)
        yield Series(selector(f"{metric}_sum", labels), per_minute=rate * mean)

    def _share(self, measured: Distribution, boundary: float) -> float:
        """Return how much lies up to a boundary; each rate and each break asks for the same."""
        key = id(measured), boundary
        if key not in self._shares:
            self._shares[key] = self._share_of(measured, boundary)
        return self._shares[key]

    def _share_of(self, measured: Distribution, boundary: float) -> float:
        histogram = self._histograms.get(id(measured))
        if histogram is None:
            histogram = sample_of_distribution(measured).histogram
            self._histograms[id(measured)] = histogram
        scale = self._kept if measured.unit == "s" else 1.0
        bound = boundary / scale * SCALES[measured.unit].per_unit
        return histogram.at_or_below(bound) / histogram.count if histogram.count else 0.0

    def _outcomes(self, per_minute: float, broken: Breaks) -> _Counters:
        failing = _MOSTLY if _goes_up(broken, names.INTERACTIONS) else 0.0
        return {
            _key(names.INTERACTIONS, outcome="ok"): per_minute * (1 - failing),
            _key(names.INTERACTIONS, outcome="timeout"): per_minute * failing,
        }

    def _calls(self, spreads: list[_Spread], broken: Breaks) -> _Counters:
        found: _Counters = {}
        limited = _MOSTLY if _goes_up(broken, names.LLM_RATE_LIMITED) else 0.0
        for spread in spreads:
            if spread.metric != names.LLM_DURATION:
                continue
            model = spread.labels["gen_ai_request_model"]
            attempts = spread.per_minute
            more = _FAR if _goes_up(broken, names.LLM_ATTEMPTS) else 1.0
            for outcome, share in (("ok", 1 - limited), ("rate_limited", limited)):
                key = _key(names.LLM_ATTEMPTS, gen_ai_request_model=model, outcome=outcome)
                found[key] = attempts * share * more
            found[_key(names.LLM_RATE_LIMITED, gen_ai_request_model=model)] = attempts * limited
        return found

    def _work(self, per_minute: float, spreads: list[_Spread], broken: Breaks) -> _Counters:
        found: _Counters = {}
        for spread in spreads:
            if spread.metric != names.TOOL_DURATION:
                continue
            tool = spread.labels["gen_ai_tool_name"]
            share = self._profile.tools[tool].error_rate or 0.0
            share = _MOSTLY if _goes_up(broken, names.TOOL_ERRORS) else share
            found[_key(names.TOOL_ERRORS, gen_ai_tool_name=tool)] = spread.per_minute * share
        more = _FAR if _goes_up(broken, names.STATE_OPERATIONS) else 1.0
        for store, used in self._profile.state.items():
            for operation, measured in (("read", used.reads), ("write", used.writes)):
                if measured is not None:
                    key = _key(names.STATE_OPERATIONS, store=store, operation=operation)
                    found[key] = per_minute * measured.mean * more
        dearer = _FAR if _goes_up(broken, names.LLM_COST) else 1.0
        model = next(iter(self._profile.models), "")
        found[_key(names.LLM_COST, gen_ai_request_model=model)] = (
            per_minute * self._cost_usd * dearer
        )
        return found

    def _gauges(self, broken: Breaks) -> Iterator[Series]:
        launch = self._launch
        slots = launch.workers.count * launch.workers.slots
        normal = {
            names.ACTIVE_SESSIONS: launch.state.hot_sessions,
            names.QUEUE_DEPTH: launch.queue.depth_mean.value,
            names.QUEUE_OLDEST: launch.workers.wait_mean_s.value,
            names.WORKERS: float(launch.workers.count),
            names.SLOTS_BUSY: slots * launch.workers.utilization,
        }
        for metric, value in normal.items():
            if metric in broken:
                bounds = [t.threshold for t in self._plan.triggers if t.metric == metric]
                far = _FAR * max(1.0, value, *bounds)
                yield Series(metric, value=0.0 if broken[metric] == "down" else far)
            else:
                yield Series(metric, value=value)


_Key = tuple[str, tuple[tuple[str, str], ...]]
_Counters = dict[_Key, float]


def _key(metric: str, **labels: str) -> _Key:
    return metric, tuple(labels.items())


def _goes_up(broken: Breaks, metric: str) -> bool:
    return broken.get(metric) == "up"
