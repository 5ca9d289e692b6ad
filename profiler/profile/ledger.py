"""The token ledger: what we counted of LLM calls beside what the provider reported of them.

For a provider that reports nothing, our count stands alone. The ledger says how far such a count
can be trusted, and how to correct it (`correction`). Input is compared whole; output less reasoning
(not reported: none), which nobody but the provider can count.

Of all LLM calls of the run that succeeded and have both numbers, those of warm-up and those that
could not be assigned included: how a tokenizer counts does not depend on them. The sums are exact
integers and add when profiles are merged; everything else is computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import Field

from profiler.profile.correction import INPUT, OUTPUT, LedgerSide, Moments, side_of
from profiler.profile.distribution import ExactInt, Strict
from profiler.profile.metrics import CALL_PREFERENCE, preferred
from profiler.profile.rows import CALL_COUNTED_OUTPUT, CALL_OK, CALL_PARTS, CALL_USAGE, MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from profiler.profile.rows import Row

PARTS = ("system", "tool_schemas", "history", "user", "tool_results", "overhead")


class WithoutTools(Strict):
    """The calls of `input` that have no tool schemas: what tells of whom a difference is."""

    calls: int = Field(description="how many of them")
    difference_tokens: int = Field(description="sum of reported - counted")
    difference_squares: ExactInt = Field(description="sum of (reported - counted) squared")


class Ledger(Strict):
    """Our count of one model's tokens against the provider's."""

    source: str = Field(description="who observed the calls; several joined by '+' after a merge")
    successful_calls: int = Field(description="its calls that succeeded, with both numbers or not")
    counted_by_part: dict[str, int] = Field(
        description="input tokens that we counted of the calls of `input`, by part"
    )
    input: LedgerSide | None = Field(description="null: no call has both numbers")
    without_tools: WithoutTools = Field(description="of the calls of `input`")
    output: LedgerSide | None = Field(description="null: no call has both numbers")
    reasoning_tokens: int = Field(
        description="reported of the calls of `output`, and left out there"
    )


@dataclass(slots=True)
class LedgerTally:
    """One model's calls as one observer saw them, or as merged ledgers have them."""

    sources: set[str]
    successful_calls: int = 0
    parts: list[int] = field(default_factory=lambda: [0] * len(PARTS))
    input: Moments = field(default_factory=lambda: Moments(INPUT))
    output: Moments = field(default_factory=lambda: Moments(OUTPUT))
    reasoning_tokens: int = 0
    without_tools: list[int] = field(default_factory=lambda: [0, 0, 0])

    def take(self, row: Row) -> None:
        """Take a call that succeeded."""
        self.successful_calls += 1
        parts = row[CALL_PARTS]
        reported, output, _, reasoning, _ = row[CALL_USAGE]
        if reported != MISSING and MISSING not in parts:
            system, tool_schemas, history, user, tool_results, overhead = parts
            messages = system + history + user + tool_results
            self.input.take((1, messages, tool_schemas, overhead, reported))
            self.parts = [a + b for a, b in zip(self.parts, parts, strict=True)]
            if not tool_schemas:
                difference = reported - messages - overhead
                for place, value in enumerate((1, difference, difference * difference)):
                    self.without_tools[place] += value
        counted = row[CALL_COUNTED_OUTPUT]
        if MISSING not in (output, counted):
            reasoning = 0 if reasoning == MISSING else reasoning
            self.output.take((1, counted, output - reasoning))
            self.reasoning_tokens += reasoning

    def ledger(self) -> Ledger | None:
        """Return the ledger; None where no call has both numbers of anything."""
        if not self.input.count and not self.output.count:
            return None
        return Ledger(
            source="+".join(sorted(self.sources)),
            successful_calls=self.successful_calls,
            counted_by_part=dict(zip(PARTS, self.parts, strict=True)) if self.input.count else {},
            input=side_of(self.input),
            without_tools=WithoutTools(
                calls=self.without_tools[0],
                difference_tokens=self.without_tools[1],
                difference_squares=self.without_tools[2],
            ),
            output=side_of(self.output),
            reasoning_tokens=self.reasoning_tokens,
        )


class Ledgers:
    """The ledger of each model, as each observer saw its calls."""

    def __init__(self) -> None:
        self._of: dict[int, dict[str, LedgerTally]] = {}

    def take(self, observer: str, model: int, row: Row) -> None:
        """Take an LLM call of the model of that number."""
        if not row[CALL_OK]:
            return
        of_model = self._of.setdefault(model, {})
        tally = of_model.get(observer)
        if tally is None:
            tally = of_model[observer] = LedgerTally({observer})
        tally.take(row)

    def section(self, models: Mapping[str, int]) -> dict[str, Ledger]:
        """Return the ledger of each model, of the observer that is preferred.

        Among those with both numbers of a call's input; of its output where there are none.
        """
        section: dict[str, Ledger] = {}
        for name, number in models.items():
            of_model = self._of.get(number, {})
            for side in ("input", "output"):
                counts = {w: n for w, t in of_model.items() if (n := getattr(t, side).count)}
                if counts:
                    found = of_model[preferred(counts, CALL_PREFERENCE)].ledger()
                    assert found is not None  # noqa: S101 - it has calls of that side
                    section[name] = found
                    break
        return section


def merge_ledgers(ledgers: Iterable[Ledger]) -> Ledger:
    """Combine the ledgers, at least one, of one model. Nothing is lost."""
    tally = LedgerTally(set())
    for ledger in ledgers:
        tally.sources |= set(ledger.source.split("+"))
        tally.successful_calls += ledger.successful_calls
        tally.reasoning_tokens += ledger.reasoning_tokens
        by_part = ledger.counted_by_part
        tally.parts = [a + by_part.get(p, 0) for a, p in zip(tally.parts, PARTS, strict=True)]
        bare = ledger.without_tools
        sums = (bare.calls, bare.difference_tokens, bare.difference_squares)
        tally.without_tools = [a + b for a, b in zip(tally.without_tools, sums, strict=True)]
        if ledger.input is not None:
            tally.input.add(ledger.input.products)
        if ledger.output is not None:
            tally.output.add(ledger.output.products)
    merged = tally.ledger()
    assert merged is not None  # noqa: S101 - each of them has calls
    return merged
