"""The board as OpenTelemetry metrics: protobuf over HTTP, pushed to a collector now and then.

Source: the OpenTelemetry Protocol specification 1.x (OTLP/HTTP) and the metrics data model. Sums
and histograms are cumulative from the start of the run. Names and units are those of the table of
instruments, so that a collector's Prometheus exporter makes the same names of them as `/metrics`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import anyio
import httpx

from profiler import __version__
from profiler.clock import ClockAnchor, monotonic_ns
from profiler.redaction import hidden, remember, without_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from profiler.export.board import Board, Family, Labels

PATH = "/v1/metrics"
EVERY_S = 10.0
HEADERS_VARIABLE = "OTEL_EXPORTER_OTLP_HEADERS"
SERVICE = "agent-profiler"
_TIMEOUT_S = 10.0
_LAST_TIMEOUT_S = 3.0
_FAILED = 400
_ATTRIBUTES = {
    name.replace(".", "_"): name
    for name in (
        "gen_ai.request.model",
        "gen_ai.provider.name",
        "gen_ai.token.type",
        "gen_ai.tool.name",
        "error.type",
    )
}
"""Labels whose names OpenTelemetry spells with dots; all others are the same in both."""


def endpoint_of(url: str) -> str:
    """Return where metrics are sent: a URL without a path is a collector's base URL."""
    return f"{url.rstrip('/')}{PATH}" if urlsplit(url).path in ("", "/") else url


def headers_of(variable: str | None) -> dict[str, str]:
    """Read `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, values percent-encoded."""
    pairs = (part.partition("=") for part in (variable or "").split(","))
    headers = {name.strip(): unquote(value.strip()) for name, is_set, value in pairs if is_set}
    remember(*headers.values())
    return headers


def request_of(board: Board, *, since_wall_ns: int, at_wall_ns: int) -> bytes:
    """Return the body of one export request: everything that is on the board."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: PLC0415 - 30 ms, for who pushes only
        ExportMetricsServiceRequest,
    )

    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.append(_attribute("service.name", SERVICE))
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = SERVICE, __version__
    for family in board.families():
        _fill(scope.metrics.add(), family, since_wall_ns, at_wall_ns)
    body: bytes = request.SerializeToString()
    return body


def _fill(metric: Metric, family: Family, since_ns: int, at_ns: int) -> None:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import (  # noqa: PLC0415 - see above
        AggregationTemporality,
    )

    instrument = family.instrument
    metric.name, metric.unit = instrument.otel_name, instrument.unit
    metric.description = instrument.says
    cumulative = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    for labels, histogram in family.histograms:
        metric.histogram.aggregation_temporality = cumulative
        point = metric.histogram.data_points.add(
            start_time_unix_nano=since_ns, time_unix_nano=at_ns, attributes=_attributes(labels)
        )
        point.count, point.sum = sum(histogram.counts), histogram.total
        point.bucket_counts.extend(histogram.counts)
        point.explicit_bounds.extend(histogram.bounds)
    for labels, value in family.numbers:
        if instrument.kind == "gauge":
            points = metric.gauge.data_points
        else:
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = cumulative, True
            points = metric.sum.data_points
        points.add(
            start_time_unix_nano=since_ns,
            time_unix_nano=at_ns,
            attributes=_attributes(labels),
            as_double=value,
        )


def _attributes(labels: Labels) -> list[KeyValue]:
    return [_attribute(_ATTRIBUTES.get(name, name), value) for name, value in labels]


def _attribute(name: str, value: str) -> KeyValue:
    from opentelemetry.proto.common.v1.common_pb2 import (  # noqa: PLC0415 - see above
        AnyValue,
        KeyValue,
    )

    return KeyValue(key=name, value=AnyValue(string_value=value))


class Pusher:
    """Sends the board to one collector. What cannot be sent is said once, and never ends a run."""

    def __init__(
        self,
        board: Board,
        url: str,
        *,
        say: Callable[[str], None],
        before: Callable[[], Awaitable[None]] | None = None,
        headers: Mapping[str, str] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._board = board
        self._url = endpoint_of(url)
        self._say = say
        self._before = before
        self._headers = {"content-type": "application/x-protobuf", **(headers or {})}
        self._every_s = every_s
        self._anchor = ClockAnchor.now()
        self.sent = self.failed = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Push every so often while the block runs, and once more at its end."""
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, headers=self._headers) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._repeat, client)
                yield
                tasks.cancel_scope.cancel()
            with anyio.move_on_after(_LAST_TIMEOUT_S) as scope:
                await self._push(client)
            if scope.cancelled_caught:
                self._complain("the collector does not answer")

    async def _repeat(self, client: httpx.AsyncClient) -> None:
        while True:
            await anyio.sleep(self._every_s)
            await self._push(client)

    async def _push(self, client: httpx.AsyncClient) -> None:
        if self._before is not None:
            await self._before()
        since_ns = self._anchor.wall_ns
        at_ns = since_ns + monotonic_ns() - self._anchor.monotonic_ns
        body = request_of(self._board, since_wall_ns=since_ns, at_wall_ns=at_ns)
        try:
            answer = await client.post(self._url, content=body)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            self._complain(str(exc) or type(exc).__name__)
            return
        if answer.status_code >= _FAILED:
            self._complain(f"it answers {answer.status_code}")
        else:
            self.sent += 1

    def _complain(self, why: str) -> None:
        self.failed += 1
        if self.failed == 1:
            self._say(f"metrics cannot be pushed to {without_user(self._url)}: {hidden(why)}")
