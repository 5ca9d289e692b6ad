"""Recorded requests without their text: when each came, how many tokens it had, what it shared.

A CSV file with the columns `at_s` (seconds from the first arrival, in order), `input_tokens`,
`output_tokens` (empty: not known) and `blocks` (ids of the blocks of tokens that the prompt is made
of, separated by spaces; empty: nothing is shared). The importers `mooncake` and `azure-llm` write
it; `load.arrivals.trace` reads its first column, `scenarios[].generated` the others.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, NamedTuple

from profiler.errors import WorkloadError

if TYPE_CHECKING:
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


def line_of(at_s: str, lengths: Lengths) -> bytes:
    """Return a request as a line of the file."""
    output = "" if lengths.output_tokens is None else lengths.output_tokens
    blocks = " ".join(map(str, lengths.blocks))
    return f"{at_s},{lengths.input_tokens},{output},{blocks}\n".encode()


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
