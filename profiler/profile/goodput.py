"""Goodput: the share of interactions that did what users were promised, and how many a second.

An interaction is good when it is `ok` and meets every one of the objectives that the run was given.
The objectives stand in the journal, so that the same journal gives the same goodput.

`latency` is the time from the intended start where there is one (open loop), as everywhere that
something is asked of it. An `ok` interaction of which one of the metrics was not observed is
neither good nor bad: it is in no number but `unobserved`. One that failed, or that the harness
cancelled, is not good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from profiler.errors import ProfileError
from profiler.profile.columns import MISSING
from profiler.profile.distribution import Clusters
from profiler.profile.model import Goodput
from profiler.profile.objectives import Comparator, objectives_text, parse_goodput
from profiler.profile.sample import SCALES
from profiler.profile.shares import clustered_share_interval
from profiler.profile.statistics import ClusterSums, cluster_sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from profiler.profile.columns import Flags, Ints
    from profiler.profile.objectives import Objective
    from profiler.profile.sections import View

MANIFEST_KEY = "goodput"
"""Where the run's record in the journal keeps the objectives, as text."""


def goodput_text(manifest: Mapping[str, Any], where: str) -> str | None:
    """Return the objectives that a run was given, in the one way of writing them; None: none.

    Raises `ProfileError` naming the journal `where` for what is no text, `UsageError` for text that
    is no objective.
    """
    text = manifest.get(MANIFEST_KEY)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ProfileError(f"the goodput objective in the manifest is {text!r}", where=where)
    return objectives_text(parse_goodput(text, where=where))


def goodput_section(view: View, text: str, duration_s: float) -> Goodput:
    """Judge every measured interaction. `duration_s` is that of the profile's `load` section."""
    good = view.measured.ok.copy()
    observed = np.ones(view.measured.size, dtype=np.bool_)
    for objective in parse_goodput(text):
        values = _values(view, objective.metric)
        observed &= values != MISSING
        good &= _holds(objective, values)
    judged = observed | ~view.measured.ok
    sessions = view.measured.session[judged]
    sizes = np.bincount(sessions)
    hits = np.bincount(sessions, weights=good[judged]).astype(np.int64)
    sums = cluster_sums(sizes.tolist(), hits.tolist())
    return _goodput(text, sums, int((~judged).sum()), duration_s)


def _values(view: View, metric: str) -> Ints:
    missing = np.full(view.measured.size, MISSING, dtype=np.int64)
    found = view.believed(metric)
    values = missing if found is None else found
    if metric != "latency":
        return values
    scheduled = view.believed("scheduled_latency")
    return values if scheduled is None else np.where(scheduled != MISSING, scheduled, values)


def _holds(objective: Objective, values: Ints) -> Flags:
    bound = objective.bound * SCALES[_unit(objective)].per_unit
    match objective.comparator:
        case Comparator.BELOW:
            holds = values < bound
        case Comparator.AT_MOST:
            holds = values <= bound
        case Comparator.ABOVE:
            holds = values > bound
        case Comparator.AT_LEAST:
            holds = values >= bound
    return np.asarray(holds, dtype=np.bool_)


def _unit(objective: Objective) -> Any:
    return objective.unit  # never a share: `parse_goodput` takes metrics of one interaction only


def merge_goodputs(goodputs: Sequence[Goodput | None], duration_s: float) -> Goodput | None:
    """Combine what was judged by the same objectives. Nothing is lost: sums over sessions add.

    `duration_s` is that of the merged profile. The objectives being the same is for the caller to
    have checked.
    """
    parts = [part for part in goodputs if part is not None]
    if not parts:
        return None
    sums = ClusterSums()
    for part in parts:
        sums += ClusterSums(**part.clusters.model_dump())
    return _goodput(parts[0].objective, sums, sum(part.unobserved for part in parts), duration_s)


def _goodput(text: str, sums: ClusterSums, unobserved: int, duration_s: float) -> Goodput:
    reasons: dict[str, str] = {}
    interval = clustered_share_interval(sums)
    if not sums.sum_n:
        reasons["share"] = "no interaction could be judged"
        if unobserved:
            reasons["share"] = f"not observed in any of {unobserved} interactions: {text}"
    elif interval is None:
        reasons["share_ci95"] = "one session: there is no variance between sessions"
    return Goodput(
        objective=text,
        count=sums.sum_n,
        good=sums.sum_s,
        share=sums.sum_s / sums.sum_n if sums.sum_n else None,
        share_ci95=interval,
        per_s=sums.sum_s / duration_s if duration_s and sums.sum_n else None,
        unobserved=unobserved,
        reasons=reasons,
        clusters=Clusters(
            sessions=sums.sessions,
            sum_n=sums.sum_n,
            sum_s=sums.sum_s,
            sum_nn=sums.sum_nn,
            sum_ss=sums.sum_ss,
            sum_ns=sums.sum_ns,
        ),
    )
