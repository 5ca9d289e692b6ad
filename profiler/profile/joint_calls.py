"""One row per LLM call of the sampled interactions: what a price or a rate limit is a function of.

A price is of one call: its tier goes by how long its prompt is, and what was cached, written to a
cache or tried again is paid for differently. Sums over an interaction lose that.

The rows are those of the interactions whose keys are smallest, as in `joint`, until there are
`LIMIT` rows: from the interaction on that would pass it, none has rows. So what is kept depends on
nothing but the interactions, and sampling the union of two runs gives what sampling their samples
gives.
"""

from __future__ import annotations

from array import array
from heapq import heappop, heappush
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from profiler.errors import ProfileError
from profiler.profile.distribution import Strict
from profiler.profile.rows import (
    CALL_ATTEMPTS,
    CALL_END,
    CALL_MODEL,
    CALL_OK,
    CALL_ON_AGENT_CLOCK,
    CALL_START,
    CALL_USAGE,
    MISSING,
    difference_us,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.profile.rows import Row

LIMIT = 20_000
CALL_COLUMNS = (
    *("key", "model", "ok", "attempts", "start_s", "latency_s"),
    *("input_tokens", "cached_input_tokens", "cache_write_tokens"),
    *("output_tokens", "reasoning_tokens"),
)
"""Tokens in the order in which they nest: what was cached is part of the input, and so on."""

_INPUT, _OUTPUT, _CACHED, _REASONING, _WRITTEN = range(CALL_USAGE.start, CALL_USAGE.stop)
_KEPT = (
    *(CALL_MODEL, CALL_OK, CALL_ON_AGENT_CLOCK, CALL_START, CALL_END, CALL_ATTEMPTS),
    *(_INPUT, _CACHED, _WRITTEN, _OUTPUT, _REASONING),
)
_cells = itemgetter(*_KEPT)
_US_PER_S = 1_000_000


class JointCalls(Strict):
    """One row per LLM call of the interactions in `joint`, by the same key, in the order of start.

    Of one observer, as its calls are believed. What an interaction whose `llm_calls` in `joint` is
    null did, that observer did not see. The rows are those of the interactions with the smallest
    keys; if one would make them more than `limit`, it and all with larger keys have none
    (`left_out_from`), rather than some of theirs.
    """

    columns: tuple[str, ...] = Field(
        description="names of the cells of a row: `key` of the interaction; `ok`, whether the call "
        "succeeded; `attempts`, HTTP requests for it; `start_s`, from the start of the interaction "
        "to that of its first attempt; `latency_s`, to the end of its last, failed ones too; "
        "`input_tokens` include those read from a cache and those put into one, `output_tokens` "
        "include reasoning"
    )
    rows: tuple[tuple[Any, ...], ...] = Field(description="cells; null is not observed")
    source: str | None = Field(
        description="who observed the calls; several joined by '+' after a merge; null: nobody "
        "watched LLM calls"
    )
    population: int = Field(
        description="LLM calls of measured interactions that the rows were drawn from"
    )
    limit: int = Field(description="most rows that are kept")
    left_out_from: int | None = Field(
        description="from this key on, no interaction in `joint` has its calls here, for want of "
        "room; null: all of them have"
    )

    @model_validator(mode="after")
    def _rows_have_all_columns(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row has not as many cells as there are columns")
        return self


class CallReservoir:
    """The calls of the interactions of the smallest keys so far, as one observer saw them.

    Not more than `LIMIT` of them, 0.1 kB each.
    """

    def __init__(self) -> None:
        # Largest key first, as heapq keeps the smallest: of (-key, place in order, send, cells).
        self._heap: list[tuple[int, int, int, array[int]]] = []
        self._offered = 0
        self._rows = 0
        self._cut: int | None = None

    def offer(self, key: int, send_ns: int, calls: Iterable[Row]) -> None:
        """Take the calls of an interaction."""
        if self._cut is not None and key >= self._cut:
            return
        cells = array("q")
        for call in calls:
            cells.extend(_cells(call))
        self._offered += 1
        self._rows += len(cells) // len(_KEPT)
        heappush(self._heap, (-key, self._offered, send_ns, cells))
        while self._rows > LIMIT:
            self._cut = -self._heap[0][0]
            self.keep_below(self._cut)

    def keep_below(self, key: int) -> None:
        """Forget the calls of interactions whose keys are not smaller."""
        while self._heap and -self._heap[0][0] >= key:
            *_, cells = heappop(self._heap)
            self._rows -= len(cells) // len(_KEPT)

    def section(
        self, source: str, population: int, largest: int | None, models: Sequence[str]
    ) -> JointCalls:
        """Return the sample, empty afterwards. `models` are the names by number.

        `largest` is the key of the last interaction in `joint`, where that does not have all.
        """
        rows: list[tuple[Any, ...]] = []
        self._heap.sort()
        while self._heap:
            key, _, send_ns, cells = self._heap.pop()
            rows += _rows(-key, send_ns, cells, models)
        return JointCalls(
            columns=CALL_COLUMNS,
            rows=tuple(rows),
            source=source,
            population=population,
            limit=LIMIT,
            left_out_from=_within(self._cut, largest),
        )


def no_calls() -> JointCalls:
    """Return the section of a run in which nobody watched LLM calls."""
    return JointCalls(
        columns=CALL_COLUMNS, rows=(), source=None, population=0, limit=LIMIT, left_out_from=None
    )


def _rows(
    key: int, send_ns: int, cells: array[int], models: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Return the rows of one interaction's calls, in an order that is not the journal's."""
    calls: list[tuple[int, int, str, tuple[int, ...]]] = []
    for first in range(0, len(cells), len(_KEPT)):
        model, ok, on_agent_clock, start, end, *counts = cells[first : first + len(_KEPT)]
        began_us = difference_us(start, 0 if on_agent_clock else send_ns)
        calls.append((began_us, difference_us(end, start), models[model], (ok, *counts)))
    calls.sort()
    return [
        (
            *(key, model, bool(ok), _known(attempts), _seconds(began_us), _seconds(latency_us)),
            *(None if count == MISSING else count for count in tokens),
        )
        for began_us, latency_us, model, (ok, attempts, *tokens) in calls
    ]


def _known(cell: int) -> int | None:
    return None if cell == MISSING else cell


def _seconds(us: int) -> float | None:
    return None if us == MISSING else us / _US_PER_S


def _within(cut: int | None, largest: int | None) -> int | None:
    """Return where rows end; None where that is beyond the last interaction."""
    return None if cut is None or (largest is not None and cut > largest) else cut


def merge_joint_calls(
    sections: Iterable[JointCalls | None], largest: int | None
) -> JointCalls | None:
    """Sample the calls of the union, as if all interactions had been sampled at once.

    `largest` is the key of the last interaction in the merged `joint`, where that does not have
    all. None where a profile is from before there was the section: its interactions' calls are not
    known. Raises `ProfileError` for rows of other columns.
    """
    every: list[JointCalls] = []
    for section in sections:
        if section is None:
            return None
        every.append(section)
    if any(section.columns != CALL_COLUMNS for section in every):
        raise ProfileError(
            "the rows of LLM calls of a profile have other columns than this tool writes",
            fix="Compute the profiles again from their journals: `agent-profiler profile RUN_DIR`",
        )
    cut = min((s.left_out_from for s in every if s.left_out_from is not None), default=None)
    found = sorted((row for section in every for row in section.rows), key=itemgetter(0))
    rows: list[tuple[Any, ...]] = []
    for key, calls in groupby(found, key=itemgetter(0)):
        if (cut is not None and key >= cut) or (largest is not None and key > largest):
            break
        of_key = list(calls)
        if len(rows) + len(of_key) > LIMIT:
            cut = key
            break
        rows += of_key
    sources = {who for s in every if s.source is not None for who in s.source.split("+")}
    return JointCalls(
        columns=CALL_COLUMNS,
        rows=tuple(rows),
        source="+".join(sorted(sources)) or None,
        population=sum(section.population for section in every),
        limit=LIMIT,
        left_out_from=_within(cut, largest),
    )
