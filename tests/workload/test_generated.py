"""Scenarios of generated prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.measure.tokens import TokenCounter
from profiler.workload.sessions import SessionSampler

HEADER = "at_s,input_tokens,output_tokens,blocks\n"
YAML = "load: {arrivals: {trace: t.csv}}\nscenarios: [{name: a, generated: {trace: t.csv}}]\n"


@pytest.fixture
def traced(load: Any, tmp_path: Path) -> Any:
    def write(rows: str, yaml: str = YAML) -> Any:
        (tmp_path / "t.csv").write_text(HEADER + rows)
        return load(yaml)

    return write


def prompts(workload: Any, number: int, **options: Any) -> list[Any]:
    sampler = SessionSampler(workload, **{"seed": 1, **options})
    return [sampler.session(index) for index in range(number)]


def test_requests_are_sessions_of_one_turn_in_the_order_of_the_trace(traced: Any) -> None:
    sessions = prompts(traced("0,700,20,7 8\n0.5,3,,\n0.5,600,0,7 9\n"), 3)
    count = TokenCounter("o200k_base").count_text
    assert [count(session.turns[0].user) for session in sessions] == [700, 3, 600]
    assert [session.turns[0].output_tokens for session in sessions] == [20, None, 0]
    assert [len(session.turns) for session in sessions] == [1, 1, 1]
    assert [session.conversation for session in sessions] == ["request-1", "request-2", "request-3"]
    assert all(session.is_of_arrival for session in sessions)


def test_the_same_ids_are_the_same_text_and_others_are_not(traced: Any) -> None:
    rows = "0,1100,1,1 2 3\n1,1024,1,1 2\n2,1100,1,1 4 5\n3,600,1,\n4,600,1,\n5,520,1,1 2\n"
    first, shorter, other, own, own_too, cut = (
        session.turns[0].user.split() for session in prompts(traced(rows), 6)
    )
    assert shorter == first[:1024]
    assert other[:512] == first[:512]
    assert other[512:600] != first[512:600]
    assert cut == first[:520], "the last block of a prompt is the beginning of that block"
    assert own[:20] != own_too[:20] != first[:20]


def test_what_no_id_stands_for_is_text_of_its_own(traced: Any) -> None:
    a, b = (s.turns[0].user.split() for s in prompts(traced("0,600,1,1\n1,600,1,1\n"), 2))
    assert (len(a), len(b)) == (600, 600)
    assert a[:512] == b[:512]
    assert a[512:] != b[512:]


def test_texts_are_those_of_the_seed_and_of_the_cycle_and_not_of_the_run(traced: Any) -> None:
    workload = traced("0,50,1,1\n1,50,1,1\n")
    texts = [session.turns[0].user for session in prompts(workload, 4)]
    assert texts[0] == texts[1]
    assert texts[2] == texts[3] != texts[0], "a trace that is replayed again has texts of its own"
    assert prompts(workload, 1, salt="run 2")[0].turns[0].user == texts[0]
    assert prompts(workload, 1, seed=2)[0].turns[0].user != texts[0]
    assert prompts(workload, 1, stream="warmup")[0].turns[0].user != texts[0]


def test_the_trace_is_in_the_digest_and_workloads_without_one_keep_theirs(
    traced: Any, load: Any
) -> None:
    digests = {traced(rows).digest() for rows in ("0,50,1,1\n", "0,51,1,1\n")}
    assert len(digests) == 2
    assert list(traced("0,50,1,1\n").data_digests()) == ["t.csv"]
    dumped = load("scenarios: [{name: a, turns: [{user: hi}]}]\n")
    assert dumped.digest() == (
        "7babc9273dd99698dd8ebc142c4568936612645bf732b9859d89dbbc0e8fbbeb"
    ), "as it was before prompts could be generated"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "there is no request in the trace"),
        ("0,5\n", "t.csv:2: the row has 2 cells, the header 4"),
        ("0,0,1,\n", "t.csv:2: input_tokens: '0' is no whole number from 1 to 10,000,000"),
        ("0,5,1,\n0,-5,1,\n", "t.csv:3: input_tokens"),
        ("0,5,x,\n", "t.csv:2: output_tokens: 'x'"),
        ("0,5,1,1 b\n", "t.csv:2: blocks: 'b'"),
        ("0,5,1,99999999999999999999\n", "t.csv:2: blocks"),
        ("0,\xb2,1,\n", "t.csv:2: input_tokens"),
    ],
)
def test_a_wrong_trace_is_one_line(traced: Any, rows: str, said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        traced(rows, YAML.replace("load: {arrivals: {trace: t.csv}}\n", ""))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("{trace: none.csv}", "there is no file 'none.csv'"),
        ("{trace: t.csv, encoding: gpt2}", "encoding"),
        ("{trace: t.csv, block_tokens: 0}", "block_tokens"),
        ("{trace: t.csv}, think_time: 1s", "think_time has no use with generated"),
        ("{trace: t.csv}, turns: [{user: hi}]", "turns and generated exclude each other"),
        ("{trace: t.csv}, variables: {a: {values: [b]}}", "variables have no use with generated"),
        ("{}", "trace"),
    ],
)
def test_a_wrong_scenario_is_one_line(traced: Any, scenario: str, said: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        traced("0,5,1,\n", f"scenarios: [{{name: a, generated: {scenario}}}]\n")
    assert said in str(caught.value)


def test_a_file_that_is_no_trace_of_requests_is_named(load: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("at\n1\n")
    with pytest.raises(WorkloadError, match=r"t.csv:1: the first line does not name the columns"):
        load(YAML)
