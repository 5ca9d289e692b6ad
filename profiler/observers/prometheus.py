"""Production's metrics, asked of a Prometheus server: its HTTP API, read-only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from profiler.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_TIMEOUT_S = 60.0
_SHOWN = 200


class Prometheus:
    """A Prometheus server, or what speaks its API (Mimir, Thanos, VictoriaMetrics).

    `url` is its base address; a user and password in it are sent, and never shown. Errors are
    UsageError: a server that does not answer, or refuses a query.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            fix = "Write it like prometheus=http://127.0.0.1:9090"
            raise UsageError("this is not the address of a Prometheus", where="--actual", fix=fix)
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
        values = [_number(one["value"][1]) for one in found]
        return values[0] if len(values) == 1 else None

    def buckets(self, query: str, at_s: float) -> list[tuple[float, float]]:
        """Return (`le`, value) of every series of a query by `le`, smallest first."""
        found = self._ask("query", {"query": query, "time": at_s})
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
        pairs = [(float(at), _number(text)) for at, text in found[0]["values"]]
        return [(at, value) for at, value in pairs if value is not None]

    def _ask(self, what: str, asked: dict[str, str | float]) -> list[dict[str, Any]]:
        try:
            answer = self._client.post(f"/api/v1/{what}", data=asked)
            body = answer.json()
        except httpx.HTTPError as exc:
            why = str(exc) or type(exc).__name__
            fix = "Is it running, and reachable from here?"
            raise UsageError(
                f"Prometheus does not answer: {why}", where=self.shown, fix=fix
            ) from exc
        except ValueError as exc:
            why = f"HTTP {answer.status_code}, and no JSON"
            fix = "Give its base address: /api/v1/query is added to it"
            raise UsageError(f"this is no Prometheus: {why}", where=self.shown, fix=fix) from exc
        if not isinstance(body, dict) or body.get("status") != "success":
            why = body.get("error", "") if isinstance(body, dict) else ""
            said = f"HTTP {answer.status_code} {why}".strip()[:_SHOWN]
            fix = f"The query was {asked['query']}"
            raise UsageError(f"Prometheus refuses a query: {said}", where=self.shown, fix=fix)
        result: list[dict[str, Any]] = body["data"]["result"]
        return result


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
