"""Manifests for Kubernetes that scale workers by what waits for them, never by CPU.

Two metrics, of which the one that asks for more workers decides. What waits, per worker, scales out
when work piles up: a worker clears `slots / service time` interactions a second, so that as many as
fit into the promised wait may wait for each. Slots in use keep the workers that are needed when
nobody waits; by the queue alone, all but the fewest would be taken away as soon as it is empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiler.planner import metric_names as names
from profiler.planner.demand import Demand

if TYPE_CHECKING:
    from profiler.planner.plan import Plan

WAITING_QUERY = f"sum({names.QUEUE_DEPTH})"
BUSY_QUERY = f"sum({names.SLOTS_BUSY})"
_QUERIES = {names.QUEUE_DEPTH: WAITING_QUERY, names.SLOTS_BUSY: BUSY_QUERY}
DEPLOYMENT = "agent-worker"
_MINUTES_PER_MONTH = 30 * 24 * 60
_ONE_MAY_FAIL = 2
_SETTLE_S = 300
_POLL_S = 15
_DEPTH_PER_WORKER = 5
"""Where the rollout's second stage begins: the autoscaler has to act before it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Numbers of the autoscaler, all of the plan.

    `waiting_per_worker` interactions may wait, and `busy_per_worker` slots be in use, for each
    worker; `settle_s` seconds pass before one is taken away.
    """

    least: int
    most: int
    waiting_per_worker: float
    busy_per_worker: float
    settle_s: int


def scaling(plan: Plan) -> Scaling:
    """Return the autoscaler's numbers.

    The fewest are those of the month's average rate, two at least, so that one may fail; the most
    those of the largest scale.
    """
    launch = plan.scales[0]
    workers, demand = launch.workers, launch.demand
    average = demand.interactions_per_month / _MINUTES_PER_MONTH / demand.interactions_per_minute
    wait_s = Demand.model_validate(plan.inputs.demand).service_level.worker_wait_p95.likely
    clears = wait_s * workers.slots / workers.service_mean_s
    least = max(_ONE_MAY_FAIL, math.ceil(workers.count * min(1.0, average)))
    return Scaling(
        least=least,
        most=max(least, *(scale.workers.count for scale in plan.scales)),
        waiting_per_worker=round(max(1.0, min(clears, _DEPTH_PER_WORKER)), 2),
        busy_per_worker=round(workers.slots * max(workers.utilization, 0.01), 2),
        settle_s=max(_SETTLE_S, math.ceil(2 * workers.answer_latency_p95_s.value)),
    )


def keda(plan: Plan) -> dict[str, Any]:
    """Return KEDA's ScaledObject: it asks Prometheus itself."""
    numbers = scaling(plan)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": DEPLOYMENT},
        "spec": {
            "scaleTargetRef": {"name": DEPLOYMENT},
            "pollingInterval": _POLL_S,
            "minReplicaCount": numbers.least,
            "maxReplicaCount": numbers.most,
            "fallback": {
                "failureThreshold": 3,
                "replicas": max(numbers.least, plan.scales[0].workers.count),
            },
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(numbers)}},
            "triggers": [
                _keda_trigger(WAITING_QUERY, numbers.waiting_per_worker),
                _keda_trigger(BUSY_QUERY, numbers.busy_per_worker),
            ],
        },
    }


def _keda_trigger(query: str, per_worker: float) -> dict[str, Any]:
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": "http://prometheus:9090",
            "query": query,
            "threshold": f"{per_worker:g}",
        },
    }


def hpa(plan: Plan) -> dict[str, Any]:
    """Return a HorizontalPodAutoscaler, for clusters with the Prometheus adapter instead."""
    numbers = scaling(plan)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": DEPLOYMENT},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": DEPLOYMENT},
            "minReplicas": numbers.least,
            "maxReplicas": numbers.most,
            "behavior": _behavior(numbers),
            "metrics": [
                _external(names.QUEUE_DEPTH, numbers.waiting_per_worker),
                _external(names.SLOTS_BUSY, numbers.busy_per_worker),
            ],
        },
    }


def _external(metric: str, per_worker: float) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": f"{round(per_worker * 1000)}m"}
    return {"type": "External", "external": {"metric": {"name": metric}, "target": target}}


def adapter_rules() -> dict[str, Any]:
    """Return the Prometheus adapter's configuration that the HorizontalPodAutoscaler needs."""
    return {
        "externalRules": [
            {
                "seriesQuery": metric,
                "resources": {"namespaced": False},
                "name": {"as": metric},
                "metricsQuery": query,
            }
            for metric, query in (
                (names.QUEUE_DEPTH, WAITING_QUERY),
                (names.SLOTS_BUSY, BUSY_QUERY),
            )
        ]
    }


def _behavior(numbers: Scaling) -> dict[str, Any]:
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": _POLL_S}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": numbers.settle_s,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        },
    }
