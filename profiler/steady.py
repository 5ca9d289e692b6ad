"""The interpreter's own interruptions, kept rare and short while times are taken."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCH_INTERVAL_S = 0.0005
"""How long a thread that counts may keep the interpreter from the event loop (Python's: 5 ms)."""

YOUNG_OBJECTS = 20_000
"""How many containers more than before may live until the collector looks at them.

What comes and goes with requests is not in cycles, so it needs no collector. But with hundreds of
requests under way it comes and goes by thousands, and Python's 700 then means half a millisecond's
pause ten times a second.
"""


@contextmanager
def steady() -> Iterator[None]:
    """Let threads take turns quickly, and let the collector leave alone what is loaded by now.

    At the end everything is as it was: a cluster's worker goes on after us.
    """
    interval_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(YOUNG_OBJECTS, *thresholds[1:])
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval_s)
