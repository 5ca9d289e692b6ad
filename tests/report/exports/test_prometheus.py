"""A profile in Prometheus' text format, checked by Prometheus' own tool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from profiler.measure.records import Outcome, StateKind, Usage
from profiler.profile.build import build_profile
from profiler.report.exports.prometheus import prometheus_text
from tests.profile.journals import S, interaction, llm_call, run, state_op, tool_call, write

HOSTILE = 'a"} 1\nevil 2\\'


@pytest.fixture
def text(tmp_path):
    records = []
    for number in range(4):
        trace = str(number)
        records += [
            interaction(trace, end_ns=(number + 1) * S),
            llm_call(trace, start_ns=0, end_ns=S // 2, usage=Usage(input_tokens=10)),
            tool_call(trace, HOSTILE, start_ns=0, end_ns=S // 4),
            state_op(trace, StateKind.READ, 2),
        ]
    records.append(interaction("f", outcome=Outcome.TIMEOUT))
    return prometheus_text(build_profile(write(tmp_path, *records, first=run(workload=HOSTILE))))


def sample(text: str, name: str, *labels: str) -> float:
    found = [
        line
        for line in text.splitlines()
        if re.match(rf"{name}[{{ ]", line) and all(label in line for label in labels)
    ]
    assert len(found) == 1
    return float(found[0].rpartition(" ")[2])


def test_a_metric_is_a_summary_with_its_exact_sum(text):
    name = "agent_profiler_interaction_latency_seconds"
    assert f"# TYPE {name} summary" in text
    assert sample(text, f"{name}_sum") == pytest.approx(1 + 2 + 3 + 4)
    assert sample(text, f"{name}_count") == 4
    assert sample(text, name, 'quantile="0.5"') == pytest.approx(2, rel=0.001)


def test_a_quantile_that_too_few_values_support_is_absent(text):
    quantiles = re.findall(r'latency_seconds\{[^\n]*quantile="([\d.]+)"', text)
    assert "0.99" not in quantiles


def test_tokens_and_counts_are_whole(text):
    assert sample(text, "agent_profiler_interaction_input_tokens_sum") == 40
    assert sample(text, "agent_profiler_state_reads_per_interaction_sum", 'store="redis"') == 8
    assert sample(text, "agent_profiler_llm_call_latency_seconds_count", 'model="m"') == 4


def test_failures_are_by_their_kind(text):
    assert sample(text, "agent_profiler_interactions", 'result="ok"') == 4
    assert sample(text, "agent_profiler_interactions", 'result="timeout') == 1


def test_a_hostile_name_stays_a_label(text):
    assert not any(line.startswith("evil") for line in text.splitlines())
    assert r'tool="a\"} 1\nevil 2\\"' in text


def test_promtool_accepts_it(text):
    promtool = shutil.which("promtool")
    if promtool is None:
        assert not os.environ.get("CI"), "CI installs Prometheus, and promtool with it"
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
