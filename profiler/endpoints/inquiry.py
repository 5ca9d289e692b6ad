"""Asks a server what it is: a few GETs, and LangGraph's search for its assistants. No interaction.

An answer counts only if it is JSON of at most 4 MiB that came within 5 seconds. Redirects are not
followed, so that credentials go nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx

from profiler.endpoints.failures import classify
from profiler.endpoints.http import identity
from profiler.endpoints.json_values import mappings, parsed, string
from profiler.endpoints.recognise import Sighting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.endpoints.recognise import Question
    from profiler.measure.records import Outcome

TIMEOUT_S = 5.0
MAX_BYTES = 4 * 2**20
_AT_ONCE = 8
_OK = 200
_MOST_ASSISTANTS = 100
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError)


class UnreachableError(Exception):
    """No connection could be made: the outcome, kind and detail that an interaction would have."""

    def __init__(self, outcome: Outcome, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.kind, self.detail = outcome, kind, detail


async def ask(questions: Sequence[Question], headers: Mapping[str, str]) -> tuple[Sighting, ...]:
    """Return what came back, in the order of the questions; those without an answer are left out.

    Raises `UnreachableError` where the first one finds nobody to connect to.
    """
    found: dict[int, Sighting] = {}
    limit = anyio.CapacityLimiter(_AT_ONCE)
    async with _client(headers) as client:

        async def one(number: int) -> None:
            question = questions[number]
            async with limit:
                try:
                    status, body = await _fetched(client, "GET", question.url)
                except _FAILURES as exc:
                    if number == 0 and isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
                        raise UnreachableError(*classify(exc)) from exc
                    return
                if status is not None:
                    found[number] = Sighting(question=question, status=status, body=body)

        if questions:
            await one(0)
        async with anyio.create_task_group() as group:
            for number in range(1, len(questions)):
                group.start_soon(one, number)
    return tuple(found[number] for number in sorted(found))


async def assistants(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the graphs of a LangGraph server by name; none where it does not tell."""
    base = httpx.URL(url)
    where = base.copy_with(path=base.path.rstrip("/") + "/assistants/search")
    async with _client(headers) as client:
        try:
            status, body = await _fetched(client, "POST", str(where), {"limit": _MOST_ASSISTANTS})
        except _FAILURES:
            return ()
    names = (string(assistant.get("graph_id")) for assistant in mappings(body))
    return tuple(dict.fromkeys(name for name in names if name)) if status == _OK else ()


def _client(headers: Mapping[str, str]) -> httpx.AsyncClient:
    sent = {**identity("init"), "accept": "application/json", "accept-encoding": "identity"}
    sent |= headers
    return httpx.AsyncClient(headers=sent, timeout=TIMEOUT_S, follow_redirects=False)


async def _fetched(
    client: httpx.AsyncClient, method: str, url: str, body: Any = None
) -> tuple[int | None, Any]:
    """Return status (None: it took too long) and JSON body (None: there was none)."""
    pieces: list[bytes] = []
    with anyio.move_on_after(TIMEOUT_S):
        async with client.stream(method, url, json=body) as response:
            size = 0
            async for piece in response.aiter_bytes():
                size += len(piece)
                if size > MAX_BYTES:
                    return response.status_code, None
                pieces.append(piece)
        return response.status_code, parsed(b"".join(pieces))
    return None, None
