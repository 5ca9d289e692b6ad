"""The sessions of two runs, and which of them are the same: played by both.

Two runs of one workload with one seed play the same sessions, one after another. What differs
between sessions (a hard question, a long history) is then no noise of the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from profiler.workload.sessions import resumed_salt, session_ids

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from profiler.profile.model import WorkloadProfile

FEWEST_SESSIONS = 6
"""Fewer tell nothing: were all k sessions to go up, a sign test's p is 2 / 2^k, 6.3 % for five."""

_SEED = "sessions"
_FEWEST_SHARED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Of both runs: the number of the session of each row of the joint samples.

    With `paired`, a session that both runs played has one number in both; else numbers of the
    candidate go on after the baseline's. `count` is that of all numbers.
    """

    baseline: tuple[int, ...]
    candidate: tuple[int, ...]
    count: int
    paired: bool


def match_sessions(baseline: WorkloadProfile, candidate: WorkloadProfile) -> Sessions:
    """Give every session of both joint samples a number, the same ones the same.

    Sessions are told to be the same by workload, seed and index, which their ids give away
    (`workload.sessions`). Fewer than half of them in common are not worth calling pairs.
    """
    ours, theirs = _names(baseline), _names(candidate)
    if baseline.run.digests == candidate.run.digests:
        known, others = _known(baseline), _known(candidate)
        shared = set(known.values()) & set(others.values())
        if len(shared) >= _FEWEST_SHARED * max(len(set(ours)), len(set(theirs)), 1):
            return _numbered(
                [known.get(name, ("baseline", name)) for name in ours],
                [others.get(name, ("candidate", name)) for name in theirs],
                paired=True,
            )
    return _numbered(
        [("baseline", name) for name in ours],
        [("candidate", name) for name in theirs],
        paired=False,
    )


def _numbered(ours: list[Hashable], theirs: list[Hashable], *, paired: bool) -> Sessions:
    numbers: dict[Hashable, int] = {}
    for key in (*ours, *theirs):
        numbers.setdefault(key, len(numbers))
    return Sessions(
        baseline=tuple(numbers[key] for key in ours),
        candidate=tuple(numbers[key] for key in theirs),
        count=len(numbers),
        paired=paired,
    )


def _names(profile: WorkloadProfile) -> list[tuple[str, str]]:
    columns = profile.joint.columns
    run, session = columns.index("run"), columns.index("session")
    return [(str(row[run]), str(row[session])) for row in profile.joint.rows]


def _known(profile: WorkloadProfile) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return (run, session id): (seed, index), for the sessions that a seed explains."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    names = set(_names(profile))
    # More than were measured: some were of the warm-up's time, or not begun, or of another shard.
    most = 2 * profile.sample.sessions + 1000
    for run, seed in {(part.id, part.seeds.get(_SEED)) for part in profile.run.parts}:
        if seed is None:
            continue
        for number in range((profile.run.resumed or 0) + 1):
            salt = resumed_salt(run, number)
            for index, session in enumerate(islice(session_ids(seed, salt=salt), most)):
                if (run, session) in names:
                    found[run, session] = (seed, index)
    return found
