"""What a plan says of itself: what to beware of, the gravest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.profile.model import WorkloadProfile
from tests.planner.planned import MODEL, PRICE, demand, planned, two_calls


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> WorkloadProfile:
    return two_calls(tmp_path_factory.mktemp("run"))


def warned(profile: WorkloadProfile, folder: Path, **changes: Any) -> tuple[str, ...]:
    return planned(profile, demand(folder, **changes), accept_untrusted=True).warnings


def test_what_nobody_observed_and_what_nobody_said_is_told(profile, tmp_path):
    said = warned(profile, tmp_path)
    assert any("no provider limit is given" in text for text in said)
    assert any("state operations were not observed (--state sees them)" in text for text in said)
    assert not any("attempts were not observed" in text for text in said)


def test_few_interactions_are_told(tmp_path):
    said = warned(two_calls(tmp_path, interactions=20), tmp_path)
    assert any("the profile has 20 interactions" in text for text in said)


def test_doubts_about_the_profile_come_first(profile, tmp_path):
    trust = profile.trust.model_copy(update={"verdict": "inconclusive", "reasons": ("too few",)})
    sample = profile.sample.model_copy(update={"partial": True, "partial_reasons": ("killed",)})
    run = profile.run.model_copy(update={"target": {"mock": True}})
    update = {"trust": trust, "sample": sample, "run": run}
    said = warned(profile.model_copy(update=update), tmp_path)
    assert said[0] == "the profile is inconclusive: too few"
    assert said[1].startswith("the mock agent was measured")
    assert said[2] == "the profile is partial: killed"


def test_two_statements_of_the_peak_that_do_not_go_together_are_told(profile, tmp_path):
    # 1,000 interactions/min at the peak; 60,000 a day in 10 hours are 100/min: 10 times.
    traffic = {"interactions_per_day": 60_000, "hours_per_day": 10, "peak_to_average": 4}
    said = warned(profile, tmp_path, traffic=traffic)
    assert any("a peak of 10 times the average, peak_to_average says 4" in text for text in said)
    fits = warned(profile, tmp_path, traffic={**traffic, "peak_to_average": 9})
    assert not any("times the average" in text for text in fits)


def test_a_promise_that_no_number_of_workers_keeps_is_told(profile, tmp_path):
    said = warned(profile, tmp_path, service_level={"answer_latency_p95": "1s"})
    assert any("no number of workers meets answer_latency_p95" in text for text in said)


def test_what_a_fallback_costs_is_not_in_the_bill_and_that_is_told(profile, tmp_path):
    models = {
        MODEL: {"price": PRICE, "fallback": "spare", "limits": {"requests_per_minute": 1500}},
        "spare": {"price": PRICE},
    }
    said = warned(profile, tmp_path, models=models)
    assert any("goes to spare: its part of the month's bill is not known" in text for text in said)


def test_every_measured_number_stands_with_where_it_is_from(profile, tmp_path):
    plan = planned(profile, demand(tmp_path))
    found = {each.metric: each for each in plan.provenance}
    calls = found["interaction.llm_calls.mean"]
    assert (calls.value, calls.source, calls.coverage) == (2, "response", 1.0)
    assert "interaction.state_reads.mean" not in found  # nobody saw it
    assert found["session.interactions.mean"].value == 2
