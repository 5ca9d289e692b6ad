"""How far a shard is, and how far all of them are together: what the conductor decides by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from profiler.load.budget import unusable
from profiler.load.meter import Spent
from profiler.measure.records import LlmCall, Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.measure.records import Interaction, Record

PICO = 10**12
LONGEST_DETAIL = 500
"""Characters of an error that travel to the conductor."""

Row = tuple[int, float | None, int | None, int | None]
"""What a measured interaction says to whoever judges stability: session index, latency in seconds
(None: it failed), LLM calls and their input tokens (None: not observed)."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one shard, or the sums over several.

    Interactions that were cancelled count as ended, not as failed. `ended` and `failed` are those
    of measuring; those of before the run was resumed are in `before` alone.
    """

    phase: Phase = Phase.WARMUP
    in_flight: int = 0
    warmup_ended: int = 0
    warmup_failed: int = 0
    ended: int = 0
    failed: int = 0
    before: int = 0
    answered: bool = False
    first_failure: str | None = None
    last_failure: str | None = None
    tokens: int = 0
    picodollars: int = 0
    problem: str | None = None

    def meter(self, spent: Spent) -> None:
        """Take what was spent so far."""
        self.tokens, self.picodollars = spent.tokens, round(spent.usd * PICO)
        self.problem = None if spent.problem is None else spent.problem[:LONGEST_DETAIL]

    @property
    def spent(self) -> Spent:
        """What was spent."""
        return Spent(tokens=self.tokens, usd=Decimal(self.picodollars) / PICO, problem=self.problem)

    def count(self, outcome: Outcome, phase: Phase, detail: str | None) -> None:
        """Take one more interaction that ended."""
        failed = outcome is not Outcome.OK and outcome is not Outcome.CANCELLED
        self.phase = phase
        if phase is Phase.WARMUP:
            self.warmup_ended += 1
            self.warmup_failed += failed
        else:
            self.ended += 1
            self.failed += failed
        if outcome is not Outcome.CONNECT_ERROR and outcome is not Outcome.CANCELLED:
            self.answered = True
        if failed:
            self.last_failure = None if detail is None else detail[:LONGEST_DETAIL]
            if self.first_failure is None:
                self.first_failure = self.last_failure


def together(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up. All are measuring when nobody warms up any more."""
    every = list(tallies)
    return Tally(
        phase=Phase.WARMUP if any(t.phase is Phase.WARMUP for t in every) else Phase.MEASURE,
        in_flight=sum(t.in_flight for t in every),
        warmup_ended=sum(t.warmup_ended for t in every),
        warmup_failed=sum(t.warmup_failed for t in every),
        ended=sum(t.ended for t in every),
        failed=sum(t.failed for t in every),
        before=sum(t.before for t in every),
        answered=any(t.answered for t in every),
        first_failure=next((t.first_failure for t in every if t.first_failure is not None), None),
        last_failure=next((t.last_failure for t in every if t.last_failure is not None), None),
        tokens=sum(t.tokens for t in every),
        picodollars=sum(t.picodollars for t in every),
        problem=next((t.problem for t in every if t.problem is not None), None),
    )


def verdict(total: Tally, error_limit: float | None) -> str | None:
    """Say why the target is of no use, by the rule of `Budget` for each phase, over all shards."""
    for ended, failed in ((total.warmup_ended, total.warmup_failed), (total.ended, total.failed)):
        said = unusable(
            error_limit,
            ended=ended,
            failed=failed,
            answered=total.answered,
            detail=total.last_failure,
        )
        if said is not None:
            return said
    return None


def to_json(tally: Tally) -> dict[str, Any]:
    """Return the tally as JSON holds it."""
    return {**asdict(tally), "phase": tally.phase.value}


def from_json(value: Any) -> Tally:
    """Read what `to_json` made. Raises `ValueError` for anything else."""
    if not isinstance(value, dict) or value.keys() != _KINDS.keys():
        raise ValueError("no tally")
    for name, kinds in _KINDS.items():
        if type(value[name]) not in kinds:
            raise ValueError(f"{name} of a tally cannot be {value[name]!r}")
    return Tally(**{**value, "phase": Phase(value["phase"])})


_TEXTS = {"first_failure", "last_failure", "problem"}
_KINDS: dict[str, tuple[type, ...]] = {
    field.name: (str, type(None)) if field.name in _TEXTS else (int,) for field in fields(Tally)
} | {"phase": (str,), "answered": (bool,)}


def row_of(interaction: Interaction, inside: tuple[Record, ...]) -> Row | None:
    """Return what an interaction says of stability; None for one of the warm-up."""
    if interaction.phase is not Phase.MEASURE:
        return None
    calls = [record for record in inside if isinstance(record, LlmCall)]
    used = [call.usage.input_tokens for call in calls if call.usage is not None]
    tokens = [count for count in used if count is not None]
    is_ok = interaction.outcome is Outcome.OK
    return (
        interaction.session_index,
        (interaction.end_ns - interaction.send_ns) / 1e9 if is_ok else None,
        len(calls) if calls else None,
        sum(tokens) if tokens else None,
    )
