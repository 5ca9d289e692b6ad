"""Which versions of our files are read.

`schema_version` is a whole number and grows when a field changes its meaning or goes away. Fields
that are added do not change it: who does not know them keeps them, and writes them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.errors import UsageError


def check_version(
    version: Any, known: int, *, what: str, file: Path, again: str, error: type[UsageError]
) -> None:
    """Raise `error` for a file of another version than `known`; `again`: how to make it anew."""
    is_number = isinstance(version, int) and not isinstance(version, bool)
    if is_number and version == known:
        return
    raise error(
        f"{what} schema version {version!r} is not the one this tool reads ({known})",
        where=str(file),
        fix="Upgrade agent-profiler" if is_number and version > known else again,
    )
