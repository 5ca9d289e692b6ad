"""A rollout that contradicts itself is one line with what to do; the defaults are in the guide."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from profiler.errors import PlanError
from profiler.planner.demand_file import load_demand
from profiler.planner.samples import sample_demand
from profiler.planner.stages import Rollout, StageTrigger, default_stages

QUEUE = {"metric": "queue_depth_per_worker", "above": 5}
LIMITS = {"metric": "rate_limited_share", "above": "2%"}
ONE = {"name": "one", "workers": {"least": 3, "most": 5}}


def refused(tmp_path: Path, rollout: object) -> PlanError:
    file = tmp_path / "demand.yaml"
    demand = {
        "users": {"peak_concurrent": 1, "interactions_per_minute": 1},
        "traffic": {"peak_to_average": 1},
        "rollout": rollout,
    }
    file.write_text(yaml.safe_dump(demand, sort_keys=False))
    with pytest.raises(PlanError) as caught:
        load_demand(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value.where)
    assert caught.value.fix
    return caught.value


def test_the_defaults_are_those_of_common_practice():
    one, scaled, routed = default_stages()
    assert one.workers is not None
    assert (one.trigger, one.workers.least, one.workers.most) == (None, 3, 5)
    assert scaled.trigger == StageTrigger.model_validate({**QUEUE, "window": 600, "hold": 900})
    assert routed.trigger is not None
    assert (routed.trigger.metric, routed.trigger.above) == ("rate_limited_share", 0.02)
    assert (scaled.routing, routed.routing) == (False, True)


def test_the_sample_writes_the_defaults_out():
    written = yaml.safe_load(sample_demand())["rollout"]["stages"]
    assert Rollout.model_validate({"stages": written}).stages == default_stages()


@pytest.mark.parametrize(
    ("stages", "what"),
    [
        ([{**ONE, "trigger": QUEUE}], "nothing triggers it"),
        ([ONE, {"name": "two"}], "nothing triggers the move to 'two'"),
        ([ONE, {"name": "one", "trigger": QUEUE}], "two stages are called 'one'"),
        ([], "there is no stage"),
        ([{"name": "one", "workers": {"least": 5, "most": 3}}], "are more than the most"),
        (
            [ONE, {"name": "two", "trigger": QUEUE}, {**ONE, "name": "three", "trigger": LIMITS}],
            "stages out of order: 'three' has a fixed number of workers",
        ),
        (
            [ONE, {"name": "two", "trigger": QUEUE, "workers": {"least": 1, "most": 2}}],
            "stages out of order: 'two' has fewer workers",
        ),
        (
            [
                ONE,
                {"name": "two", "trigger": LIMITS},
                {"name": "three", "trigger": {**LIMITS, "above": "1%"}},
            ],
            "stages out of order: 'three' waits for rate_limited_share above 0.01",
        ),
        (
            [ONE, {"name": "two", "trigger": LIMITS}, {"name": "three", "trigger": LIMITS}],
            "contradictory triggers: 'two' and 'three' wait for the same",
        ),
        (
            [
                ONE,
                {"name": "two", "trigger": QUEUE, "workers": {"least": 5, "most": 25}},
                {"name": "three", "trigger": {**QUEUE, "above": 1}},
            ],
            "contradictory triggers",  # 5 x 5 and 1 x 25: both fire at 25 that wait
        ),
    ],
)
def test_stages_that_contradict_each_other_are_refused(tmp_path: Path, stages: object, what: str):
    assert what in str(refused(tmp_path, {"stages": stages}))


@pytest.mark.parametrize(
    ("trigger", "what"),
    [
        ({"metric": "cpu", "above": 1}, "cpu"),
        ({**QUEUE, "above": 0}, "0 is not above zero"),
        ({**QUEUE, "above": "many"}, "'many' is not a number"),
        ({**LIMITS, "above": 2}, "2 is no share below 1"),
        ({"metric": "answer_latency_p95", "above": "soon"}, "'soon' is not a duration"),
        ({**QUEUE, "window": "10s"}, "a minute at the least"),
    ],
)
def test_a_trigger_that_cannot_be_watched_is_refused(tmp_path: Path, trigger: object, what: str):
    stages = [ONE, {"name": "two", "trigger": trigger}]
    assert what in str(refused(tmp_path, {"stages": stages}))


@pytest.mark.parametrize(
    ("rollout", "what"),
    [
        ({"start": "soon"}, "'soon' is no date"),
        ({"growth_per_month": 15}, "15 may be a factor or per cent"),
        ({"growth_per_month": -0.1}, "below zero"),
        ({"growth_per_month": {"low": "20%", "likely": "10%", "high": "30%"}}, "not in order"),
        ({"grows": 1}, "unknown key"),
    ],
)
def test_growth_that_means_two_things_is_refused(tmp_path: Path, rollout: object, what: str):
    assert what in str(refused(tmp_path, rollout))


def test_growth_beyond_double_is_taken_per_cent():
    growth = Rollout.model_validate({"growth_per_month": "150%"}).growth_per_month
    assert growth is not None
    assert growth.likely == pytest.approx(1.5)


def test_a_depth_counts_as_many_as_wait_for_all_workers():
    """A later stage with more workers may wait for the same depth of each: 25 and 125."""
    two = {"name": "two", "trigger": QUEUE, "workers": {"least": 5, "most": 25}}
    three = {"name": "three", "trigger": QUEUE}
    assert len(Rollout.model_validate({"stages": [ONE, two, three]}).stages) == 3
