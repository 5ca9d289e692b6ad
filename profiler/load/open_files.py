"""Whether a run has as many file descriptors as it has connections, said before it starts."""

from __future__ import annotations

from profiler.errors import UsageError

OWN_FILES = 64
"""Descriptors that are not connections: journal, libraries, pipes, with room to spare."""


def ensure_open_files(connections: int) -> None:
    """See that so many connections can be open at once; raise the soft limit where that helps.

    Raises `UsageError` where the system's hard limit is lower. Does nothing where there is none.
    """
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    needed = connections + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(
            f"{connections:,} connections need {needed:,} open files, the limit is {hard:,}",
            where="ulimit -n",
            fix=f"`ulimit -n {needed}` as root, fewer users, or --max-in-flight",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
