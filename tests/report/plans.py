"""A plan with values written by hand: those of the worked example, and its tenfold growth."""

from __future__ import annotations

from typing import Any

from profiler.planner.plan import Plan

DEMAND = {
    "name": "launch",
    "users": {"peak_concurrent": 500, "interactions_per_minute": 2},
    "traffic": {"peak_to_average": 4, "hours_per_day": 10, "days_per_month": 20},
}
REQUESTS = "requests_per_minute"


def estimate(value: float, ci95: tuple[float, float] | None = None) -> dict[str, Any]:
    return {"value": value, "ci95": ci95}


def demand(factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    """500 users x 2 x 2 calls; 1,000 tokens a call in, 100 out; 3,000,000 interactions a month."""
    calls = 2000.0 * factor
    load = {
        "calls_per_minute": calls,
        "attempts_per_minute": calls,
        "input_tokens_per_minute": calls * 1000,
        "cached_input_tokens_per_minute": calls * 400,
        "output_tokens_per_minute": calls * 100,
    }
    return {
        "users": 500.0 * factor,
        "interactions_per_user_minute": 2.0,
        "interactions_per_minute": 1000.0 * factor,
        "llm_calls_per_interaction": 2.0,
        "llm_calls_per_minute": calls,
        "attempts_per_minute": calls,
        "input_tokens_per_minute": calls * 1000,
        "output_tokens_per_minute": calls * 100,
        "tokens_per_minute": calls * 1100,
        "interactions_per_month": 3e6 * factor,
        "sessions_per_month": 6e5 * factor,
        "monthly_active_users": 2000.0 * factor,
        "models": {"gpt-4o": load},
        "ranges90": {"users": (400.0 * factor, 600.0 * factor)},
        **changes,
    }


def limit(factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    return {
        "model": "gpt-4o",
        "limit": REQUESTS,
        "demand": 2000.0 * factor,
        "allowed": 1500.0,
        "utilization": 4 / 3 * factor,
        "excess": 2000.0 * factor - 1500,
        "max_users": 375,
        "max_users_within_headroom": 300,
        "calls_that_fit": 1.5 / factor,
        "window_exceedance": {"1": 0.71, "60": 0.97},
        "rejected_fraction": {"1": 0.29, "60": 0.25},
        "limited_time": {"1": 0.31, "60": 0.26},
        "counting": "openai",
        "ranges90": {},
        **changes,
    }


def binding(factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    return {
        "model": "gpt-4o",
        "limit": REQUESTS,
        "utilization": 4 / 3 * factor,
        "max_users": 375,
        "max_users_within_headroom": 300,
        **changes,
    }


def retries(**changes: Any) -> dict[str, Any]:
    return {
        "model": "gpt-4o",
        "enforcement": "bucket of 60 s",
        "window_s": 60.0,
        "rejected_attempts": estimate(0.37, (0.35, 0.39)),
        "attempts_per_call": estimate(1.52, (1.5, 1.54)),
        "failed_calls": estimate(0.062, (0.055, 0.07)),
        "limited_time": estimate(0.4),
        "fluid_rejection": 0.63,
        "fluid_attempts_per_minute": 4100.0,
        **changes,
    }


def workers(**changes: Any) -> dict[str, Any]:
    return {
        "count": 12,
        "slots": 4,
        "method": "simulation",
        "by_erlang_c": 14,
        "by_allen_cunneen": 11,
        "decided_by": "service_level.worker_wait_p95",
        "meets_targets": True,
        "service_mean_s": 0.85,
        "service_cv2": 1.6,
        "utilization": 0.42,
        "wait_mean_s": estimate(0.031, (0.03, 0.032)),
        "wait_p95_s": 0.21,
        "wait_p95_ci95": (0.2, 0.22),
        "answer_latency_p50_s": estimate(0.61, (0.6, 0.62)),
        "answer_latency_p95_s": estimate(2.34, (2.3, 2.38)),
        "simulated_interactions": 200_000,
        "ranges90": {"count": (10.0, 15.0), "answer_latency_p95_s": (2.1, 2.9)},
        **changes,
    }


def queue(**changes: Any) -> dict[str, Any]:
    return {
        "depth_mean": estimate(0.52, (0.5, 0.54)),
        "depth_p95": estimate(3.0, (3.0, 4.0)),
        "depth_p99": estimate(9.0),
        "threshold": 60,
        "probability_over_threshold": estimate(0.0004, (0.0, 0.001)),
        "operations_per_s": 50.0,
        **changes,
    }


def state(**changes: Any) -> dict[str, Any]:
    return {
        "reads_per_s": 16.7,
        "writes_per_s": 29.2,
        "hot_sessions": 6500.0,
        "hot_memory_bytes": 1.3e9,
        "cold_growth_bytes_per_month": 6e9,
        "ranges90": {},
        **changes,
    }


def tree(**changes: Any) -> dict[str, Any]:
    """14,100 + 900.25 + 3,000 = 18,000.25."""
    tokens = {
        "name": "gpt-4o",
        "usd": "14100.000000",
        "quantity": "6,000,000 calls",
        "unit_usd": "0.00235",
        "note": "each sampled call priced",
        "source": "genai-prices 0.2.1",
    }
    node = {
        "name": "total",
        "usd": "18000.250000",
        "children": (
            {"name": "API", "usd": "14100.000000", "children": (tokens,)},
            {"name": "infrastructure", "usd": "900.250000"},
            {"name": "operations", "usd": "3000"},
        ),
    }
    return {**node, **changes}


def cost(**changes: Any) -> dict[str, Any]:
    return {
        "api": 14100.0,
        "infrastructure": 900.25,
        "operations": 3000.0,
        "total": 18000.25,
        "per_user": 9.0,
        "per_session": 0.03,
        "per_interaction": 0.006,
        "run_by": "managed",
        "alternative": {"infrastructure": 400.0, "operations": 6000.0, "total": 20500.0},
        "value_per_user": 8.0,
        "margin_per_user": -1.0,
        "tree": tree(),
        "ranges90": {"total": (15000.0, 22000.0)},
        **changes,
    }


def scale(factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    return {
        "factor": factor,
        "demand": demand(factor),
        "limits": (limit(factor),),
        "binding": binding(factor),
        "retries": (retries(),),
        "workers": workers(),
        "queue": queue(),
        "state": state(),
        "cost": cost(),
        **changes,
    }


def profile(**changes: Any) -> dict[str, Any]:
    return {
        "id": "airline-20261122",
        "digest": "ab" * 32,
        "schema_version": 1,
        "started_at": "2026-11-22T23:12:00+00:00",
        "interactions": 360,
        "sessions": 50,
        "mock": False,
        "verdict": "trusted",
        "reasons": (),
        **changes,
    }


def inputs(**changes: Any) -> dict[str, Any]:
    return {
        "profile": profile(),
        "demand": DEMAND,
        "prices": {
            "models": "genai-prices 0.2.1",
            "models_date": "2026-11-01",
            "at": "2026-11-22",
            "infrastructure": "aws us-east-1, 2026-10-01",
        },
        "seed": 7,
        "draws": 200,
        **changes,
    }


def sensitivity(**changes: Any) -> dict[str, Any]:
    return {
        "input": "users.peak_concurrent",
        "low": 400.0,
        "high": 600.0,
        "ends": "range of the demand",
        "cost_total": (15000.25, 24000.25),
        "binding_utilization": (1.067, 1.6),
        "workers": (10.0, 14.0),
        "swing_usd": 9000.0,
        **changes,
    }


def what_if(**changes: Any) -> dict[str, Any]:
    return {
        "change": "0.5 fewer LLM calls per interaction (1.5)",
        "cost_total": 14475.25,
        "cost_change": -3525.0,
        "binding_utilization": 1.0,
        "max_users": 500,
        "note": None,
        **changes,
    }


def measured(metric: str = "interaction.llm_calls", **changes: Any) -> dict[str, Any]:
    return {
        "used_for": "LLM calls",
        "metric": metric,
        "value": 2.0,
        "unit": "count",
        "ci95": (1.8, 2.2),
        "source": "response",
        "coverage": 1.0,
        **changes,
    }


def plan(**changes: Any) -> Plan:
    """Return the plan of the worked example at 1x and 10x, with `changes` of its top level."""
    fields = {
        "schema_version": 1,
        "kind": "plan",
        "name": "launch",
        "tool_version": "0.1.0",
        "inputs": inputs(),
        "scales": (scale(1.0), scale(10.0)),
        "sensitivities": (sensitivity(),),
        "what_ifs": (what_if(),),
        "economics": {
            "margins": {"1": -1.0, "10": 0.5},
            "breaks_at_factor": 4.2,
            "note": "below that, each user costs more than they bring",
            "needed_cost_per_user": 8.0,
        },
        "run_cost": {
            "usd": "1.6924",
            "hypothetical": False,
            "interactions": 370,
            "note": None,
        },
        "warnings": ("The limits' windows are not known.",),
        "provenance": (measured(),),
        **changes,
    }
    return Plan.model_validate(fields)
