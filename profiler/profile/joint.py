"""One row per interaction: what a histogram of each metric cannot say of several together.

The calls of the same interactions, one row each, are in `joint_calls`.
"""

from __future__ import annotations

import hashlib
from array import array
from heapq import heappush, heapreplace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from profiler.errors import ProfileError
from profiler.profile.interactions import CLIENT_METRICS, INSIDE_METRICS
from profiler.profile.joint_calls import CallReservoir, JointCalls, no_calls
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.model import Joint
from profiler.profile.rows import MISSING, ROW_OK, ROW_SEND, ROW_TURN, Names
from profiler.profile.sample import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from profiler.profile.joining import Joined
    from profiler.profile.rows import Row

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
        self._calls: dict[str, CallReservoir] = {}
        self.offered = 0

    def offer(
        self,
        joined: Joined,
        row: Row,
        *,
        client: list[int],
        insides: Mapping[str, list[int]],
    ) -> None:
        """Take a measured interaction of that row if its key is small enough, and its LLM calls.

        Values as in `interactions`. Times are of every row, failed ones too: `ok` tells them apart.
        """
        self.offered += 1
        key = row_key(self._run, joined.trace)
        is_full = len(self._heap) >= LIMIT
        if is_full and -key <= self._heap[0][0]:
            return
        cells = array("q", _client_cells(client))
        numbers = [self._observers[observer] for observer in insides]
        cells.extend([MISSING] * (len(_OF_INSIDE) * (max(numbers, default=-1) + 1)))
        for number, values in zip(numbers, insides.values(), strict=True):
            first = len(_OF_CLIENT) + len(_OF_INSIDE) * number
            cells[first : first + len(_OF_INSIDE)] = array("q", _inside_cells(values))
        item = (-key, -self.offered, joined.session, row[ROW_TURN], bool(row[ROW_OK]), cells)
        if is_full:
            heapreplace(self._heap, item)
        else:
            heappush(self._heap, item)
        for observer, inside in joined.inside.items():
            if inside.llm_calls:
                calls = self._calls.get(observer)
                if calls is None:
                    calls = self._calls[observer] = CallReservoir()
                calls.offer(key, row[ROW_SEND], inside.llm_calls)
        if is_full:
            for calls in self._calls.values():
                calls.keep_below(1 - self._heap[0][0])

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

    def joint_calls(self, source: str | None, population: int, models: Sequence[str]) -> JointCalls:
        """Return the LLM calls that an observer saw of the sample's interactions, before `joint`.

        `source` is None where nobody watched LLM calls, `population` are all that it saw of
        measured interactions, `models` are the models' names by number.
        """
        if source is None:
            return no_calls()
        largest = -self._heap[0][0] if self.offered > len(self._heap) else None
        calls = self._calls.pop(source, CallReservoir())
        self._calls.clear()
        return calls.section(source, population, largest, models)

    def _place(self, metric: str, chosen: tuple[str, bool] | None) -> int | None:
        if chosen is None:
            return None
        observer, is_inside = chosen
        if not is_inside:
            return _OF_CLIENT.index(metric)
        number = self._observers[observer]
        return len(_OF_CLIENT) + len(_OF_INSIDE) * number + _OF_INSIDE.index(metric)


def largest_key(joint: Joint) -> int | None:
    """Return the key of the last row; None where all interactions have one."""
    return joint.rows[-1][0] if joint.population > len(joint.rows) and joint.rows else None


def _cell(cells: array[int], place: int | None, per_unit: int) -> float | int | None:
    """Return a value in its unit; None: not observed. A row ends with the last who saw it."""
    if place is None or place >= len(cells) or cells[place] == MISSING:
        return None
    return cells[place] if per_unit == 1 else cells[place] / per_unit


def row_key(run: str, trace: str) -> int:
    """Return an interaction's place in the sample, from its run's id and its trace id."""
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
