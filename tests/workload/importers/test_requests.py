"""Traces of requests: what is read, skipped, put in order, and written."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.workload.importers import request_lines
from profiler.workload.importers import requests as module
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.request_batches import Batch
from profiler.workload.importers.request_lines import Request
from profiler.workload.importers.request_survey import (
    RequestSurvey,
    RequestTally,
    Stretch,
    all_rounded,
    rounded,
    survey_requests,
    surveyed,
)
from profiler.workload.importers.requests import requests
from profiler.workload.importers.streaming import Problem
from profiler.workload.request_trace import Lengths

TRACES = Path(__file__).parents[2] / "data" / "traces"
MS = 1_000_000


def line(at_ms: Any = 0, tokens: Any = 600, output: Any = 5, ids: Any = (1, 2)) -> str:
    return json.dumps(
        {"timestamp": at_ms, "input_length": tokens, "output_length": output, "hash_ids": ids}
    )


def read(text: str | bytes, kind: ImportKind = ImportKind.MOONCAKE) -> list[Request | Problem]:
    return list(requests(io.BytesIO(text if isinstance(text, bytes) else text.encode()), kind))


def test_the_excerpts_are_read_as_they_stand() -> None:
    file = TRACES / "mooncake-conversation-60.jsonl"
    recorded = [json.loads(text) for text in file.read_text().splitlines()]
    assert read(file.read_bytes()) == [
        Request(
            r["timestamp"] * MS,
            number,
            Lengths(r["input_length"], r["output_length"], tuple(r["hash_ids"])),
        )
        for number, r in enumerate(recorded, start=1)
    ]
    found = read((TRACES / "azure-llm-conv-60.csv").read_bytes(), ImportKind.AZURE_LLM)
    assert len(found) == 60
    first, second = found[:2]
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert first.lengths == Lengths(374, 44, ())
    assert second.at_ns - first.at_ns == 4_314_579_000  # 18:15:50.9951690 - 18:15:46.6805900


def test_times_of_azure_are_exact_with_a_zone_and_without() -> None:
    rows = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        "2023-11-16 18:15:46.6805901,3,4\r\n"
        "2023-11-16 20:15:46.680591+02:00,3,4\r\n"
        '"2023-11-16T18:15:47Z","3","4"\r\n'
    )
    found = read(rows, ImportKind.AZURE_LLM)
    first = 1_700_158_546_680_590_100  # date -u -d '2023-11-16 18:15:46' +%s is 1700158546
    assert [r.at_ns for r in found if isinstance(r, Request)] == [
        first,
        first + 900,
        1_700_158_547_000_000_000,
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{oops", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"input_length": 5}', "no timestamp in milliseconds"),
        (line("now"), "no timestamp in milliseconds"),
        (line(True), "no timestamp in milliseconds"),
        (line(-1), "a timestamp that is no time in milliseconds"),
        (line(1e300), "a timestamp that is no time in milliseconds"),
        (line(tokens=0), "input_length below 1: there is nothing to send"),
        (line(tokens=5.5), "no whole number as input_length"),
        (line(tokens=10**7 + 1), "input_length above 10,000,000"),
        (line(output=-1), "output_length below 0: there is nothing to send"),
        (line(output="5"), "no whole number as output_length"),
        (line(ids="1 2"), "hash_ids that are no list"),
        (line(ids=[1, "2"]), "hash_ids that are no whole numbers from 0 to 2^63 - 1"),
        (line(ids=[1, True]), "hash_ids that are no whole numbers from 0 to 2^63 - 1"),
        (line(ids=[-1]), "hash_ids that are no whole numbers from 0 to 2^63 - 1"),
        (line(ids=[2**64]), "hash_ids that are no whole numbers from 0 to 2^63 - 1"),
    ],
)
def test_a_line_that_is_no_request_is_named_and_the_next_is_read(text: str, why: str) -> None:
    first, second = read(f"{text}\n{line()}\n")
    assert first == Problem(1, why)
    assert isinstance(second, Request)


def test_bytes_that_are_no_text_are_named() -> None:
    assert read(b'{"\xff"}\n') == [Problem(1, "not UTF-8")]
    assert read(b"\xff,1,2\n", ImportKind.AZURE_LLM) == [Problem(1, "not UTF-8")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2023-11-16 18:15:46,1", "not three cells: TIMESTAMP, ContextTokens, GeneratedTokens"),
        ("yesterday,1,2", "a TIMESTAMP that is no date and time"),
        ("2023-13-16 18:15:46,1,2", "a TIMESTAMP that is no date and time"),
        ("2023-11-16 18:15:46,x,2", "no whole number as ContextTokens"),
        ("2023-11-16 18:15:46,0,2", "ContextTokens below 1: there is nothing to send"),
        ("2023-11-16 18:15:46,5,1e3", "no whole number as GeneratedTokens"),
        ("2023-11-16 18:15:46,5," + "9" * 5000, "no whole number as GeneratedTokens"),
    ],
)
def test_a_row_that_is_no_request_is_named(row: str, why: str) -> None:
    assert read(row, ImportKind.AZURE_LLM) == [Problem(1, why)]


def test_what_is_odd_is_taken_and_named() -> None:
    few, many, none = (
        r
        for r in read(
            line(tokens=600, ids=[1]) + "\n" + line(ids=[1, 2, 3]) + "\n" + line(output=None)
        )
        if isinstance(r, Request)
    )
    assert (few.lengths.blocks, few.notes) == ((1,), (request_lines.TOO_FEW_BLOCKS,))
    assert (many.lengths.blocks, many.notes) == ((1, 2), (request_lines.TOO_MANY_BLOCKS,))
    assert (none.lengths.output_tokens, none.notes) == (None, (request_lines.NO_OUTPUT,))


def test_times_that_go_backwards_are_put_in_order_and_named() -> None:
    found = read("\n".join(line(at) for at in (10, 30, 20, 40)))
    assert [(r.at_ns // MS, r.line, r.notes) for r in found if isinstance(r, Request)] == [
        (10, 1, ()),
        (20, 3, (module.BACKWARDS,)),
        (30, 2, ()),
        (40, 4, ()),
    ]


def test_a_time_that_comes_too_late_to_be_put_in_order_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    found = read("\n".join(line(at) for at in (10, 30, 50, 70, 5)))
    times = [r.at_ns // MS for r in found if isinstance(r, Request)]
    assert times == sorted(times) == [10, 30, 30, 50, 70]
    assert [r.line for r in found if isinstance(r, Request) and r.notes] == [5]


def test_any_order_comes_out_in_order_and_nothing_is_lost() -> None:
    times = list(range(500))
    random.Random(1).shuffle(times)
    found = [r for r in read("\n".join(map(line, times))) if isinstance(r, Request)]
    assert [r.at_ns // MS for r in found] == list(range(500))


def test_requests_that_wait_are_bounded_by_their_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits is given out as soon as all that wait have too many ids."""
    monkeypatch.setattr(module, "_MOST_WAITING_BLOCKS", 3)
    found = requests(io.BytesIO("\n".join(map(line, range(9))).encode()), ImportKind.MOONCAKE)
    assert isinstance(next(found), Request)
    assert len(list(found)) == 8


def ordered_singly(requests: list[Request], most: int, most_blocks: int) -> list[Request]:
    """Put requests in order one by one: those that are too late arrive with the latest given."""
    waiting: list[Request] = []
    taken: list[Request] = []
    latest_ns = 0
    for found in requests:
        request = found
        earliest_ns = taken[-1].at_ns if taken else 0
        if request.at_ns < earliest_ns:
            request = request._replace(at_ns=earliest_ns, notes=(module.TOO_LATE,))
        elif request.at_ns < latest_ns:
            request = request._replace(notes=(module.BACKWARDS,))
        latest_ns = max(latest_ns, request.at_ns)
        waiting = sorted([*waiting, request], key=lambda item: (item.at_ns, item.line))
        while len(waiting) > most or sum(len(r.lengths.blocks) for r in waiting) > most_blocks:
            taken.append(waiting.pop(0))
    return [*taken, *waiting]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=25),
    st.booleans(),
    st.integers(1, 7),
    st.integers(1, 6),
    st.integers(3, 12),
)
def test_many_at_a_time_come_in_the_order_in_which_single_ones_do(
    found: list[tuple[int, int]], in_order: bool, size: int, most: int, most_blocks: int
) -> None:
    requests_ = [
        Request(at, number, Lengths(2000, 1, tuple(range(blocks))))
        for number, (at, blocks) in enumerate(sorted(found) if in_order else found, start=1)
    ]
    parts = [Batch.of(requests_[at : at + size]) for at in range(0, len(requests_), size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_WAITING", most)
        patch.setattr(module, "_MOST_WAITING_BLOCKS", most_blocks)
        patch.setattr(module, "read_batches", lambda stream, kind: iter(parts))
        assert read("") == ordered_singly(requests_, most, most_blocks)


def test_the_survey_counts_what_is_there() -> None:
    """By hand: blocks 2 + 2 + 3; the second shares one, the third two with those before."""
    text = "\n".join(
        [
            line(0, 600, 5, [0, 1]),
            line(500, 600, 7, [0, 2]),
            "{",
            line(2500, 1030, None, [0, 2, 3]),
        ]
    )
    found = survey_requests(io.BytesIO(text.encode()), ImportKind.MOONCAKE, size=None, seed=1)
    whole = found.whole
    assert (whole.requests, whole.input_tokens, whole.output_tokens) == (3, 2230, 12)
    assert (whole.blocks, whole.reused_blocks, whole.continuing) == (7, 3, 1)
    assert whole.rate_per_s == pytest.approx(2 / 2.5)
    assert whole.gaps_us == {500_000: 1, 2_000_000: 1}
    assert found.skipped.counts == {"not JSON": 1}
    assert (found.skip, found.take) == (0, 3)


def test_ids_that_are_too_large_to_be_kept_are_not_observed_and_take_no_memory() -> None:
    tally = RequestTally()
    tally.add(Batch.of([Request(0, 1, Lengths(600, 1, (2**62, 5)))]))
    tally.add(Batch.of([Request(1, 2, Lengths(600, 1, (1, 2)))]))
    assert (tally.reused_blocks, tally.blocks) == (None, 4)


def test_a_sample_is_a_stretch_of_the_trace_by_seed() -> None:
    text = "\n".join(line(1000 * at) for at in range(50)).encode()

    def drawn(seed: int) -> list[int]:
        stream = io.BytesIO(text)
        found = survey_requests(stream, ImportKind.MOONCAKE, size=5, seed=seed)
        chosen = Stretch().requests(stream, ImportKind.MOONCAKE, skip=found.skip, take=found.take)
        return [number for batch in chosen for number in batch.lines]

    starts = {drawn(seed)[0] for seed in range(300)}
    assert starts == set(range(1, 47)), "every stretch may be drawn"
    assert drawn(7) == drawn(7) == list(range(drawn(7)[0], drawn(7)[0] + 5))


def test_numbers_are_counted_with_three_digits() -> None:
    assert [rounded(n) for n in (0, 7, 999, 1000, 1234, 123_456)] == [
        0, 7, 999, 1000, 1230, 123_000,
    ]  # fmt: skip


@given(st.lists(st.integers(0, 10**9)))
def test_many_numbers_are_rounded_as_each_is(numbers: list[int]) -> None:
    assert all_rounded(numbers) == [rounded(number) for number in numbers]


def test_a_whole_trace_is_yielded_while_it_is_counted() -> None:
    text = "\n".join([line(0), "{", line(1000, ids=[1]), line(2000)]).encode()
    found = RequestSurvey()
    told: list[Problem] = []
    (batch,) = surveyed(io.BytesIO(text), ImportKind.MOONCAKE, found, told=told.append)
    assert batch.lines == [1, 3, 4]
    assert (found.whole.requests, found.skip, found.take) == (3, 0, 3)
    assert told == [Problem(2, "not JSON")]
    assert found.odd.counts == {request_lines.TOO_FEW_BLOCKS: 1}
