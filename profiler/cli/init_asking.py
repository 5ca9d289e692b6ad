"""What `agent-profiler init` asks on a terminal, and what it says where it cannot ask."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from profiler.errors import UsageError
from profiler.workload.starter import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_SHOWN = 20


def is_terminal() -> bool:
    """Tell whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def asked(question: str, default: str | None = None) -> str:
    """Ask for a text. The end of the input is an abort, as Ctrl-C is: nothing is written."""
    answer = typer.prompt(question, default=default, err=True)
    return str(answer).strip()


def confirmed(question: str) -> bool:
    """Ask yes or no."""
    return typer.confirm(question, default=True, err=True)


def chosen(
    what: str, names: Sequence[str], shown: Sequence[str], *, option: str, may_ask: bool
) -> int:
    """Return which of several is meant; without a terminal, raise `UsageError` that names them."""
    if len(names) == 1:
        return 0
    if not may_ask:
        listed = ", ".join(one_line(name) for name in names[:_MOST_SHOWN])
        more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
        raise UsageError(f"{what}: {listed}{more}", fix=f"Give {option}")
    typer.echo(f"{what}:", err=True)
    for number, line in enumerate(shown, 1):
        typer.echo(f"  {number}  {one_line(line)}", err=True)
    while True:
        answer = asked("Which one?", "1")
        if answer in names:
            return names.index(answer)
        if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(names):
            return int(answer) - 1
        typer.echo(f"A number from 1 to {len(names)}, please.", err=True)
