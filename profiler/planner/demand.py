"""What a plan has to carry: users, their traffic, limits, service level, prices of one's own.

Strict: an unknown key is refused with its nearest neighbour. Every number may be a value or a
range; docs/planning.md lists every key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from profiler.planner.ranges import (
    Amount,
    AtLeastOne,
    Bytes,
    Positive,
    PositiveSeconds,
    PositiveShare,
    Range,
    Seconds,
    Share,
    Usd,
    certain,
    read_at_least_one,
)
from profiler.planner.stages import Rollout
from profiler.workload.near import did_you_mean
from profiler.workload.strict import Count, PositiveCount, Strict, Text, problem
from profiler.workload.units import duration_s

LIMIT_KINDS = (
    "requests_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "tokens_per_minute",
)
"""The limits per minute, in the order in which a plan names them."""

_SUM_TOLERANCE = 1e-9


class Users(Strict):
    """Who uses the agent at the peak hour, and how fast."""

    peak_concurrent: Positive
    interactions_per_minute: Positive | None = None
    """Of each user; or `think_time`."""
    think_time: Seconds | None = None
    """Closed loop: each user waits for the answer, thinks so long, and goes on."""
    session_interactions: AtLeastOne | None = None
    """Interactions of a session; None: as measured."""
    monthly_active: Positive | None = None

    @model_validator(mode="after")
    def _one_pace(self) -> Self:
        if (self.interactions_per_minute is None) == (self.think_time is None):
            what = "the pace of a user is given " + (
                "twice" if self.think_time is not None else "nowhere"
            )
            raise problem(what, "Write one of interactions_per_minute and think_time")
        return self


class ArrivalTrace(Strict):
    """Recorded arrivals, whose burstiness the plan takes."""

    trace: Text
    """A file of arrivals, as `load: {arrivals: {trace: file}}` of a workload reads them."""


def _burstiness(value: Any) -> Any:
    is_trace = isinstance(value, dict) and "trace" in value
    return value if is_trace else read_at_least_one(value)


def _hours(value: Range) -> Range:
    if value.high > 24:  # noqa: PLR2004 - of a day
        raise problem(f"a day has 24 hours, not {value.high:g}", "Write 24 or less")
    return value


def _days(value: Range) -> Range:
    if value.high > 31:  # noqa: PLR2004 - of a month
        raise problem(f"a month has 31 days at most, not {value.high:g}", "Write 31 or less")
    return value


class Traffic(Strict):
    """How the day's interactions lie in the day and in the month."""

    interactions_per_day: Positive | None = None
    peak_to_average: AtLeastOne | None = None
    """The peak minute's rate over the mean of the hours in which the agent is used."""
    hours_per_day: Annotated[Positive, AfterValidator(_hours)] = certain(24.0)
    days_per_month: Annotated[Positive, AfterValidator(_days)] = certain(30.0)
    burstiness: Annotated[Range | ArrivalTrace, BeforeValidator(_burstiness)] = certain(1.0)
    """Index of dispersion of arrivals per minute: variance / mean; 1 is Poisson."""

    @model_validator(mode="after")
    def _some_volume(self) -> Self:
        if self.interactions_per_day is None and self.peak_to_average is None:
            what = "nothing says how many interactions a month has"
            raise problem(what, "Write interactions_per_day, or peak_to_average")
        return self


def _window(value: Any) -> float | None:
    if value is None or value == "unknown":
        return None
    try:
        seconds = duration_s(value)
    except ValueError as exc:
        raise problem(str(exc), "Write 1s, 60s or unknown") from exc
    if seconds == 0:
        raise problem("the window is zero", "Write 1s, 60s or unknown")
    return seconds


class Limits(Strict):
    """What a provider admits of one model's calls."""

    requests_per_minute: Positive | None = None
    input_tokens_per_minute: Positive | None = None
    output_tokens_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    """Input and output together."""
    concurrent_requests: PositiveCount | None = None
    enforced: Literal["window", "bucket"] | None = None
    """By counting within windows, or by a bucket that refills continuously; None: not known."""
    window: Annotated[float | None, BeforeValidator(_window)] = None
    """Seconds that a window has, or that a full bucket is worth; None: not known."""
    cached_input_counts: bool | None = None
    """Whether tokens read from the cache count; None: as the provider says."""
    output_counted: Literal["generated", "max_tokens"] | None = None
    """Whether a request is debited what it made or what it asked for; None: as the provider."""
    max_tokens: PositiveCount | None = None
    """What each request asks for, where that is debited."""

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.concurrent_requests is None and not any(
            getattr(self, kind) is not None for kind in LIMIT_KINDS
        ):
            raise problem("no limit is given", f"Write one of {', '.join(LIMIT_KINDS)}")
        if self.output_counted == "max_tokens" and self.max_tokens is None:
            what = "output is debited by max_tokens, and nothing says what that is"
            raise problem(what, "Add max_tokens", below=("output_counted",))
        return self


class Price(Strict):
    """What a model costs: US dollars per million tokens, and per request."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    """Of a token read from the cache; None: as `input`."""
    cache_write: Usd | None = None
    """Of a token written to the cache; None: as `input`."""
    request: Usd | None = None
    """Dollars per request; None: nothing."""
    batch_discount: Share | None = None
    """Off all of these through the provider's batch interface; None: not known."""


class Model(Strict):
    """One model that serves calls: its provider, its price, its limits, whose calls it takes."""

    provider: Text | None = None
    """Whose price and whose way to count; None: as the price data assign the name."""
    price: Price | None = None
    """One's own price; None: that of the price data."""
    replaces: dict[str, Share] = Field(default_factory=dict)
    """Measured model: the share of its calls that this one takes."""
    fallback: Text | None = None
    """The model that takes what this one's limits reject."""
    batch: Share = certain(0.0)
    """Share of its calls that go through the provider's batch interface."""
    limits: Limits | None = None


class ServiceLevel(Strict):
    """What users are promised at the peak."""

    answer_latency_p95: PositiveSeconds | None = None
    """From the user's message to the end of the answer, waiting for a worker included."""
    worker_wait_p95: PositiveSeconds = certain(1.0)
    rejected_share: PositiveShare = certain(0.01)
    """LLM calls that still fail after their retries."""


class Retries(Strict):
    """What the agent's client does with a rejected call."""

    most: Count = 2
    wait: PositiveSeconds = certain(0.5)
    """Before the first retry; the default of the OpenAI and Anthropic clients."""
    multiplier: AtLeastOne = certain(2.0)
    longest_wait: PositiveSeconds = certain(8.0)
    billed: Share = certain(0.0)
    """Share of the failed attempts that the provider bills."""


class Workers(Strict):
    """What one worker is: a process that carries interactions."""

    slots: PositiveCount = 1
    """Interactions at a time."""
    cpus: Positive = certain(1.0)
    memory: Bytes = certain(1e9)
    memory_per_session: Bytes | None = None
    """Hot state of one session; None: not known."""
    session_idle: Seconds = certain(1800.0)
    """How long a session's hot state is kept after its last interaction."""
    cold_bytes_per_interaction: Bytes | None = None
    """What is kept of an interaction for good; None: not known."""
    retention_months: Positive = certain(12.0)
    """How long what is kept for good is kept: what storage is paid for."""
    queue_operations_per_interaction: Amount = certain(3.0)
    """Put, take, acknowledge."""


Skill = Literal["none", "familiar", "expert"]


class Infrastructure(Strict):
    """What the agent runs on. Names are those of the price book."""

    prices: Text | None = None
    """A price book of one's own, in place of the one that ships; relative to this file."""
    run_by: Literal["managed", "self"] = "managed"
    machine: Text | None = None
    """The machine of the workers; None: the cheapest of the book that fits."""
    monthly_usd: dict[str, Usd] = Field(default_factory=dict)
    """Further lines, by name: what else costs money every month, at each scale the same."""


class Operations(Strict):
    """Who keeps it running, and what an hour costs."""

    rate_per_hour: Usd = certain(75.0)
    skill: Skill = "familiar"
    skills: dict[str, Skill] = Field(default_factory=dict)
    """By component, or by skill or technology of the catalogue, where it is another one."""
    hours_per_month: Amount | None = None
    """All hours together, in place of those of the price book."""


PartName = Literal["queue", "hot_state", "cold_state", "compute", "inference_routing"]
PARTS: tuple[PartName, ...] = get_args(PartName)
"""The parts of a stack, in the order in which a plan names them."""


class Stack(Strict):
    """What the stack has to be able to do, and what it may be built of."""

    catalogue: Text | None = None
    """Technologies of one's own, merged with those that ship; relative to this file."""
    message_bytes: Bytes | None = None
    """What a message on the queue weighs; None: as the user's messages were measured."""
    require: dict[PartName, tuple[Text, ...]] = Field(default_factory=dict)
    """Capabilities by part; a part that is left out requires those of the catalogue."""
    prefer: dict[PartName, Text] = Field(default_factory=dict)
    """A technology by part, taken where nothing eliminates it."""
    exclude: dict[PartName, tuple[Text, ...]] = Field(default_factory=dict)
    """Technologies by part that are not to be taken."""


class Value(Strict):
    """What the agent brings in: for unit economics."""

    per_user_month: Usd | None = None
    per_interaction: Usd | None = None
    target_margin: Share = certain(0.0)
    """Share of the value that is to be left when all costs are paid."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.per_user_month is None) == (self.per_interaction is None):
            raise problem("value is given twice or not at all", "Write one of the two keys")
        return self


class Demand(Strict):
    """A demand file."""

    name: Text = "plan"
    currency: Literal["USD"] = "USD"
    users: Users
    traffic: Traffic
    growth: tuple[float, ...] = (1.0, 3.0, 10.0)
    """Factors on the users (and the day's interactions): one scale each."""
    headroom: PositiveShare = certain(0.8)
    """Share of each limit that may be used."""
    models: dict[str, Model] = Field(default_factory=dict)
    service_level: ServiceLevel = ServiceLevel()
    retries: Retries = Retries()
    workers: Workers = Workers()
    infrastructure: Infrastructure = Infrastructure()
    operations: Operations = Operations()
    stack: Stack = Stack()
    value: Value | None = None
    rollout: Rollout = Field(default_factory=Rollout)

    @field_validator("currency", mode="before")
    @classmethod
    def _dollars(cls, value: Any) -> Any:
        if value != "USD":
            what = f"{value} is not the currency of the prices of models, US dollars"
            raise problem(what, "Leave it out, and write amounts in USD")
        return value

    @field_validator("growth", mode="before")
    @classmethod
    def _scales(cls, value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise problem("growth is not a list of factors", "Write it like [1, 3, 10]")
        for place, factor in enumerate(value):
            if isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 0:
                what = f"{factor!r} is no factor: a scale is more than zero"
                raise problem(what, "Write it like [1, 3, 10]", below=(place,))
        if list(value) != sorted(set(value)):
            raise problem("the factors are not in rising order", "Write it like [1, 3, 10]")
        return tuple(float(factor) for factor in value)

    @model_validator(mode="after")
    def _models_fit_together(self) -> Self:
        taken: dict[str, float] = {}
        for name, model in self.models.items():
            if model.fallback is not None and model.fallback not in self.models:
                what = f"the fallback '{model.fallback}' is not under models"
                fix = did_you_mean(model.fallback, self.models)
                raise problem(what, fix, below=("models", name, "fallback"))
            for measured, share in model.replaces.items():
                taken[measured] = taken.get(measured, 0.0) + share.high
                if taken[measured] > 1 + _SUM_TOLERANCE:
                    what = f"more than all calls of '{measured}' are replaced"
                    raise problem(what, "Let the shares sum to 1 or less", below=("models", name))
            self._no_circle(name)
        return self

    def _no_circle(self, name: str) -> None:
        seen, at = {name}, self.models[name].fallback
        while at is not None and at in self.models:
            if at in seen:
                what = f"the fallbacks of '{name}' lead back to '{at}'"
                raise problem(what, "End them", below=("models", name, "fallback"))
            seen.add(at)
            at = self.models[at].fallback
