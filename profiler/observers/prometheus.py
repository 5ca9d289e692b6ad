"""Production's metrics, asked of a Prometheus server: its HTTP API, read-only."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import orjson

from profiler.errors import UsageError
from profiler.workload.secrets import check_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

_TIMEOUT_S = 60.0
_SHOWN = 200
_MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Prometheus:
    """A Prometheus server, or what speaks its API (Mimir, Thanos, VictoriaMetrics).

    `url` is its base address; a user and password in it are sent, and never shown. Errors are
    UsageError: a server that does not answer, or refuses a query.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        if check_url(url) is not None:
            fix = "Write it like prometheus=http://127.0.0.1:9090"
            raise UsageError("this is not the address of a Prometheus", where="--actual", fix=fix)
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
        self.shown = f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_S, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def value(self, query: str, at_s: float) -> float | None:
        """Return the one value of a query at a time; None: there is none, or it is not a number."""
        found = self._ask("query", {"query": query, "time": at_s})
        with self._reading():
            values = [_number(one["value"][1]) for one in found]
        return values[0] if len(values) == 1 else None

    def buckets(self, query: str, at_s: float) -> list[tuple[float, float]]:
        """Return (`le`, value) of every series of a query by `le`, smallest first."""
        found = self._ask("query", {"query": query, "time": at_s})
        with self._reading():
            pairs = [(float(one["metric"]["le"]), _number(one["value"][1])) for one in found]
        return sorted((edge, value) for edge, value in pairs if value is not None)

    def series(
        self, query: str, *, start_s: float, end_s: float, step_s: float
    ) -> list[tuple[float, float]]:
        """Return (seconds since 1970, value) of the one series of a query; empty: there is none."""
        span: dict[str, str | float] = {
            "query": query,
            "start": start_s,
            "end": end_s,
            "step": step_s,
        }
        found = self._ask("query_range", span)
        if len(found) != 1:
            return []
        with self._reading():
            pairs = [(float(at), _number(text)) for at, text in found[0]["values"]]
        return [(at, value) for at, value in pairs if value is not None]

    def _ask(self, what: str, asked: dict[str, str | float]) -> list[dict[str, Any]]:
        try:
            status, content = self._post(f"/api/v1/{what}", asked)
        except httpx.HTTPError as exc:
            why = str(exc) or type(exc).__name__
            fix = "Is it running, and reachable from here?"
            raise UsageError(
                f"Prometheus does not answer: {why}", where=self.shown, fix=fix
            ) from exc
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError as exc:
            raise self._no_prometheus(f"HTTP {status}, and no JSON") from exc
        if not isinstance(body, dict) or body.get("status") != "success":
            why = body.get("error", "") if isinstance(body, dict) else ""
            said = f"HTTP {status} {why}".strip()[:_SHOWN]
            fix = f"The query was {asked['query']}"
            raise UsageError(f"Prometheus refuses a query: {said}", where=self.shown, fix=fix)
        with self._reading():
            result: list[dict[str, Any]] = body["data"]["result"]
        if not isinstance(result, list):
            raise self._no_prometheus("its result is no list")
        return result

    def _post(self, path: str, asked: dict[str, str | float]) -> tuple[int, bytes]:
        """Return status and body; a server may send without end, so the body is limited."""
        parts: list[bytes] = []
        size = 0
        with self._client.stream("POST", path, data=asked) as answer:
            for part in answer.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > _MAX_ANSWER_BYTES:
                    raise self._no_prometheus(
                        f"an answer of more than {_MAX_ANSWER_BYTES >> 20} MiB"
                    )
        return answer.status_code, b"".join(parts)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say what it means that an answer is not of the shape that the API promises."""
        try:
            yield
        except (LookupError, TypeError, ValueError) as exc:
            raise self._no_prometheus("its answer is not of the API's shape") from exc

    def _no_prometheus(self, why: str) -> UsageError:
        fix = "Give its base address: /api/v1/query is added to it"
        return UsageError(f"this is no Prometheus: {why}", where=self.shown, fix=fix)


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
