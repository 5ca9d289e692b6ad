"""The measured agent: its averages are the profile's, and its draws vary as the profile says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from profiler.planner.agent import Agent, agent_of
from profiler.planner.measured import Measured, measure
from profiler.planner.sensitivity import Change
from profiler.profile.model import load_profile
from tests.planner.planned import INPUT, LATENCIES_S, MODEL, OUTPUT, two_calls

SAMPLE = Path(__file__).parents[2] / "results" / "sample"
DRAWS = 4000


def agent(measured: Measured) -> Agent:
    dollars = np.ones(int(measured.calls.covered.sum()))
    return agent_of(measured, dollars)


@pytest.fixture(scope="module")
def sample() -> Measured:
    return measure(load_profile(SAMPLE))


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return agent(measure(two_calls(tmp_path_factory.mktemp("run"))))


def test_the_averages_are_the_profile_s_own(sample):
    behaviour = agent(sample).behaviour
    assert behaviour.llm_calls == pytest.approx(sample.figure("interaction.llm_calls.mean").value)
    assert behaviour.latency_s == sample.figure("interaction.latency.mean").value
    for name, use in behaviour.models.items():
        tokens = sample.figure(f"models.{name}.input_tokens.mean").value
        assert use.input_tokens == pytest.approx(tokens)


def test_round_numbers_come_out_round(even):
    use = even.behaviour.models[MODEL]
    assert use.calls_per_interaction == 2
    assert (use.attempts_per_call, use.cached_input_tokens) == (1, 0)
    assert (use.input_tokens, use.output_tokens) == (INPUT, OUTPUT)
    assert even.behaviour.session_interactions == 2
    assert even.behaviour.latency_s == pytest.approx(0.9)


def test_draws_vary_as_the_profile_s_own_intervals_say(sample):
    """The profile's intervals are of clusters (sessions) with Student's t; so is the bootstrap."""
    found = agent(sample)
    rng = np.random.default_rng(1)
    drawn = [found.drawn(rng)[0] for _ in range(DRAWS)]
    sessions = sample.interactions.sessions
    for path, values in (
        ("interaction.latency.mean", [each.latency_s for each in drawn]),
        ("interaction.llm_calls.mean", [each.llm_calls for each in drawn]),
    ):
        figure = sample.figure(path)
        assert figure.interval95 is not None
        low, high = figure.interval95
        spread = float(np.std(values, ddof=1))
        # Half an interval is t x error, t from 1.96 on and little more for so many sessions.
        assert sessions > 20
        assert 1.9 < (high - low) / 2 / spread < 2.3, path
        assert np.mean(values) == pytest.approx(figure.value, rel=0.02)


def test_what_never_differs_is_drawn_the_same(even):
    behaviour, usd, _ = even.drawn(np.random.default_rng(2))
    use = behaviour.models[MODEL]
    assert use.calls_per_interaction == pytest.approx(2)
    assert use.input_tokens == pytest.approx(INPUT)
    assert usd == pytest.approx(1)
    assert behaviour.session_interactions == pytest.approx(2)


def test_the_factor_of_the_squared_time_is_that_of_the_latencies_drawn(even):
    # Mean square over squared mean of the whole: 0.89 / 0.81. Whatever is drawn, it is at least 1.
    square = sum(x**2 for x in LATENCIES_S) / 5
    rng = np.random.default_rng(3)
    for _ in range(100):
        behaviour, _, squared = even.drawn(rng)
        assert squared * square / behaviour.latency_s**2 >= 1


def test_a_change_is_applied_to_every_model_alike(even):
    change = Change(llm_calls=1.5, input_tokens=0.5, output_tokens=2.0, cached_share=0.4)
    use = even.changed(change).models[MODEL]
    assert (use.calls_per_interaction, use.input_tokens, use.output_tokens) == (3, 500, 200)
    assert use.cached_input_tokens == pytest.approx(200)
    assert even.changed(Change(latency=2.0)).latency_s == pytest.approx(1.8)


def test_a_model_that_takes_a_share_of_the_calls_gets_so_many_of_the_sample(even):
    rng = np.random.default_rng(4)
    every = even.sample_for({MODEL: 1.0}, rng)
    assert (len(every.start_s), every.interactions) == (240, 120)
    assert np.array_equal(every.interaction, np.repeat(np.arange(120), 2))
    assert every.start_s == pytest.approx(np.tile([0.0, 0.2], 120))
    part = even.sample_for({MODEL: 0.25}, rng)
    assert abs(len(part.start_s) - 60) < 4 * (240 * 0.25 * 0.75) ** 0.5
    assert part.interactions == 120
    assert len(even.sample_for({"other": 1.0}, rng).start_s) == 0
