"""What a plan takes out of a profile: figures, sampled rows, and how sure they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.figures import Figure, Figures
from profiler.planner.sampled import (
    CallRows,
    Floats,
    InteractionRows,
    call_rows,
    interaction_rows,
)
from profiler.profile.model import dump_profile

if TYPE_CHECKING:
    from profiler.profile.model import StoreProfile, WorkloadProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which profile it is, and how far it can be trusted.

    `digest_sha256`, in hex, is of the profile's canonical bytes, those of `dump_profile`.
    """

    profile_id: str
    digest_sha256: str
    schema_version: int
    started_at: str
    tool_version: str
    protocol: str | None
    workload: str
    is_mock: bool
    verdict: str
    verdict_reasons: tuple[str, ...]
    is_partial: bool
    partial_reasons: tuple[str, ...]
    interactions: int
    succeeded: int
    warmup_interactions: int
    sessions: int
    sessions_completed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """HTTP requests beyond those that were needed. None: nobody observed it.

    `billed_attempts_per_call` is one for each call that succeeded: what a provider refused (429,
    5xx) it does not charge. Shares are of the sampled calls. `http_429` are those of the whole
    run, warm-up included, of `requests_seen` (attempts where they were seen one by one, else
    calls).
    """

    attempts_per_call: Figure | None
    failed_attempts_per_call: float | None
    billed_attempts_per_call: float | None
    retried_share: float | None
    failed_call_share: float | None
    http_429: int
    requests_seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUse:
    """Operations on one store per interaction; None: not observed.

    Where nobody told interactions apart (`is_whole_run`), it is what the store counted itself over
    all interactions, warm-up included: strangers' operations are in it, so it is rather too high.
    """

    store: str
    reads: float | None
    writes: float | None
    is_whole_run: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A profile as a plan reads it.

    Figures are None where nobody observed them; a calculation that needs one asks `figure`, which
    says who would. `warnings` are sentences; `calls_are_derived`, that not all of `calls` was
    observed call by call, is one of them.
    """

    identity: Identity
    interactions: InteractionRows
    calls: CallRows
    calls_are_derived: bool
    retries: Retries
    stores: tuple[StoreUse, ...]
    state_reads: Figure | None
    state_writes: Figure | None
    tool_time_s: Figure | None
    session_interactions: Figure | None
    think_time_s: Figure | None
    user_tokens: Figure | None
    """Text of a user's message, counted; `reply_tokens` and `history_tokens` likewise."""
    reply_tokens: Figure | None
    history_tokens: Figure | None
    """The visible conversation before the message: what a session's state holds at least."""
    warnings: tuple[str, ...]
    profile: WorkloadProfile = field(repr=False)
    figures: Figures = field(repr=False)

    def figure(self, path: str, *, calculation: str = "the plan") -> Figure:
        """Return a figure by its path, such as `interaction.latency.p95`.

        Raises `PlanError` where nobody observed it, naming `calculation` and who would observe it,
        and `ValueError` for a path that no profile has.
        """
        return self.figures.figure(path, calculation=calculation)

    def calls_per_interaction(
        self, weights: Floats | None = None, *, calculation: str = "the number of LLM calls"
    ) -> dict[str, float]:
        """Return the mean number of LLM calls of an interaction, by model.

        The mean is that of all measured interactions, shared out among models as the sampled calls
        are. With `weights`, one per interaction row, it moves with the weighted sample's mean.
        Raises `PlanError` where nobody observed LLM calls.
        """
        mean = self.figure("interaction.llm_calls.mean", calculation=calculation).value
        calls = self.calls
        if not len(calls):
            return {}
        each = np.ones(len(self.interactions)) if weights is None else weights
        covered = np.where(calls.covered, each, 0.0)
        if not covered.any():  # a draw in which nothing is known of calls
            covered = calls.covered.astype(np.float64)
        inside = calls.covered[calls.interaction]
        of_model = np.bincount(
            calls.model, weights=covered[calls.interaction], minlength=len(calls.models)
        )
        in_sample = np.count_nonzero(inside) / np.count_nonzero(calls.covered)
        per_interaction = of_model / covered.sum() * (mean / in_sample)
        return dict(zip(calls.models, per_interaction.tolist(), strict=True))

    def resample_sessions(self, rng: np.random.Generator) -> Floats:
        """Return a weight per interaction row: one draw of the bootstrap over sessions.

        Interactions of a session are alike, so sessions are drawn, one fewer than there are and
        with replacement: the variance between draws is then the estimator's, without bias (Rao and
        Wu, "Resampling inference with complex survey data", *JASA* 83 (1988), section 2). A weight
        is 1 on average. One session alone tells of no variance: its weights are all 1.

        The rows are taken for a sample of endlessly many interactions; where they are 5,000 of
        more that were measured, the draws vary rather too much.
        """
        sessions = self.interactions.sessions
        if sessions < 2:  # noqa: PLR2004 - one that is left out of two
            return np.ones(len(self.interactions))
        drawn = np.bincount(rng.integers(0, sessions, sessions - 1), minlength=sessions)
        weights = np.asarray(drawn * (sessions / (sessions - 1)), np.float64)
        return weights[self.interactions.session]


def measure(profile: WorkloadProfile) -> Measured:
    """Take out of a profile what a plan needs. Raises `PlanError` where it contradicts itself."""
    figures = Figures(profile)
    rows = interaction_rows(profile)
    calls, derived = call_rows(profile, rows)
    return Measured(
        identity=_identity(profile),
        interactions=rows,
        calls=calls,
        calls_are_derived=bool(derived),
        retries=_retries(profile, figures, calls),
        stores=tuple(_store_use(profile, name, store) for name, store in profile.state.items()),
        state_reads=figures.find("interaction.state_reads.mean"),
        state_writes=figures.find("interaction.state_writes.mean"),
        tool_time_s=figures.find("interaction.tool_time.mean"),
        session_interactions=figures.find("session.interactions.mean"),
        think_time_s=figures.find("session.think_time.mean"),
        user_tokens=figures.find("interaction.client_user_tokens.mean"),
        reply_tokens=figures.find("interaction.client_output_tokens.mean"),
        history_tokens=figures.find("interaction.client_history_tokens.mean"),
        warnings=(*derived, *_left_out(calls, rows)),
        profile=profile,
        figures=figures,
    )


def _identity(profile: WorkloadProfile) -> Identity:
    run, sample, trust = profile.run, profile.sample, profile.trust
    return Identity(
        profile_id=run.id,
        digest_sha256=hashlib.sha256(dump_profile(profile)).hexdigest(),
        schema_version=profile.schema_version,
        started_at=run.started_at,
        tool_version=run.tool_version,
        protocol=run.protocol,
        workload=run.workload,
        is_mock="mock" in run.target,
        verdict=trust.verdict,
        verdict_reasons=trust.reasons,
        is_partial=sample.partial,
        partial_reasons=sample.partial_reasons,
        interactions=sample.interactions,
        succeeded=sample.succeeded,
        warmup_interactions=sample.warmup_excluded,
        sessions=sample.sessions,
        sessions_completed=sample.sessions_completed,
    )


def _retries(profile: WorkloadProfile, figures: Figures, calls: CallRows) -> Retries:
    failed_attempts = billed = retried = failed = None
    known = ~np.isnan(calls.attempts)
    if len(calls) and profile.joint_calls is not None:
        billed = float(calls.ok.mean())
        failed = 1 - billed
        if known.any():
            attempts, ok = calls.attempts[known], calls.ok[known]
            failed_attempts = float((attempts - ok).mean())
            retried = float((attempts > 1).mean())
    limits = profile.rate_limits.values()
    return Retries(
        attempts_per_call=figures.find("llm_call.attempts.mean"),
        failed_attempts_per_call=failed_attempts,
        billed_attempts_per_call=billed,
        retried_share=retried,
        failed_call_share=failed,
        http_429=sum(one.http_429 for one in limits),
        requests_seen=sum(one.attempts or one.calls for one in limits),
    )


def _store_use(profile: WorkloadProfile, name: str, store: StoreProfile) -> StoreUse:
    reads = None if store.reads is None else store.reads.mean
    writes = None if store.writes is None else store.writes.mean
    whole = store.whole_run
    interactions = profile.sample.interactions + profile.sample.warmup_excluded
    if reads is writes is None and whole is not None and not whole.void_reasons and interactions:
        return StoreUse(
            store=name,
            reads=None if whole.reads is None else whole.reads / interactions,
            writes=None if whole.writes is None else whole.writes / interactions,
            is_whole_run=True,
        )
    return StoreUse(store=name, reads=reads, writes=writes, is_whole_run=False)


def _left_out(calls: CallRows, rows: InteractionRows) -> tuple[str, ...]:
    """Say of how many sampled interactions the calls are not there, in a sentence."""
    missing = len(rows) - int(np.count_nonzero(calls.covered))
    if not missing:
        return ()
    which = f"{missing:,} of {len(rows):,} sampled interactions"
    return (f"the profile lacks the LLM calls of {which}: not observed, or no room",)
