"""Prompts that are made up to a recorded length: no text was recorded, only tokens and blocks.

A prompt is its blocks, one after the other, each a function of seed and id; the last one is cut off
where the prompt ends. So two prompts that begin with the same ids begin with the same text, as in
the recording, and prompts that share nothing there share nothing here. What no id stands for is
text of the request's own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from profiler.workload.words import words

if TYPE_CHECKING:
    from profiler.workload.request_trace import Lengths

_KEPT_TOKENS = 2**20  # as blocks that come again: 7 MB


class Prompts:
    """Makes the prompts of one trace. `seed` names the texts: another one gives other texts.

    `block_tokens` is how many tokens an id stands for.
    """

    def __init__(self, seed: str, *, block_tokens: int) -> None:
        self._seed = seed
        self._block_tokens = block_tokens
        self._block = lru_cache(maxsize=_KEPT_TOKENS // block_tokens)(self._whole_block)

    def text(self, lengths: Lengths, *, number: int, cycle: int = 0) -> str:
        """Return the prompt of request `number`: exactly `lengths.input_tokens` words.

        `cycle` is how often the trace was replayed before: every time has texts of its own.
        """
        size, left = self._block_tokens, lengths.input_tokens
        parts: list[str] = []
        for block in lengths.blocks:
            if left <= 0:
                break
            if left >= size:
                parts.append(self._block(cycle, block))
            else:
                parts.append(words(self._name(cycle, block), left))
            left -= size
        if left > 0:
            parts.append(words(f"{self._seed}/{cycle}/own/{number}", left))
        return " ".join(parts)

    def _whole_block(self, cycle: int, block: int) -> str:
        return words(self._name(cycle, block), self._block_tokens)

    def _name(self, cycle: int, block: int) -> str:
        return f"{self._seed}/{cycle}/block/{block}"
