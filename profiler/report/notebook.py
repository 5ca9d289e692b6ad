"""A report inside a notebook: the same as on a terminal, as HTML."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = 100
_FORM = (
    '<pre style="overflow-x:auto;line-height:1.3;white-space:pre;'
    'font-family:ui-monospace,Menlo,Consolas,monospace">{code}</pre>'
)
"""No colours of our own for text and background: a notebook may be light or dark."""


def notebook_html(report: RenderableType) -> str:
    """Return a report as HTML to be put into a page. What came from the target is escaped."""
    console = Console(
        record=True, file=StringIO(), width=COLUMNS, color_system="standard", legacy_windows=False
    )
    console.print(report)
    return console.export_html(inline_styles=True, code_format=_FORM)
