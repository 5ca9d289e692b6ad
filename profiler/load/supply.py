"""Sessions in their order: where they come from, and those that are made before their time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import anyio

from profiler.load.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profiler.endpoints.exchange import Endpoint
    from profiler.load.composing import Composer
    from profiler.load.plan import Share
    from profiler.measure.records import Phase
    from profiler.workload.sessions import SessionPlan

_AHEAD = 32
"""Sessions of a trace that are drawn before their time, at most."""

_PAUSE_S = 0.002


class SessionSource(Protocol):
    """Where sessions come from: a pure function of the index."""

    def session(self, index: int) -> SessionPlan:
        """Return session `index`."""
        ...


class Supply:
    """The sessions of one phase that a share of the load has, by their indices from 0 on.

    `instead` has the indices of those that are to come in the place of others.
    """

    def __init__(
        self,
        source: SessionSource,
        *,
        endpoint: Endpoint,
        composer: Composer,
        phase: Phase,
        share: Share,
        instead: Mapping[int, int],
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._composer = composer
        self._phase = phase
        self._share = share
        self._instead = instead
        self._drawn: deque[Live] = deque()

    @property
    def is_ahead(self) -> bool:
        """Whether the next session is drawn already."""
        return bool(self._drawn)

    def session(self, index: int) -> Live:
        """Return a session, about to begin. Each is asked for once, in order."""
        return self._drawn.popleft() if self._drawn else self._draw(index)

    async def draw_ahead(self, index: int, *, while_true: Callable[[], bool]) -> None:
        """Draw the sessions from `index` on while there is time: a trace has many at one instant.

        Prompts of thousands of tokens take a millisecond to make. What was just started is sent
        first, and the loop turns between two.
        """
        while len(self._drawn) < _AHEAD and while_true():
            await anyio.sleep(_PAUSE_S)
            live = self._draw(index + len(self._drawn))
            live.composed = self._composer.compose(live)
            self._drawn.append(live)

    def _draw(self, index: int) -> Live:
        index = self._instead.get(index, index)
        plan = self._source.session(index * self._share.count + self._share.index)
        return Live(plan, self._endpoint.begin(plan.session_id), self._phase)
