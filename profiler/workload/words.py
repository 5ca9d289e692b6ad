"""Texts with a known number of tokens: words that are one token each, alone and after a space.

The encodings that are shipped cut a text before each space that a letter follows, and merge only
within what they cut; each of `WORDS` is one token of theirs, with the space before it and without.
So a text of N of these words, one space between two, has N tokens: not about, and whatever stands
before or behind it, as long as a space does. `tests/workload/test_words.py` counts.
"""

from __future__ import annotations

import hashlib

ENCODINGS = ("o200k_base", "cl100k_base")
"""The encodings in which every word is one token."""

_LISTED = """
    with from return your have will class public more part they their self time over about work
    function which else also some data private when other year like name need just true there
    them real what value would false type into make result list than first import back start
    only string form look static best under most find person help people want long final read
    test every should know well hand then through user right pass very these product case good
    down where post high after even file mark many much could while said used number years event
    here play print item last program word text current great does sign because home such free
    before process online take child view break size show model using design check world week
    book think business again system call cent point being made each place found open support
    create super line order service method state next life request those follow care array
    different expect same local style really main default must game object direct available fact
    around rest between market term error android still plus without month offer going both
    project page report build love client come color cost second content path port full access
    effect company message stand head feel level document team mill health sure invest field
    small table protect response always consider present change perform range during keep review
    prom days important little three water input interest better room website link including
    power index school hard code plan family double success within date account something left
    group
"""
WORDS = tuple(_LISTED.split())
"""256 of them: a byte chooses one."""


def words(name: str, count: int) -> str:
    """Return `count` words, a function of `name` alone; fewer of the same name begin the same.

    Drawn evenly by SHAKE-128, so that texts of different names share no more than chance has it.
    """
    return " ".join([WORDS[byte] for byte in hashlib.shake_128(name.encode()).digest(count)])
