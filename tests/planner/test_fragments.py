"""Fragments of interactions in windows, against cases whose answer is plain."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.planner.fragments import fragments


def cut(interaction, start_s, window_s, *, interactions, amounts=None):
    return fragments(
        interaction=np.array(interaction, dtype=np.int64),
        start_s=np.array(start_s, dtype=float),
        amounts={"requests": np.ones(len(interaction))} if amounts is None else amounts,
        interactions=interactions,
        window_s=window_s,
        rng=np.random.default_rng(1),
    )


def test_calls_at_one_instant_are_one_fragment():
    found = cut([0, 0, 0, 1], [0, 0, 0, 5.0], 1.0, interactions=2)
    assert found.per_interaction == 1
    assert sorted(set(found.amounts["requests"])) == [1, 3]


def test_calls_further_apart_than_a_window_are_never_together():
    found = cut([0, 0, 0], [0, 2.0, 4.0], 1.0, interactions=1)
    assert found.per_interaction == 3
    assert set(found.amounts["requests"]) == {1}


def test_calls_half_a_window_apart_are_together_half_of_the_time():
    """A window's edge lies between them with the probability 0.5 / 1."""
    many = 20_000
    interaction = np.repeat(np.arange(many), 2)
    found = cut(interaction, np.tile([0, 0.5], many), 1.0, interactions=many)
    assert found.per_interaction == pytest.approx(1.5, abs=0.01)


def test_nothing_is_lost_whatever_the_windows():
    tokens = np.array([10.0, 20, 30, 40])
    for window_s in (0.3, 1.0, 60.0):
        amounts = {"tokens": tokens}
        found = cut([0, 0, 1, 2], [0, 0.4, 0, 7], window_s, interactions=5, amounts=amounts)
        total = found.amounts["tokens"].mean() * found.per_interaction * 5
        assert total == pytest.approx(100)


def test_an_agent_without_calls_has_no_fragments():
    assert cut([], [], 1.0, interactions=3).per_interaction == 0
