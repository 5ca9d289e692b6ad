"""One row per interaction: what a histogram of each metric cannot say of several together."""

from __future__ import annotations

import hashlib
from array import array
from heapq import heappush, heapreplace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from profiler.errors import ProfileError
from profiler.profile.interactions import CLIENT_METRICS, INSIDE_METRICS
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.model import Joint
from profiler.profile.rows import MISSING, Names
from profiler.profile.sample import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.profile.joining import Joined

LIMIT = 5000
SEED = 1
_KEY_BITS = 53  # what every JSON reader keeps

_METRICS = (
    *("latency", "time_to_first_token", "own_time", "llm_calls", "llm_time", "tool_calls"),
    *("tool_time", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"),
    *("counted_input_tokens", "client_user_tokens", "client_output_tokens"),
    *("state_reads", "state_writes"),
)
COLUMNS = (
    *("key", "run", "session", "turn", "ok"),
    *(f"{name}_s" if INTERACTION_METRICS[name].unit == "s" else name for name in _METRICS),
)
"""`key` is the row's place in the sample, `run` and `session` tell which rows belong together."""


_OF_CLIENT = [name for name in _METRICS if name in CLIENT_METRICS]
_OF_INSIDE = [name for name in _METRICS if name in INSIDE_METRICS]
_client_cells = itemgetter(*(CLIENT_METRICS.index(name) for name in _OF_CLIENT))
_inside_cells = itemgetter(*(INSIDE_METRICS.index(name) for name in _OF_INSIDE))


class Reservoir:
    """The interactions of the smallest keys so far, each observer's cells in eight bytes a cell.

    Whose cells the profile gives is known only at the end, so those of all are kept: 0.4 kB a row
    for each observer.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._observers = Names()
        # Largest key first, as heapq keeps the smallest: of (-key, -number).
        self._heap: list[tuple[int, int, str, int, bool, array[int]]] = []
        self.offered = 0

    def offer(
        self,
        joined: Joined,
        turn: int,
        *,
        ok: bool,
        client: list[int],
        insides: Mapping[str, list[int]],
    ) -> None:
        """Take a measured interaction if its key is small enough. Values as in `interactions`.

        Times are of every row, failed ones too: `ok` tells them apart.
        """
        self.offered += 1
        key = _key(self._run, joined.trace)
        is_full = len(self._heap) >= LIMIT
        if is_full and -key <= self._heap[0][0]:
            return
        cells = array("q", _client_cells(client))
        numbers = [self._observers[observer] for observer in insides]
        cells.extend([MISSING] * (len(_OF_INSIDE) * (max(numbers, default=-1) + 1)))
        for number, values in zip(numbers, insides.values(), strict=True):
            first = len(_OF_CLIENT) + len(_OF_INSIDE) * number
            cells[first : first + len(_OF_INSIDE)] = array("q", _inside_cells(values))
        item = (-key, -self.offered, joined.session, turn, ok, cells)
        if is_full:
            heapreplace(self._heap, item)
        else:
            heappush(self._heap, item)

    def joint(self, chosen: Mapping[str, tuple[str, bool]]) -> Joint:
        """Return the sample. `chosen`: metric to whose values, and whether seen from inside.

        The reservoir is empty afterwards: the rows of the profile take the place of its own.
        """
        places = [self._place(name, chosen.get(name)) for name in _METRICS]
        scales = [SCALES[INTERACTION_METRICS[name].unit].per_unit for name in _METRICS]
        cells_of = list(zip(places, scales, strict=True))
        rows: list[tuple[Any, ...]] = []
        self._heap.sort()
        while self._heap:
            key, _, session, turn, ok, cells = self._heap.pop()
            values = (_cell(cells, place, per_unit) for place, per_unit in cells_of)
            rows.append((-key, self._run, session, turn, ok, *values))
        return Joint(
            columns=COLUMNS, rows=tuple(rows), population=self.offered, limit=LIMIT, seed=SEED
        )

    def _place(self, metric: str, chosen: tuple[str, bool] | None) -> int | None:
        if chosen is None:
            return None
        observer, is_inside = chosen
        if not is_inside:
            return _OF_CLIENT.index(metric)
        number = self._observers[observer]
        return len(_OF_CLIENT) + len(_OF_INSIDE) * number + _OF_INSIDE.index(metric)


def _cell(cells: array[int], place: int | None, per_unit: int) -> float | int | None:
    """Return a value in its unit; None: not observed. A row ends with the last who saw it."""
    if place is None or place >= len(cells) or cells[place] == MISSING:
        return None
    return cells[place] if per_unit == 1 else cells[place] / per_unit


def _key(run: str, trace: str) -> int:
    digest = hashlib.blake2b(f"{SEED}:{run}:{trace}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - _KEY_BITS)


def merge_joints(joints: Iterable[Joint]) -> Joint:
    """Sample the union: the rows of the smallest keys of all (a bottom-k sample).

    Whatever is among the smallest of the union was among the smallest of its part, so the result
    is that of sampling all interactions at once, in whatever order they are merged. Raises
    `ProfileError` for rows of other columns.
    """
    every = list(joints)
    if any(joint.columns != COLUMNS for joint in every):
        raise ProfileError(
            "the joint rows of a profile have other columns than this tool writes",
            fix="Compute the profiles again from their journals: `agent-profiler profile RUN_DIR`",
        )
    rows: list[tuple[Any, ...]] = [row for joint in every for row in joint.rows]
    rows.sort(key=itemgetter(0, 1, 2, 3))
    return Joint(
        columns=COLUMNS,
        rows=tuple(rows[:LIMIT]),
        population=sum(joint.population for joint in every),
        limit=LIMIT,
        seed=SEED,
    )
