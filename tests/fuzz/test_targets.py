"""Whatever is sent: it is taken, or refused in our own words, in bounded time."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS

EXAMPLES = 12


@pytest.mark.parametrize("name", TARGETS)
def test_what_others_send_is_taken_or_refused(name):
    target = TARGETS[name]
    for seed in target.seeds:
        target.run(seed)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(target.seeds), st.integers(0, 2**32))
    def holds(seed: bytes, number: int) -> None:
        target.run(mutated(seed, Random(number)))

    holds()
