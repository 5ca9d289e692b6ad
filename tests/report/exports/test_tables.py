"""Interactions and calls as CSV and Parquet, read back by other programs' readers."""

from __future__ import annotations

import csv
import io

import pytest

from profiler.measure.journal import read_journal
from profiler.measure.records import (
    ClientTokens,
    Observer,
    Outcome,
    Phase,
    Timeline,
    TokenParts,
    Usage,
)
from profiler.report.exports.csv_text import csv_parts
from profiler.report.exports.parquet import write_parquet
from profiler.report.exports.tables import TABLES, rows_of
from tests.profile.journals import MS, WALL_NS, S, interaction, llm_call, run, tool_call, write

INTERACTIONS, LLM_CALLS, TOOL_CALLS = TABLES


@pytest.fixture
def journal(tmp_path):
    records = [
        interaction(
            "a",
            turn=1,
            intended_start_ns=9 * S,
            send_ns=10 * S,
            first_token_ns=10 * S + 250 * MS,
            end_ns=12 * S,
            counted=ClientTokens(user=3, history=0),
            usage=Usage(input_tokens=7),
        ),
        interaction("w", phase=Phase.WARMUP, outcome=Outcome.TIMEOUT, error_kind="=1+1\nx"),
        llm_call("a", start_ns=500 * MS, end_ns=750 * MS, tokens=TokenParts(system=5)),
        llm_call(
            "a",
            observer=Observer.GATEWAY,
            clock=Timeline.HARNESS,
            start_ns=11 * S,
            end_ns=12 * S,
            tool_calls=("x", "y"),
        ),
        tool_call("a", "@SUM(A1)\ud800"),
    ]
    # The monotonic clock stood at 8 s when the wall clock stood at WALL_NS.
    return write(tmp_path, *records, first=run(started_monotonic_ns=8 * S))


def read_csv(table, journal):
    parts = csv_parts(table, rows_of(table, read_journal(journal)))
    return list(csv.DictReader(io.StringIO(b"".join(parts).decode(), newline="")))


def test_times_are_by_the_wall_clock_and_durations_in_seconds(journal):
    first, _ = read_csv(INTERACTIONS, journal)
    assert int(first["send_unix_ns"]) == WALL_NS + 2 * S
    assert int(first["end_unix_ns"]) == WALL_NS + 4 * S
    assert (first["latency_s"], first["scheduled_latency_s"]) == ("2.0", "3.0")
    assert (first["dispatch_delay_s"], first["time_to_first_token_s"]) == ("1.0", "0.25")
    assert (first["turn"], first["last_turn"], first["outcome"]) == ("1", "false", "ok")


def test_an_empty_cell_was_not_observed_and_a_zero_was(journal):
    first, warmup = read_csv(INTERACTIONS, journal)
    assert (first["counted_history_tokens"], first["counted_output_tokens"]) == ("0", "")
    assert (first["input_tokens"], first["output_tokens"]) == ("7", "")
    assert (warmup["phase"], warmup["time_to_first_token_s"]) == ("warmup", "")


def test_a_text_from_the_target_is_no_formula_and_no_new_row(journal):
    _, warmup = read_csv(INTERACTIONS, journal)
    assert warmup["error_kind"] == "'=1+1\nx"
    (tool,) = read_csv(TOOL_CALLS, journal)
    assert tool["tool"] == "'@SUM(A1)?"


def test_what_an_agent_times_itself_has_a_place_and_no_instant(journal):
    agents, gateways = read_csv(LLM_CALLS, journal)
    assert (agents["start_unix_ns"], agents["start_in_interaction_s"]) == ("", "0.5")
    assert (agents["duration_s"], agents["counted_system_tokens"]) == ("0.25", "5")
    assert int(gateways["start_unix_ns"]) == WALL_NS + 3 * S
    assert (gateways["start_in_interaction_s"], gateways["tool_calls"]) == ("", "x+y")


def test_every_row_has_all_columns(journal):
    for table in TABLES:
        widths = {len(row) for row in rows_of(table, read_journal(journal))}
        assert widths == {len(table.columns)}


def test_parquet_holds_the_same_with_types(journal, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    for table in TABLES:
        path = tmp_path / f"{table.name}.parquet"
        rows = list(rows_of(table, read_journal(journal)))
        write_parquet(path, table, rows)
        read = parquet.read_table(path)
        assert read.column_names == [name for name, _ in table.columns]
        assert read.num_rows == len(rows)
    calls = parquet.read_table(tmp_path / "llm_calls.parquet").to_pylist()
    assert [call["start_unix_ns"] for call in calls] == [None, WALL_NS + 3 * S]
    assert calls[0]["duration_s"] == 0.25
    (tool,) = parquet.read_table(tmp_path / "tool_calls.parquet").to_pylist()
    assert tool["tool"] == "@SUM(A1)?"  # a table is no spreadsheet: nothing runs there


def test_parquet_of_more_rows_than_one_batch(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    width = len(TOOL_CALLS.columns)
    rows = ((None,) * (width - 1) + (str(number),) for number in range(25_000))
    write_parquet(tmp_path / "t.parquet", TOOL_CALLS, rows)
    tools = parquet.read_table(tmp_path / "t.parquet", columns=["tool"])["tool"].to_pylist()
    assert tools == [str(number) for number in range(25_000)]
