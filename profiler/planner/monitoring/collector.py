"""The OpenTelemetry collector's configuration, and that of the Prometheus that scrapes it.

Names are translated as the collector's Prometheus exporter does by default: dots to underscores,
unit and `_total` behind. What instrumentations send under a name of the conventions that says the
same as one of ours is renamed on the way.
"""

from __future__ import annotations

from typing import Any

from profiler.planner.monitoring.instruments import INSTRUMENTS

SCRAPED_PORT = 8889
_ANYWHERE = "0.0.0.0"  # noqa: S104 - in a container of its own, whose ports the cluster guards


def collector_config() -> dict[str, Any]:
    """Return the configuration for the collector's `contrib` distribution."""
    return {
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"{_ANYWHERE}:4317"},
                    "http": {"endpoint": f"{_ANYWHERE}:4318"},
                }
            }
        },
        "processors": {
            "memory_limiter": {
                "check_interval": "1s",
                "limit_percentage": 80,
                "spike_limit_percentage": 20,
            },
            "transform/names": {
                "error_mode": "ignore",
                "metric_statements": [{"context": "metric", "statements": _renamed()}],
            },
            "batch": {},
        },
        "exporters": {
            "prometheus": {
                "endpoint": f"{_ANYWHERE}:{SCRAPED_PORT}",
                "metric_expiration": "10m",
            },
            "otlphttp/traces": {"endpoint": "${env:TRACES_ENDPOINT}"},
        },
        "service": {
            "pipelines": {
                "metrics": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "transform/names", "batch"],
                    "exporters": ["prometheus"],
                },
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "batch"],
                    "exporters": ["otlphttp/traces"],
                },
            }
        },
    }


def _renamed() -> list[str]:
    return [
        f'set(name, "{each.otel_name}") where name == "{each.convention}"'
        for each in INSTRUMENTS.values()
        if each.convention is not None
    ]


def prometheus_config(rule_files: list[str]) -> dict[str, Any]:
    """Return a configuration of Prometheus with the rules, to start from."""
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": rule_files,
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}],
        },
        "scrape_configs": [
            {
                "job_name": "agent",
                "honor_labels": True,
                "static_configs": [{"targets": [f"otel-collector:{SCRAPED_PORT}"]}],
            }
        ],
    }
