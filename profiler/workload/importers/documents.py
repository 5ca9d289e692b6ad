"""Cutting files whose records are lines, items of an array, or items within one large document.

`{"log": {"entries": [...]}}`, `{"resourceSpans": [...]}` and the like are found by their keys, so
that such a document may be of any size.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from profiler.workload.importers.frames import (
    BLANK,
    MOST_BYTES,
    STRING,
    Frame,
    items_from,
    lines_or_items,
    skip_bom,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO

    Path = tuple[str, ...]

_CHUNK_BYTES = 2**20
_MOST_DEPTH = 64
_TOKEN = re.compile(STRING + rb'|["{}\[\]:,]', re.DOTALL)


def records(stream: BinaryIO, paths: Collection[Path]) -> Iterator[Frame]:
    """Yield lines, the items of an array, or a document: whole, or the items of its array.

    The file is one document where neither of its first two lines is an object by itself. It comes
    whole up to 32 MiB, else as the items of the array that stands at one of `paths`.
    """
    begin = skip_bom(stream)
    if not _begins_with_a_document(stream):
        yield from lines_or_items(stream)
        return
    data = stream.read(MOST_BYTES)
    if len(data) < MOST_BYTES:
        yield Frame(1, begin, data)
    else:
        yield from items_within(stream, paths)


def items_within(
    stream: BinaryIO, paths: Collection[Path], *, in_lines: bool = True
) -> Iterator[Frame]:
    """Yield the items of the first array in a document that stands at one of these paths.

    A document without one is a `Frame` that says so. Unless `in_lines`, lines are not counted.
    """
    begin = skip_bom(stream)
    found = _array(stream, begin, paths)
    if found is not None:
        offset, line = found
        yield from items_from(stream, offset, line, has_tail=True, in_lines=in_lines)
        return
    wanted = " or ".join(".".join(path) for path in paths)
    yield Frame(1, begin, b"", f"a document without the list {wanted}")


def _begins_with_a_document(stream: BinaryIO) -> bool:
    begin = stream.tell()
    try:
        while (line := stream.readline(MOST_BYTES)) and line.isspace():
            pass
        first = line.lstrip(BLANK)
        if not first.startswith(b"{") or _is_object(first):
            return False
        if len(line) == MOST_BYTES:
            return True
        return not first.rstrip(BLANK).endswith(b"}") and not _is_object(
            stream.readline(MOST_BYTES)
        )
    finally:
        stream.seek(begin)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _array(stream: BinaryIO, begin: int, paths: Collection[Path]) -> tuple[int, int] | None:
    """Return where an array's first item may stand, and its line; None where there is no array.

    `keys` has the last key of each object that is open, None for an array; a text is a key if it
    is the first in an object or follows a comma.
    """
    wanted = set(paths)
    keys: list[str | None] = []
    is_key = False
    for token, offset, line in _tokens(stream, begin):
        if token == b"[" and _is_path(keys) and tuple(map(str, keys)) in wanted:
            return offset + 1, line
        if token in (b"{", b"["):
            keys.append("" if token == b"{" else None)
            if len(keys) > _MOST_DEPTH:
                return None
            is_key = token == b"{"
        elif token in (b"}", b"]"):
            if keys:
                keys.pop()
            if not keys:
                return None
            is_key = False
        elif token == b",":
            is_key = bool(keys) and keys[-1] is not None
        elif token == b":":
            is_key = False
        elif is_key:
            keys[-1] = token[1:-1].decode(errors="replace")
    return None


def _is_path(keys: list[str | None]) -> bool:
    return None not in keys


def _tokens(stream: BinaryIO, begin: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield strings (of up to 32 MiB) and punctuation, with their offset and line."""
    stream.seek(begin)
    buffer, offset, line = b"", begin, 1
    while more := stream.read(max(_CHUNK_BYTES, len(buffer))):
        buffer += more
        at = counted = 0
        while found := _TOKEN.search(buffer, at):
            token, start = found[0], found.start()
            if token == b'"':
                break
            line += buffer.count(b"\n", counted, start)
            counted = start
            yield token, offset + start, line
            at = found.end()
        kept = found.start() if found else len(buffer)
        line += buffer.count(b"\n", counted, kept)
        offset += kept
        buffer = buffer[kept:]
        if len(buffer) > MOST_BYTES:
            return
