"""Which request meets which fault, and what a plan may say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.mock.fault_plan import Draw, Fault, FaultPlan, load_faults


def draw(*faults: dict, seed: int = 1, of: str = "agent") -> Draw:
    return Draw(tuple(Fault.model_validate(fault) for fault in faults), seed=seed, of=of)


def kinds(drawn: Draw, numbers: range, at_s: float = 0.0) -> list[str | None]:
    met = (drawn.fault(number, at_s) for number in numbers)
    return [None if fault is None else fault.name for fault in met]


def test_every_nth_request_and_those_that_are_named_are_met():
    third = {"kind": "stall", "nth": 3}
    named = {"kind": "garbage", "requests": [2, 6]}
    # 6 is met by both: the one that stands first in the plan counts.
    assert kinds(draw(third, named), range(1, 8)) == [
        None, "garbage", "stall", None, None, "stall", None,
    ]  # fmt: skip
    assert kinds(draw(named, third), range(6, 7)) == ["garbage"]


def test_from_and_to_bound_a_fault_in_time():
    drawn = draw({"kind": "stall", "from": "2s", "to": "3s"})
    met = [drawn.fault(1, at_s) is not None for at_s in (0.0, 1.999, 2.0, 2.999, 3.0)]
    assert met == [False, False, True, True, False]


def test_shares_are_met_as_often_as_they_say_and_exclude_each_other():
    drawn = draw(
        {"kind": "stall", "share": 0.1},
        {"kind": "garbage", "share": 0.02},
        {"kind": "status", "status": 503, "share": 0.3},
    )
    found = Counter(kinds(drawn, range(1, 10_001)))
    # Binomial: 10,000 draws, five standard deviations to either side.
    for name, share in (("stall", 0.1), ("garbage", 0.02), ("status_503", 0.3), (None, 0.58)):
        sigma = (10_000 * share * (1 - share)) ** 0.5
        assert abs(found[name] - 10_000 * share) < 5 * sigma


def test_a_share_that_is_not_open_yet_leaves_the_others_as_they_are():
    stall = {"kind": "stall", "share": 0.5, "from": "1s"}
    garbage = {"kind": "garbage", "share": 0.5}
    early, late = (kinds(draw(stall, garbage), range(1, 200), at_s) for at_s in (0.0, 1.0))
    assert set(early) == {None, "garbage"}
    assert set(late) == {"stall", "garbage"}
    assert [kind == "garbage" for kind in early] == [kind == "garbage" for kind in late]


@given(st.integers(), st.integers(1, 10**9), st.floats(0, 1e6))
def test_the_same_seed_meets_the_same_request_with_the_same_fault(seed, number, at_s):
    fault = {"kind": "stall", "share": 0.5}
    assert draw(fault, seed=seed).fault(number, at_s) == draw(fault, seed=seed).fault(number, at_s)


def test_the_two_mocks_draw_apart():
    fault = {"kind": "stall", "share": 0.5}
    agent, llm = (kinds(draw(fault, of=of), range(1, 100)) for of in ("agent", "llm"))
    assert agent != llm


def test_a_refusal_meets_no_request():
    drawn = draw({"kind": "refuse", "from": "1s", "for": "1s"})
    assert kinds(drawn, range(1, 10), at_s=1.5) == [None] * 9
    assert [fault.for_s for fault in drawn.refusals] == [1.0]


def test_a_plan_is_read_from_yaml(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text(
        "seed: 7\nagent:\n  - {kind: status, status: 429, retry_after: 2, share: 5%}\n".replace(
            "5%", "0.05"
        )
        + "llm:\n  - {kind: clock_jump, jump: -1h, nth: 10}\n"
    )
    plan = load_faults(path)
    assert plan.seed == 7
    assert plan.agent[0].name == "status_429_retry_after"
    assert (plan.llm[0].jump_s, plan.llm[0].nth) == (-3600.0, 10)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("agent:\n  - {kind: stal, nth: 2}\n", 2, "there is no 'stal'"),
        ("agent:\n  - {kind: stall, nht: 2}\n", 2, "unknown key 'nht'"),
        ("agent:\n  - kind: stall\n    gap: 1s\n", 2, "'gap' is no key of 'stall'"),
        ("agent:\n  - {kind: stall, nth: 2, share: 0.1}\n", 2, "exclude each other"),
        ("agent:\n  - {kind: stall, from: 2s, to: 1s}\n", 2, "'to' is not after 'from'"),
        ("agent:\n  - {kind: status}\n", 2, "the status is missing"),
        ("agent:\n  - {kind: status, status: 200}\n", 2, "400"),
        ("agent:\n  - {kind: clock_jump}\n", 2, "the jump is missing"),
        ("agent:\n  - {kind: refuse, share: 0.1}\n", 2, "chosen by time alone"),
        ("agent:\n  - {kind: refuse, from: 1s}\n", 2, "wants 'for'"),
        ("llm:\n  - {kind: stall, share: 0.6}\n  - {kind: drip, share: 0.5}\n", 1, "add up to 1.1"),
        ("llm:\n  - {kind: stall, share: 1.5}\n", 2, "less than or equal to 1"),
        ("- stall\n", 1, "a fault plan is a mapping"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path, text, line, what):
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_faults(path)
    said = str(caught.value)
    assert what in said
    assert f"{path}:{line}" in said


def test_without_a_file_it_says_which(tmp_path):
    with pytest.raises(UsageError, match="cannot read the fault plan"):
        load_faults(tmp_path / "none.yaml")


def test_a_plan_may_be_empty():
    assert FaultPlan.model_validate({}) == FaultPlan(seed=1, agent=(), llm=())
