"""Requests of a trace many at a time, in columns: what is looked at in one go takes less time.

Lines that are as usual are read together; where one of a chunk is not, all of it are read one by
one (`request_lines`), which comes to the same and names what is wrong.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

import orjson

from profiler.workload.importers.azure_rows import azure_columns
from profiler.workload.importers.chunks import chunks
from profiler.workload.importers.frames import BLANK
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.messages import RefusedError
from profiler.workload.importers.request_lines import (
    BLOCK_TOKENS,
    LATEST_MS,
    Request,
    azure,
    mooncake,
)
from profiler.workload.importers.streaming import Problem
from profiler.workload.request_trace import (
    MOST_INPUT_TOKENS,
    MOST_OUTPUT_TOKENS,
    Lengths,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

_AZURE_HEADER = b"timestamp"
_NO_BLOCKS = array("q")


@dataclass(slots=True)
class Batch:
    """Requests, one at each place of the columns.

    `at_ns` counts from some start, `outputs` has None where nothing tells. `blocks` are packed:
    thousands of requests wait at a time, and what is spread over the memory is slow to come by.
    """

    at_ns: list[int]
    lines: list[int]
    inputs: list[int]
    outputs: list[int | None]
    blocks: list[array[int]]
    notes: list[tuple[str, ...]]

    @classmethod
    def of(cls, requests: Sequence[Request]) -> Self:
        """Return requests as columns."""
        lengths = [request.lengths for request in requests]
        return cls(
            [request.at_ns for request in requests],
            [request.line for request in requests],
            [found.input_tokens for found in lengths],
            [found.output_tokens for found in lengths],
            [array("q", found.blocks) for found in lengths],
            [request.notes for request in requests],
        )

    def requests(self) -> Iterator[Request]:
        """Yield them one by one."""
        for at_ns, line, inputs, outputs, blocks, notes in zip(*self._columns(), strict=True):
            yield Request(at_ns, line, Lengths(inputs, outputs, tuple(blocks)), notes)

    def __len__(self) -> int:
        return len(self.at_ns)

    def _columns(self) -> tuple[list[Any], ...]:
        return (self.at_ns, self.lines, self.inputs, self.outputs, self.blocks, self.notes)

    def extend(self, other: Batch) -> None:
        """Add the requests of another behind its own."""
        for column, more in zip(self._columns(), other._columns(), strict=True):
            column.extend(more)

    def insert(self, place: int, one: Batch) -> None:
        """Put the requests of another before the one at a place."""
        for column, more in zip(self._columns(), one._columns(), strict=True):
            column[place:place] = more

    def part(self, begin: int, end: int) -> Batch:
        """Return those from one place to before another."""
        return Batch(*(column[begin:end] for column in self._columns()))

    def take(self, number: int) -> Batch:
        """Remove the first ones, and return them."""
        taken = self.part(0, number)
        if number:
            for column in self._columns():
                del column[:number]
        return taken


def read_batches(stream: BinaryIO, kind: ImportKind) -> Iterator[Batch | Problem]:
    """Yield every request as they stand in the file, and every line that is none."""
    is_csv = kind is ImportKind.AZURE_LLM
    columns, read = (_azure, azure) if is_csv else (_mooncake, mooncake)
    may_be_header = is_csv
    for line, data, why in chunks(stream):
        if why is not None:
            yield Problem(line, why)
        elif not may_be_header and (batch := columns(data, line)) is not None:
            yield batch
        else:
            yield from _one_by_one(data, line, read, may_be_header=may_be_header)
        may_be_header = may_be_header and data.isspace()


def _one_by_one(
    data: bytes, line: int, read: Callable[[bytes, int], Request], *, may_be_header: bool
) -> Iterator[Batch | Problem]:
    found: list[Request] = []
    for number, row in enumerate(data.split(b"\n"), start=line):
        if not row or row.isspace():
            continue
        is_header = may_be_header and row.strip(b' "\t').lower().startswith(_AZURE_HEADER)
        may_be_header = False
        if is_header:
            continue
        try:
            found.append(read(row, number))
        except RefusedError as exc:
            yield Problem(number, str(exc))
    if found:
        yield Batch.of(found)


def _mooncake(data: bytes, line: int) -> Batch | None:
    """Return the requests of lines that are all as usual, else None."""
    try:
        rows = map(orjson.loads, data.rstrip(BLANK).split(b"\n"))
        times, inputs, outputs, blocks = map(list, zip(*map(_FIELDS, rows), strict=True))
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return None
    if not (
        _are_whole(times, 0, LATEST_MS)
        and _are_whole(inputs, 1, MOST_INPUT_TOKENS)
        and _are_whole(outputs, 0, MOST_OUTPUT_TOKENS)
        and set(map(type, blocks)) == {list}
        and list(map(len, blocks)) == [-(-tokens // BLOCK_TOKENS) for tokens in inputs]
        and (packed := _packed(blocks)) is not None
    ):
        return None
    at_ns = [time * 10**6 for time in times]
    return _batch(line, at_ns, inputs, outputs, packed)


_FIELDS = itemgetter("timestamp", "input_length", "output_length", "hash_ids")


def _are_whole(values: list[Any], least: int, most: int) -> bool:
    return set(map(type, values)) == {int} and min(values) >= least and max(values) <= most


def _packed(blocks: list[list[Any]]) -> list[array[int]] | None:
    """Return lists of ids as arrays, None unless all are whole numbers from 0 to 2^63 - 1.

    What is no such number has other characters as JSON, or does not fit into an array.
    """
    try:
        packed = [array("q", ids) for ids in blocks]
        others = orjson.dumps(blocks).translate(None, b"0123456789,[]")
    except (TypeError, OverflowError):
        return None
    return None if others else packed


def _azure(data: bytes, line: int) -> Batch | None:
    """Return the requests of rows that are all as usual, else None."""
    found = azure_columns(data)
    if found is None:
        return None
    at_ns, inputs, outputs = found
    if not (
        _are_whole(inputs, 1, MOST_INPUT_TOKENS) and _are_whole(outputs, 0, MOST_OUTPUT_TOKENS)
    ):
        return None
    return _batch(line, at_ns, inputs, outputs, [_NO_BLOCKS] * len(at_ns))


def _batch(
    line: int,
    at_ns: list[int],
    inputs: list[int],
    outputs: list[int | None],
    blocks: list[array[int]],
) -> Batch:
    """Return requests with nothing odd about them, the first of them on this line."""
    number = len(at_ns)
    return Batch(at_ns, [*range(line, line + number)], inputs, outputs, blocks, [()] * number)
