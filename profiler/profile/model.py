"""The workload profile: what a run measured, as versioned JSON. The contract with the planner.

Durations are float seconds in every summary and integer microseconds in every histogram and sum.
A metric that nobody observed is absent; one that was observed only now and then says so in its
`coverage`. Nothing in a profile is computed from anything but the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import orjson
from pydantic import Field, ValidationError, model_validator

from profiler.errors import ProfileError
from profiler.profile.burstiness import Burstiness  # noqa: TC001 - pydantic reads it
from profiler.profile.distribution import Clusters, Distribution, Strict
from profiler.profile.joint_calls import JointCalls  # noqa: TC001 - pydantic reads it
from profiler.profile.ledger import Ledger  # noqa: TC001 - pydantic reads it
from profiler.profile.observing import ObserverReport  # noqa: TC001 - as above
from profiler.profile.rate_limits import RateLimitInfo  # noqa: TC001 - as above
from profiler.profile.versions import check_version
from profiler.shown import Shown

if TYPE_CHECKING:
    from pathlib import Path

PROFILE_NAME = "profile.json"
PROFILE_SCHEMA_VERSION: Literal[1] = 1
PROFILE_KIND = "workload_profile"

_PROFILE_AGAIN = "Compute the profile again from its journal: `agent-profiler profile RUN_DIR`"


class RunPart(Strict):
    """One process that went into this profile: a run, a shard of one, or where it was resumed."""

    id: str = Field(description="the run's id")
    journal: str = Field(
        description="SHA-256 of the journal, in hex; a resumed run has several parts of one"
    )
    tool_version: str = Field(description="version of agent-profiler that wrote the journal")
    started_at: str = Field(description="when it started, or was resumed: ISO 8601, UTC")
    argv: tuple[str, ...] = Field(description="the command that ran, redacted")
    seeds: dict[str, int] = Field(description="the seed of each source of randomness")
    window_start_ns: int | None = Field(
        description="wall clock when the first measured interaction began, ns since 1970"
    )
    window_end_ns: int | None = Field(
        description="wall clock when the last measured interaction ended, ns since 1970"
    )
    offered_rate: float | None = Field(
        description="interactions (or sessions) per second that the schedule asked for; open loop"
    )
    users: int | None = Field(description="concurrent simulated users; closed loop")
    dropped: int | None = Field(description="starts that could not be made, warm-up included")
    backed_off_s: float | None = Field(
        default=None, description="time in which the target was left alone, seconds; absent: none"
    )
    interactions: int = Field(description="measured interactions of this part")


class RunInfo(Strict):
    """Which run this is. After a merge, the first part's, in order of start."""

    id: str = Field(description="the run's id; several ids joined by '+' after a merge")
    started_at: str = Field(description="when the (first) run started: ISO 8601, UTC")
    tool_version: str = Field(description="version of agent-profiler that wrote the journal")
    target: dict[str, Any] = Field(description="the agent as addressed, secrets redacted")
    protocol: str | None = Field(description="how the agent was spoken to")
    workload: str = Field(description="name of the workload")
    digests: dict[str, str] = Field(description="digests of the workload and of its data")
    seeds: dict[str, int] = Field(description="the seed of each source of randomness")
    argv: tuple[str, ...] = Field(description="the command that ran, redacted")
    encoding: str = Field(description="tokenizer of every token number whose method is 'counted'")
    observers: tuple[str, ...] = Field(description="who was asked to watch, in sorted order")
    parts: tuple[RunPart, ...] = Field(
        min_length=1, description="the processes that went in, by start"
    )
    resumed: int | None = Field(
        default=None, description="times a run that ended early was gone on with; null: never"
    )


class SampleInfo(Strict):
    """How much was measured."""

    interactions: int = Field(description="measured interactions that ended, in whatever way")
    succeeded: int = Field(description="those of them with outcome 'ok'")
    failed: dict[str, int] = Field(description="the others, by outcome and error kind")
    sessions: int = Field(description="sessions with at least one measured interaction")
    sessions_completed: int = Field(
        description="sessions measured from the first turn to the last, every turn 'ok'"
    )
    warmup_excluded: int = Field(description="warm-up interactions: in no statistic")
    superseded: int | None = Field(
        default=None,
        description="interactions of sessions that were cut off and begun anew when the run was "
        "resumed: in no statistic; null: none",
    )
    unmatched_events: int = Field(
        description="call and state events whose interaction never ended: in no statistic"
    )
    partial: bool = Field(description="the run did not come to its intended end")
    partial_reasons: tuple[str, ...] = Field(description="why it is partial; empty when it is not")


class LoadInfo(Strict):
    """How the agent was loaded while it was measured."""

    mode: Literal["open", "closed"] = Field(description="open: by a rate; closed: by users")
    arrivals: str | None = Field(description="shape of the arrivals in open loop")
    offered_rate: float | None = Field(
        description="starts per second that the schedule asked for; null in closed loop"
    )
    achieved_rate: float | None = Field(description="measured interactions ended per second")
    users: int | None = Field(description="most simulated users at one time; null in open loop")
    dropped: int | None = Field(description="starts that could not be made; null: not watched")
    duration_s: float = Field(description="time in which interactions were measured, seconds")
    backed_off_s: float | None = Field(
        default=None,
        description="time in which nothing was started, for the target had answered only 429 and "
        "503, seconds, summed over shards; absent: none",
    )


class ToolProfile(Strict):
    """One tool: how long it takes, how often it is used, how often it fails."""

    duration: Distribution | None = Field(
        description="seconds of one execution that succeeded; null: times were not observed"
    )
    calls_per_interaction: Distribution = Field(
        description="executions per interaction, those without any included as zero"
    )
    calls: int = Field(description="executions, successful or not")
    failed: int = Field(description="executions that did not succeed")
    error_rate: float | None = Field(description="failed / calls; null without any call")


class WholeRun(Strict):
    """What the store's own statistics say of the whole run, warm-up and strangers included."""

    reads: int | None = Field(description="read operations; null: the store does not tell")
    writes: int | None = Field(description="write operations; null: the store does not tell")
    other: int | None = Field(description="other operations; null: the store does not tell")
    void_reasons: tuple[str, ...] = Field(description="why the numbers cannot be used, if so")


class StoreProfile(Strict):
    """One state store: operations per interaction."""

    reads: Distribution | None = Field(description="reads per interaction; null: not observed")
    writes: Distribution | None = Field(description="writes per interaction; null: not observed")
    other: Distribution | None = Field(description="other operations; null: not observed")
    whole_run: WholeRun | None = Field(description="from the store's own statistics, if watched")


class Joint(Strict):
    """One row per measured interaction: the correlations that histograms lose.

    The rows are those with the smallest keys, a key being a hash of seed, run and trace id: a
    uniform sample, the same whatever the order in which profiles were merged.
    """

    columns: tuple[str, ...] = Field(description="names of the cells of a row, with units")
    rows: tuple[tuple[Any, ...], ...] = Field(description="cells; null is not observed")
    population: int = Field(description="measured interactions that the rows were drawn from")
    limit: int = Field(description="most rows that are kept")
    seed: int = Field(description="seed of the hash that samples")

    @model_validator(mode="after")
    def _rows_have_all_columns(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row has not as many cells as there are columns")
        return self


class Reconciliation(Strict):
    """Two observers of one metric, compared on the interactions that both saw."""

    metric: str = Field(description="an interaction metric")
    against: str | None = Field(
        default=None, description="the metric of observer_b, where it is another one"
    )
    store: str | None = Field(default=None, description="the state store, where it is one of them")
    scope: Literal["interaction", "run"] = Field(
        default="interaction",
        description="run: whole runs are compared, warm-up included: `compared` counts runs",
    )
    unit: Literal["s", "tokens", "count", "tokens/s"] = Field(description="unit of mean_difference")
    observer_a: str = Field(description="the observer that is preferred")
    observer_b: str = Field(description="the other one; the same one for what it counted itself")
    compared: int = Field(ge=1, description="interactions that both observed")
    differing: int = Field(description="those where they differ; for durations by over 1 ms")
    a_larger: int | None = Field(
        default=None, description="those of the differing where a has more"
    )
    doubled: int | None = Field(
        default=None, description="those of the differing where one has exactly twice the other's"
    )
    mean_difference: float = Field(description="mean of a - b over all that were compared")
    sum_difference: int = Field(description="sum of a - b, in the unit of the metric's histogram")
    sum_a: int | None = Field(default=None, description="sum of a over all that were compared")
    sum_b: int | None = Field(default=None, description="sum of b over all that were compared")
    example_trace_id: str | None = Field(
        default=None, description="an interaction where they differ: the smallest trace id"
    )
    cause: str | None = Field(
        default=None,
        description="the likely cause, where the numbers fit one that is known: see profile/causes",
    )


class LoopLag(Strict):
    """How late the harness's own event loop was, and how busy."""

    samples: int = Field(description="seconds in which the harness watched itself")
    max_s: float | None = Field(description="worst delay of the event loop, seconds")
    lagging: int = Field(description="samples whose worst delay was over 50 ms")
    saturated: int = Field(description="samples with 95 % of one CPU or more in use")
    max_cpu_share: float | None = Field(description="most of one CPU used, 1 being all of it")
    gc_max_s: float | None = Field(description="longest garbage collection, seconds")


class DispatchDelay(Strict):
    """How late interactions were sent; what this run had, not an estimate of anything."""

    median_s: float = Field(description="median of send - intended start, seconds")
    p99_s: float = Field(description="its 99th percentile, seconds")
    max_s: float = Field(description="its maximum, seconds")


class Trust(Strict):
    """Whether the numbers are the agent's, or the harness's."""

    verdict: Literal["trusted", "driver_limited", "inconclusive"] = Field(
        description="driver_limited: the harness was the bottleneck; "
        "inconclusive: fewer than 30 interactions succeeded"
    )
    reasons: tuple[str, ...] = Field(description="why the verdict is not 'trusted'")
    dispatch_delay: DispatchDelay | None = Field(description="null in closed loop")
    loop_lag: LoopLag = Field(description="the harness watching itself")


class Goodput(Strict):
    """Which share of the interactions did what users were promised; see `profile.goodput`."""

    objective: str = Field(description="what each interaction was asked for, as text")
    count: int = Field(description="measured interactions of which it can be told")
    good: int = Field(description="those of them that are 'ok' and meet all that was asked")
    share: float | None = Field(description="good / count; null where nothing could be judged")
    share_ci95: tuple[float, float] | None = Field(
        description="95 % confidence interval of the share: Clopper-Pearson, by design effect"
    )
    per_s: float | None = Field(description="good interactions per second of load.duration_s")
    unobserved: int = Field(
        description="'ok' interactions that lack one of the metrics: in no number but this"
    )
    reasons: dict[str, str] = Field(description="field: why it is null")
    clusters: Clusters = Field(
        description="sums over sessions of n_i interactions judged and s_i good ones"
    )


_Metrics = dict[str, Distribution]


class WorkloadProfile(Shown, Strict):
    """What one user interaction with an agent costs, measured, with its uncertainty."""

    schema_version: Literal[1] = Field(description="version of this format")
    kind: Literal["workload_profile"] = Field(description="what this file is")
    run: RunInfo = Field(description="which run this is")
    sample: SampleInfo = Field(description="how much was measured")
    load: LoadInfo = Field(description="how the agent was loaded meanwhile")
    interaction: _Metrics = Field(
        description=(
            "per user interaction. Times are of interactions that succeeded (failures must not "
            "improve an average; they are in sample.failed and in latency_failed). What costs "
            "money (calls, tokens, tools, state) is of every measured interaction that was observed"
        )
    )
    llm_call: _Metrics = Field(description="per LLM call, all models together; times of 'ok' calls")
    models: dict[str, _Metrics] = Field(description="the same, by model")
    tools: dict[str, ToolProfile] = Field(description="by tool name")
    tool_round_trips: _Metrics = Field(
        default_factory=dict,
        description="seconds from an LLM's answer that asks for tools to the request that brings "
        "their results, by the tools asked for, joined by '+': the tools' time and whatever the "
        "agent did beside, as a gateway sees it; never a tool's own time",
    )
    state: dict[str, StoreProfile] = Field(description="by state store")
    session: _Metrics = Field(
        description="interactions and duration of completed sessions; think time between turns"
    )
    rate_limits: dict[str, RateLimitInfo] = Field(
        description="by model; one that showed no 429 and no rate-limit header has its calls only"
    )
    joint: Joint = Field(description="a sample of interactions, metric beside metric")
    joint_calls: JointCalls | None = Field(
        default=None,
        description="the LLM calls of the interactions in `joint`, one by one; absent in older "
        "profiles, and where one of them was merged",
    )
    observers: dict[str, ObserverReport] = Field(
        default_factory=dict, description="what each observer but the client saw, and its limits"
    )
    ledger: dict[str, Ledger] = Field(
        default_factory=dict,
        description="by model: the tokens that we counted of LLM calls against those reported, "
        "with a correction and its error",
    )
    reconciliation: tuple[Reconciliation, ...] = Field(description="observers compared")
    trust: Trust = Field(description="whether the numbers are the agent's, or the harness's")
    burstiness: Burstiness | None = Field(
        default=None,
        description="how bursty the load was, as asked for and as sent; absent in older profiles",
    )
    goodput: Goodput | None = Field(
        default=None, description="absent where no goodput objective was given"
    )

    def _in_short(self) -> str:
        count, verdict = self.sample.interactions, self.trust.verdict
        return f"of {self.run.workload!r}, run {self.run.id}: {count} interactions, {verdict}"


def dump_profile(profile: WorkloadProfile) -> bytes:
    """Encode a profile as JSON: sorted keys, two spaces, each joint row or call on one line.

    Equal profiles give equal bytes.
    """
    # The rows are most of a profile, and plain already: encoded one by one, no copy of all is made.
    sampled = {"joint": profile.joint, "joint_calls": profile.joint_calls}
    plain = profile.model_dump(mode="json", exclude={name: {"rows"} for name in sampled})
    for name in ("joint_calls", "burstiness", "goodput"):
        if plain[name] is None:
            del plain[name]
    for place, name in (("run", "resumed"), ("sample", "superseded")):
        if plain[place][name] is None:
            del plain[place][name]
    for section in (plain["load"], *plain["run"]["parts"]):
        if section["backed_off_s"] is None:
            del section["backed_off_s"]
    # As text: the bytes that orjson returns keep alive the 4 kB that they were written into.
    for name, section in sampled.items():
        if section is not None:
            plain[name]["rows"] = [
                orjson.Fragment(orjson.dumps(row).decode()) for row in section.rows
            ]
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(plain, option=options)


def load_profile(path: Path) -> WorkloadProfile:
    """Read a profile from its file, or from the run directory that holds `profile.json`.

    Raises `ProfileError` for a file that cannot be read, is cut off, is of another schema version,
    does not follow the schema, or holds a histogram that is corrupt or counts something else than
    its summary says.
    """
    file = path / PROFILE_NAME if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise ProfileError(
            f"cannot read the profile: {exc.strerror}",
            where=str(file),
            fix="Give a profile.json or the directory of a run",
        ) from exc
    _check_kind(data, file)
    try:
        profile = WorkloadProfile.model_validate_json(data)
    except ValidationError as exc:
        raise _invalid(exc, file) from exc
    _check_histograms(profile, file)
    return profile


def _check_kind(data: bytes, file: Path) -> None:
    try:
        plain = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        what = f"the profile is cut off or damaged: {exc.msg}"
        where = f"{file}:{exc.lineno}:{exc.colno}"
        raise ProfileError(what, where=where, fix=_PROFILE_AGAIN) from exc
    if not isinstance(plain, dict) or plain.get("kind") != PROFILE_KIND:
        raise ProfileError(
            "this is no workload profile",
            where=str(file),
            fix="Give a profile.json that `agent-profiler run` or `profile` wrote",
        )
    check_version(
        plain.get("schema_version"),
        PROFILE_SCHEMA_VERSION,
        what="profile",
        file=file,
        again=_PROFILE_AGAIN,
        error=ProfileError,
    )


def _invalid(exc: ValidationError, file: Path) -> ProfileError:
    first = exc.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return ProfileError(
        f"the profile does not follow its schema: {first['msg']} (key {key})",
        where=str(file),
        fix=_PROFILE_AGAIN,
    )


def named_distributions(profile: WorkloadProfile) -> list[tuple[str, Distribution]]:
    """List every distribution of a profile with its path, such as `tools.search.duration`."""
    named = [(f"interaction.{name}", item) for name, item in profile.interaction.items()]
    named += [(f"llm_call.{name}", item) for name, item in profile.llm_call.items()]
    named += [
        (f"models.{model}.{name}", item)
        for model, metrics in profile.models.items()
        for name, item in metrics.items()
    ]
    named += [(f"session.{name}", item) for name, item in profile.session.items()]
    for name, tool in profile.tools.items():
        named.append((f"tools.{name}.calls_per_interaction", tool.calls_per_interaction))
        if tool.duration is not None:
            named.append((f"tools.{name}.duration", tool.duration))
    named += [(f"tool_round_trips.{name}", item) for name, item in profile.tool_round_trips.items()]
    for name, store in profile.state.items():
        kinds = {"reads": store.reads, "writes": store.writes, "other": store.other}
        named += [(f"state.{name}.{kind}", item) for kind, item in kinds.items() if item]
    return named


def _check_histograms(profile: WorkloadProfile, file: Path) -> None:
    # Imported here: only a reader of files needs the histogram library, not the models.
    from profiler.profile.sample import sample_of_distribution  # noqa: PLC0415

    for name, distribution in named_distributions(profile):
        try:
            sample_of_distribution(distribution)
        except ProfileError as exc:
            raise ProfileError(
                f"corrupt histogram of {name}: {exc.what}", where=str(file), fix=_PROFILE_AGAIN
            ) from exc
