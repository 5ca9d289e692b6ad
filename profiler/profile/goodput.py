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

from profiler.errors import ProfileError
from profiler.measure.records import Observer
from profiler.profile.distribution import Clusters
from profiler.profile.interactions import CLIENT_METRICS, INSIDE_METRICS
from profiler.profile.model import Goodput
from profiler.profile.objectives import Comparator, objectives_text, parse_goodput
from profiler.profile.rows import MISSING
from profiler.profile.sample import SCALES
from profiler.profile.shares import clustered_share_interval
from profiler.profile.statistics import ClusterSums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from profiler.profile.objectives import Objective
    from profiler.profile.sessions import Session

_CLIENT = Observer.CLIENT.value
_SCHEDULED = CLIENT_METRICS.index("scheduled_latency")

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


class Judge:
    """Judges measured interactions one by one, by what one observer saw of each metric.

    Whose values the profile gives is known only when all of the journal was read. Until then that
    is the first observer that has a value; where the profile comes to believe another, the journal
    is read again with `believed` saying whom (None: nobody).
    """

    def __init__(
        self, objectives: Sequence[Objective], believed: Mapping[str, str | None] | None
    ) -> None:
        self.objectives = tuple(objectives)
        self.unobserved = 0
        self._who: dict[str, str | None] = {}
        self._is_told = believed is not None
        self._metrics = {objective.metric for objective in objectives}
        if believed is not None:
            self._who = {metric: believed.get(metric) for metric in self._metrics}

    def agrees_with(self, chosen: Mapping[str, str]) -> bool:
        """Tell whether the profile believes the observers by whose values was judged."""
        return all(self._who.get(metric) == chosen.get(metric) for metric in self._metrics)

    def judge(
        self, session: Session, client: list[int], insides: Mapping[str, list[int]], *, ok: bool
    ) -> None:
        """Judge an interaction, its values as in `interactions`, and count it in its session."""
        good, observed = ok, True
        for objective in self.objectives:
            value = self._value(objective.metric, client, insides)
            observed = observed and value != MISSING
            good = good and _holds(objective, value)
        if observed or not ok:
            session.judged += 1
            session.good += good
        else:
            self.unobserved += 1

    def _value(self, metric: str, client: list[int], insides: Mapping[str, list[int]]) -> int:
        if metric == "latency" and client[_SCHEDULED] != MISSING:
            self._who.setdefault(metric, _CLIENT)
            return client[_SCHEDULED]
        seen = {
            observer: values[INSIDE_METRICS.index(metric)]
            for observer, values in insides.items()
            if metric in INSIDE_METRICS
        }
        if metric in CLIENT_METRICS:
            seen.setdefault(_CLIENT, client[CLIENT_METRICS.index(metric)])
        if metric not in self._who and not self._is_told:
            who = next((who for who, value in seen.items() if value != MISSING), None)
            if who is None:
                return MISSING
            self._who[metric] = who
        return seen.get(self._who[metric] or "", MISSING)


def _holds(objective: Objective, value: int) -> bool:
    bound = objective.bound * SCALES[_unit(objective)].per_unit
    match objective.comparator:
        case Comparator.BELOW:
            return value < bound
        case Comparator.AT_MOST:
            return value <= bound
        case Comparator.ABOVE:
            return value > bound
        case Comparator.AT_LEAST:
            return value >= bound


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
    return goodput_of(parts[0].objective, sums, sum(part.unobserved for part in parts), duration_s)


def goodput_of(text: str, sums: ClusterSums, unobserved: int, duration_s: float) -> Goodput:
    """Sum up what was judged. `duration_s` is that of the profile's `load` section.

    `sums` holds, for each session, how many of the interactions that were judged are good.
    """
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
