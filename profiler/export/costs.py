"""What LLM calls cost at list prices, worked out when somebody looks, not where load is driven."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio.to_thread

from profiler.errors import PlanError
from profiler.planner import metric_names as names

if TYPE_CHECKING:
    from profiler.export.board import Board
    from profiler.measure.records import Usage
    from profiler.planner.tariffs import Tariff

_MOST_WAITING = 20_000
"""Calls that are kept for the next look; where nobody looks, the oldest are not priced."""


class Costs:
    """Prices calls onto a board. A model whose price the data do not have costs nobody knows what.

    Loading prices takes a third of a second: it is done at the first look, in a thread.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._waiting: deque[tuple[str, Usage]] = deque(maxlen=_MOST_WAITING)
        self._tariffs: dict[str, Tariff | None] = {}

    def add(self, model: str, usage: Usage) -> None:
        """Take the reported tokens of a call."""
        self._waiting.append((model, usage))

    async def price(self) -> None:
        """Put what was added since onto the board."""
        found = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if found:
            for model, usd in (await anyio.to_thread.run_sync(self._priced, found)).items():
                self._board.add(names.LLM_COST, usd, gen_ai_request_model=model)

    def _priced(self, calls: list[tuple[str, Usage]]) -> dict[str, float]:
        total: dict[str, float] = {}
        for model, usage in calls:
            usd = self._cost_usd(model, usage)
            if usd is not None:
                total[model] = total.get(model, 0.0) + usd
        return total

    def _cost_usd(self, model: str, usage: Usage) -> float | None:
        from profiler.planner.tariffs import Tokens  # noqa: PLC0415 - see the class

        if model not in self._tariffs:
            self._tariffs[model] = _tariff(model)
        tariff = self._tariffs[model]
        if tariff is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        try:
            tokens = Tokens(
                input=usage.input_tokens,
                cached_input=0 if usage.cached_input_tokens is None else usage.cached_input_tokens,
                cache_write=0 if usage.cache_write_tokens is None else usage.cache_write_tokens,
                output=usage.output_tokens,
            )
            return float(tariff.cost(tokens).total_usd)
        except (ValueError, PlanError):  # counts that contradict each other, or no price of output
            return None


def _tariff(model: str) -> Tariff | None:
    from profiler.planner.prices import list_tariff  # noqa: PLC0415 - see the class

    try:
        return list_tariff(model)
    except PlanError:
        return None
