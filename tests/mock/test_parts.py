"""The small parts: timing, tools, store, scripted answers, streams, headers."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from random import Random

import anyio
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.mock import scripted
from profiler.mock.chat import ChatRequest, previous_prompt
from profiler.mock.options import AgentOptions, LlmOptions
from profiler.mock.store import MemoryStore, OperationCount
from profiler.mock.stream import PieceClock, TokenTimes, completion_texts, deltas_of, pieces_of
from profiler.mock.timing import Lognormal, Occurrences, Pace, random_for
from profiler.mock.tools import ToolRunner
from profiler.mock.truth import TruthLog
from profiler.mock.wire import HttpError, trace_context

INSTANT = Pace(math.inf)


class TestTiming:
    def test_a_lognormal_has_the_median_and_p95_that_it_was_given(self):
        random = Random(1)
        draws = sorted(Lognormal(0.150, 0.400).draw_s(random) for _ in range(40_000))
        assert draws[20_000] == pytest.approx(0.150, rel=0.02)
        assert draws[38_000] == pytest.approx(0.400, rel=0.03)

    @pytest.mark.parametrize("wrong", [(0, 1), (2, 1), (1, math.inf), (math.nan, 1)])
    def test_what_is_no_distribution_is_an_error(self, wrong):
        with pytest.raises(UsageError, match="make no distribution"):
            Lognormal(*wrong)

    @pytest.mark.parametrize("speed", [-1, math.nan])
    def test_what_is_no_speed_is_an_error(self, speed):
        with pytest.raises(UsageError, match="a speed of"):
            Pace(speed)

    @pytest.mark.parametrize("speed", [0, math.inf])
    def test_zero_and_infinite_speed_wait_for_nothing(self, speed):
        assert Pace(speed).instant
        assert Pace(speed).after_ns(5, 1e6) == 5

    def test_speed_divides_durations(self):
        assert Pace(10).after_ns(1_000, 2.0) == 1_000 + 200_000_000

    async def test_a_deadline_is_never_undershot_and_the_past_needs_no_wait(self):
        pace = Pace(1)
        deadline_ns = pace.clock() + 3_000_000
        await pace.until(deadline_ns)
        assert pace.clock() >= deadline_ns
        await pace.until(0)

    def test_generators_depend_on_every_part_and_on_nothing_else(self):
        assert random_for("a", 1).random() == random_for("a", 1).random()
        assert random_for("a", 1).random() != random_for("a", 2).random()

    def test_occurrences_are_counted_within_a_bound(self):
        occurrences = Occurrences(limit=2)
        assert [occurrences.next(k) for k in "aabac"] == [0, 1, 0, 2, 0]
        assert occurrences.next("b") == 0  # the least recent was forgotten


class TestTools:
    def test_each_tool_has_a_median_of_its_own_between_30_and_250_ms(self):
        runner = ToolRunner(seed=1, pace=INSTANT)
        medians = []
        for name in ("find", "book", "think", "cancel"):
            draws = [runner.duration_s(name, "{}") for _ in range(4_000)]
            medians.append(statistics.median(draws))
            assert 0.028 < medians[-1] < 0.27
        assert len({round(m, 3) for m in medians}) == 4

    def test_durations_are_the_same_set_in_whatever_order_calls_come(self):
        def durations(order):
            runner = ToolRunner(seed=1, pace=INSTANT)
            return sorted(runner.duration_s("find", arguments) for arguments in order)

        assert durations("aab") == durations("baa")

    def test_a_tool_time_that_was_given_is_exact(self):
        runner = ToolRunner(seed=1, pace=INSTANT, fixed_s={"find": 0.2})
        assert runner.duration_s("find", "{}") == 0.2

    def test_a_negative_tool_time_is_an_error(self):
        with pytest.raises(UsageError, match="tool-time find"):
            ToolRunner(seed=1, pace=INSTANT, fixed_s={"find": -1})

    async def test_parallel_calls_run_at_once_and_answer_in_order(self):
        runner = ToolRunner(seed=1, pace=Pace(1), fixed_s={"slow": 0.02, "fast": 0.001})
        asked = [
            {"id": name, "function": {"name": name, "arguments": "{}"}} for name in ("slow", "fast")
        ]
        ran: Counter[str] = Counter()
        slow, fast = await runner.run(asked, ("s", None), ran)
        assert ran == {"slow": 1, "fast": 1}
        assert fast.start_ns < slow.end_ns  # it did not wait for the first
        assert fast.end_ns < slow.end_ns
        assert slow.end_ns - slow.start_ns >= 20_000_000
        assert slow.message == {
            "role": "tool",
            "tool_call_id": "slow",
            "name": "slow",
            "content": "s",
        }
        assert orjson.loads(fast.message["content"])["tool"] == "fast"


class TestStore:
    async def test_operations_are_counted_for_the_caller_and_in_total(self):
        store = MemoryStore(pace=INSTANT, seed=1)
        mine, yours = OperationCount(), OperationCount()
        assert await store.get("a", mine) is None
        await store.set("a", b"1", mine)
        await store.set("a", b"22", yours)
        assert await store.get("a", yours) == b"22"
        assert (mine.reads, mine.writes) == (1, 1)
        assert (store.total.reads, store.total.writes) == (2, 2)

    async def test_the_least_recently_used_session_is_forgotten_first(self):
        store = MemoryStore(pace=INSTANT, seed=1, max_sessions=2)
        tally = OperationCount()
        await store.set("a", b"a", tally)
        await store.set("b", b"b", tally)
        await store.get("a", tally)
        await store.set("c", b"c", tally)
        assert [await store.get(key, tally) for key in "abc"] == [b"a", None, b"c"]

    async def test_bytes_are_bounded_too(self):
        store = MemoryStore(pace=INSTANT, seed=1, max_bytes=10)
        tally = OperationCount()
        for key in ("a", "b", "b"):
            await store.set(key, b"12345", tally)
        assert await store.get("a", tally) == b"12345"
        await store.set("c", b"123456", tally)
        assert await store.get("a", tally) is None or await store.get("b", tally) is None

    async def test_an_operation_takes_time_at_real_speed(self):
        store = MemoryStore(pace=Pace(1000), seed=1)
        await store.set("a", b"1", OperationCount())
        assert store.total.writes == 1


class TestScripted:
    def ask(self, messages, tools=scripted.SCRIPTED_TOOLS, *, probability=1.0, digest="0" * 32):
        return scripted.answer(
            seed=1,
            digest=digest,
            messages=messages,
            tools=tools,
            tool_call_probability=probability,
        )

    def test_an_answer_takes_up_what_was_asked_and_is_always_the_same(self):
        messages = [{"role": "user", "content": "Where is my order A-17?"}]
        first = self.ask(messages, ())
        assert "Where is my order A-17?" in first["content"]
        assert first == self.ask(messages, ())
        assert first != self.ask(messages, (), digest="1" * 32)
        assert self.ask([])["role"] == "assistant"

    def test_at_most_two_tool_calls_follow_one_user_message(self):
        messages = [{"role": "user", "content": "hi"}]
        rounds = 0
        while (answer := self.ask(messages)).get("tool_calls"):
            rounds += 1
            messages += [answer, {"role": "tool", "content": "{}"}]
        assert rounds == 2
        assert answer["content"]
        messages += [answer, {"role": "user", "content": "and now?"}]
        assert self.ask(messages)["tool_calls"]

    def test_arguments_fit_the_schema(self):
        schema = {
            "type": "object",
            "properties": {
                "s": {"type": "string"},
                "i": {"type": "integer"},
                "n": {"type": "number"},
                "b": {"type": "boolean"},
                "e": {"type": "string", "enum": ["x"]},
                "a": {"type": "array", "items": {"type": "integer"}},
                "l": {"type": "array"},
                "o": {"type": "object"},
                "odd": True,
            },
        }
        tool = {"type": "function", "function": {"name": "t", "parameters": schema}}
        answer = self.ask([{"role": "user", "content": "hi"}], [tool])
        arguments = orjson.loads(answer["tool_calls"][0]["function"]["arguments"])
        assert {key: type(value) for key, value in arguments.items()} == {
            "s": str,
            "i": int,
            "n": float,
            "b": bool,
            "e": str,
            "a": list,
            "l": list,
            "o": dict,
            "odd": type(None),
        }
        bare = {"type": "function", "function": {"name": "bare"}}
        call = self.ask([{"role": "user", "content": "hi"}], [bare])["tool_calls"][0]
        assert call["function"] == {"name": "bare", "arguments": "{}"}

    def test_the_probability_is_that_of_a_tool_call(self):
        messages = [{"role": "user", "content": "hi"}]
        asked = [
            bool(self.ask(messages, probability=0.35, digest=f"{n:032x}").get("tool_calls"))
            for n in range(4_000)
        ]
        assert sum(asked) / 4_000 == pytest.approx(0.35, abs=0.03)


MESSAGE = {
    "role": "assistant",
    "content": "Let me look that up for you.",
    "tool_calls": [
        {"id": "a", "function": {"name": "find", "arguments": '{"q": "flights"}'}},
        {"id": "b", "function": {"name": "book", "arguments": "{}"}},
    ],
}


class TestStream:
    @given(counts=st.lists(st.integers(0, 30), min_size=5, max_size=5), whole=st.booleans())
    def test_the_deltas_put_together_are_the_message(self, counts, whole):
        counts = [max(1, count) for count in counts]
        pieces = pieces_of(MESSAGE, counts, whole=whole)
        content, arguments, heads = "", {0: "", 1: ""}, []
        for delta in deltas_of(pieces):
            content += delta.get("content", "")
            for call in delta.get("tool_calls", ()):
                arguments[call["index"]] += call["function"]["arguments"]
                if "id" in call:
                    heads.append((call["index"], call["id"], call["function"]["name"]))
        assert content == MESSAGE["content"]
        assert arguments == {0: '{"q": "flights"}', 1: "{}"}
        assert heads == [(0, "a", "find"), (1, "b", "book")]
        assert list(completion_texts(MESSAGE))[1:3] == ["find", '{"q": "flights"}']

    def test_there_is_a_piece_for_each_token(self):
        message = {"role": "assistant", "content": "abcdefgh"}
        pieces = pieces_of(message, [4], whole=False)
        assert [(p.tokens, p.text) for p in pieces] == [(1, "ab"), (1, "cd"), (1, "ef"), (1, "gh")]
        assert [p.tokens for p in pieces_of({"content": "ab"}, [5], whole=False)] == [2, 3]
        assert pieces_of({"content": None}, [0], whole=False) == []

    def test_times_begin_with_the_first_token_and_add_up_to_the_mean_gap(self):
        times = TokenTimes.draw(Random(1), Lognormal(0.1, 0.1), 0.004, 10_001)
        assert times.due_s[0] == pytest.approx(0.1)
        assert times.last_s == pytest.approx(0.1 + 10_000 * 0.004, rel=0.01)
        gaps = [b - a for a, b in zip(times.due_s, times.due_s[1:], strict=False)]
        assert min(gaps) >= 0.002
        assert max(gaps) <= 0.0061
        assert times.of_token(10**9) == times.last_s
        assert len(TokenTimes.draw(Random(1), Lognormal(0.1, 0.1), 0.004, 0).due_s) == 1

    async def test_pieces_come_when_due_and_late_ones_together(self):
        class Clock:
            now_ns = 0

            def __call__(self):
                return self.now_ns

        clock = Clock()
        pieces = pieces_of({"content": "abcdef"}, [6], whole=False)
        times = TokenTimes((0.0, 1.0, 2.0, 3.0, 4.0, 5.0))
        due = PieceClock(pieces, times, Pace(1, clock), 0)
        clock.now_ns = 3_500_000_000  # the process was away for three and a half seconds
        assert [p.text for p in await due.due()] == ["a"]  # the first token is never held back
        assert [p.text for p in await due.due()] == ["b", "c", "d"]
        clock.now_ns = 9_000_000_000
        assert [p.text for p in await due.due()] == ["e", "f"]
        assert await due.due() == []


class TestWire:
    def test_a_trace_goes_on_with_a_new_span(self):
        parent = f"00-{'a' * 32}-{'b' * 16}-01"
        context = trace_context({"traceparent": parent, "baggage": "x=1"})
        onward = context.onward()
        assert context.trace_id == "a" * 32
        assert onward["baggage"] == "x=1"
        assert onward["traceparent"].startswith(f"00-{'a' * 32}-")
        assert onward["traceparent"] != parent

    @pytest.mark.parametrize("parent", ["", "rubbish", f"00-{'0' * 32}-{'b' * 16}-01"])
    def test_without_a_valid_trace_id_a_new_one_is_made(self, parent):
        first, second = (trace_context({"traceparent": parent}) for _ in range(2))
        assert len(first.trace_id) == 32
        assert first.trace_id != second.trace_id
        assert "baggage" not in first.onward()

    @pytest.mark.parametrize(
        ("baggage", "hint"),
        [
            ("agent_profiler.conversation=a%2Cb", "a,b"),
            ("x=1, agent_profiler.conversation = c ;prop=1,y=2", "c"),
            ("agent_profiler.conversation", None),
            ("other=1", None),
        ],
    )
    def test_the_hint_is_a_percent_encoded_entry_of_the_baggage(self, baggage, hint):
        assert trace_context({"baggage": baggage}).hint == hint

    def test_the_previous_prompt_ends_before_the_last_answer(self):
        roles = ["system", "assistant", "user", "assistant", "tool", "assistant", "user"]
        messages = [{"role": role} for role in roles]
        assert previous_prompt(messages) == 5
        assert previous_prompt(messages[:3]) == 0  # a greeting is no answer
        assert previous_prompt(messages[:2]) == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            {},
            {"model": "m"},
            {"model": "m", "messages": []},
            {"model": "m", "messages": "hi"},
            {"model": "m", "messages": ["hi"]},
            {"model": "m", "messages": [{"role": "wizard"}]},
            {"model": "m", "messages": [{"role": "user", "content": 7}]},
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": 7}]},
            {"model": "m", "messages": [{"role": "user"}], "stream": "yes"},
            {"model": "m", "messages": [{"role": "user"}], "stream_options": 7},
            {"model": "m", "messages": [{"role": "user"}], "stream_options": {"a": 1}},
            {"model": "m", "messages": [{"role": "user"}], "tools": 7},
            {"model": "m", "messages": [{"role": "user"}], "tools": [{"type": "function"}]},
        ],
    )
    def test_a_request_that_openai_would_refuse_is_refused(self, wrong):
        with pytest.raises(HttpError) as caught:
            ChatRequest.of(wrong)
        assert caught.value.status == 400


class TestOptions:
    @pytest.mark.parametrize("wrong", [{"tool_call_probability": 2}, {"gap_s": -1}])
    def test_llm_options_out_of_range_are_errors(self, wrong):
        with pytest.raises(UsageError):
            LlmOptions(**wrong)

    @pytest.mark.parametrize("wrong", [{"llm_retries": -1}, {"max_rounds": 0}])
    def test_agent_options_out_of_range_are_errors(self, wrong):
        with pytest.raises(UsageError):
            AgentOptions(**wrong)

    def test_a_truth_log_that_cannot_be_written_is_an_error(self, tmp_path):
        with pytest.raises(UsageError, match="cannot write the truth log"):
            TruthLog(tmp_path / "missing" / "truth.jsonl")

    async def test_a_truth_log_begins_empty(self, tmp_path):
        path = anyio.Path(tmp_path / "truth.jsonl")
        await path.write_text("old\n")
        with TruthLog(tmp_path / "truth.jsonl") as log:
            log.write({"kind": "x"})
        assert await path.read_text() == '{"kind":"x"}\n'
