"""`python -m profiler`, and the console script `agent-profiler`."""

from __future__ import annotations

import gc

gc.disable()  # importing makes no garbage; see `app`, which turns it on again

from profiler.cli.app import main  # noqa: E402

if __name__ == "__main__":
    main()
