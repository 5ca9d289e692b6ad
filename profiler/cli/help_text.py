"""How `--help` reads: paragraphs as wide as the terminal, choices in words, no type of flags."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption


class Command(TyperCommand):
    """A command whose help is filled anew: a docstring's lines are as long as code's."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        self.help = filled(self.help or "")
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.is_flag:
                parameter.display_type_rich = _no_type  # type: ignore[method-assign]
            elif isinstance(parameter, TyperArgument | TyperOption):
                _name_choices(parameter)
        super().format_help(ctx, formatter)


def filled(text: str) -> str:
    """Return paragraphs as a line each."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _name_choices(parameter: TyperArgument | TyperOption) -> None:
    """Put choices into the help, where they wrap between words: a column of types breaks them."""
    annotation = parameter.type_descriptor.annotation
    if not (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return
    names = [str(each.value) for each in annotation]
    parameter.display_type_rich = _no_type  # type: ignore[method-assign]
    text = (parameter.help or "").strip()
    if not all(name in text for name in names):
        parameter.help = f"{text} One of {', '.join(names)}."


def _no_type(ctx: Any) -> None:
    del ctx
