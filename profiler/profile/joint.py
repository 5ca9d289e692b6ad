"""One row per interaction: what a histogram of each metric cannot say of several together."""

from __future__ import annotations

import hashlib
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from profiler.errors import ProfileError
from profiler.profile.columns import MISSING
from profiler.profile.metrics import INTERACTION_METRICS
from profiler.profile.model import Joint
from profiler.profile.sample import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.profile.sections import View

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


def joint_of(view: View) -> Joint:
    """Sample the measured interactions; the cells are the believed observer's values.

    Times are of every row, failed ones too: `ok` tells them apart.
    """
    run, measured = view.columns.run.run_id, view.measured
    table = view.columns.interactions
    traces = list(view.columns.traces)
    keys = [
        (_key(run, traces[trace]), row)
        for row, trace in enumerate(table["trace"][measured.rows].tolist())
    ]
    sessions = list(view.columns.sessions)
    turns = table["turn"][measured.rows].tolist()
    session, ok = measured.session.tolist(), measured.ok.tolist()
    columns = [_cells(view, name) for name in _METRICS]
    rows = tuple(
        (key, run, sessions[session[row]], turns[row], ok[row], *(cells[row] for cells in columns))
        for key, row in sorted(keys)[:LIMIT]
    )
    return Joint(columns=COLUMNS, rows=rows, population=measured.size, limit=LIMIT, seed=SEED)


def _key(run: str, trace: str) -> int:
    digest = hashlib.blake2b(f"{SEED}:{run}:{trace}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - _KEY_BITS)


def _cells(view: View, name: str) -> list[float | int | None]:
    values = view.believed(name)
    if values is None:
        return [None] * view.measured.size
    per_unit = SCALES[INTERACTION_METRICS[name].unit].per_unit
    return [
        None if value == MISSING else value if per_unit == 1 else value / per_unit
        for value in values.tolist()
    ]


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
