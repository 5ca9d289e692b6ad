"""The commands in the statement of a Redis span; what each does is `redis_commands`'s to say."""

from __future__ import annotations

from profiler.observers.redis_commands import documented_kind


def is_command(name: str) -> bool:
    """Say whether this is the name of a Redis command that is known here."""
    return documented_kind(name.lower()) is not None


def commands_in(statement: str, length: int | None) -> list[str]:
    """Return the commands in a statement, with their arguments; a pipeline has one on each line.

    `length` is the pipeline's, where the span says it. Without it, lines that do not begin with a
    command are the value of the line before.
    """
    lines = [line for line in statement.split("\n") if line.strip()]
    if length is not None and len(lines) == length:
        return lines
    more = (line for line in lines[1:] if is_command(line.split(None, 1)[0]))
    named = [*lines[:1], *more]
    return named if length is None else named[:length]
