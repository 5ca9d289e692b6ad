"""Whose call it is: the order of the ways, and where none of them is good enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.measure.records import NO_TRACE, Attribution
from profiler.observers.gateway.apis.values import CallRequest, ToolAsked
from profiler.observers.gateway.attribution import (
    Attributor,
    How,
    session_of,
    trace_id_of,
)
from profiler.observers.gateway.tool_chain import Asking, ToolChain
from profiler.observers.in_flight import InFlight
from profiler.workload.marker import marker_of

A, B, C = "a" * 32, "b" * 32, "c" * 32
ORDER = "Where is my order A-17?"


@pytest.fixture
def flying():
    flying = InFlight()
    flying.begin(A, ORDER, session="s-1")
    flying.begin(B, "When does the shop open?", session="s-2")
    return flying


@pytest.fixture
def chain():
    return ToolChain()


def asked(chain, trace_id, *ids):
    chain.asked(Asking(trace_id, 0), [ToolAsked(id=call_id, name="t") for call_id in ids])


def found(attributor, *, headers=None, **request):
    owner = attributor.owner(headers or {}, CallRequest(**request))
    return owner.trace_id, owner.attribution


def test_the_trace_goes_before_all_else(flying, chain):
    asked(chain, B, "call_b")
    headers = {"traceparent": f"00-{A}-{'1' * 16}-01"}
    user = f"When does the shop open? {marker_of(B)}"
    result = found(Attributor(flying, chain), headers=headers, user=user, brings=("call_b",))
    assert result == (A, Attribution.TRACE)


def test_an_interaction_that_has_ended_still_owns_its_trace(flying, chain):
    flying.end(A)
    headers = {"traceparent": f"00-{A}-{'1' * 16}-01"}
    assert found(Attributor(flying, chain), headers=headers) == (A, Attribution.TRACE)


def test_a_trace_of_the_agents_own_is_not_ours(flying, chain):
    headers = {"traceparent": f"00-{C}-{'1' * 16}-01"}
    result = found(Attributor(flying, chain), headers=headers, user=ORDER)
    assert result == (A, Attribution.USER_TEXT)


def test_the_session_in_the_baggage_tells_its_one_interaction(flying, chain):
    headers = {"baggage": "x=1, agent_profiler.session=s-2;p=1,agent_profiler.scenario=shop"}
    attributor = Attributor(flying, chain)
    assert found(attributor, headers=headers, user=ORDER) == (B, Attribution.TRACE)
    flying.begin(C, "another", session="s-2")
    assert found(attributor, headers=headers, user=ORDER) == (A, Attribution.USER_TEXT)


def test_the_marker_goes_before_the_tools(flying, chain):
    asked(chain, B, "call_b")
    user = f"anything {marker_of(A)} else"
    result = found(Attributor(flying, chain), user=user, brings=("call_b",))
    assert result == (A, Attribution.MARKER)


def test_a_marker_of_nobody_says_nothing(flying, chain):
    result = found(Attributor(flying, chain), user=f"{ORDER} {marker_of(C)}")
    assert result == (A, Attribution.USER_TEXT)


def test_the_tools_go_before_the_text(flying, chain):
    asked(chain, B, "call_b")
    result = found(Attributor(flying, chain), user=ORDER, brings=("call_b",), ends_in_results=True)
    assert result == (B, Attribution.TOOL_CHAIN)


def test_results_before_a_new_message_are_the_last_interactions(flying, chain):
    """A session whose turn broke off within its tools, and the next turn of it."""
    asked(chain, C, "call_c")
    attributor = Attributor(flying, chain)
    assert found(attributor, user=ORDER, brings=("call_c",)) == (A, Attribution.USER_TEXT)
    flying.begin(C, "still under way")
    assert found(attributor, user=ORDER, brings=("call_c",)) == (C, Attribution.TOOL_CHAIN)


def test_an_id_that_two_interactions_got_says_nothing(flying, chain):
    asked(chain, A, "call_1")
    asked(chain, B, "call_1", "call_2")
    attributor = Attributor(flying, chain)
    assert found(attributor, brings=("call_1",), ends_in_results=True) == (
        NO_TRACE,
        Attribution.AMBIGUOUS,
    )
    assert found(attributor, brings=("call_1", "call_2"), ends_in_results=True) == (
        B,
        Attribution.TOOL_CHAIN,
    )


def test_the_chain_of_an_ambiguous_call_leads_nowhere(flying, chain):
    asked(chain, NO_TRACE, "call_x")
    result = found(Attributor(flying, chain), brings=("call_x",), user=ORDER)
    assert result == (A, Attribution.USER_TEXT)


def test_the_same_text_twice_is_ambiguous_and_never_guessed(flying, chain):
    flying.begin(C, ORDER)
    result = found(Attributor(flying, chain), user=ORDER)
    assert result == (NO_TRACE, Attribution.AMBIGUOUS)


def test_a_wrapped_text_is_found_if_only_one_is_in_it(flying, chain):
    attributor = Attributor(flying, chain)
    owner = attributor.owner({}, CallRequest(user=f"User: {ORDER}\nAnswer briefly."))
    assert (owner.trace_id, owner.how) == (A, How.CONTAINED)
    both = f"{ORDER} When does the shop open?"
    assert found(attributor, user=both) == (NO_TRACE, Attribution.AMBIGUOUS)


def test_a_short_text_is_not_looked_for_within_others(flying, chain):
    flying.begin(C, "yes please")
    result = found(Attributor(flying, chain), user="The user said: yes please")
    assert result == (NO_TRACE, Attribution.AMBIGUOUS)


def test_a_call_without_any_sign_is_ambiguous(flying, chain):
    assert found(Attributor(flying, chain)) == (NO_TRACE, Attribution.AMBIGUOUS)


def test_standing_alone_takes_any_trace_and_knows_the_chain(chain):
    attributor = Attributor(None, chain)
    headers = {"traceparent": f"00-{C}-{'1' * 16}-01"}
    assert found(attributor, headers=headers) == (C, Attribution.TRACE)
    asked(chain, C, "call_c")
    assert found(attributor, brings=("call_c",)) == (C, Attribution.TOOL_CHAIN)
    assert found(attributor, user=f"hello {marker_of(C)}") == (NO_TRACE, Attribution.AMBIGUOUS)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{A}-{'1' * 16}-00", A),
        (f"cc-{A}-{'1' * 16}-01-what-the-future-brings", A),
        (f"00-{A}-{'1' * 16}-01-more", None),
        (f"ff-{A}-{'1' * 16}-01", None),
        (f"00-{'0' * 32}-{'1' * 16}-01", None),
        (f"00-{A}-{'0' * 16}-01", None),
        (f"00-{A.upper()}-{'1' * 16}-01", None),
        ("", None),
    ],
)
def test_traceparent_as_the_w3c_has_it(header, expected):
    assert trace_id_of(header) == expected


@given(st.text(max_size=80))
def test_no_header_raises(text):
    trace_id_of(text)
    session_of(text)
