"""`python -m profiler`, and the console script `agent-profiler`."""

from __future__ import annotations

from profiler.cli.app import main

if __name__ == "__main__":
    main()
