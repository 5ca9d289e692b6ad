"""How many different texts there are, in memory that does not grow with them."""

from __future__ import annotations

import hashlib
from heapq import heappush, heapreplace

EXACT = 65_536
"""Up to so many the number is exact; beyond, it is an estimate (standard error 0.4 %)."""

_HASH_BYTES = 8
_HASHES = 1 << 64


class Distinct:
    """Keeps the `exact` smallest hashes: where the largest of them lies tells how many there are.

    The k-th smallest of n numbers drawn evenly from [0, 1) is about k / (n + 1), with a relative
    standard error of about 1 / sqrt(k); (k - 1) / it estimates n without bias. Source: Bar-Yossef
    et al., Counting Distinct Elements in a Data Stream, 2002.
    """

    def __init__(self, exact: int = EXACT) -> None:
        self._exact = exact
        self._kept: set[int] = set()
        self._largest_first: list[int] = []
        self._is_full = False

    def add(self, text: str) -> None:
        """Take a text, known or not."""
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=_HASH_BYTES).digest()
        number = int.from_bytes(digest)
        if number in self._kept:
            return
        if len(self._kept) < self._exact:
            heappush(self._largest_first, -number)
            self._kept.add(number)
            return
        self._is_full = True
        if number < -self._largest_first[0]:
            self._kept.remove(-heapreplace(self._largest_first, -number))
            self._kept.add(number)

    @property
    def count(self) -> int:
        """How many different texts were taken."""
        if not self._is_full:
            return len(self._kept)
        largest = -self._largest_first[0]
        return round((self._exact - 1) * _HASHES / (largest + 1))
