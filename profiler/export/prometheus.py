"""The board as Prometheus scrapes it: its text format, at `/metrics`."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import anyio.lowlevel
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from prometheus_client import Metric
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
    )
    from starlette.requests import Request

    from profiler.export.board import Board, Family, Histogram, Labels

PATH = "/metrics"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def text_of(board: Board) -> bytes:
    """Write the board in Prometheus' text format, version 0.0.4.

    The event loop has its turn between two metrics: none takes it longer than a fraction of a
    millisecond, so that a scrape delays nothing that is being measured.
    """
    parts = []
    for family in board.families():
        parts.append(_text(family))
        await anyio.lowlevel.checkpoint()
    return b"".join(parts)


def metrics_route(
    board: Board, before: Callable[[], Awaitable[None]] | None = None, path: str = PATH
) -> Route:
    """Return the route of an application that shows the board; `before` runs at each scrape."""

    async def metrics(_: Request) -> Response:
        if before is not None:
            await before()
        return Response(await text_of(board), headers={"content-type": _TEXT})

    return Route(path, metrics, methods=["GET"])


def scrape_app(board: Board, before: Callable[[], Awaitable[None]] | None = None) -> Starlette:
    """Return an application that serves the board and nothing else."""
    return Starlette(routes=[metrics_route(board, before)])


class _One:
    """What `generate_latest` collects from: one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def _text(family: Family) -> bytes:
    from prometheus_client import generate_latest  # noqa: PLC0415 - 70 ms, for who is scraped only

    return generate_latest(_One(_metric(family)))


def _metric(family: Family) -> Metric:
    from prometheus_client import metrics_core  # noqa: PLC0415 - see above

    instrument = family.instrument
    labels = _label_names(family)
    if instrument.kind == "histogram":
        made = metrics_core.HistogramMetricFamily(instrument.name, instrument.says, labels=labels)
        for key, histogram in family.histograms:
            made.add_metric(_values(key, labels), _cumulative(histogram), histogram.total)
        return made
    kinds: dict[str, type[CounterMetricFamily | GaugeMetricFamily]] = {
        "counter": metrics_core.CounterMetricFamily,
        "gauge": metrics_core.GaugeMetricFamily,
    }
    numbers = kinds[instrument.kind](instrument.name, instrument.says, labels=labels)
    for key, value in family.numbers:
        numbers.add_metric(_values(key, labels), value)
    return numbers


def _label_names(family: Family) -> list[str]:
    used = {name for key, _ in (*family.numbers, *family.histograms) for name, _ in key}
    return sorted(used)


def _values(key: Labels, labels: list[str]) -> list[str]:
    given = dict(key)
    return [given.get(name, "") for name in labels]


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    ends = [*map(repr, histogram.bounds), "+Inf"]
    return list(zip(ends, map(float, accumulate(histogram.counts)), strict=True))
