"""Tool calls that answers asked for, and their round trips."""

from profiler.observers.gateway.apis.values import ToolAsked
from profiler.observers.gateway.tool_chain import Asking, ToolChain

A, B = "a" * 32, "b" * 32


def tool(call_id, name):
    return ToolAsked(id=call_id, name=name)


def test_parallel_tools_are_one_round_trip():
    chain = ToolChain()
    chain.asked(Asking(A, 100), [tool("1", "weather"), tool("2", "time")])
    (trip,) = chain.brought(["1", "2"], A, 350)
    assert (trip.tools, trip.start_ns, trip.end_ns) == (("weather", "time"), 100, 350)


def test_a_round_trip_is_told_once():
    chain = ToolChain()
    chain.asked(Asking(A, 100), [tool("1", "weather")])
    assert len(chain.brought(["1"], A, 200)) == 1
    assert chain.brought(["1"], A, 300) == []


def test_several_answers_have_a_round_trip_each():
    chain = ToolChain()
    chain.asked(Asking(A, 100), [tool("1", "weather")])
    chain.asked(Asking(A, 150), [tool("2", "time")])
    trips = chain.brought(["1", "2"], A, 200)
    assert [(trip.tools, trip.start_ns) for trip in trips] == [
        (("weather",), 100),
        (("time",), 150),
    ]


def test_tools_that_are_named_one_by_one_are_one_answers():
    chain = ToolChain()
    asking = Asking(A, 100)
    chain.asked(asking, [tool("1", "weather")])
    asking.end_ns = 120
    chain.asked(asking, [tool("1", "weather"), tool("2", "time")])
    (trip,) = chain.brought(["2"], A, 200)
    assert (trip.tools, trip.start_ns) == (("weather", "time"), 120)


def test_an_id_used_twice_is_each_interactions_own():
    chain = ToolChain()
    chain.asked(Asking(A, 100), [tool("1", "weather")])
    chain.asked(Asking(B, 110), [tool("1", "weather")])
    assert chain.trace_of(["1"]) is None
    (trip,) = chain.brought(["1"], B, 200)
    assert (trip.trace_id, trip.start_ns) == (B, 110)


def test_unknown_ids_and_old_ones_say_nothing():
    chain = ToolChain(max_ids=2)
    for call_id in ("1", "2", "3"):
        chain.asked(Asking(A, 100), [tool(call_id, "t")])
    assert chain.trace_of(["1", "x"]) is None
    assert chain.trace_of(["2", "x"]) == A
    assert chain.brought(["1", "x"], A, 200) == []
