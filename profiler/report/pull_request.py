"""A profile as a comment on a pull request: what one interaction costs, the rest folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.markdown import bullets, escape, profile_markdown
from profiler.report.quantities import plural
from profiler.report.summary import mean_cell, p95_cell, summarise

if TYPE_CHECKING:
    from profiler.profile.model import WorkloadProfile

MARKER = "<!-- agent-profiler -->"
"""What a job finds its own comment by, to change it and not write another."""

_KEY_METRICS = (
    ("latency", "latency"),
    ("time_to_first_token", "time to first token"),
    ("llm_calls", "LLM calls"),
    ("input_tokens", "input tokens"),
    ("output_tokens", "output tokens"),
    ("tool_calls", "tool calls"),
)
_VERDICTS = {
    "trusted": "trusted",
    "driver_limited": "not to be trusted: the harness was the bottleneck",
    "inconclusive": "inconclusive: too few interactions succeeded",
}
_SHOWN_FACTS = frozenset({"errors", "goodput", "partial"})


def pull_request_markdown(profile: WorkloadProfile) -> str:
    """Return GitHub-flavoured Markdown: verdict and key figures, the whole report folded away.

    A metric that nobody observed has no row. Names from outside are escaped.
    """
    summary, sample = summarise(profile), profile.sample
    facts = [f"{name}: {text}" for name, text in summary.facts if name in _SHOWN_FACTS]
    of = f"{plural(sample.interactions, 'interaction')} in {plural(sample.sessions, 'session')}"
    lines = [f"{of}, {_VERDICTS[profile.trust.verdict]}", *facts]
    blocks = [
        MARKER,
        f"## {escape(summary.title)}",
        "\n".join(bullets(lines)),
    ]
    rows = [
        f"| {label} | {escape(mean_cell(found))} | {escape(p95_cell(found))} |"
        for name, label in _KEY_METRICS
        if (found := profile.interaction.get(name)) is not None
    ]
    if rows:
        head = ["| one interaction | mean ±95 % CI | p95 [95 % CI] |", "|---|--:|--:|"]
        blocks.append("\n".join([*head, *rows]))
    whole = profile_markdown(profile).rstrip("\n").replace("\n#", "\n##")
    blocks.append(
        f"<details><summary>Everything that was measured</summary>\n\n#{whole}\n\n</details>"
    )
    return "\n\n".join(blocks) + "\n"
