"""Latencies as HdrHistogram interval logs: what HdrHistogram's own readers and plotters take.

Values are microseconds; the column Interval_Max is in milliseconds (HistogramLogWriter of the Java
implementation, format version 1.3, with a ratio of 1,000). An interaction is in the interval in
which it ended.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.measure.histogram import DURATION, Histogram
from profiler.measure.records import Interaction, Outcome, Phase, Run
from profiler.report.exports.tables import unix_ns
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.measure.records import Record

_NS_PER_US = 1000
_US_PER_MS = 1000


class IntervalLogs:
    """Gathers the measured interactions that succeeded, of one journal after another."""

    def __init__(self, interval_s: float) -> None:
        self._interval_ns = max(1, round(interval_s * NS_PER_S))
        self._title = ""
        self._intervals: dict[str, dict[int, Histogram]] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Take a journal, from its first line on."""
        run: Run | None = None
        for record in records:
            if isinstance(record, Run):
                run = record
                self._title = self._title or f"{printable(run.workload)}, {printable(run.run_id)}"
            elif run is not None and isinstance(record, Interaction):
                self._take(run, record)

    def _take(self, run: Run, record: Interaction) -> None:
        if record.phase is not Phase.MEASURE or record.outcome is not Outcome.OK:
            return
        end_unix_ns = unix_ns(run, record.end_ns)
        assert end_unix_ns is not None  # noqa: S101 - an interaction always has an end
        interval = end_unix_ns // self._interval_ns
        for metric, (start_ns, end_ns) in _spans(record).items():
            if start_ns is not None and end_ns is not None:
                histograms = self._intervals.setdefault(metric, {})
                histogram = histograms.setdefault(interval, Histogram(DURATION))
                histogram.record((end_ns - start_ns) // _NS_PER_US)

    def texts(self) -> dict[str, str]:
        """Return the log of each metric that was observed, by its name."""
        return {metric: self._text(metric) for metric in self._intervals}

    def _text(self, metric: str) -> str:
        histograms = self._intervals[metric]
        start_ns = min(histograms) * self._interval_ns
        began = datetime.fromtimestamp(start_ns / NS_PER_S, UTC).isoformat()
        start_s = f"{start_ns / NS_PER_S:.3f} (seconds since epoch)"
        length_s = self._interval_ns / NS_PER_S
        lines = [
            f"#[agent-profiler: {metric} of {self._title}, values in microseconds]",
            "#[Histogram log format version 1.3]",
            f"#[StartTime: {start_s}, {began}]",
            f"#[BaseTime: {start_s}]",
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
        ]
        for interval, histogram in sorted(histograms.items()):
            at_s = (interval * self._interval_ns - start_ns) / NS_PER_S
            max_ms = (histogram.max or 0) / _US_PER_MS
            lines.append(f"{at_s:.3f},{length_s:.3f},{max_ms:.3f},{histogram.encode()}")
        return "\n".join(lines) + "\n"


def _spans(record: Interaction) -> dict[str, tuple[int | None, int | None]]:
    return {
        "latency": (record.send_ns, record.end_ns),
        "scheduled_latency": (record.intended_start_ns, record.end_ns),
        "time_to_first_token": (record.send_ns, record.first_token_ns),
    }
