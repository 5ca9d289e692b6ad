"""Gates: how a file is read, and what they say of numbers."""

from __future__ import annotations

import pytest

from profiler.comparison.compare import compare
from profiler.comparison.gates import Bound, Gate, load_gates
from profiler.comparison.model import GateResult
from profiler.errors import UsageError
from tests.comparison.runs import profile_of

KNOWN = {"interaction.llm_calls", "interaction.latency", "tools.search.duration"}


def read(tmp_path, text: str) -> tuple[Gate, ...]:
    file = tmp_path / "gates.yaml"
    file.write_text(text)
    return load_gates(file, KNOWN)


def test_a_file_gives_rules_in_the_metrics_units(tmp_path):
    text = """
interaction.llm_calls.mean: {max_increase: 10%, max: 3.5}
interaction.latency.p95: {max: 4 s}
tools.search.duration.mean: {max_increase: 200 ms}
error_rate: {max: 1%}
interaction.output_tokens.mean: {max_increase: 0%, pass_up_to: 20%, fail_from: 2%}
"""
    found = {(gate.name, gate.rule): gate for gate in read(tmp_path, text)}
    assert found["interaction.llm_calls.mean", "max_increase"].bound == Bound(0.1, relative=True)
    assert found["interaction.llm_calls.mean", "max"].bound == Bound(3.5)
    assert found["interaction.latency.p95", "max"].bound == Bound(4.0)
    assert found["tools.search.duration.mean", "max_increase"].bound == Bound(0.2)
    assert found["error_rate", "max"].bound == Bound(0.01)
    tokens = found["interaction.output_tokens.mean", "max_increase"]
    assert tokens.pass_up_to == Bound(0.2, relative=True)
    assert tokens.fail_from == Bound(0.02, relative=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the gates file is empty"),
        ("- a", "a gates file is a mapping"),
        ("interaction.llm_cals.mean: {max: 3}", "Did you mean 'interaction.llm_calls.mean'?"),
        ("errorrate: {max: 1%}", "Did you mean 'error_rate'?"),
        ("zzz: {max: 1}", "Metrics are those of profile.json"),
        ("interaction.llm_calls: {max: 3}", "interaction.llm_calls has no statistic. Add one of"),
        ("interaction.llm_calls.p96: {max: 3}", "It has mean, p50, p90, p95, p99"),
        ("interaction.llm_calls.mean: {maxincrease: 3}", "Did you mean 'max_increase'?"),
        ("interaction.llm_calls.mean: 3", "interaction.llm_calls.mean has no rule"),
        ("interaction.llm_calls.mean: {max: 10%}", "a share of nothing"),
        ("interaction.llm_calls.mean: {max: much}", "'much' is not a number of 0 or more"),
        ("interaction.llm_calls.mean: {max: -1}", "-1 is not a number of 0 or more"),
        ("interaction.latency.p95: {max: 4}", "4 has no unit"),
        ("interaction.latency.p95: {max: 4 parsec}", "'4 parsec' is not a duration"),
        ("interaction.llm_calls.mean: {pass_up_to: 5%}", "a margin, and not one rule"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path, text, said):
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert said in str(refused.value)
    assert "gates.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


# 20 interactions of 10 sessions; calls per interaction: mean 1.6.
SESSIONS = [[1, 2], [2, 1], [1, 1], [3, 1], [2, 2], [1, 2], [1, 1], [2, 1], [1, 3], [2, 2]]
TWICE = [[2 * calls for calls in turns] for turns in SESSIONS]


def judged(sessions, **rule) -> GateResult:
    gate = Gate(
        **{"metric": "interaction.llm_calls", "statistic": "mean", "rule": "max_increase"} | rule
    )
    after = profile_of(sessions, run_id="r2", seed=2)  # other sessions: the interval has a width
    return compare(profile_of(SESSIONS), after, gates=[gate]).gates[0]


def test_an_interval_wholly_above_the_bound_fails():
    """Twice the calls: the ratio 2 +- 0.5 or so is above 1.1."""
    found = judged(TWICE, bound=Bound(0.1, relative=True))
    assert found.verdict == "fail"
    assert found.ci90 is not None
    assert found.ci90[0] > 0.1


def test_an_interval_wholly_below_the_bound_passes():
    assert judged(SESSIONS, bound=Bound(1.0, relative=True)).verdict == "pass"
    assert judged(SESSIONS, rule="max", bound=Bound(3.0)).verdict == "pass"
    assert judged(TWICE, rule="min", bound=Bound(1.0)).verdict == "pass"
    assert judged(TWICE, rule="max_decrease", bound=Bound(0.1, relative=True)).verdict == "pass"


def test_an_interval_astride_the_bound_is_inconclusive_and_says_how_much_would_decide():
    found = judged(SESSIONS, bound=Bound(0.1, relative=True))
    assert found.verdict == "inconclusive"
    assert found.ci90 is not None
    low, high = found.ci90
    assert low < 0.1 < high
    assert found.interactions_needed is not None
    assert found.interactions_needed > 20


def test_on_the_bound_no_sample_decides():
    found = judged(SESSIONS, bound=Bound(0.0, relative=True))
    assert found.verdict == "inconclusive"
    assert found.interactions_needed is None


def test_a_bound_of_its_own_is_for_the_candidate_alone():
    """The mean is 3.2; more than 2 is shown, less than 4 is shown."""
    assert judged(TWICE, rule="max", bound=Bound(2.0)).verdict == "fail"
    assert judged(TWICE, rule="min", bound=Bound(4.5)).verdict == "fail"
    assert judged(TWICE, rule="max", bound=Bound(3.2)).verdict == "inconclusive"


def test_a_decrease_is_judged_in_its_own_direction():
    gate = Gate(
        metric="interaction.llm_calls",
        statistic="mean",
        rule="max_decrease",
        bound=Bound(0.2, relative=True),
    )
    found = compare(profile_of(TWICE), profile_of(SESSIONS, run_id="r2"), gates=[gate])
    assert found.gates[0].verdict == "fail"  # halved


def test_a_trifle_does_not_fail_however_sure():
    """One more call in 320 interactions of the same sessions: +0.2 %, below `fail_from`."""
    before = SESSIONS * 16
    after = [[calls + 1 for calls in before[0]], *before[1:]]
    found = compare(profile_of(before), profile_of(after, run_id="r2"))
    gate = next(g for g in found.gates if g.metric == "interaction.llm_calls")
    assert gate.verdict == "pass"


def test_what_nobody_observed_is_inconclusive():
    found = judged(SESSIONS, metric="interaction.reasoning_tokens", rule="max", bound=Bound(5.0))
    assert found.verdict == "inconclusive"
    assert found.reason == "not observed in the baseline or the candidate"


def test_many_gates_are_failed_by_more_than_one_unlucky_number():
    """The same change, judged alone and among gates that are kept: it takes more."""
    moved = [[2, 2], [2, 2], [1, 2], [3, 1], [2, 2], [2, 2], [1, 2], [2, 1], [2, 3], [2, 2]]
    gate = Gate(
        metric="interaction.llm_calls", statistic="mean", rule="max_increase", bound=Bound(0.0)
    )
    kept = Gate(metric="interaction.latency", statistic="mean", rule="max", bound=Bound(1.02))
    before, after = profile_of(SESSIONS), profile_of(moved, run_id="r2", seed=2)
    alone = compare(before, after, gates=[gate]).gates[0]
    among = compare(before, after, gates=[gate, kept, kept, kept]).gates[0]
    assert alone.p_adjusted is not None
    assert among.p_adjusted == pytest.approx(4 * alone.p_adjusted)


def test_times_of_the_mock_agent_are_judged_by_own_gates_only():
    target = {"protocol": "openai-chat", "mock": {"speed": 1}}
    before = profile_of(SESSIONS, target=target)
    slow = profile_of(SESSIONS, run_id="r2", latency_ms=3000, target=target)
    assert all(gate.metric != "interaction.latency" for gate in compare(before, slow).gates)
    gate = Gate(metric="interaction.latency", statistic="mean", rule="max", bound=Bound(2.0))
    assert compare(before, slow, gates=[gate]).verdict == "fail"
    real = compare(profile_of(SESSIONS), profile_of(SESSIONS, run_id="r2", latency_ms=3000))
    assert next(g for g in real.gates if g.metric == "interaction.latency").verdict == "fail"


def test_a_harness_that_was_the_bottleneck_decides_no_time():
    before = profile_of(SESSIONS)
    slow = before.model_copy(
        update={"trust": before.trust.model_copy(update={"verdict": "driver_limited"})}
    )
    found = {g.metric: g for g in compare(before, slow).gates}
    assert found["interaction.llm_calls"].verdict == "pass"
    latency = found["interaction.latency"]
    assert latency.verdict == "inconclusive"
    assert latency.reason is not None
    assert latency.reason.startswith("the harness was the bottleneck of the candidate")
