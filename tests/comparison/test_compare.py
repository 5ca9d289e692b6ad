"""Two runs compared: what changed is told, chance is not, what is of another kind is refused."""

from __future__ import annotations

import pytest

from profiler.comparison.compare import compare
from profiler.comparison.model import Comparison, Difference, dump_comparison, load_comparison
from profiler.comparison.sessions import match_sessions
from profiler.errors import ProfileError
from tests.comparison.runs import profile_of

SESSIONS = [[1, 2], [2, 1], [1, 1], [3, 1], [2, 2], [1, 2], [1, 1], [2, 1], [1, 3], [2, 2]]
ONE_MORE = [[calls + 1 for calls in turns] for turns in SESSIONS]


def difference(found: Comparison, metric: str, statistic: str = "mean") -> Difference:
    each = next(m for m in found.metrics if m.metric == metric)
    return next(d for d in each.differences if d.statistic == statistic)


def test_one_more_call_in_every_interaction_of_the_same_sessions_is_certain():
    """32 calls in 20 interactions, then 52: exactly one more, and nothing varies about that."""
    found = compare(profile_of(SESSIONS), profile_of(ONE_MORE, run_id="r2"))
    assert found.paired
    calls = difference(found, "interaction.llm_calls")
    assert (calls.baseline, calls.candidate) == (1.6, 2.6)
    assert calls.difference_ci95 == pytest.approx((1.0, 1.0))
    assert calls.real
    assert calls.method == "paired sessions"
    gate = next(g for g in found.gates if g.metric == "interaction.llm_calls")
    assert gate.verdict == "fail"
    assert found.verdict == "fail"


def test_the_same_calls_in_other_sessions_are_no_change():
    found = compare(profile_of(SESSIONS), profile_of(SESSIONS[::-1], run_id="r2", seed=2))
    assert not found.paired
    calls = difference(found, "interaction.llm_calls")
    assert calls.difference == 0
    assert calls.real is False
    assert calls.method == "sessions"
    assert all(change.kind != "metric" for change in found.changes)


def test_an_improvement_is_real_and_passes():
    found = compare(profile_of(ONE_MORE), profile_of(SESSIONS, run_id="r2"))
    assert difference(found, "interaction.llm_calls").real
    gate = next(g for g in found.gates if g.metric == "interaction.llm_calls")
    assert gate.verdict == "pass"


def test_a_run_against_itself_shows_nothing():
    profile = profile_of(SESSIONS)
    found = compare(profile, profile)
    assert found.paired
    assert found.changes == ()
    assert found.verdict == "pass"
    assert not any(d.real for m in found.metrics for d in m.differences)


def test_a_new_tool_is_named():
    before = profile_of(SESSIONS, tools=["book"])
    after = profile_of(SESSIONS, run_id="r2", tools=["book", "search"])
    found = compare(before, after)
    change = next(c for c in found.changes if c.kind == "appeared")
    assert (change.what, change.subject, change.real) == ("tool", "search", True)
    calls = difference(found, "tools.search.calls_per_interaction")
    assert (calls.baseline, calls.candidate) == (0.0, 1.0)
    assert not any("tools.search" in c.subject for c in found.changes)  # it is said once


def test_a_tool_that_went_is_named():
    before = profile_of(SESSIONS, tools=["book", "search"])
    after = profile_of(SESSIONS, run_id="r2", tools=["book"])
    change = next(c for c in compare(before, after).changes if c.what == "tool")
    assert (change.kind, change.subject) == ("disappeared", "search")


def test_a_rare_tool_that_a_small_run_did_not_meet_may_be_chance():
    """4 % of 300 interactions call it; of 30, none does in 29 % of cases (0.96^30)."""
    large = profile_of([[1]] * 300, tools=["search"], rare=12)
    small = profile_of([[1]] * 30, tools=["search"], seed=2, run_id="r2")
    [change] = [c for c in compare(large, small).changes if c.kind == "disappeared"]
    assert (change.subject, change.real) == ("refund", False)
    # Of 300, none does in 5 cases of a million.
    other = profile_of([[1]] * 300, tools=["search"], seed=2, run_id="r2")
    [change] = [c for c in compare(large, other).changes if c.kind == "disappeared"]
    assert (change.subject, change.real) == ("refund", True)


def test_failures_that_a_small_baseline_did_not_meet_may_be_chance():
    """Of 30 interactions none fails in 29 % of cases where 4 % fail."""
    small = profile_of([[1]] * 30)
    large = profile_of([[1]] * 300, failed=12, seed=2, run_id="r2")
    errors = next(m for m in compare(small, large).metrics if m.metric == "error_rate")
    assert errors.differences[0].real is False


def test_errors_are_compared_as_a_share():
    found = compare(profile_of(SESSIONS), profile_of(SESSIONS, run_id="r2", failed=10))
    share = difference(found, "error_rate", "share")
    assert (share.baseline, share.candidate) == (0.0, 0.5)
    kinds = [c.subject for c in found.changes if c.what == "failure"]
    assert len(kinds) == 1
    assert kinds[0].startswith("timeout")


def test_few_sessions_are_inconclusive_and_say_why():
    found = compare(profile_of(SESSIONS[:3]), profile_of(ONE_MORE[:3], run_id="r2"))
    calls = difference(found, "interaction.llm_calls")
    assert calls.real is None
    assert calls.reason == "3 sessions have it: 6 are needed"
    assert found.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workload": "v"}, "the workloads are 'w' and 'v'"),
        ({"digests": {"workload": "d2"}}, "the workload 'w' has changed in workload"),
        ({"target": {"protocol": "a2a"}}, "the protocols are 'openai-chat' and 'a2a'"),
        (
            {"target": {"protocol": "openai-chat", "mock": {"speed": 1}}},
            "the candidate is of the mock agent, the baseline of a real one",
        ),
        ({"encoding": "cl100k_base"}, "tokens were counted with 'o200k_base' and 'cl100k_base'"),
    ],
)
def test_what_is_not_of_one_kind_is_refused_unless_told_otherwise(changes, said):
    before = profile_of(SESSIONS)
    after = profile_of(SESSIONS, run_id="r2", **changes)
    with pytest.raises(ProfileError, match="--anyway") as refused:
        compare(before, after)
    assert said in str(refused.value)
    assert said in compare(before, after, anyway=True).differs


def test_another_load_is_said_and_compared():
    after = profile_of(SESSIONS, run_id="r2", load={"mode": "closed", "users": 9})
    assert "users: 2 and 9" in compare(profile_of(SESSIONS), after).differs


def test_a_run_without_interactions_is_refused():
    with pytest.raises(ProfileError, match="the candidate has no measured interaction"):
        compare(profile_of(SESSIONS), profile_of([], run_id="r2"))


def test_half_of_the_sessions_in_common_are_pairs_and_fewer_are_not():
    whole = profile_of(SESSIONS)
    assert match_sessions(whole, profile_of(SESSIONS[:5], run_id="r2")).paired
    assert not match_sessions(whole, profile_of(SESSIONS[:4], run_id="r2")).paired
    assert not match_sessions(whole, profile_of(SESSIONS, run_id="r2", seed=2)).paired


def test_the_same_session_has_one_number_in_both():
    found = match_sessions(profile_of(SESSIONS), profile_of(SESSIONS, run_id="r2"))
    assert found.count == 10
    assert sorted(found.baseline) == sorted(found.candidate) == sorted([*range(10)] * 2)


def test_a_comparison_is_read_back_as_it_was_written(tmp_path):
    found = compare(profile_of(SESSIONS), profile_of(ONE_MORE, run_id="r2"))
    (tmp_path / "comparison.json").write_bytes(dump_comparison(found))
    assert load_comparison(tmp_path) == found


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema_version": 0}'])
def test_what_is_no_comparison_is_refused_in_one_line(tmp_path, content):
    file = tmp_path / "c.json"
    file.write_bytes(content)
    with pytest.raises(ProfileError, match="Compare again") as refused:
        load_comparison(file)
    assert "\n" not in str(refused.value)
