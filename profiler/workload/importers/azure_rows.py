"""Rows of `azure-llm` read many at a time: each column of them as one list of JSON numbers."""

from __future__ import annotations

import re
from typing import Any

import orjson

from profiler.clock import NS_PER_S
from profiler.workload.instants import instant_ns

_MINUTE = len("2023-11-16 18:15:")
_SECONDS = {b"%02d." % second: second * NS_PER_S for second in range(60)}
_FRACTION = re.compile(rb"1(\d{1,9})(Z|[+-]\d\d:?\d\d)?")
_CELLS = 4


def azure_columns(data: bytes) -> tuple[list[int], list[Any], list[Any]] | None:
    """Return times (nanoseconds since 1970), input and output tokens of rows, as JSON has these.

    None unless all are whole rows, with times of as many digits and of the same zone.
    """
    columns = _columns(data)
    if columns is None or (first := _FRACTION.fullmatch(columns[1][0])) is None:
        return None
    seconds, fractions, inputs, outputs = columns
    digits, zone = len(first[1]), first[2] or b""
    if zone:
        if {fraction[digits + 1 :] for fraction in fractions} != {zone}:
            return None
        fractions = [fraction[: digits + 1] for fraction in fractions]
    begins = _begins(set(seconds), zone)
    try:
        parts, in_tokens, out_tokens = map(_numbers, (fractions, inputs, outputs))
    except orjson.JSONDecodeError:
        return None
    one, unit = 10**digits, 10 ** (9 - digits)
    if (
        begins is None
        or set(map(type, parts)) != {int}
        or not one <= min(parts) <= max(parts) < 2 * one
    ):
        return None
    times = [
        begins[second] + (part - one) * unit for second, part in zip(seconds, parts, strict=True)
    ]
    return times, in_tokens, out_tokens


def _columns(data: bytes) -> list[list[bytes]] | None:
    """Return seconds (`2023-11-16 18:15:46.`), fractions of them, inputs and outputs.

    JSON knows no zeros before a number: a 1 before each fraction keeps its own, so that it has as
    many digits as it had. The end of a row stays with the output: None where one stands elsewhere.
    """
    cells = data.replace(b".", b".,1").replace(b"\n", b"\n,").split(b",")
    rows = data.count(b"\n")
    if not rows or cells.pop() or len(cells) != _CELLS * rows or data.count(b".") != rows:
        return None
    columns = [cells[place::_CELLS] for place in range(_CELLS)]
    return columns if b"".join(columns[-1]).count(b"\n") == rows else None


def _begins(seconds: set[bytes], zone: bytes) -> dict[bytes, int] | None:
    """Return when each of these seconds begins, as `2023-11-16 18:15:46.` says, in a zone."""
    minutes: dict[bytes, int] = {}
    for minute in {second[:_MINUTE] for second in seconds}:
        begin_ns = instant_ns((minute + b"00" + zone).decode("ascii", "replace"))
        if begin_ns is None:
            return None
        minutes[minute] = begin_ns
    try:
        return {
            second: minutes[second[:_MINUTE]] + _SECONDS[second[_MINUTE:]] for second in seconds
        }
    except KeyError:
        return None


def _numbers(cells: list[bytes]) -> list[Any]:
    found: list[Any] = orjson.loads(b"[%b]" % b",".join(cells))
    return found
