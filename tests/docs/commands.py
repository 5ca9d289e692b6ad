"""The commands that a document shows: `$` lines of `console` blocks, lines of ours in `sh`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r"^```(?:console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def documents(root: Path) -> list[Path]:
    """Return what a user reads."""
    return [
        root / "README.md",
        *sorted((root / "docs").rglob("*.md")),
        root / "scenarios" / "README.md",
        root / "profiler" / "mock" / "README.md",
    ]


def commands_of(document: Path) -> list[str]:
    """Return the commands of a document in their order, continued lines joined."""
    found: list[str] = []
    for block in _BLOCK.findall(document.read_text()):
        joined = re.sub(r"\s*\\\n\s*", " ", block)
        found += [
            line.removeprefix("$ ").strip()
            for line in joined.splitlines()
            if line.startswith(("$ ", "agent-profiler "))
        ]
    return found
