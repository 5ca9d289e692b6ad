"""When an interaction is written, and what the notes say of those that were not seen whole."""

from __future__ import annotations

import pytest

from profiler.clock import ClockAnchor
from profiler.measure.records import LlmCall, ObserverNote, StateOp, Watched
from profiler.observers.in_flight import InFlight
from profiler.observers.otlp import collector as collecting
from profiler.observers.otlp.collector import Arrived, Collector
from profiler.observers.otlp.dialects import sighting
from profiler.observers.otlp.notes import MEANINGS
from profiler.observers.otlp.spans import SpanKind
from tests.observers.otlp.making import MS, WALL_NS, chat, redis, server, span, tool

A, B, C, STRANGER = "aa" * 16, "bb" * 16, "cc" * 16, "ee" * 16
S = 1_000_000_000


class Bench:
    """A collector with a clock in hand. The agent's wall clock agrees with ours, plus `skew`."""

    def __init__(self, **options):
        self.now_ns = 0
        self.records = []
        self.in_flight = InFlight()
        self.collector = Collector(
            record=lambda *some: self.records.extend(some),
            in_flight=self.in_flight,
            anchor=ClockAnchor(wall_ns=WALL_NS, monotonic_ns=0),
            clock=lambda: self.now_ns,
            **options,
        )
        for trace_id in (A, B, C):
            self.in_flight.begin(trace_id, "hello")

    def come(self, trace_id, *spans, skew_ms=0):
        self.collector.add(
            Arrived(trace_id, sighting(one)) for one in (_moved(span, skew_ms) for span in spans)
        )

    def end(self, trace_id, *, window=(0, 100)):
        self.in_flight.end(trace_id)
        self.collector.ended(trace_id, window[0] * MS, window[1] * MS)

    async def drain(self, **options):
        if "on_wait" not in options:
            self.now_ns += 60 * S  # the grace is over
        await self.collector.drain(options.pop("grace_s", 6), **options)

    def calls(self):
        return [r.trace_id for r in self.records if isinstance(r, LlmCall)]

    def notes(self):
        return {r.kind: r.count for r in self.records if isinstance(r, ObserverNote)}

    def detail(self, kind):
        (note,) = (r for r in self.records if isinstance(r, ObserverNote) and r.kind == kind)
        return note.detail


def _moved(one, skew_ms):
    changes = {name: getattr(one, name) for name in one.__slots__}
    changes["start_ns"] += skew_ms * MS
    changes["end_ns"] += skew_ms * MS
    return type(one)(**changes)


WHOLE = (server(), chat(2, 1, at=(5, 50)))


def test_a_complete_interaction_is_written_when_its_hold_time_is_over():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.end(A)
    bench.now_ns = 6 * S
    bench.come(B, server())
    assert bench.calls() == []
    bench.now_ns = 7 * S
    bench.come(B, chat(2, 1, at=(5, 50)))
    assert bench.calls() == [A]
    assert bench.collector.spans_held == 2


def test_spans_come_in_any_order_before_and_after_the_end():
    bench = Bench()
    bench.come(A, chat(2, 1, at=(5, 50)))
    bench.end(A)
    bench.now_ns = 3 * S
    bench.come(A, server())
    bench.now_ns = 7 * S
    bench.end(B)
    assert bench.calls() == [A]


def test_what_is_incomplete_waits_and_is_written_once_it_is_whole():
    bench = Bench()
    bench.come(A, chat(2, 1, at=(5, 50)))
    bench.end(A)
    bench.now_ns = 60 * S
    bench.end(B, window=(59_000, 60_000))
    assert bench.calls() == []
    bench.come(A, server())
    bench.now_ns = 61 * S
    bench.come(B, server())
    assert bench.calls() == [A]


async def test_the_end_writes_all_and_says_what_is_missing():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.come(B, chat(2, 1, at=(5, 50)))
    for trace_id in (A, B, C):
        bench.end(trace_id)
    await bench.drain()
    assert bench.calls() == [A, B]
    notes = bench.notes()
    assert (notes["no_spans"], notes["incomplete"]) == (1, 1)
    assert bench.collector.spans_held == 0


async def test_a_span_after_the_writing_is_late():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.end(A)
    bench.now_ns = 7 * S
    bench.come(B, server())
    bench.come(A, chat(3, 1, at=(60, 90)), chat(4, 1, at=(91, 92)))
    await bench.drain()
    assert bench.calls() == [A]
    assert bench.notes()["late"] == 2


def test_a_service_behind_the_agent_is_not_taken_for_it():
    # It exports at once; the agent's own spans come seconds later.
    bench = Bench()
    bench.come(A, span(9, 8, at=(20, 30), kind=SpanKind.SERVER), tool(10, 9, "t", at=(21, 29)))
    bench.end(A)
    bench.now_ns = 7 * S
    bench.end(B)
    assert bench.records == []
    bench.come(A, *WHOLE, span(8, 1, at=(19, 31)))
    bench.now_ns = 8 * S
    bench.end(C)
    assert bench.calls() == [A]


async def test_an_agent_behind_a_queue_is_complete():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.end(A, window=(-5000, 110))
    bench.now_ns = 7 * S
    bench.end(B)
    assert bench.calls() == [A]


async def test_a_span_that_is_sent_twice_counts_once():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.come(A, *WHOLE)
    bench.end(A)
    await bench.drain()
    assert bench.calls() == [A]


async def test_spans_of_others_are_counted_and_explained():
    bench = Bench()
    health = span(1, attributes={"http.method": "GET"}, kind=SpanKind.SERVER)
    bench.come(STRANGER, health)
    alone = {"resource": {"service.name": "shop-agent"}}
    for number in range(3):
        bench.come(
            f"{number + 1:032x}", chat(2, 1, at=(5, 50), **alone), tool(3, 1, "t", at=(6, 7))
        )
    await bench.drain()
    assert bench.notes() == {"foreign_trace": 1, "orphan_root": 3}
    assert "not instrumented" in bench.detail("orphan_root")
    assert "shop-agent" in bench.detail("orphan_root")


async def test_a_store_that_was_not_touched_has_zeros_not_nothing():
    bench = Bench()
    bench.come(A, *WHOLE, redis(3, 1, "GET ?", at=(60, 61)))
    bench.come(B, *WHOLE)
    for trace_id in (A, B, C):
        bench.end(trace_id)
    await bench.drain()
    ops = [(r.trace_id, r.kind, r.count) for r in bench.records if isinstance(r, StateOp)]
    assert sorted(ops) == [
        (A, "other", 0), (A, "read", 1), (A, "write", 0),
        (B, "other", 0), (B, "read", 0), (B, "write", 0),
    ]  # fmt: skip


async def test_without_any_database_span_state_is_not_observed():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.end(A)
    await bench.drain()
    assert not any(isinstance(r, StateOp) for r in bench.records)


async def test_an_interaction_without_a_call_among_others_with_calls_is_a_known_zero():
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.come(B, server())
    bench.come(C, span(2, 1, at=(5, 50)))
    for trace_id in (A, B, C):
        bench.end(trace_id)
    await bench.drain()
    assert [r.trace_id for r in bench.records if isinstance(r, Watched)] == [B]


async def test_a_run_without_any_llm_span_says_so():
    bench = Bench()
    bench.come(A, server())
    bench.end(A)
    await bench.drain()
    assert bench.notes() == {"no_llm_spans": 1}
    assert not any(isinstance(r, Watched) for r in bench.records)


@pytest.mark.parametrize(("skew_ms", "words"), [(5000, "5.000 s ahead"), (-300, "0.300 s behind")])
async def test_clocks_that_differ_are_noticed(skew_ms, words):
    bench = Bench()
    for trace_id in (A, B, C):
        bench.come(trace_id, *WHOLE, skew_ms=skew_ms)
        bench.end(trace_id)
    await bench.drain()
    assert bench.notes()["clock_skew"] == 3
    assert words in bench.detail("clock_skew")
    starts = {r.start_ns for r in bench.records if isinstance(r, LlmCall)}
    assert starts == {5 * MS}


@pytest.mark.parametrize("window", [(0, 100), (-500, 600), (-10, 90), (-10, 60)])
async def test_clocks_that_agree_or_nearly_are_not(window):
    # A slow network, a few milliseconds, an agent that works on after its answer.
    bench = Bench()
    bench.come(A, *WHOLE)
    bench.end(A, window=window)
    await bench.drain()
    assert "clock_skew" not in bench.notes()


async def test_memory_is_bounded():
    bench = Bench(max_spans=100)
    bench.come(A, *(chat(n, 1, at=(5, 50)) for n in range(2, 300)))
    assert bench.collector.spans_held == 100
    bench.end(A)
    bench.now_ns = 7 * S
    bench.end(B, window=(6_900, 7_000))  # pressure: what is oldest and over goes
    assert bench.collector.spans_held == 0
    assert len(bench.calls()) == 100
    await bench.drain()
    assert bench.notes()["overflow"] == 198


async def test_strangers_are_bounded(monkeypatch):
    monkeypatch.setattr(collecting, "MAX_STRANGERS", 10)
    bench = Bench()
    for number in range(50):
        bench.come(f"{number + 1:032x}", span(1))
    await bench.drain()
    assert bench.notes() == {"foreign_trace": 50}


async def test_waiting_ends_early_when_all_is_there_and_tells_meanwhile():
    bench = Bench()
    bench.end(A)
    told = []

    def on_wait(missing, left_s):
        told.append((missing, round(left_s, 1)))
        bench.now_ns += S
        if len(told) == 2:
            bench.come(A, *WHOLE)

    await bench.drain(grace_s=60, on_wait=on_wait)
    assert told[:2] == [(1, 60.1), (1, 59.1)]
    assert len(told) < 10
    assert bench.calls() == [A]


async def test_waiting_ends_with_the_grace():
    bench = Bench()
    bench.end(A)
    told = []

    def on_wait(missing, left_s):
        told.append(missing)
        bench.now_ns += S

    await bench.drain(grace_s=6, on_wait=on_wait)
    assert told == [1] * 7  # until 6.1 s
    assert bench.notes() == {"no_spans": 1}


async def test_what_is_hopeless_is_not_waited_for():
    bench = Bench()
    bench.end(A)  # no span of it came in a minute
    bench.now_ns = 60 * S
    bench.come(B, *WHOLE)
    bench.end(B, window=(59_900, 60_000))
    told = []

    def on_wait(missing, left_s):
        told.append(missing)
        bench.now_ns += S

    await bench.drain(on_wait=on_wait)
    assert set(told) == {0}  # only for the dust to settle
    assert bench.calls() == [B]


async def test_an_interaction_that_never_ended_is_left_out_and_said():
    bench = Bench()
    bench.come(A, *WHOLE)
    await bench.drain()
    assert bench.calls() == []
    assert bench.notes() == {"cut_off": 1}


async def test_calls_without_attempts_or_tokens_are_said():
    bench = Bench()
    silent = span(3, 1, at=(60, 70), attributes={"gen_ai.operation.name": "chat"})
    bench.come(A, *WHOLE, silent)
    bench.end(A)
    await bench.drain()
    assert bench.notes() == {"no_attempts": 2, "no_usage": 1}


def test_every_note_has_one_line():
    assert all(meaning and "\n" not in meaning for meaning in MEANINGS.values())
