"""Recorded requests without their text: when each came, how many tokens it had, what it shared.

A CSV file with the columns `at_s` (seconds from the first arrival, in order), `input_tokens`,
`output_tokens` (empty: not known) and `blocks` (ids of the blocks of tokens that the prompt is made
of, separated by spaces; empty: nothing is shared). The importers `mooncake` and `azure-llm` write
it; `load.arrivals.trace` reads its first column, `scenarios[].generated` the others.
"""

from __future__ import annotations

import hashlib
from array import array
from math import gcd
from typing import TYPE_CHECKING, NamedTuple

import orjson

from profiler.clock import NS_PER_S
from profiler.errors import WorkloadError
from profiler.workload.instants import seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = ("at_s", "input_tokens", "output_tokens", "blocks")
MOST_INPUT_TOKENS = 10_000_000
MOST_OUTPUT_TOKENS = 1_000_000
MOST_BLOCK_ID = 2**63 - 1
NOT_KNOWN = -1


class Lengths(NamedTuple):
    """What one request was made of; `output_tokens` is None where nothing tells."""

    input_tokens: int
    output_tokens: int | None
    blocks: tuple[int, ...]


class RequestTrace:
    """The requests of a file, in order, with the digest that says which file it was.

    Packed: 16 bytes for each request, and 8 for each block id. No dataclass, whose fields pydantic
    would look into.
    """

    def __init__(
        self,
        path: Path,
        sha256: str,
        *,
        input_tokens: array[int],
        output_tokens: array[int],
        block_ends: array[int],
        blocks: array[int],
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self._input_tokens = input_tokens
        self._output_tokens = output_tokens
        self._block_ends = block_ends
        self._blocks = blocks

    def __len__(self) -> int:
        return len(self._input_tokens)

    def lengths(self, number: int) -> Lengths:
        """Return request `number`, counted from 0."""
        begin = self._block_ends[number - 1] if number else 0
        output = self._output_tokens[number]
        return Lengths(
            self._input_tokens[number],
            None if output == NOT_KNOWN else output,
            tuple(self._blocks[begin : self._block_ends[number]]),
        )


def read_request_trace(path: Path) -> RequestTrace:
    """Read a file of requests. Raises WorkloadError with file and line."""
    digest = hashlib.sha256()
    inputs, outputs = array("i"), array("i")
    ends, blocks = array("q"), array("q")
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                digest.update(line)
                text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
                if number == 1:
                    _check_header(path, text)
                elif text:
                    found = _row(path, number, text)
                    inputs.append(found.input_tokens)
                    outputs.append(
                        NOT_KNOWN if found.output_tokens is None else found.output_tokens
                    )
                    blocks.extend(found.blocks)
                    ends.append(len(blocks))
    except OSError as exc:
        what = f"cannot read the trace: {exc.strerror}"
        raise WorkloadError(what, where=str(path), fix="Check the path") from exc
    if not inputs:
        fix = "Write one request a line below the header"
        raise WorkloadError("there is no request in the trace", where=str(path), fix=fix)
    return RequestTrace(
        path,
        digest.hexdigest(),
        input_tokens=inputs,
        output_tokens=outputs,
        block_ends=ends,
        blocks=blocks,
    )


def lines_of(
    offsets_ns: Sequence[int],
    inputs: Sequence[int],
    outputs: Sequence[int | None],
    blocks: Sequence[array[int]],
) -> bytes:
    """Return requests as lines of the file; `offsets_ns` counts from the first arrival.

    JSON has numbers as the file has them: seconds as the shortest decimals that are the same
    float, which are those meant where they have 15 digits or fewer.
    """
    rows = zip([ns / NS_PER_S for ns in offsets_ns], inputs, outputs, strict=True)
    text = orjson.dumps(list(rows))
    if _EXPONENT in text or not _are_exact(offsets_ns):
        times = map(seconds_text, offsets_ns)
        heads = [
            f"{at_s},{tokens},{'' if output is None else output}".encode()
            for at_s, tokens, output in zip(times, inputs, outputs, strict=True)
        ]
    else:
        text = text.replace(_WHOLE, b",").replace(b"null", b"")
        heads = text[2:-2].split(b"],[")
    texts = [b""] * len(blocks)
    if any(blocks):
        ids = orjson.dumps([found.tolist() for found in blocks])
        texts = ids[2:-2].replace(b",", b" ").split(b"] [")
    return b"\n".join(map(b",".join, zip(heads, texts, strict=True))) + b"\n"


_EXPONENT, _WHOLE = b"e", b".0,"
_EXACT = 10**15
_COARSE_NS = 100  # tenths of a microsecond: 15 digits of them are three years


def _are_exact(offsets_ns: Sequence[int]) -> bool:
    """Say whether seconds of these, which are in order, have 15 digits or fewer."""
    last = offsets_ns[-1]
    return last < _EXACT or (last < _EXACT * _COARSE_NS and gcd(*offsets_ns) % _COARSE_NS == 0)


HEADER = (",".join(COLUMNS) + "\n").encode()


def _check_header(path: Path, text: str) -> None:
    if tuple(text.split(",")) != COLUMNS:
        what = "the first line does not name the columns of a trace of requests"
        fix = f"Write {','.join(COLUMNS)}, or import the trace: agent-profiler import mooncake"
        raise WorkloadError(what, where=f"{path}:1", fix=fix)


def _row(path: Path, number: int, text: str) -> Lengths:
    cells = text.split(",")
    if len(cells) != len(COLUMNS):
        what = f"the row has {len(cells)} cells, the header {len(COLUMNS)}"
        raise WorkloadError(what, where=f"{path}:{number}", fix="Write one cell for each column")
    _, inputs, outputs, blocks = cells
    return Lengths(
        _number(path, number, "input_tokens", inputs, 1, MOST_INPUT_TOKENS),
        _number(path, number, "output_tokens", outputs, 0, MOST_OUTPUT_TOKENS) if outputs else None,
        tuple(_number(path, number, "blocks", block, 0, MOST_BLOCK_ID) for block in blocks.split()),
    )


def _number(path: Path, line: int, column: str, text: str, least: int, most: int) -> int:  # noqa: PLR0917
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        number = int(text)
        if least <= number <= most:
            return number
    raise WorkloadError(
        f"{column}: {text[:40]!r} is no whole number from {least:,} to {most:,}",
        where=f"{path}:{line}",
        fix="Correct it, or import the trace again",
    )


_MOST_DIGITS = 19
