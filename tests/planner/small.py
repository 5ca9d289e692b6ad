"""A demand whose plan is made soon, for tests that are not of what a plan finds."""

from __future__ import annotations

SMALL_DEMAND = """
name: launch
users: {peak_concurrent: 500, interactions_per_minute: 2}
traffic: {peak_to_average: 4, hours_per_day: 10, days_per_month: 20}
growth: [1]
models: {gpt-4o: {limits: {requests_per_minute: 10000}}}
workers: {slots: 8}
"""
