"""What is measured, what was found, and how it is shown."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.driver.clients import OURS, RAW


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that a client has. `target` is the most that ours may have."""

    name: str
    unit: str
    target: float | None = None
    digits: int = 1
    is_error: bool = False

    def shown(self, value: float) -> str:
        """Format a value."""
        sign = "+" if self.is_error else ""
        return f"{value:{sign},.{self.digits}f}"

    def is_met(self, value: float) -> bool | None:
        """Say whether a value is good enough; None: there is no target. Errors have two sides."""
        if self.target is None:
            return None
        return (abs(value) if self.is_error else value) <= self.target


class Board:
    """Every value that was measured, by figure and client, in the order of measuring."""

    def __init__(self) -> None:
        self._values: dict[Figure, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._notes: dict[Figure, dict[str, str]] = defaultdict(dict)

    def put(self, figure: Figure, client: str, value: float | None, note: str = "") -> None:
        """Add a value; None leaves the figure unmeasured for this client."""
        if value is not None:
            self._values[figure][client].append(value)
        if note:
            self._notes[figure][client] = note

    def last(self, figure: Figure, client: str) -> float | None:
        """Return what was put last; None before that."""
        values = self._values.get(figure, {}).get(client)
        return values[-1] if values else None

    def shown(self) -> str:
        """Return the table: a block for each figure, medians, ratios to the limit, verdicts."""
        lines: list[str] = []
        for figure in dict.fromkeys([*self._values, *self._notes]):
            target = "" if figure.target is None else f"   (target {figure.target:g})"
            lines += ["", f"{figure.name}, {figure.unit}{target}"]
            clients = dict.fromkeys([*self._values[figure], *self._notes[figure]])
            lines += [self._line(figure, client) for client in clients]
        return "\n".join(lines)

    def _line(self, figure: Figure, client: str) -> str:
        values = self._values[figure].get(client)
        note = self._notes[figure].get(client, "")
        if not values:
            return f"  {client:<20} {'-':>10}   {note}"
        value, limit = median(values), self._limit(figure)
        compares = limit is not None and limit > 0 and not figure.is_error
        ratio = f"{value / limit:,.1f}x raw" if compares and limit else ""
        spread = f"{figure.shown(min(values))} to {figure.shown(max(values))}"
        verdict = self._verdict(figure, value) if client.startswith(OURS) else ""
        words = f"  {client:<20} {figure.shown(value):>10} {ratio:>11}  {verdict:<7} [{spread}]"
        return f"{words}  {note}" if note else words

    def _verdict(self, figure: Figure, value: float) -> str:
        """Judge ours. Where the limit itself misses a target, the machine cannot show it."""
        if (met := figure.is_met(value)) is None:
            return ""
        if met:
            return "ok"
        limit = self._limit(figure)
        return "unclear" if limit is not None and not figure.is_met(limit) else "MISSED"

    def _limit(self, figure: Figure) -> float | None:
        values = self._values[figure].get(RAW)
        return median(values) if values else None

    def summary(self) -> str:
        """Return one line for each figure that has a target: ours, the target, and the verdict."""
        lines = []
        for figure, clients in self._values.items():
            values = clients.get(OURS)
            if not values or not (verdict := self._verdict(figure, median(values))):
                continue
            if verdict == "unclear":
                verdict = "unclear: on this machine, now, the raw sockets miss it too"
            found = f"{figure.shown(median(values))} {figure.unit}"
            lines.append(f"{figure.name:<52} {found:>14}  target {figure.target:g} {verdict}")
        return "\n".join(lines)

    def as_rows(self) -> list[dict[str, Any]]:
        """Return everything, for a file."""
        return [
            {
                "figure": figure.name,
                "unit": figure.unit,
                "target": figure.target,
                "client": client,
                "median": median(values),
                "values": values,
                "note": self._notes[figure].get(client),
            }
            for figure, clients in self._values.items()
            for client, values in clients.items()
        ]
