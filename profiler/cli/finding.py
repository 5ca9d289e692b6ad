"""What `agent-profiler doctor` found, one line each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked.

    `fix` says what to do where it is not well, `advice` what to know where it is; what is well but
    limits what can be measured is `is_notable`. `figures` are the numbers behind the words, with
    their units in their names.
    """

    name: str
    found: str
    is_well: bool
    is_notable: bool = False
    fix: str | None = None
    advice: str | None = None
    figures: dict[str, float | None] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """What it is marked with in a list: four characters."""
        if not self.is_well:
            return "FIX "
        return "NOTE" if self.is_notable else "ok  "

    @property
    def hint(self) -> str | None:
        """What a person should read beside it."""
        return self.advice if self.is_well else self.fix

    def as_dict(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "name": self.name,
            "found": self.found,
            "ok": self.is_well,
            "fix": self.fix,
            "advice": self.advice,
            "figures": self.figures,
        }
