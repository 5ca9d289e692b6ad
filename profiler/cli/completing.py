"""What a shell is offered in place of a value: names that are kept, ship, or are known.

Each function gets what was typed so far. Where nothing begins with it, shells offer files.
"""

from __future__ import annotations


def baselines(incomplete: str) -> list[str]:
    """Return the baselines that are kept in this directory."""
    from profiler.cli.baseline import names

    return [name for name in names() if name.startswith(incomplete)]


def workloads(incomplete: str) -> list[str]:
    """Return the workloads that ship."""
    from profiler.workload.shipped import shipped_workloads

    return [name for name in shipped_workloads() if name.startswith(incomplete)]


def protocols(incomplete: str) -> list[str]:
    """Return the protocols that an agent may be spoken to in."""
    from profiler.cli.init_finding import PROTOCOLS

    return [name for name in PROTOCOLS if name.startswith(incomplete)]
