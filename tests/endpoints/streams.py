"""Feeding a reader: an event at a time, or cut anywhere; and JSON that no server should send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from profiler.endpoints.exchange import Reply
from tests.observers.gateway.payloads import sse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.endpoints.exchange import Reader


def read_events(reader: Reader, events: Iterable[Any]) -> Reply:
    """Feed each event whole, the first at 10, the second at 20, ..."""
    for number, event in enumerate(events, 1):
        reader.feed(sse(event, named="type" in event), 10 * number)
    return reader.finish()


def read_cut(reader: Reader, whole: bytes, size: int) -> Reply:
    """Feed pieces of one size, all at the same time."""
    for at in range(0, len(whole), size):
        reader.feed(whole[at : at + size], 7)
    return reader.finish()


def json_with(keys: Sequence[str], words: Sequence[str]) -> st.SearchStrategy[Any]:
    """Return JSON of the right names in wrong places."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.sampled_from(words),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(keys), inner, max_size=5)
            | st.fixed_dictionaries(
                {"type": st.sampled_from(words)}, optional=dict.fromkeys(keys[1:4], inner)
            )
        ),
        max_leaves=14,
    )
