"""The plan: what `plan.json` holds. Versioned, strict, and a pure function of its inputs.

Amounts per minute are those of the peak, in the unit that the name says. Where a block has
`ranges90`, it gives for its fields the interval that holds 90 % of the draws: of the demand's
ranges, and of the profile's own uncertainty (its sessions drawn again).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import Field, ValidationError

from profiler.errors import PlanError
from profiler.planner.baseline import Baseline  # noqa: TC001 - pydantic reads it
from profiler.planner.rollout_plan import RolloutPlan  # noqa: TC001 - pydantic reads it
from profiler.planner.stack_model import StackPart  # noqa: TC001 - pydantic reads it
from profiler.planner.triggers import Trigger  # noqa: TC001 - pydantic reads it
from profiler.profile.distribution import Strict
from profiler.profile.versions import check_version
from profiler.shown import Shown

if TYPE_CHECKING:
    from pathlib import Path


PLAN_SCHEMA_VERSION: Literal[1] = 1
WINDOWS_S = (1, 60)
"""Enforcement is mostly unknown, so both are shown."""

Interval = tuple[float, float]
_Ranges = dict[str, Interval]
_RANGES: Any = Field(default_factory=dict, description="field: the interval of 90 % of the draws")


class ProfileInput(Strict):
    """Which profile the plan was made of."""

    id: str = Field(description="the run's id")
    digest: str = Field(description="SHA-256 of the profile, in hex")
    schema_version: int = Field(description="version of the profile's format")
    started_at: str = Field(description="when the run started: ISO 8601, UTC")
    interactions: int = Field(description="interactions measured")
    sessions: int = Field(description="sessions measured")
    mock: bool = Field(description="whether the agent measured was the mock")
    verdict: str = Field(description="the profile's trust verdict")
    reasons: tuple[str, ...] = Field(description="why it is not 'trusted'")


class PriceInput(Strict):
    """Which prices the plan was made with."""

    models: str = Field(description="name and version of the models' price data")
    models_date: str | None = Field(description="date of those data; null: not known")
    at: str = Field(description="the date whose prices were taken")
    infrastructure: str = Field(description="the price book: its name and date")


class PlanInputs(Strict):
    """All that the plan is a function of."""

    profile: ProfileInput
    demand: dict[str, Any] = Field(description="the demand file as read")
    prices: PriceInput
    seed: int = Field(description="of the simulations and of the draws")
    draws: int = Field(description="draws behind each ranges90")


class ModelDemand(Strict):
    """What one model has to serve per minute at the peak."""

    calls_per_minute: float = Field(description="LLM calls per minute")
    attempts_per_minute: float = Field(description="HTTP requests per minute, retries included")
    input_tokens_per_minute: float = Field(description="input tokens, cached ones included")
    cached_input_tokens_per_minute: float = Field(description="those of them read from the cache")
    output_tokens_per_minute: float = Field(description="output tokens, reasoning included")


class DemandAtScale(Strict):
    """The demand arithmetic, in the order in which a person follows it."""

    users: float = Field(description="concurrent users at the peak")
    interactions_per_user_minute: float = Field(description="pace of one user")
    interactions_per_minute: float = Field(description="users x pace")
    llm_calls_per_interaction: float = Field(description="as measured")
    llm_calls_per_minute: float = Field(description="interactions x calls")
    attempts_per_minute: float = Field(description="calls x measured attempts per call")
    input_tokens_per_minute: float = Field(description="of all models and attempts")
    output_tokens_per_minute: float = Field(description="of all models and attempts")
    tokens_per_minute: float = Field(description="input and output together")
    interactions_per_month: float = Field(description="of the whole month, not of the peak")
    sessions_per_month: float = Field(description="interactions / interactions per session")
    monthly_active_users: float | None = Field(description="null: the demand does not say")
    models: dict[str, ModelDemand] = Field(description="by the model that serves")
    ranges90: _Ranges = _RANGES


class LimitAtScale(Strict):
    """One provider limit at the peak."""

    model: str = Field(description="whose limit")
    limit: str = Field(description="which limit: its key in the demand")
    demand: float = Field(description="mean demand at the peak, in the limit's unit")
    allowed: float = Field(description="the limit")
    utilization: float = Field(description="demand / allowed")
    excess: float = Field(description="demand over the limit; 0 where it fits")
    max_users: int = Field(description="most concurrent users whose mean demand fits")
    max_users_within_headroom: int = Field(description="the same within the stated headroom")
    calls_that_fit: float = Field(description="most LLM calls per interaction that would fit")
    window_exceedance: dict[str, float] = Field(
        description="window: probability that one window's demand is over what it admits"
    )
    rejected_fraction: dict[str, float] = Field(
        description="window: share of what is asked that is over what its windows admit"
    )
    limited_time: dict[str, float] = Field(
        description="window: share of time after a window's limit is used up"
    )
    counting: str = Field(description="who says how tokens count against it")
    ranges90: _Ranges = _RANGES


class Estimate(Strict):
    """A simulated number with the 95 % interval of the simulation itself."""

    value: float
    ci95: Interval | None = Field(description="null: the simulation was too short for one")


class RetriesAtScale(Strict):
    """What a model's clients see at the peak: rejections, retries, and what still fails.

    Simulated, by window or bucket as `enforcement` says, from the measured interactions.
    """

    model: str
    enforcement: str = Field(description="how limits were taken to be enforced")
    rejected_attempts: Estimate = Field(description="share of attempts answered by a 429")
    attempts_per_call: Estimate = Field(description="attempts, the first included")
    failed_calls: Estimate = Field(description="share of calls that fail after all retries")
    limited_time: Estimate = Field(description="share of time in which a limit rejects")
    window_s: float = Field(description="length of the windows, or what a full bucket is worth")
    closed_form_rejection: float | None = Field(
        default=None,
        description="rejected attempts without retries, exactly: where Poisson interactions make "
        "one call each and a bucket counts requests; null: there is no closed form",
    )
    fluid_rejection: float = Field(
        description="rejection at the fixed point of demand and retries, without chance"
    )
    fluid_attempts_per_minute: float = Field(description="attempts at that fixed point")


class Binding(Strict):
    """The limit that is reached first as users grow."""

    model: str
    limit: str
    utilization: float
    max_users: int
    max_users_within_headroom: int


class WorkersAtScale(Strict):
    """Workers for the peak."""

    count: int = Field(description="workers")
    slots: int = Field(description="interactions that one worker carries at a time")
    method: Literal["simulation"] = Field(description="which of the three counts decided")
    by_erlang_c: int = Field(description="workers by Erlang C: exponential service times")
    by_allen_cunneen: int = Field(description="workers with the measured variability")
    decided_by: str = Field(description="the target that asks for so many")
    meets_targets: bool = Field(description="false: no number of workers meets the answer's p95")
    service_mean_s: float = Field(description="mean time an interaction holds a slot")
    service_cv2: float = Field(description="squared coefficient of variation of that time")
    utilization: float = Field(description="share of slots in use at the peak")
    wait_mean_s: Estimate = Field(description="wait for a slot")
    wait_p95_s: float = Field(description="95th percentile of the wait for a slot")
    wait_p95_ci95: Interval | None = Field(description="its interval, of the simulation")
    answer_latency_p50_s: Estimate = Field(description="wait and service together")
    answer_latency_p95_s: Estimate = Field(description="wait and service together")
    simulated_interactions: int = Field(description="interactions that the simulation counted")
    ranges90: _Ranges = _RANGES


class QueueAtScale(Strict):
    """The queue in front of the workers: waiting interactions, seen over time."""

    depth_mean: Estimate
    depth_p95: Estimate
    depth_p99: Estimate
    threshold: int = Field(description="5 x workers")
    probability_over_threshold: Estimate = Field(description="share of time with more waiting")
    operations_per_s: float = Field(description="put, take, acknowledge")


class StateAtScale(Strict):
    """Load on state stores; null is not observed, or not said."""

    reads_per_s: float | None
    writes_per_s: float | None
    hot_sessions: float = Field(description="sessions whose state is kept in memory at the peak")
    hot_memory_bytes: float | None = Field(description="null: memory_per_session is not given")
    cold_growth_bytes_per_month: float | None = Field(
        description="null: cold_bytes_per_interaction is not given"
    )
    ranges90: _Ranges = _RANGES


class CostNode(Strict):
    """A line of the cost tree: `usd` is exactly the sum of its children, where it has any."""

    name: str
    usd: str = Field(description="US dollars per month, exact, as a decimal number in text")
    quantity: str | None = Field(default=None, description="how much of it, with its unit")
    unit_usd: str | None = Field(default=None, description="dollars per unit")
    note: str | None = Field(default=None, description="how it was computed")
    source: str | None = Field(default=None, description="where the price is from, and its date")
    children: tuple[CostNode, ...] = ()


class CostAtScale(Strict):
    """Costs of a month, in US dollars."""

    api: float
    infrastructure: float
    operations: float
    total: float
    per_user: float | None = Field(description="per monthly active user; null: not said")
    per_session: float
    per_interaction: float
    run_by: str = Field(description="who runs the infrastructure: managed or self")
    alternative: dict[str, float] = Field(
        description="infrastructure, operations and total if it were run the other way"
    )
    value_per_user: float | None = Field(description="what a user brings in a month")
    margin_per_user: float | None = Field(description="value - cost, per active user and month")
    tree: CostNode = Field(description="adds up exactly at every level")
    ranges90: _Ranges = _RANGES


class Scale(Strict):
    """The plan at one growth factor."""

    factor: float
    demand: DemandAtScale
    limits: tuple[LimitAtScale, ...]
    binding: Binding | None = Field(description="null: the demand names no limit")
    retries: tuple[RetriesAtScale, ...]
    workers: WorkersAtScale
    queue: QueueAtScale
    state: StateAtScale
    cost: CostAtScale


class Sensitivity(Strict):
    """What one input does to the answers, all others at their likely value, at the launch scale."""

    input: str = Field(description="path in the demand, or metric of the profile")
    low: float = Field(description="its value at the low end")
    high: float = Field(description="its value at the high end")
    ends: str = Field(description="where the ends come from: a range, an interval, or +-20 %")
    cost_total: Interval = Field(description="dollars per month at low and at high")
    binding_utilization: Interval | None = Field(description="of the binding limit, at both")
    workers: Interval = Field(description="workers (Allen-Cunneen) at both")
    swing_usd: float = Field(description="|cost at high - cost at low|")


class WhatIf(Strict):
    """A change one could make, and what it would buy at the launch scale."""

    change: str
    cost_total: float = Field(description="dollars per month after it")
    cost_change: float = Field(description="difference to the plan")
    binding_utilization: float | None = Field(description="after it; null without limits")
    max_users: int | None = Field(description="that the binding limit then admits")
    note: str | None = None


class Economics(Strict):
    """Value against cost per active user and month."""

    margins: dict[str, float] = Field(description="factor: dollars per user")
    breaks_at_factor: float | None = Field(
        description="growth factor at which the margin changes its sign; null: none was found"
    )
    note: str = Field(description="what that means, in words")
    needed_cost_per_user: float = Field(description="the cost per user at which the margin is 0")


class RunCost(Strict):
    """What the run behind the profile cost at these prices."""

    usd: str | None = Field(description="null: tokens were not observed")
    hypothetical: bool = Field(description="true: the mock answered, nobody was billed")
    interactions: int
    note: str | None = None


class Provenance(Strict):
    """Where a number of the plan comes from."""

    used_for: str
    metric: str = Field(description="path in the profile")
    value: float
    unit: str
    ci95: Interval | None
    source: str = Field(description="the observer that saw it")
    coverage: float | None = Field(description="share of interactions where it was observed")


class Plan(Shown, Strict):
    """Capacity and cost of an agent, computed from a measured profile and a demand."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Literal["plan"] = Field(description="what this file is")
    name: str
    tool_version: str
    inputs: PlanInputs
    scales: tuple[Scale, ...]
    sensitivities: tuple[Sensitivity, ...] = Field(description="widest swing of the cost first")
    what_ifs: tuple[WhatIf, ...]
    economics: Economics | None = Field(description="null: the demand names no value")
    stack: tuple[StackPart, ...] = Field(
        default=(), description="what to build it of, part by part"
    )
    run_cost: RunCost
    rollout: RolloutPlan | None = Field(default=None, description="in which stages it grows")
    triggers: tuple[Trigger, ...] = Field(
        default=(), description="every threshold: of stages, of the service level, of baselines"
    )
    unwatched: tuple[str, ...] = Field(
        default=(), description="metrics of the profile without a trigger, and why"
    )
    warnings: tuple[str, ...]
    provenance: tuple[Provenance, ...]
    baseline: Baseline | None = Field(
        default=None, description="what a review compares with; null: made by hand, not by `plan`"
    )

    def _in_short(self) -> str:
        return f"{self.name!r} at {', '.join(f'{scale.factor:g}x' for scale in self.scales)}"


def dump_plan(plan: Plan) -> bytes:
    """Return the file: sorted keys, one final newline; the same plan gives the same bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(plan.model_dump(mode="json"), option=options)


def load_plan(path: Path) -> Plan:
    """Read a plan.json, or that of a directory. Raises PlanError."""
    file = path / "plan.json" if path.is_dir() else path
    try:
        content = file.read_bytes()
        data = orjson.loads(content)
    except OSError as exc:
        what = f"cannot read the plan: {exc.strerror}"
        raise PlanError(what, where=str(file), fix="Check the path") from exc
    except orjson.JSONDecodeError as exc:
        fix = "Make the plan again: `agent-profiler plan`"
        raise PlanError(f"not valid JSON: {exc}", where=str(file), fix=fix) from exc
    _check_kind(data, file)
    try:
        return Plan.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        fix = "Make the plan again: `agent-profiler plan`"
        raise PlanError(f"{at}: {first['msg']}", where=str(file), fix=fix) from exc


def _check_kind(data: object, file: Path) -> None:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(data, dict) or kind != "plan":
        what = f"this is not a plan{f' but a {kind}' if kind else ''}"
        raise PlanError(what, where=str(file), fix="Give the plan.json of `agent-profiler plan`")
    check_version(
        data.get("schema_version"),
        PLAN_SCHEMA_VERSION,
        what="plan",
        file=file,
        again="Make the plan again: `agent-profiler plan`",
        error=PlanError,
    )
