"""The shape of one trace: its root, whether all of it is there, and who is within whom.

The root's parent is the harness's own span, which is never exported. Spans come in any order and
from anybody: parents may be missing, and may even go round in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from profiler.observers.otlp.seen import (
    AgentRun,
    HttpRequest,
    Inference,
    Sighting,
    StateAccess,
    ToolRun,
)
from profiler.observers.otlp.spans import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STEPS = (Inference, ToolRun, AgentRun)
_LEAVES = (HttpRequest, StateAccess)


class Tree:
    """The spans of one trace, in order of start.

    `step_of` gives the inference, tool or agent that a span is directly within; `leaf_of` the HTTP
    request or state access in the same process.
    """

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        self.spans = sorted(sightings, key=lambda span: (span.start_ns, -span.end_ns))
        self._by_id = {span.span_id: span for span in self.spans}
        self._dangling = [span for span in self.spans if span.parent_id not in self._by_id]
        self.step_of: dict[str, Sighting | None] = {}
        self.leaf_of: dict[str, Sighting | None] = {}
        self._descend()

    def _descend(self) -> None:
        children: defaultdict[str | None, list[Sighting]] = defaultdict(list)
        for span in self.spans:
            children[span.parent_id].append(span)
        # After what hangs from the tops comes what is only in circles: cut where it is met.
        for top in (*self._dangling, *self.spans):
            if top.span_id in self.step_of:
                continue
            self.step_of[top.span_id] = self.leaf_of[top.span_id] = None
            stack = [top]
            while stack:
                parent = stack.pop()
                is_step = isinstance(parent.seen, _STEPS)
                step = parent if is_step else self.step_of[parent.span_id]
                leaf = self.leaf_of[parent.span_id]
                if isinstance(parent.seen, _LEAVES):
                    leaf = parent
                elif is_step or parent.kind is SpanKind.SERVER:
                    leaf = None
                for child in children[parent.span_id]:
                    if child.span_id not in self.step_of:
                        self.step_of[child.span_id] = step
                        self.leaf_of[child.span_id] = leaf
                        stack.append(child)

    @property
    def root(self) -> Sighting | None:
        """The span with which the agent took the interaction in, as `root_of` finds it."""
        return root_of(self.spans, self._dangling)

    @property
    def zero_ns(self) -> int:
        """The moment at which the agent received the interaction, on the agent's wall clock."""
        root = self.root
        return self.spans[0].start_ns if root is None else root.start_ns


def root_of(spans: Iterable[Sighting], dangling: Iterable[Sighting]) -> Sighting | None:
    """Return a server's span whose parent is elsewhere, or else one that covers all others."""
    first = min(dangling, key=_entry_first, default=None)
    if first is None or _is_entry(first):
        return first
    covers = all(first.start_ns <= span.start_ns and span.end_ns <= first.end_ns for span in spans)
    return first if covers else None


def complete_root(spans: Mapping[str, Sighting], window_ns: int) -> Sighting | None:
    """Return the root if it and every parent that is named have come; spans by their ids.

    One that is no server's must be as long as half the interaction was for its client: a shorter
    one may be within a server's span that is still to come.
    """
    dangling = [span for span in spans.values() if span.parent_id not in spans]
    if len({span.parent_id for span in dangling}) != 1:
        return None
    root = root_of(spans.values(), dangling)
    if root is None or _is_entry(root) or (root.end_ns - root.start_ns) * 2 >= window_ns:
        return root
    return None


def _entry_first(span: Sighting) -> tuple[bool, int, int]:
    return not _is_entry(span), span.start_ns, -span.end_ns


def _is_entry(span: Sighting) -> bool:
    return span.kind is SpanKind.SERVER or span.remote_parent is True
