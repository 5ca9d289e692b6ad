"""From one scale of the plan to what it asks of each part of the stack."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from profiler.planner.arithmetic import peak_load
from profiler.planner.evaluate import BYTES_PER_TOKEN
from profiler.planner.limit_fit import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from profiler.planner.evaluate import Evaluation, Point, Setting
    from profiler.planner.measured import Measured
    from profiler.planner.stack_catalogue import Catalogue
    from profiler.planner.stack_quantities import Wants

_KIB, _GIB = 1024, 1024**3
_READ_UNIT, _WRITE_UNIT = 4 * _KIB, _KIB
_REQUEST = 64 * _KIB
_LEAST_PUBLISHED = 1000.0


def wants_of(
    setting: Setting, point: Point, measured: Measured, found: Evaluation, service_s: float
) -> Wants:
    """Return the quantities of one scale; None is what nobody knows.

    `service_s` is the mean time that an interaction holds a slot. An operation on hot state is
    taken to touch the whole state of its session; one record is kept for each interaction.
    """
    numbers, demand = point.numbers, setting.demand
    at_a_time = float(found.workers * demand.workers.slots)
    per_s = found.peak.interactions_per_minute / 60.0
    month = found.volume.interactions
    memory = numbers["workers.memory"]
    return {
        "answer_p99_s": _longest_s(measured),
        "connections": at_a_time,
        "workers": float(found.workers),
        "worker_memory_bytes": memory,
        "concurrent_interactions": at_a_time,
        "compute_gb_seconds_per_month": month * service_s * memory / _GIB,
        "interactions_per_month": month,
        "hours_per_month": setting.book.hours_per_month.likely,
        **_queue(point, measured, found),
        **_state(setting, point, found, per_s),
        **_inference(setting, point, found),
        "in_flight_messages": at_a_time,
        "messages_per_s": per_s,
    }


def _longest_s(measured: Measured) -> float | None:
    """Return the p99 of answers; the longest one, where the sample is too small for a p99."""
    p99 = measured.figures.find("interaction.latency.p99")
    if p99 is not None:
        return p99.value
    seen = measured.interactions.latency_s
    return float(np.nanmax(seen)) if bool(np.isfinite(seen).any()) else None


def _queue(point: Point, measured: Measured, found: Evaluation) -> dict[str, float | None]:
    per_s, month = found.peak.interactions_per_minute / 60.0, found.volume.interactions
    size = point.numbers.get("stack.message_bytes")
    if size is None and measured.user_tokens is not None:
        size = measured.user_tokens.value * BYTES_PER_TOKEN
    each = point.numbers["workers.queue_operations_per_interaction"]
    requests = None if size is None else max(1, math.ceil(size / _REQUEST))
    return {
        "message_bytes": size,
        "queue_operations_per_s": found.state.queue_operations_per_s,
        "queue_bytes_per_s": _times(size, per_s),
        "queue_requests_per_month": month * each * (1 if requests is None else requests),
        "queue_bytes_per_month": 2 * month * max(_LEAST_PUBLISHED, size or 0.0),
    }


def _state(
    setting: Setting, point: Point, found: Evaluation, per_s: float
) -> dict[str, float | None]:
    state, month = found.state, found.volume.interactions
    months_s = month / per_s if per_s else 0.0  # of the peak, that carry as much as the month
    hot, cold = 1 - setting.database_share, setting.database_share
    session = point.numbers.get("workers.memory_per_session")
    record = point.numbers.get("workers.cold_bytes_per_interaction")
    reads, writes = state.reads_per_s, state.writes_per_s
    read_units = _units(reads, hot, session, _READ_UNIT)
    write_units = _units(writes, hot, session, _WRITE_UNIT)
    kept = None if record is None else per_s * math.ceil(record / _WRITE_UNIT)
    records = None if kept is None else kept + (writes or 0.0) * cold
    hot_operations = None
    if reads is not None or writes is not None:
        hot_operations = ((reads or 0.0) + (writes or 0.0)) * hot
    # a share of none says that nobody watched a database, not that nobody reads one
    cold_reads = None if reads is None or cold == 0 else reads * cold * months_s
    growth, months = state.cold_growth_bytes_per_month, point.numbers["workers.retention_months"]
    return {
        "session_bytes": session,
        "hot_bytes": state.hot_memory_bytes,
        "hot_operations_per_s": hot_operations,
        "hot_read_units_per_s": read_units,
        "hot_write_units_per_s": write_units,
        "hot_read_units_per_month": _times(read_units, months_s),
        "hot_write_units_per_month": _times(write_units, months_s),
        "cold_item_bytes": record,
        "cold_bytes": _times(growth, months),
        "cold_write_units_per_s": records,
        "cold_write_units_per_month": _times(records, months_s),
        "cold_read_units_per_month": cold_reads,
    }


def _inference(setting: Setting, point: Point, found: Evaluation) -> dict[str, float | None]:
    """Return the calls and how full the providers' limits are, without fallbacks and with them.

    What a model with a fallback cannot take is taken over, so only the others' limits are in the
    way then.
    """
    demand, numbers = setting.demand, point.numbers
    alone = peak_load(demand, numbers, point.behaviour, found.peak.users / _users(point))
    fit_alone = fits(
        demand, numbers, alone, providers=setting.providers, latency_s=setting.call_latency_s
    )
    last = [fit for fit in found.fits if demand.models[fit.model].fallback is None]
    return {
        "llm_calls_per_s": alone.attempts_per_minute / 60.0,
        "output_tokens_per_s": alone.output_tokens_per_minute / 60.0,
        "limit_share": max((fit.utilization for fit in fit_alone), default=None),
        "limit_share_routed": max((fit.utilization for fit in last), default=None),
    }


def _users(point: Point) -> float:
    return point.numbers["users.peak_concurrent"]


def closed_models(catalogue: Catalogue, setting: Setting, models: Iterable[str]) -> Iterator[str]:
    """Yield the models that only their provider runs, as the catalogue tells them."""
    words = "|".join(map(re.escape, catalogue.open_models))
    for name in models:
        is_open = bool(words) and re.search(rf"(?:^|[./:_-])(?:{words})", name.lower()) is not None
        if setting.providers.get(name) in catalogue.closed_providers and not is_open:
            yield name


def _units(rate: float | None, share: float, size: float | None, unit: int) -> float | None:
    if rate is None or size is None:
        return None
    return rate * share * math.ceil(size / unit)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
