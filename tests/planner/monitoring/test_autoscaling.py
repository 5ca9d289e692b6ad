from __future__ import annotations

import pytest
import yaml

from profiler.planner.monitoring.autoscaling import adapter_rules, hpa, keda, scaling
from profiler.planner.monitoring.files import monitoring_files
from tests.planner.monitoring.sample import sample_plan, sample_profile


def test_as_many_wait_per_worker_as_it_clears_within_the_promised_wait():
    """worker_wait_p95 500 ms, 8 slots, 0.85589 s each (README): 0.5 x 8 / 0.85589 = 4.67."""
    assert scaling(sample_plan()).waiting_per_worker == 4.67


def test_slots_in_use_per_worker_are_those_of_the_plans_utilization():
    workers = sample_plan().scales[0].workers
    assert scaling(sample_plan()).busy_per_worker == pytest.approx(
        8 * workers.utilization, abs=0.01
    )


def test_from_two_workers_to_those_of_the_largest_scale():
    """6.3 M a month are 146 a minute, of 1,000 at the peak: one worker and a spare."""
    numbers = scaling(sample_plan())
    assert (numbers.least, numbers.most) == (2, sample_plan().scales[-1].workers.count)


def test_a_large_plan_keeps_the_workers_of_its_average():
    launch = sample_plan().scales[0]
    many = launch.model_copy(update={"workers": launch.workers.model_copy(update={"count": 100})})
    large = sample_plan().model_copy(update={"scales": (many,)})
    # 6,300,000 / 43,200 = 145.83 a minute: 14.583 % of 1,000
    assert (scaling(large).least, scaling(large).most) == (15, 100)


def test_keda_and_the_autoscaler_ask_for_the_same_and_never_for_cpu():
    by_keda, by_hpa = keda(sample_plan())["spec"], hpa(sample_plan())["spec"]
    assert by_keda["minReplicaCount"] == by_hpa["minReplicas"]
    assert by_keda["maxReplicaCount"] == by_hpa["maxReplicas"]
    thresholds = [float(each["metadata"]["threshold"]) for each in by_keda["triggers"]]
    targets = [each["external"]["target"]["averageValue"] for each in by_hpa["metrics"]]
    assert targets == [f"{value * 1000:.0f}m" for value in thresholds]
    assert {each["type"] for each in by_hpa["metrics"]} == {"External"}
    assert {each["type"] for each in by_keda["triggers"]} == {"prometheus"}


def test_the_adapter_knows_every_metric_that_the_autoscaler_asks_for():
    asked = {each["external"]["metric"]["name"] for each in hpa(sample_plan())["spec"]["metrics"]}
    assert {rule["name"]["as"] for rule in adapter_rules()["externalRules"]} == asked


def test_manifests_have_what_kubernetes_asks_of_their_kind():
    files = monitoring_files(sample_plan(), sample_profile())
    scaled = yaml.safe_load(files["kubernetes/keda.yaml"])
    assert (scaled["apiVersion"], scaled["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    assert all(
        isinstance(value, str)
        for each in scaled["spec"]["triggers"]
        for value in each["metadata"].values()
    )
    auto = yaml.safe_load(files["kubernetes/hpa.yaml"])
    assert (auto["apiVersion"], auto["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    assert set(auto["spec"]["scaleTargetRef"]) == {"apiVersion", "kind", "name"}
