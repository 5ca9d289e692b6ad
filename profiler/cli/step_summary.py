"""The summary of a job of GitHub Actions, which the file that a variable names becomes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profiler.profile.model import WorkloadProfile

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_BYTES = 1024 * 1024
"""What GitHub shows of one step; a step that says more shows nothing but an error."""


def add_step_summary(profile: WorkloadProfile, environ: Mapping[str, str] | None = None) -> None:
    """Append the profile to the job's summary, where there is one; do nothing elsewhere.

    Raises `UsageError` for a file that cannot be written.
    """
    file = (os.environ if environ is None else environ).get(VARIABLE)
    if not file:
        return
    from profiler.report.pull_request import pull_request_markdown

    text = f"{pull_request_markdown(profile)}\n".encode()
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
