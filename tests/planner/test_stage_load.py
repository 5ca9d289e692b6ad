"""The search for the last load that holds: a guess spares questions and moves no answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.stage_load import last

LOW, HIGH = 0.5, 80.0
factors = st.floats(LOW, HIGH, exclude_max=True)


@given(edge=factors, guess=st.floats(LOW / 10, HIGH * 10))
def test_a_guess_moves_no_answer(edge: float, guess: float):
    found = last(LOW, HIGH, lambda factor: factor <= edge)
    assert found <= edge * (1 + 1e-12)
    assert edge <= found * (1 + 1e-3) * (1 + 1e-12)
    assert last(LOW, HIGH, lambda factor: factor <= edge, guess=guess) == found


def test_a_near_guess_spares_half_of_the_questions():
    asked: list[float] = []

    def holds(factor: float) -> bool:
        asked.append(factor)
        return factor <= 10

    last(LOW, HIGH, holds)
    without = len(asked)
    asked.clear()
    last(LOW, HIGH, holds, guess=10.03)
    assert len(asked) <= without / 2


@pytest.mark.parametrize("ends", [(0.0, 1.0), (2.0, 1.0)])
def test_ends_that_are_none_are_refused(ends: tuple[float, float]):
    with pytest.raises(ValueError, match="it takes 0 < low <= high"):
        last(*ends, lambda _: True)
