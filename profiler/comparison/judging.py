"""What gates say of two runs: pass, fail, or inconclusive and how much would decide it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from profiler.comparison.compatible import is_mock
from profiler.comparison.estimates import adjusted
from profiler.comparison.model import GateResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.comparison.estimates import Pair, Test
    from profiler.comparison.gates import Bound, Gate
    from profiler.comparison.model import Interval, Verdict
    from profiler.comparison.numbers import Number, Sides

ERROR_RATE_OF_GATES = 0.05
"""How often a gate may fail (or pass) where the truth is on its bound: on one side, so of 90 %."""

_CONFIDENCE = 1 - 2 * ERROR_RATE_OF_GATES
_LATENCY = "interaction.latency"
_MOST_INTERACTIONS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A gate and what there is to judge it by."""

    gate: Gate
    number: Number | None
    reason: str | None

    def test(self, bound: Bound) -> Test | None:
        if self.number is None or self.reason is not None:
            return None
        return _test(self.number.pair, self.gate, bound)


def judge(gates: Sequence[Gate], sides: Sides) -> tuple[GateResult, ...]:
    """Judge every gate. Failing takes what is adjusted for the number of gates to be shown.

    Default gates of what neither run observed are left out, and those of the mock agent's times:
    they are its script's, and the machine's where that is busy.
    """
    asked = [_ask(gate, sides) for gate in gates if not _is_moot(gate, sides)]
    tests = [each.test(each.gate.bound) for each in asked]
    p_values = {place: test.p_above for place, test in enumerate(tests) if test is not None}
    # What nothing speaks for is no hypothesis: it would only dilute the others.
    likely = {place: p for place, p in p_values.items() if p < 1}
    by_place = p_values | dict(zip(likely, adjusted(list(likely.values())), strict=True))
    most = max(sides.baseline.sample.interactions, sides.candidate.sample.interactions)
    return tuple(_result(each, by_place.get(place), most) for place, each in enumerate(asked))


def verdict_of(results: Sequence[GateResult]) -> Verdict:
    """Return the verdict of all gates: fail before inconclusive before pass."""
    verdicts = {result.verdict for result in results}
    return (
        "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"
    )


def _is_moot(gate: Gate, sides: Sides) -> bool:
    if not gate.default:
        return False
    of_mock = is_mock(sides.baseline) and is_mock(sides.candidate)
    return gate.metric not in sides.known or (of_mock and gate.metric == _LATENCY)


def _ask(gate: Gate, sides: Sides) -> _Asked:
    lacking = sides.lacking(gate.metric)
    if lacking is not None:
        return _Asked(gate=gate, number=None, reason=lacking)
    number = sides.number(gate.metric, gate.statistic)
    if number is None:
        reason = f"too few values for a {gate.statistic}"
        return _Asked(gate=gate, number=None, reason=reason)
    if number.unit == "s":
        for name, profile in (("baseline", sides.baseline), ("candidate", sides.candidate)):
            if profile.trust.verdict == "driver_limited":
                reason = (
                    f"the harness was the bottleneck of the {name}: its times are not the agent's"
                )
                return _Asked(gate=gate, number=number, reason=reason)
    return _Asked(gate=gate, number=number, reason=number.reason)


def _test(pair: Pair, gate: Gate, bound: Bound) -> Test | None:
    """Return the question whether the bound is passed, the wrong side being above."""
    found: Test | None
    match gate.rule:
        case "max":
            return pair.candidate_exceeds(bound.value)
        case "min":
            found = pair.candidate_exceeds(bound.value)
            return None if found is None else found.mirrored()
        case "max_increase":
            return _change(pair, bound, 1)
        case "max_decrease":
            found = _change(pair, bound, -1)
            return None if found is None else found.mirrored()
        case _:
            assert_never(gate.rule)


def _change(pair: Pair, bound: Bound, sign: int) -> Test | None:
    if bound.relative:
        return pair.exceeds(1 + sign * bound.value)
    return pair.exceeds(1.0, sign * bound.value)


def _result(asked: _Asked, p_adjusted: float | None, interactions: int) -> GateResult:
    gate, number = asked.gate, asked.number
    at_bound = asked.test(gate.bound)
    at_pass = asked.test(gate.bound if gate.pass_up_to is None else gate.pass_up_to)
    verdict: Verdict = "inconclusive"
    needed = None
    if at_bound is not None and at_pass is not None and p_adjusted is not None:
        if p_adjusted <= ERROR_RATE_OF_GATES and _reaches(asked):
            verdict = "fail"
        elif at_pass.is_kept(ERROR_RATE_OF_GATES):
            verdict = "pass"
        else:
            needed = _needed(at_bound, at_pass, interactions)
    return GateResult(
        metric=gate.metric,
        statistic=gate.statistic,
        unit="" if number is None else number.unit,
        rule=gate.rule,
        bound=gate.bound.value,
        relative=gate.bound.relative,
        default=gate.default,
        verdict=verdict,
        baseline=None if number is None else number.pair.baseline,
        candidate=None if number is None else number.pair.candidate,
        ci90=None if number is None or asked.reason else _interval(number.pair, gate),
        p_adjusted=p_adjusted,
        interactions_needed=needed,
        reason=asked.reason,
    )


def _reaches(asked: _Asked) -> bool:
    """Whether what is seen is worth failing for."""
    if asked.gate.fail_from is None:
        return True
    seen = asked.test(asked.gate.fail_from)
    return seen is not None and seen.excess >= 0


def _interval(pair: Pair, gate: Gate) -> Interval | None:
    if gate.rule in ("max", "min"):
        return pair.candidate_interval(_CONFIDENCE)
    if gate.bound.relative:
        return pair.relative_interval(_CONFIDENCE)
    return pair.difference_interval(_CONFIDENCE)


def _needed(at_bound: Test, at_pass: Test, interactions: int) -> int | None:
    """Return how many interactions would show that it fails, or passes, as it looks now."""
    confidence = 1 - ERROR_RATE_OF_GATES
    factors = []
    if at_bound.excess > 0:
        factors.append(at_bound.sample_factor(confidence))
    if at_pass.excess < 0:
        factors.append(at_pass.sample_factor(confidence))
    known = [factor for factor in factors if factor is not None]
    if not known:
        return None
    # What is shown by itself, and not among all gates, needs more, too.
    needed = max(interactions + 1, math.ceil(min(known) * interactions))
    return needed if needed <= _MOST_INTERACTIONS else None
