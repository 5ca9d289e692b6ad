"""The summary of a job of GitHub Actions, which the file that a variable names becomes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.comparison.model import Comparison
    from profiler.comparison.trend import Trend
    from profiler.profile.model import WorkloadProfile

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_BYTES = 1024 * 1024
"""What GitHub shows of one step; a step that says more shows nothing but an error."""


def add_step_summary(
    found: WorkloadProfile | Comparison | Trend, environ: Mapping[str, str] | None = None
) -> None:
    """Append a report to the job's summary, where there is one; do nothing elsewhere.

    Raises `UsageError` for a file that cannot be written.
    """
    file = (os.environ if environ is None else environ).get(VARIABLE)
    if not file:
        return
    text = f"{_markdown(found)}\n".encode()
    path = Path(file)
    try:
        used = path.stat().st_size if path.exists() else 0
        if used + len(text) <= MOST_BYTES:
            with path.open("ab") as summary:
                summary.write(text)
    except OSError as exc:
        raise UsageError(
            f"cannot write the job's summary: {exc.strerror}",
            where=f"{VARIABLE}={file}",
            fix=f"Unset {VARIABLE}, or give it a file that is writable",
        ) from exc


def _markdown(found: WorkloadProfile | Comparison | Trend) -> str:
    from profiler.comparison.model import Comparison
    from profiler.profile.model import WorkloadProfile

    if isinstance(found, WorkloadProfile):
        from profiler.report.pull_request import pull_request_markdown

        return pull_request_markdown(found)
    if isinstance(found, Comparison):
        from profiler.report.comparison_markdown import comparison_markdown

        return comparison_markdown(found)
    from profiler.report.trend import trend_markdown

    return trend_markdown(found)
