"""Our count against the provider's: what is off, how to correct it, and how sure that is."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from profiler.measure.records import (
    NO_TRACE,
    LlmCall,
    Observer,
    Outcome,
    Phase,
    Record,
    TokenParts,
    Usage,
)
from profiler.profile.build import build_profile
from profiler.profile.correction import LedgerSide
from profiler.profile.ledger import Ledger, merge_ledgers
from tests.profile.journals import interaction, llm_call, write
from tests.profile.observed_run import RUN, observed_run


def call(
    history: int,
    tool_schemas: int,
    reported: int | None,
    *,
    counted_output: int | None = None,
    output: int | None = None,
    reasoning: int | None = None,
    **changes,
) -> LlmCall:
    """A call of 3 tokens of overhead, 100 of system, and as many of history as is said."""
    parts = TokenParts(
        system=100, tool_schemas=tool_schemas, history=history, user=0, tool_results=0, overhead=3
    )
    usage = Usage(input_tokens=reported, output_tokens=output, reasoning_tokens=reasoning)
    fields = {"observer": Observer.GATEWAY, "tokens": parts, "usage": usage, **changes}
    return llm_call("a", counted_output=counted_output, **fields)


def ledger_of(tmp_path: Path, *calls: LlmCall) -> Ledger:
    return build_profile(write(tmp_path, *calls, interaction("a"))).ledger["m"]


def input_of(tmp_path: Path, *calls: LlmCall) -> LedgerSide:
    side = ledger_of(tmp_path, *calls).input
    assert side is not None
    return side


def coefficients(side: LedgerSide) -> dict[str, float]:
    assert side.correction is not None
    return {name: term.value for name, term in side.correction.terms.items()}


def test_the_errors_of_a_plain_count_by_hand(tmp_path: Path):
    # Counted 103 and 203, reported 105 and 209: above by 2 and by 6.
    side = input_of(tmp_path, call(0, 0, 105), call(100, 0, 209))
    assert (side.calls, side.counted_tokens, side.reported_tokens) == (2, 306, 314)
    assert side.difference_tokens == 8
    assert side.plain_error.mean_tokens == 4
    assert side.plain_error.sd_tokens == pytest.approx(statistics.stdev([2, 6]))
    assert side.plain_error.rms_tokens == pytest.approx(math.sqrt((4 + 36) / 2))
    assert side.plain_error.relative_error == pytest.approx(math.sqrt(20) / 157)
    assert side.correction is None
    assert side.reason == "1 term needs 4 calls, there are 2"


def test_three_terms_are_found_where_messages_and_schemas_both_vary(tmp_path: Path):
    rng = random.Random(1)
    rows = [(rng.randrange(2000), rng.randrange(600), rng.randrange(-5, 6)) for _ in range(40)]
    reported = [round(1.1 * (100 + h) + 1.5 * t + 9 + noise) for h, t, noise in rows]
    side = input_of(tmp_path, *(call(h, t, r) for (h, t, _), r in zip(rows, reported, strict=True)))
    x = np.array([[100 + h, t, 1] for h, t, _ in rows], dtype=float)
    y = np.array(reported, dtype=float)
    expected, *_ = np.linalg.lstsq(x, y, rcond=None)
    left = y - x @ expected
    sd = math.sqrt(left @ left / 37)
    errors = np.sqrt(sd**2 * np.diag(np.linalg.inv(x.T @ x)))
    assert list(coefficients(side)) == ["messages", "tool_schemas", "constant"]
    assert list(coefficients(side).values()) == pytest.approx(expected)
    assert side.correction is not None
    found = [term.standard_error for term in side.correction.terms.values()]
    assert found == pytest.approx(errors)
    assert side.correction.residual_sd_tokens == pytest.approx(sd)
    assert side.correction.relative_error == pytest.approx(sd / y.mean())
    assert side.reason is None


def test_schemas_that_do_not_vary_are_in_the_constant(tmp_path: Path):
    side = input_of(tmp_path, *(call(100 * i, 50, 100 * i + 100 + 90) for i in range(8)))
    assert coefficients(side) == {"messages": 1, "constant": 90}
    assert side.reason == "tool schemas do not vary: they are in the constant"


def test_messages_that_do_not_vary_are_in_the_constant(tmp_path: Path):
    side = input_of(tmp_path, *(call(0, 10 * i, 130 + 20 * i) for i in range(8)))
    assert coefficients(side) == {"tool_schemas": 2, "constant": 130}
    assert side.reason == "messages do not vary: they are in the constant"


def test_terms_that_vary_together_are_one(tmp_path: Path):
    # Counted 103 + 30 i, reported 10 more than twice that.
    side = input_of(tmp_path, *(call(20 * i, 10 * i, 216 + 60 * i) for i in range(12)))
    assert coefficients(side) == {"counted": 2, "constant": 10}
    assert side.reason == "messages and tool schemas vary together"


def test_what_grows_as_the_other_shrinks_leaves_the_ratio(tmp_path: Path):
    side = input_of(tmp_path, *(call(120 - 10 * i, 10 * i, 446) for i in range(12)))
    assert coefficients(side) == {"counted": 2}  # every call counts 223
    assert side.reason == "the counts do not vary"


def test_calls_that_are_all_alike_have_a_ratio(tmp_path: Path):
    side = input_of(tmp_path, *(call(0, 0, 206) for _ in range(4)))
    assert coefficients(side) == {"counted": 2}
    assert side.reason == "every call has the same counts"


@pytest.mark.parametrize(
    ("calls", "terms", "reason"),
    [
        (12, ["messages", "tool_schemas", "constant"], None),
        (11, ["counted", "constant"], "3 terms need 12 calls, there are 11"),
        (7, ["counted"], "2 terms need 8 calls, there are 7"),
        (4, ["counted"], "2 terms need 8 calls, there are 4"),
    ],
)
def test_few_calls_carry_few_terms(
    tmp_path: Path, calls: int, terms: list[str], reason: str | None
):
    side = input_of(tmp_path, *(call(i * i, 7 * (i % 3), 500 + i) for i in range(calls)))
    assert list(coefficients(side)) == terms
    assert side.reason == reason


def test_output_is_compared_without_reasoning(tmp_path: Path):
    rows = [(10, 25, 14), (20, 23, 2), (30, 33, None), (40, 44, 0)]
    ledger = ledger_of(
        tmp_path,
        *(call(0, 0, None, counted_output=c, output=o, reasoning=r) for c, o, r in rows),
    )
    assert ledger.input is None
    assert ledger.reasoning_tokens == 16
    side = ledger.output
    assert side is not None
    assert (side.counted_tokens, side.reported_tokens) == (100, 109)
    # Through the origin: (10*11 + 20*21 + 30*33 + 40*44) / (100 + 400 + 900 + 1600).
    assert coefficients(side) == pytest.approx({"counted": 3280 / 3000})
    x, y = np.array([[10.0], [20], [30], [40]]), np.array([11.0, 21, 33, 44])
    left = y - x[:, 0] * (3280 / 3000)
    assert side.correction is not None
    sd = math.sqrt(left @ left / 3)
    assert side.correction.residual_sd_tokens == pytest.approx(sd)
    error = side.correction.terms["counted"].standard_error
    assert error == pytest.approx(sd / math.sqrt(3000))


def test_calls_without_both_numbers_are_left_out_and_counted(tmp_path: Path):
    partial = TokenParts(system=5, user=1)
    ledger = ledger_of(
        tmp_path,
        call(0, 0, 105),
        call(0, 0, None),
        call(0, 0, 99, tokens=partial),
        call(0, 0, 99, usage=None),
        call(0, 0, 99, outcome=Outcome.HTTP_5XX),
    )
    assert ledger.successful_calls == 4
    assert ledger.input is not None
    assert ledger.input.calls == 1
    assert ledger.counted_by_part == {
        "system": 100,
        "tool_schemas": 0,
        "history": 0,
        "user": 0,
        "tool_results": 0,
        "overhead": 3,
    }


def test_calls_of_warm_up_and_of_nobody_are_in_it(tmp_path: Path):
    records: list[Record] = [
        call(0, 0, 105),
        interaction("a", phase=Phase.WARMUP),
    ]
    lost = llm_call(
        NO_TRACE,
        observer=Observer.GATEWAY,
        tokens=TokenParts(system=1, tool_schemas=0, history=0, user=0, tool_results=0, overhead=0),
        usage=Usage(input_tokens=2),
    )
    ledger = build_profile(write(tmp_path, *records, lost)).ledger["m"]
    assert ledger.input is not None
    assert (ledger.input.calls, ledger.input.reported_tokens) == (2, 107)


def test_the_gateways_calls_are_preferred_and_models_kept_apart(tmp_path: Path):
    calls = [
        call(0, 0, 105),
        call(0, 0, 999, observer=Observer.RESPONSE),
        call(0, 0, 107, model="other", observer=Observer.RESPONSE),
        call(0, 0, None, model="silent"),
    ]
    found = build_profile(write(tmp_path, *calls, interaction("a"))).ledger
    assert {name: ledger.source for name, ledger in found.items()} == {
        "m": "gateway",
        "other": "response",
    }
    assert found["m"].input is not None
    assert found["m"].input.reported_tokens == 105


def test_merged_ledgers_are_the_ledger_of_all_calls(tmp_path: Path):
    calls = [
        call(i * i, 7 * (i % 3), 120 + i * i + i, counted_output=i, output=i) for i in range(30)
    ]
    whole = ledger_of(tmp_path, *calls)
    parts = [ledger_of(tmp_path, *calls[i::3]) for i in range(3)]
    assert merge_ledgers(parts) == whole
    assert merge_ledgers(parts[::-1]) == whole


def test_sums_that_are_not_those_of_the_variables_are_refused(tmp_path: Path):
    side = input_of(tmp_path, call(0, 0, 105)).model_dump()
    for changes in ({"products": (1, 2)}, {"variables": ("one", "two")}):
        with pytest.raises(ValidationError, match="each pair of known variables"):
            LedgerSide(**{**side, **changes})


def test_the_made_up_run_is_40_tokens_above_our_count(tmp_path: Path):
    ledger = build_profile(write(tmp_path, *observed_run(), first=RUN)).ledger["m"]
    side = ledger.input
    assert side is not None
    assert (ledger.source, side.calls, side.difference_tokens) == ("gateway", 78, 78 * 40)
    assert ledger.counted_by_part["tool_schemas"] == 19 * 2 * 120 + 20 * 2 * 300
    assert coefficients(side) == {"messages": 1, "tool_schemas": 1, "constant": 43}
    assert side.plain_error.sd_tokens == 0
