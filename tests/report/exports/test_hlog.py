"""Interval logs, read back by HdrHistogram's own log reader."""

from __future__ import annotations

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from profiler.measure.records import Outcome, Phase
from profiler.report.exports.hlog import IntervalLogs
from tests.profile.journals import MS, WALL_NS, S, interaction, run


def ended(end_ms: int, latency_ms: int, **changes):
    end_ns = end_ms * MS
    return interaction("t", send_ns=end_ns - latency_ms * MS, end_ns=end_ns, **changes)


@pytest.fixture
def texts():
    logs = IntervalLogs(1.0)
    logs.add(
        [
            run(workload="two\nlines"),
            ended(1200, 100),
            ended(1900, 300, first_token_ns=1700 * MS),
            ended(4000, 500),
            ended(1500, 900, outcome=Outcome.HTTP_5XX),
            ended(1500, 900, phase=Phase.WARMUP),
        ]
    )
    # A shard whose monotonic clock is another: its 500 ms are the first's 1,500 ms.
    logs.add([run(started_wall_ns=WALL_NS + S), ended(500, 200)])
    return logs.texts()


def read(text: str, tmp_path) -> list[HdrHistogram]:
    path = tmp_path / "x.hlog"
    path.write_text(text)
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    found = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        found.append(histogram)
    reader.close()
    return found


def test_the_reader_of_hdrhistogram_reads_the_intervals_back(texts, tmp_path):
    first, second = read(texts["latency"], tmp_path)
    assert first.get_start_time_stamp() == WALL_NS / 1e6 + 1000
    assert first.get_end_time_stamp() == WALL_NS / 1e6 + 2000
    assert second.get_start_time_stamp() == WALL_NS / 1e6 + 4000
    assert (first.get_total_count(), second.get_total_count()) == (3, 1)
    latencies = [first.get_value_at_percentile(p) for p in (1, 50, 100)]
    assert latencies == pytest.approx([100_000, 200_000, 300_000], rel=0.001)


def test_a_log_is_of_one_metric_and_there_is_none_of_what_was_not_observed(texts, tmp_path):
    assert texts.keys() == {"latency", "time_to_first_token"}
    (only,) = read(texts["time_to_first_token"], tmp_path)
    assert only.get_value_at_percentile(50) == pytest.approx(100_000, rel=0.001)


def test_the_largest_value_of_an_interval_is_in_milliseconds(texts):
    line = next(line for line in texts["latency"].splitlines() if line.startswith("3.000,"))
    start, length, largest, payload = line.split(",")
    assert (start, length) == ("3.000", "1.000")
    assert float(largest) == pytest.approx(500, rel=0.001)
    assert payload.startswith("HIST")


def test_a_workloads_name_stays_in_its_comment(texts):
    comments = [line for line in texts["latency"].splitlines() if line.startswith("#")]
    assert len(comments) == 4
    assert not any(line.startswith("lines") for line in texts["latency"].splitlines())
