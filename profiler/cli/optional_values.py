"""Options whose value may be left out: `--gateway` alone means `--gateway 127.0.0.1:8787`.

The command-line library knows options with a value and options without, so the value that was left
out is put in before it looks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULTS = {
    "--gateway": "127.0.0.1:8787",
    "--otlp": "127.0.0.1:4318",
    "--prometheus": "127.0.0.1:9464",
}
"""4318 is the port of OTLP over HTTP, where exporters send if nothing else is said; 9464 that of
OpenTelemetry's exporter for Prometheus."""

_ADDRESS = re.compile(r"(?:(?:[\w.-]+|\[[\da-fA-F:]+\])?:)?\d+")


def with_values(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `run` with every value that was left out; others as they are."""
    if "run" not in arguments[:1]:
        return list(arguments)
    complete: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*complete, *arguments[position:]]
        complete.append(argument)
        if argument in DEFAULTS:
            following = arguments[position + 1 : position + 2]
            if not (following and _ADDRESS.fullmatch(following[0])):
                complete.append(DEFAULTS[argument])
    return complete
