"""The tool calls that answers asked for: their ids come back with the next request.

So an id tells whose request it is, and the time between is the tools' round trip.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.measure.records import NO_TRACE, Observer, Timeline, ToolRoundTrip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.observers.gateway.apis.values import ToolAsked

MAX_IDS = 65_536
"""So many ids are remembered; the oldest are forgotten first."""

_MAX_ANSWERS_OF_ID = 8


@dataclass(slots=True, eq=False)
class Asking:
    """One answer that asked for tools. `end_ns` is when it ended, or came furthest so far."""

    trace_id: str
    end_ns: int
    names: dict[str, str] = field(default_factory=dict)
    is_back: bool = False


class ToolChain:
    """Remembers which answer asked for which tool call."""

    def __init__(self, max_ids: int = MAX_IDS) -> None:
        self._max_ids = max_ids
        self._askings: OrderedDict[str, list[Asking]] = OrderedDict()

    def asked(self, asking: Asking, tools: Iterable[ToolAsked]) -> None:
        """Take note of tool calls that an answer asks for; may be told again as more come."""
        for tool in tools:
            if tool.id in asking.names:
                continue
            asking.names[tool.id] = tool.name
            askings = self._askings.setdefault(tool.id, [])
            askings.append(asking)
            del askings[:-_MAX_ANSWERS_OF_ID]
            self._askings.move_to_end(tool.id)
        while len(self._askings) > self._max_ids:
            self._askings.popitem(last=False)

    def knows(self, ids: Iterable[str]) -> bool:
        """Say whether all of these calls were asked for by answers that it was told of."""
        return all(call_id in self._askings for call_id in ids)

    def trace_of(self, ids: Iterable[str]) -> str | None:
        """Return the one interaction whose answers asked for these calls; None: unknown or several.

        Ids need not be unique: an id that answers of two interactions have used tells nothing.
        """
        traces: set[str] = set()
        for call_id in ids:
            known = {asking.trace_id for asking in self._askings.get(call_id, ())}
            if len(known) == 1:
                traces |= known
        traces.discard(NO_TRACE)
        return traces.pop() if len(traces) == 1 else None

    def brought(self, ids: Iterable[str], trace_id: str, at_ns: int) -> list[ToolRoundTrip]:
        """Take note of a request that brings results; return each answer's round trip, once."""
        trips = []
        for call_id in ids:
            askings = self._askings.get(call_id, ())
            mine = [asking for asking in askings if asking.trace_id == trace_id]
            if len(mine) != 1 or mine[0].is_back:
                continue
            asking = mine[0]
            asking.is_back = True
            trips.append(
                ToolRoundTrip(
                    trace_id=trace_id,
                    observer=Observer.GATEWAY,
                    clock=Timeline.HARNESS,
                    tools=tuple(asking.names.values()),
                    start_ns=asking.end_ns,
                    end_ns=max(asking.end_ns, at_ns),
                )
            )
        return trips
