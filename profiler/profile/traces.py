"""The values of traces: what was seen under one trace id is one cluster.

Nothing says when a trace has ended, so so many are kept open, and the one that was longest without
anything new is tallied first. A trace that comes back after that, and one with very many values, is
tallied as several clusters. What has no trace id is a cluster of its own.
"""

from __future__ import annotations

from collections import OrderedDict

from profiler.measure.records import NO_TRACE
from profiler.profile.tallies import Tallies, Values

OPEN_TRACES = 1000
MOST_VALUES = 10_000
"""Values, of all metrics together, after which an open trace is tallied: about 1,000 calls."""


class Traces(Tallies):
    """Clusters by trace id. `of` one, add to it before asking for another, and `close` at the end.

    At most `open_traces` times `most_values` values of 12 bytes wait.
    """

    def __init__(self, open_traces: int = OPEN_TRACES, most_values: int = MOST_VALUES) -> None:
        super().__init__()
        self._most_open = open_traces
        self._most_values = most_values
        self._open: OrderedDict[str, Values] = OrderedDict()
        self._alone = Values()

    def of(self, trace_id: str) -> Values:
        """Return the cluster of a trace, to be added to."""
        if trace_id == NO_TRACE:
            self.take(self._alone)
            self._alone = Values()
            return self._alone
        found = self._open.get(trace_id)
        if found is not None and len(found.values) >= self._most_values:
            self.take(self._open.pop(trace_id))
            found = None
        if found is None:
            found = self._open[trace_id] = Values()
        self._open.move_to_end(trace_id)
        if len(self._open) > self._most_open:
            self.take(self._open.popitem(last=False)[1])
        return found

    def close(self) -> None:
        """Tally all that are open: nothing comes any more."""
        self.take(self._alone)
        for cluster in self._open.values():
            self.take(cluster)
        self._alone = Values()
        self._open.clear()
