"""`python -m profiler`, and the console script `agent-profiler`."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

gc.disable()  # importing makes no garbage; see `app`, which turns it on again

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being loaded is no error of ours."""
    try:
        from profiler.cli.app import main as command_line  # noqa: PLC0415 - what takes its time
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    command_line()


if __name__ == "__main__":
    main()
