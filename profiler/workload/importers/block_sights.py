"""Which blocks of prompts were seen before: the hits of a cache that never forgets.

An id stands for its block and all before it, so of a prompt those are known that stand before the
first new one. Ids that are numbered as they are first seen, as Mooncake's are, take no memory: all
below the next one are known. Others take a byte each, up to the largest, and at most twice that.
"""

from __future__ import annotations

MOST_TRACKED_ID = 2**26


class BlockSights:
    """Counts `reused` blocks, and `continuing` prompts, which begin with two such or more.

    `reused` is None once there are ids of 2^26 and more which are not numbered as they are seen.
    """

    def __init__(self) -> None:
        self.reused: int | None = 0
        self.continuing = 0
        self._next = 0
        self._seen: bytearray | None = None

    def add(self, blocks: list[int]) -> None:
        """Take a prompt's blocks, in order, at least one."""
        if self.reused is None:
            return
        known = self._known_numbered(blocks) if self._seen is None else None
        if known is None:
            known = self._known(blocks)
        if known is None:
            self.reused, self._seen = None, bytearray()
            return
        self.reused += known
        self.continuing += known > 1

    def _known_numbered(self, blocks: list[int]) -> int | None:
        """Count those seen before; None where the others are not the next numbers."""
        begin, end = self._next, max(self._next, blocks[-1] + 1)
        known = len(blocks) - (end - begin)
        if known < 0 or (known and max(blocks[:known]) >= begin):
            return None
        if end > begin and blocks[known:] != [*range(begin, end)]:
            return None
        self._next = end
        return known

    def _known(self, blocks: list[int]) -> int | None:
        """Count those seen before; None where an id is too large for a table."""
        highest = max(blocks)
        if highest >= MOST_TRACKED_ID or self._next > MOST_TRACKED_ID:
            return None
        if self._seen is None:
            self._seen = bytearray(b"\1") * self._next
        seen = self._seen
        if highest >= len(seen):
            seen.extend(bytes(max(highest + 1, 2 * len(seen)) - len(seen)))
        known = 0
        for block in blocks:
            if not seen[block]:
                break
            known += 1
        for block in blocks[known:]:
            seen[block] = 1
        return known
