"""Secrets of a run from Python reach its process by the environment, and nothing else does."""

from __future__ import annotations

from profiler.api.withholding import Withheld


def test_urls_that_may_hold_a_secret_are_handed_over_by_name():
    withheld = Withheld()
    given = {
        "url": "http://u:pw@h/x?k=v",
        "state": ["redis://:pw@h/0", "redis://h/0"],
        "users": 3,
        "otlp_export": "http://127.0.0.1:4318",
    }
    assert withheld.options(given) == {
        "url": "${AGENT_PROFILER_SECRET_1}",
        "state": ["${AGENT_PROFILER_SECRET_2}", "redis://h/0"],
        "users": 3,
        "otlp_export": "http://127.0.0.1:4318",
    }
    assert withheld.environment == {
        "AGENT_PROFILER_SECRET_1": "http://u:pw@h/x?k=v",
        "AGENT_PROFILER_SECRET_2": "redis://:pw@h/0",
    }


def test_a_workload_keeps_the_names_of_its_secrets():
    withheld = Withheld()
    target = {"headers": {"Authorization": "Bearer abc", "x-mode": "fast", "cookie": "${C}"}}
    kept = withheld.workload({"name": "w", "target": target})
    assert kept["target"]["headers"] == {
        "Authorization": "${AGENT_PROFILER_SECRET_1}",
        "x-mode": "fast",
        "cookie": "${C}",
    }
    assert withheld.environment == {"AGENT_PROFILER_SECRET_1": "Bearer abc"}
    assert target["headers"]["Authorization"] == "Bearer abc"  # the caller's is as it was


def test_what_cannot_be_a_workload_is_left_to_be_complained_of():
    withheld = Withheld()
    assert withheld.workload({"target": 3}) == {"target": 3}
    assert withheld.options({"url": "http://[::1?x"}) == {"url": "http://[::1?x"}
