"""Whether two profiles can be compared, and what to bear in mind where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.profile.model import WorkloadProfile


def check_comparable(
    baseline: WorkloadProfile, candidate: WorkloadProfile, *, anyway: bool = False
) -> tuple[str, ...]:
    """Return what differs in how the two were measured, as sentences.

    Raises `ProfileError` for a run without any measured interaction, and, unless `anyway`, for runs
    of another workload, protocol or tokenizer, or of the mock against a real agent.
    """
    for name, profile in (("baseline", baseline), ("candidate", candidate)):
        if not profile.sample.interactions:
            raise ProfileError(
                f"the {name} has no measured interaction: there is nothing to compare",
                where=f"run {profile.run.id}",
                fix="Give a run that measured something",
            )
    fatal = list(_fatal(baseline, candidate))
    if fatal and not anyway:
        raise ProfileError(
            f"the runs are not of one kind: {'; '.join(fatal)}",
            where=f"runs {baseline.run.id} and {candidate.run.id}",
            fix="Compare runs of one workload, or add --anyway",
        )
    return (*fatal, *_notes(baseline, candidate))


def _fatal(baseline: WorkloadProfile, candidate: WorkloadProfile) -> Iterator[str]:
    ours, theirs = baseline.run, candidate.run
    if ours.workload != theirs.workload:
        yield f"the workloads are {ours.workload!r} and {theirs.workload!r}"
    elif ours.digests != theirs.digests:
        names = sorted(
            name
            for name in {*ours.digests, *theirs.digests}
            if ours.digests.get(name) != theirs.digests.get(name)
        )
        yield f"the workload {ours.workload!r} has changed in {', '.join(names)}"
    if ours.protocol != theirs.protocol:
        yield f"the protocols are {ours.protocol!r} and {theirs.protocol!r}"
    if is_mock(baseline) != is_mock(candidate):
        mock, real = ("baseline", "candidate") if is_mock(baseline) else ("candidate", "baseline")
        yield f"the {mock} is of the mock agent, the {real} of a real one"
    if ours.encoding != theirs.encoding:
        yield f"tokens were counted with {ours.encoding!r} and {theirs.encoding!r}"


def _notes(baseline: WorkloadProfile, candidate: WorkloadProfile) -> Iterator[str]:
    ours, theirs = baseline.load, candidate.load
    for what, mine, other in (
        ("load", ours.mode, theirs.mode),
        ("users", ours.users, theirs.users),
        ("rate asked for", ours.offered_rate, theirs.offered_rate),
        ("model asked for", baseline.run.target.get("model"), candidate.run.target.get("model")),
        ("observers", _list(baseline.run.observers), _list(candidate.run.observers)),
        ("version of agent-profiler", baseline.run.tool_version, candidate.run.tool_version),
    ):
        if mine != other:
            yield f"{what}: {_shown(mine)} and {_shown(other)}"
    for name, profile in (("baseline", baseline), ("candidate", candidate)):
        if profile.sample.partial:
            yield f"the {name} is partial: {'; '.join(profile.sample.partial_reasons)}"
        if profile.trust.verdict != "trusted":
            reasons = "; ".join(profile.trust.reasons)
            yield f"the {name} is {profile.trust.verdict.replace('_', ' ')}: {reasons}"


def is_mock(profile: WorkloadProfile) -> bool:
    """Whether the mock agent answered."""
    return "mock" in profile.run.target


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _shown(value: object) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
