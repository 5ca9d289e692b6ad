"""Workers, their queue and the state of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.plan_blocks import Field, Part, Words, by_scale, part
from profiler.report.plan_verdict import answer_text, workers_text
from profiler.report.plan_words import (
    bytes_text,
    estimate,
    nothing,
    number,
    range_of,
    seconds,
    spread,
    utilization,
)
from profiler.report.quantities import printable, value_with_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from profiler.planner.plan import Plan, QueueAtScale, Scale, WorkersAtScale


def workers(plan: Plan) -> Part:
    """Return the three counts, which one decided and why, and what users then wait."""
    words = Words(
        "Three counts of the same thing. Erlang C takes service times as exponential; "
        "Allen-Cunneen takes their measured variability; the simulation draws the measured times "
        "themselves. [a, b] is the 95 % interval of the simulation."
    )
    return part("Workers", words, by_scale(plan, (*_COUNTS, *_TIMES)))


def _of(write: Callable[[WorkersAtScale], str]) -> Callable[[Scale], str]:
    return lambda scale: write(scale.workers)


_COUNTS: tuple[Field, ...] = (
    ("workers", _of(workers_text)),
    ("by Erlang C", _of(lambda found: f"{found.by_erlang_c:,}")),
    ("by Allen-Cunneen", _of(lambda found: f"{found.by_allen_cunneen:,}")),
    ("which count decided", _of(lambda found: found.method)),
    ("which target asked for so many", _of(lambda found: printable(found.decided_by, 100))),
    ("slots of a worker", _of(lambda found: f"{found.slots:,}")),
)
_TIMES: tuple[Field, ...] = (
    ("an interaction holds a slot, mean", _of(lambda found: seconds(found.service_mean_s))),
    ("its squared coefficient of variation", _of(lambda found: number(found.service_cv2))),
    ("slots in use", _of(lambda found: spread(found, "utilization", utilization))),
    ("wait for a slot, mean", _of(lambda found: estimate(found.wait_mean_s, "s"))),
    (
        "wait for a slot, p95",
        _of(
            lambda found: (
                value_with_interval(found.wait_p95_s, found.wait_p95_ci95, "s")
                + range_of(found, "wait_p95_s", seconds)
            )
        ),
    ),
    ("answer latency, p50", _of(lambda found: estimate(found.answer_latency_p50_s, "s"))),
    ("answer latency, p95", _of(answer_text)),
    ("interactions simulated", _of(lambda found: f"{found.simulated_interactions:,}")),
)


def queue(plan: Plan) -> Part:
    """Return how many wait in front of the workers, over time."""

    def of(write: Callable[[QueueAtScale], str]) -> Callable[[Scale], str]:
        return lambda scale: write(scale.queue)

    fields = (
        ("waiting, mean", of(lambda found: estimate(found.depth_mean, "count"))),
        ("waiting, p95", of(lambda found: estimate(found.depth_p95, "count"))),
        ("waiting, p99", of(lambda found: estimate(found.depth_p99, "count"))),
        ("5 x workers", of(lambda found: f"{found.threshold:,}")),
        (
            "share of time with more waiting than 5 x workers",
            of(lambda found: estimate(found.probability_over_threshold, "share")),
        ),
        ("queue operations/s", of(lambda found: number(found.operations_per_s))),
    )
    return part("Queue", by_scale(plan, fields))


def state(plan: Plan) -> Part:
    """Return the load on state stores, and what is kept."""

    def known(field: str, write: Callable[[float], str], reason: str) -> Callable[[Scale], str]:
        def text(scale: Scale) -> str:
            missing = getattr(scale.state, field) is None
            return nothing(reason) if missing else spread(scale.state, field, write)

        return text

    unseen = "no observer saw state operations"
    fields = (
        ("reads/s", known("reads_per_s", number, unseen)),
        ("writes/s", known("writes_per_s", number, unseen)),
        ("sessions in hot memory", known("hot_sessions", number, "")),
        (
            "hot memory",
            known("hot_memory_bytes", bytes_text, "workers.memory_per_session is not given"),
        ),
        (
            "cold state, growth per month",
            known(
                "cold_growth_bytes_per_month",
                bytes_text,
                "workers.cold_bytes_per_interaction is not given",
            ),
        ),
    )
    return part("State, at the peak", by_scale(plan, fields))
