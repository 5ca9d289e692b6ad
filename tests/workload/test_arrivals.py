"""Rates and arrivals as they are written in a workload file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.load.plan import OpenLoop, load_plan
from profiler.load.schedule import ConstantGaps, GammaGaps, Piece, PoissonGaps, Process, Rate, Trace

ONE_SCENARIO = "scenarios: [{name: a, turns: [{user: hi}]}]\n"


def arrivals(load: Any, section: str) -> Any:
    loop = load_plan(load(f"{ONE_SCENARIO}load: {section}\n")).loop
    assert isinstance(loop, OpenLoop)
    return loop.arrivals


def test_a_rate_is_a_poisson_process_unless_told_otherwise(load: Any) -> None:
    flat = Rate(then_per_s=2.0)
    assert arrivals(load, "{rate: 120/min}") == Process(rate=flat, gaps=PoissonGaps())
    constant = arrivals(load, "{rate: 2, arrivals: constant}")
    assert constant == Process(rate=flat, gaps=ConstantGaps())
    gamma = arrivals(load, "{rate: 2/s, arrivals: {gamma: {burstiness: 4}}}")
    assert gamma == Process(rate=flat, gaps=GammaGaps(burstiness=4.0))


def test_a_ramp_and_steps_are_pieces_of_a_rate(load: Any) -> None:
    ramp = arrivals(load, "{rate: {ramp: {from: 1/s, to: 10/s, over: 1m}}}")
    piece = Piece(start_per_s=1.0, end_per_s=10.0, duration_s=60.0)
    assert ramp.rate == Rate(pieces=(piece,), then_per_s=10.0)
    steps = arrivals(load, "{rate: {steps: [{rate: 0, for: 5s}, {rate: 3/s, for: 2s}]}}")
    assert steps.rate == Rate(
        pieces=(
            Piece(start_per_s=0.0, end_per_s=0.0, duration_s=5.0),
            Piece(start_per_s=3.0, end_per_s=3.0, duration_s=2.0),
        ),
        then_per_s=3.0,
    )


def test_a_trace_is_read_from_its_file_and_scaled_by_the_speed(load: Any, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("at,tokens\n10.5,1\n10.75,2\n\n12.5,3\n")
    trace = arrivals(load, "{arrivals: {trace: trace.csv}, speed: 2}")
    assert trace == Trace(offsets_ns=(0, 125_000_000, 1_000_000_000))
    workload = load(f"{ONE_SCENARIO}load: {{arrivals: {{trace: trace.csv}}}}\n")
    assert (workload.load.users, workload.load.requests, workload.load.is_open) == (
        None,
        None,
        True,
    )
    assert workload.load.arrivals.kind == "trace"


def test_a_trace_may_have_dates_and_times(load: Any, tmp_path: Path) -> None:
    rows = "TIMESTAMP,Tokens\n2023-11-16 23:59:59.6805900,374\n2023-11-17 00:00:00.9951690,396\n"
    (tmp_path / "trace.csv").write_text(rows)
    trace = arrivals(load, "{arrivals: {trace: trace.csv}}")
    assert trace == Trace(offsets_ns=(0, 1_314_579_000))


@pytest.mark.parametrize(
    "cell", ["nan", "inf", "-inf", "1e400", "1700000000000", "2023-13-01T00:00:00"]
)
def test_what_is_no_time_is_named(load: Any, tmp_path: Path, cell: str) -> None:
    (tmp_path / "trace.csv").write_text(f"at\n{cell}\n")
    with pytest.raises(WorkloadError, match=r"trace.csv:2: '.*' is no time"):
        load(f"{ONE_SCENARIO}load: {{arrivals: {{trace: trace.csv}}}}\n")


def test_seconds_and_dates_are_not_mixed(load: Any, tmp_path: Path) -> None:
    for rows in ("0\n2023-11-16 00:00:00\n", "2023-11-16 00:00:00\n5\n"):
        (tmp_path / "trace.csv").write_text(rows)
        with pytest.raises(WorkloadError, match=r"trace\.csv:2: seconds and dates are mixed"):
            load(f"{ONE_SCENARIO}load: {{arrivals: {{trace: trace.csv}}}}\n")


def test_a_very_long_line_is_read(load: Any, tmp_path: Path) -> None:
    """The csv module refuses cells of more than 131,072 characters."""
    (tmp_path / "trace.csv").write_text(f"at,blocks\n1,{'7 ' * 100_000}\n3,1\n")
    assert arrivals(load, "{arrivals: {trace: trace.csv}}") == Trace(offsets_ns=(0, 2_000_000_000))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{rate: {ramp: {from: 1, to: 0, over: 5s}}}", "the rate is zero"),
        ("{rate: {ramp: {from: 1, to: 2, over: 0}}}", "the duration is zero"),
        ("{rate: {ramp: {from: 1, to: 2}}}", "over"),
        ("{rate: {steps: []}}", "the steps end without a rate"),
        ("{rate: {steps: [{rate: 0, for: 5s}]}}", "the steps end without a rate"),
        ("{rate: {}}", "0 rates are given"),
        ("{rate: {flat: 1, ramp: {from: 1, to: 2, over: 5s}}}", "2 rates are given"),
        ("{rate: {slope: 1}}", "unknown key 'slope'"),
        ("{rate: fast}", "'fast' is not a rate"),
        ("{rate: 1, arrivals: {gamma: {burstiness: 0}}}", "0 is no burstiness"),
        ("{rate: 1, arrivals: {gamma: {}}}", "burstiness"),
        ("{rate: 1, arrivals: {}}", "arrivals are of one kind"),
        ("{rate: 1, arrivals: {trace: none.csv}}", "there is no file 'none.csv'"),
        ("{arrivals: {trace: t.csv}, rate: 1}", "a trace has its own rate"),
        ("{arrivals: {trace: t.csv}, users: 3}", "users and arrivals exclude each other"),
        ("{rate: 1, speed: 2}", "speed has no use without a trace"),
        ("{arrivals: {trace: t.csv}, speed: 0}", "0 is no speed"),
        ("{users: 3, max_in_flight: 3}", "max_in_flight has no use without a rate"),
        ("{arrivals: {trace: backwards.csv}}", "backwards.csv:3: time goes backwards"),
        ("{arrivals: {trace: words.csv}}", "words.csv:2: 'two' is no time"),
        ("{arrivals: {trace: empty.csv}}", "there is no time in the file"),
    ],
)
def test_a_wrong_rate_or_arrival_is_one_line(
    load: Any, tmp_path: Path, section: str, said: str
) -> None:
    (tmp_path / "t.csv").write_text("0\n1\n")
    (tmp_path / "backwards.csv").write_text("0\n1\n0.5\n")
    (tmp_path / "words.csv").write_text("0\ntwo\n")
    (tmp_path / "empty.csv").write_text("at\n")
    with pytest.raises(WorkloadError) as caught:
        load(f"{ONE_SCENARIO}load: {section}\n")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
