"""How `--help` reads: paragraphs as wide as the terminal, flags without a type."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperOption


class Command(TyperCommand):
    """A command whose help is filled anew: a docstring's lines are as long as code's."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        self.help = filled(self.help or "")
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.is_flag:
                parameter.display_type_rich = _no_type  # type: ignore[method-assign]
        super().format_help(ctx, formatter)


def filled(text: str) -> str:
    """Return paragraphs as a line each."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _no_type(ctx: Any) -> None:
    del ctx
