"""Running the tools that an LLM asked for: recorded results, seeded durations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from profiler.clock import monotonic_ns
from profiler.errors import UsageError
from profiler.measure.records import Outcome
from profiler.mock import scripted
from profiler.mock.recordings import function_of
from profiler.mock.timing import Lognormal, Occurrences, random_for

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from profiler.clock import MonotonicNs
    from profiler.mock.timing import Pace

MEDIANS_S = (0.030, 0.250)
_P95_TO_MEDIAN = 2.5


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One execution of a tool; times on the monotonic clock."""

    name: str
    start_ns: int
    end_ns: int
    outcome: Outcome
    message: dict[str, Any]


class ToolRunner:
    """Runs tool calls, several at once.

    A tool's durations are lognormal around a median between 30 and 250 ms that its name and the
    seed draw; a tool named in `fixed_s` takes exactly that long.
    """

    def __init__(
        self,
        *,
        seed: int,
        pace: Pace,
        fixed_s: Mapping[str, float] | None = None,
        clock: MonotonicNs = monotonic_ns,
    ) -> None:
        self._fixed_s = dict(fixed_s or {})
        for name, duration_s in self._fixed_s.items():
            if not 0 <= duration_s < math.inf:
                raise UsageError(
                    f"a tool time of {duration_s:g} s is not possible",
                    where=f"tool-time {name}",
                    fix="Give a duration such as 200ms",
                )
        self._seed = seed
        self._pace = pace
        self._clock = clock
        self._occurrences = Occurrences()

    def duration_s(self, name: str, arguments: str) -> float:
        """Draw how long the next call with these arguments takes, before the speed is applied."""
        if name in self._fixed_s:
            return self._fixed_s[name]
        low, high = map(math.log, MEDIANS_S)
        median_s = math.exp(random_for("tool", self._seed, name).uniform(low, high))
        number = self._occurrences.next(f"{name}\x1f{arguments}")
        random = random_for("duration", self._seed, name, arguments, number)
        return Lognormal(median_s, median_s * _P95_TO_MEDIAN).draw_s(random)

    async def run(
        self,
        calls: Sequence[Mapping[str, Any]],
        results: Sequence[str | None] | None,
        ran: Counter[str],
    ) -> list[ToolRun]:
        """Run all calls of one assistant message in parallel; the runs are in the calls' order.

        `results` has the recorded result of each call, where there is one. Every tool that ran to
        its end is counted in `ran`.
        """
        runs: list[ToolRun | None] = [None] * len(calls)

        async def run_one(place: int, call: Mapping[str, Any]) -> None:
            recorded = results[place] if results is not None and place < len(results) else None
            runs[place] = await self._run_one(call, recorded)
            ran[function_of(call)[0]] += 1

        if len(calls) == 1:  # a task group for one task would only cost time
            await run_one(0, calls[0])
        else:
            async with anyio.create_task_group() as group:
                for place, call in enumerate(calls):
                    group.start_soon(run_one, place, call)
        return [run for run in runs if run is not None]

    async def _run_one(self, call: Mapping[str, Any], recorded: str | None) -> ToolRun:
        name, arguments = function_of(call)
        start_ns = self._clock()
        if not self._pace.instant:
            await self._pace.sleep_s(self.duration_s(name, arguments))
        content = (
            recorded if recorded is not None else scripted.tool_result(seed=self._seed, call=call)
        )
        message = {
            "role": "tool",
            "tool_call_id": call.get("id"),
            "name": name,
            "content": content,
        }
        return ToolRun(name, start_ns, self._clock(), Outcome.OK, message)
