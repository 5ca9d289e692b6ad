"""A profile as Markdown: for a repository, an issue, a wiki. Names from outside are escaped."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from profiler.report.summary import Group, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiler.profile.model import WorkloadProfile
    from profiler.report.observations import Section

_SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~$@])")
_AUTOLINK = re.compile(r"(?i)(://|\bwww\.)")


def escape(text: str) -> str:
    """Make text that no Markdown reader takes for anything but text, within a line or a table cell.

    HTML is escaped as entities, Markdown's own characters by backslashes; a bare address does not
    become a link. What is special only at the start of a line is left: this is never put there.
    """
    line = html.escape(" ".join(text.split()), quote=False)
    line = _SPECIAL.sub(r"\\\1", line)
    return _AUTOLINK.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", line)


def profile_markdown(profile: WorkloadProfile) -> str:
    """Return the same content as `profile_table`, as Markdown with tables (GitHub's dialect)."""
    summary = summarise(profile)
    blocks = [f"# {escape(summary.title)}", fact_bullets(summary.facts)]
    blocks += [_group(group) for group in summary.groups]
    blocks += [section_block(section) for section in summary.sections]
    if summary.notes:
        notes = bullets(summary.notes)
        # A list after a list would be read as one.
        blocks.append("\n".join(["## Notes", "", *notes] if summary.sections else notes))
    blocks.append(
        "Intervals are of 95 %: the mean's by Student t over sessions, the p95's by order "
        "statistics. All numbers, histograms included, are in `profile.json`."
    )
    return "\n\n".join(blocks) + "\n"


def section_block(section: Section) -> str:
    """Return a section's lines as a list under its heading."""
    return "\n".join([f"## {escape(section.title)}", "", *bullets(section.lines)])


def bullets(lines: Iterable[str]) -> list[str]:
    """Return lines as a list's."""
    return [f"- {escape(line)}" for line in lines]


def fact_bullets(facts: Iterable[tuple[str, str]]) -> str:
    """Return names and texts as a list."""
    return "\n".join(f"- **{name}**: {escape(text)}" for name, text in facts)


def _group(group: Group) -> str:
    lines = [
        f"## {escape(group.title)}",
        "",
        "| | mean ±95 % CI | p95 [95 % CI] | source |",
        "|---|--:|--:|---|",
    ]
    for row in group.rows:
        label = "&emsp;" * row.indent + escape(row.label)
        cells = (label, escape(row.mean), escape(row.p95), escape(row.source))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
