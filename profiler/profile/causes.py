"""Why two observers differ: causes that are known, each with what the numbers must show for it.

A cause is named only where the numbers fit it. Where several fit, all are named (requests that were
tried again, and calls that could not be assigned); where none does, none is. All of it is computed
from the profile's own sections, so that a merged profile is explained by its own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from profiler.measure.records import Observer
from profiler.profile.reconciling import COUNTED, REPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from profiler.profile.correction import LedgerSide
    from profiler.profile.ledger import Ledger
    from profiler.profile.model import Reconciliation
    from profiler.profile.observing import ObserverReport

_GATEWAY, _OTEL = Observer.GATEWAY.value, Observer.OTEL.value
_RESPONSE, _CLIENT = Observer.RESPONSE.value, Observer.CLIENT.value
_STATE_STORE = Observer.STATE_STORE.value

_SEE_CALLS = (_OTEL, _RESPONSE)
_ACCOUNTS = frozenset({_RESPONSE, _CLIENT})

NEAR = 0.02
"""Relative difference up to which two sums are taken for the same ratio."""
NEAR_CONSTANT = 0.1
"""Spread of a difference from call to call, as a share of it, up to which it is one number."""
NEAR_ONE = 0.01

_OF_CALLS = frozenset(
    (
        *("llm_calls", "attempts", "input_tokens", "output_tokens"),
        *("cached_input_tokens", "reasoning_tokens"),
    )
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One comparison that differs, its sums, and what else is known of its observers."""

    row: Reconciliation
    a: int
    b: int
    beside: Mapping[tuple[str, str, str], Reconciliation]
    observers: Mapping[str, ObserverReport]
    ledger: Mapping[str, Ledger]

    def pair(self, metric: str) -> Reconciliation | None:
        """Return the comparison of the same observers on another metric."""
        return self.beside.get((metric, self.row.observer_a, self.row.observer_b))

    @property
    def a_never_less(self) -> bool:
        """Whether a has more wherever they differ."""
        return self.row.a_larger == self.row.differing


@dataclass(frozen=True, slots=True)
class Cause:
    """What a profile says, and when."""

    text: str
    fits: Callable[[Evidence], bool]


def _retries(observer: str) -> Callable[[Evidence], bool]:
    """Need more attempts of the same calls, of which the other has one for each, or sees none.

    Interactions in which the gateway lacks calls (`_unassigned`) may be among them.
    """

    def fits(found: Evidence) -> bool:
        row, calls = found.row, found.pair("llm_calls")
        return (
            (row.metric, row.observer_a, row.observer_b) == ("attempts", _GATEWAY, observer)
            and calls is not None
            and calls.compared == row.compared
            and found.b == calls.sum_b
            and bool(row.a_larger)
            and (calls.differing == 0 or _lacks_unassigned(calls, found))
        )

    return fits


def _unassigned(found: Evidence) -> bool:
    """Need that the gateway has fewer calls, by no more than it could not assign.

    And fewer of what is summed up over calls in no more interactions; retries may be beside.
    """
    row, calls = found.row, found.pair("llm_calls")
    if calls is None or row.a_larger is None or row.metric not in _OF_CALLS:
        return False
    b_larger = row.differing - row.a_larger
    retried = row.metric == "attempts" and any(r(found) for r in map(_retries, _SEE_CALLS))
    return (
        _lacks_unassigned(calls, found)
        and 0 < b_larger <= calls.differing
        and (row.a_larger == 0 or retried)
    )


def _lacks_unassigned(calls: Reconciliation, found: Evidence) -> bool:
    gateway = found.observers.get(_GATEWAY)
    return (
        gateway is not None
        and calls.observer_a == _GATEWAY
        and calls.a_larger == 0
        and 0 < -calls.sum_difference <= gateway.unattributed
    )


def _twice(found: Evidence) -> bool:
    """Need twice the calls and twice the tokens in spans: in all, or wherever they differ."""
    row = found.row
    if row.metric not in _OF_CALLS or _OTEL not in (row.observer_a, row.observer_b):
        return False
    calls = found.pair("llm_calls")
    tokens = [t for t in map(found.pair, ("input_tokens", "output_tokens")) if t is not None]
    needed = (found.row, calls, *tokens)
    return bool(tokens) and all(one is not None and _otel_is_twice(one) for one in needed)


def _otel_is_twice(row: Reconciliation) -> bool:
    if row.sum_a is None or row.sum_b is None or not row.sum_a or not row.sum_b:
        return False
    otel_is_a = row.observer_a == _OTEL
    otel, other = (row.sum_a, row.sum_b) if otel_is_a else (row.sum_b, row.sum_a)
    always_more = row.a_larger == (row.differing if otel_is_a else 0)
    where_they_differ = 0 < row.differing == row.doubled and always_more
    return where_they_differ or abs(otel - 2 * other) <= NEAR * 2 * other


def _dropped(metric: str, observers: frozenset[str]) -> Callable[[Evidence], bool]:
    """Need that one observer has 0 of it throughout, and the other some."""

    def fits(found: Evidence) -> bool:
        row = found.row
        b_drops = row.observer_b in observers and found.b == 0 < found.a
        a_drops = row.observer_a in observers and found.a == 0 < found.b
        return row.metric == metric and (a_drops or b_drops)

    return fits


def _left_out(metric: str, part: str) -> Callable[[Evidence], bool]:
    """Need that the other observer's number is short by exactly a part that belongs to it."""

    def fits(found: Evidence) -> bool:
        parts = found.pair(part)
        return (
            found.row.metric == metric
            and found.row.against is None
            and parts is not None
            and parts.compared == found.row.compared
            and 0 < found.row.sum_difference == parts.sum_a
            and found.a_never_less
        )

    return fits


def _tool_schemas(found: Evidence) -> bool:
    """Need more reported than counted, in every ledger of the observer by what schemas add."""
    row = found.row
    if (row.metric, row.against) != (REPORTED, COUNTED) or not found.a_never_less:
        return False
    ledgers = [
        ledger
        for ledger in found.ledger.values()
        if ledger.source == row.observer_a
        and ledger.input is not None
        and ledger.input.difference_tokens
    ]
    return bool(ledgers) and all(_is_of_tool_schemas(ledger) for ledger in ledgers)


def _is_of_tool_schemas(ledger: Ledger) -> bool:
    """Need a difference where there are tool schemas only: the same each time, or by their size."""
    side, bare = ledger.input, ledger.without_tools
    if side is None or side.calls == bare.calls:
        return False
    n = side.calls - bare.calls
    total = side.difference_tokens - bare.difference_tokens
    error = side.plain_error
    squares = error.rms_tokens**2 * side.calls - bare.difference_squares
    mean = total / n
    if mean <= 0 or abs(bare.difference_tokens) > NEAR_CONSTANT * mean * bare.calls:
        return False
    is_constant = n > 1 and squares / n - mean**2 <= (NEAR_CONSTANT * mean) ** 2
    return is_constant or _fit_blames_tool_schemas(side, ledger.counted_by_part["tool_schemas"])


def _fit_blames_tool_schemas(side: LedgerSide, tool_schemas: int) -> bool:
    """Need messages counted right, and most of the difference going with the schemas' size."""
    terms = {} if side.correction is None else side.correction.terms
    if side.correction is None or "tool_schemas" not in terms:
        return False
    messages = terms.get("messages")
    from_schemas = (terms["tool_schemas"].value - 1) * tool_schemas
    return (
        (messages is None or abs(messages.value - 1) <= NEAR_ONE)
        and 2 * from_schemas >= side.difference_tokens
        and side.correction.residual_sd_tokens <= NEAR_CONSTANT * side.plain_error.mean_tokens
    )


def _store_counts_more(found: Evidence) -> bool:
    """Need that the store itself counted more than was seen inside interactions."""
    row = found.row
    return (row.scope, row.observer_a) == ("run", _STATE_STORE) and found.a_never_less


CAUSES = (
    Cause("SDK retries: spans show a call once, the gateway each request", _retries(_OTEL)),
    Cause(
        "SDK retries: the agent's account shows a call once, the gateway each request",
        _retries(_RESPONSE),
    ),
    Cause("LLM calls that the gateway could not assign to an interaction", _unassigned),
    Cause("sub-agents or two instrumentations: spans count a call twice", _twice),
    Cause(
        "this instrumentation drops reasoning tokens",
        _dropped("reasoning_tokens", frozenset({_OTEL})),
    ),
    Cause(
        "this instrumentation drops cached input tokens",
        _dropped("cached_input_tokens", frozenset({_OTEL})),
    ),
    Cause(
        "the agent's account leaves reasoning tokens out",
        _dropped("reasoning_tokens", _ACCOUNTS),
    ),
    Cause(
        "the agent's account leaves cached input tokens out",
        _dropped("cached_input_tokens", _ACCOUNTS),
    ),
    Cause(
        "the other's input does not include what was read from a cache",
        _left_out("input_tokens", "cached_input_tokens"),
    ),
    Cause(
        "the other's output does not include reasoning",
        _left_out("output_tokens", "reasoning_tokens"),
    ),
    Cause("the provider adds overhead for tool schemas", _tool_schemas),
    Cause(
        "operations outside interactions, of other clients, or not instrumented",
        _store_counts_more,
    ),
)
"""What is known. What the numbers must show for it is said by each one's function."""


def with_causes(
    rows: Sequence[Reconciliation],
    observers: Mapping[str, ObserverReport],
    ledger: Mapping[str, Ledger],
) -> tuple[Reconciliation, ...]:
    """Return the comparisons, each that differs with its causes if any fit."""
    beside = {
        (row.metric, row.observer_a, row.observer_b): row
        for row in rows
        if row.scope == "interaction" and row.against is None
    }
    found: list[Reconciliation] = []
    for row in rows:
        cause = None
        if row.differing and row.sum_a is not None and row.sum_b is not None:
            evidence = Evidence(row, row.sum_a, row.sum_b, beside, observers, ledger)
            cause = "; ".join(one.text for one in CAUSES if one.fits(evidence)) or None
        found.append(row if cause is None else row.model_copy(update={"cause": cause}))
    return tuple(found)
