"""A comparison as Markdown (GitHub's dialect): what a pull request shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report import comparison_words as words
from profiler.report.markdown import bullets, escape, fact_bullets
from profiler.report.quantities import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from profiler.comparison.model import Comparison

_FOOT = (
    "Real: more than chance, all metrics that were compared taken together (false discovery rate "
    "of 5 %). Intervals are each metric's own."
)
_MARKS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown; names from outside are escaped."""
    mark = _MARKS[comparison.verdict]
    blocks = [
        f"# {mark} {escape(words.title(comparison))}",
        f"**{escape(words.verdict_line(comparison))}**",
        "## What changed",
        "\n".join(bullets(words.change_lines(comparison))),
        "## Gates",
        _table(
            ("gate", "rule", "", "seen [90 % CI]"),
            "llll",
            (
                (
                    words.gate_name(gate),
                    words.gate_rule(gate),
                    f"{_MARKS[gate.verdict]} {gate.verdict}",
                    words.gate_reason(gate),
                )
                for gate in comparison.gates
            ),
        ),
        "## Numbers",
        _table(
            ("", "baseline", "candidate", "change [95 % CI]", "real"),
            "lrrrl",
            (
                (row.label, row.baseline, row.candidate, row.change, row.real)
                for row in words.difference_rows(comparison)
            ),
        ),
    ]
    if comparison.plan is not None:
        blocks.append(f"## In the plan {escape(printable(comparison.plan.name))}")
        blocks.append("\n".join(bullets(words.meaning_lines(comparison.plan))))
    blocks += [
        "## Runs",
        fact_bullets(words.facts(comparison)),
        _FOOT,
    ]
    return "\n\n".join(blocks) + "\n"


def _table(header: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> str:
    rule = "|".join("--:" if side == "r" else "---" for side in align)
    lines = [f"| {' | '.join(header)} |", f"|{rule}|"]
    lines += [f"| {' | '.join(map(escape, row))} |" for row in rows]
    return "\n".join(lines)
