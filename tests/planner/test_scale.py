"""One scale of a plan: who serves, which windows are shown, what a limit means for its clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.planner.limits import bucket_rejection, retry_fixed_point
from profiler.planner.plan import Scale
from profiler.profile.model import WorkloadProfile
from tests.planner.planned import MODEL, PRICE, demand, planned, two_calls

OTHER = "gpt-4o-mini"


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> WorkloadProfile:
    return two_calls(tmp_path_factory.mktemp("run"))


def scale(
    profile: WorkloadProfile, folder: Path, *, in_full: bool = False, **changes: Any
) -> Scale:
    (found,) = planned(profile, demand(folder, **changes), in_full=in_full).scales
    return found


def limited(**limits: Any) -> dict[str, Any]:
    return {MODEL: {"price": PRICE, "limits": limits}}


@pytest.mark.parametrize(
    ("window", "names"),
    [
        ("unknown", ["1s", "60s"]),
        ("60s", ["1s", "60s"]),
        ("500ms", ["0.5s", "1s", "60s"]),
        ("24h", ["1s", "60s", "86400s"]),
    ],
)
def test_both_usual_windows_are_shown_and_the_stated_one(profile, tmp_path, window, names):
    models = limited(requests_per_minute=2500, window=window)
    (limit,) = scale(profile, tmp_path, models=models).limits
    for chances in (limit.window_exceedance, limit.rejected_fraction, limit.limited_time):
        assert list(chances) == names
        assert all(0 <= share <= 1 for share in chances.values())
    # The shorter the window, the more often it is exceeded: below the limit, chance averages out.
    shares = list(limit.rejected_fraction.values())
    assert shares == sorted(shares, reverse=True)


def test_how_a_limit_was_taken_to_be_enforced_is_said(profile, tmp_path):
    unknown = scale(profile, tmp_path, models=limited(requests_per_minute=2500)).retries
    assert [each.enforcement for each in unknown] == [
        "a bucket of 1 s' worth, refilled continuously (assumed)",
        "a bucket of 60 s' worth, refilled continuously (assumed)",
    ]
    stated = limited(requests_per_minute=2500, enforced="window", window="10s")
    (only,) = scale(profile, tmp_path, models=stated).retries
    assert only.enforcement == "windows of 10 s"


def test_the_fixed_point_is_that_of_the_fullest_limit(profile, tmp_path):
    # 2,000 calls and 2,200,000 tokens a minute: 2,000 / 1,800 = 1.11, 2.2 / 1.1 = 2 times full.
    models = limited(requests_per_minute=1800, tokens_per_minute=1_100_000, window="60s")
    (found,) = scale(profile, tmp_path, models=models, retries={"most": 3}).retries
    fixed = retry_fixed_point(2000, 1000, 3)
    assert found.fluid_rejection == pytest.approx(fixed.rejection)
    assert found.fluid_attempts_per_minute == pytest.approx(fixed.attempts_per_minute)


def test_calls_in_pairs_are_refused_more_often_than_calls_alone(profile, tmp_path):
    # The closed form is of calls alone; these come in twos, 0.2 s apart.
    models = limited(requests_per_minute=2100, enforced="bucket", window="1s")
    retries = {"most": 0}
    (found,) = scale(profile, tmp_path, in_full=True, models=models, retries=retries).retries
    low, _ = found.rejected_attempts.ci95 or (0.0, 0.0)
    assert low > bucket_rejection(2000, 2100, 2100 // 60)
    assert found.failed_calls == found.rejected_attempts  # nobody comes again
    assert found.attempts_per_call.value == 1


def test_a_share_of_the_calls_has_its_own_limit(profile, tmp_path):
    models = {
        MODEL: {"price": PRICE, "limits": {"requests_per_minute": 3000}},
        OTHER: {
            "price": PRICE,
            "replaces": {MODEL: 0.25},
            "limits": {"tokens_per_minute": 1_100_000},
        },
    }
    found = scale(profile, tmp_path, models=models)
    assert {name: load.calls_per_minute for name, load in found.demand.models.items()} == {
        MODEL: pytest.approx(1500),
        OTHER: pytest.approx(500),
    }
    of_requests, of_tokens = found.limits
    assert (of_requests.model, of_requests.utilization) == (MODEL, pytest.approx(0.5))
    assert (of_tokens.model, of_tokens.utilization) == (OTHER, pytest.approx(0.5))
    # Both limits admit twice the users.
    assert (of_requests.max_users, of_tokens.max_users) == (1000, 1000)


def test_requests_in_flight_are_rate_times_latency_and_have_no_window(profile, tmp_path):
    (limit,) = scale(profile, tmp_path, models=limited(concurrent_requests=10)).limits
    assert limit.demand == pytest.approx(2000 / 60 * 0.2)  # Little: calls of 0.2 s
    assert limit.window_exceedance == {}


def test_the_same_machines_run_the_other_way_stand_beside_it(profile, tmp_path):
    managed = scale(profile, tmp_path).cost
    run_by_us = scale(profile, tmp_path, infrastructure={"run_by": "self"}).cost
    assert (managed.run_by, run_by_us.run_by) == ("managed", "self")
    for one, other in ((managed, run_by_us), (run_by_us, managed)):
        assert one.alternative["infrastructure"] == pytest.approx(other.infrastructure)
        assert one.alternative["operations"] == pytest.approx(other.operations)
        assert one.alternative["total"] == pytest.approx(other.total)
