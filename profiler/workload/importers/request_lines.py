"""Traces of requests without text: `mooncake` and `azure-llm`, one request a line.

`mooncake` (kvcache-ai/Mooncake, FAST '25): JSON Lines of `timestamp` (milliseconds from the start),
`input_length`, `output_length` (tokens) and `hash_ids`, one for each block of 512 tokens of the
prompt, the last block being shorter; an id stands for its block and all before it. `azure-llm`
(Azure/AzurePublicDataset, 2023 and 2024): CSV of `TIMESTAMP,ContextTokens,GeneratedTokens`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from profiler.workload.importers.messages import RefusedError, shortened
from profiler.workload.instants import instant_ns
from profiler.workload.request_trace import (
    MOST_BLOCK_ID,
    MOST_INPUT_TOKENS,
    MOST_OUTPUT_TOKENS,
    Lengths,
)

BLOCK_TOKENS = 512
"""How many tokens an id of `hash_ids` stands for."""
TOO_FEW_BLOCKS = "fewer hash_ids than the prompt has blocks: the rest is text of its own"
TOO_MANY_BLOCKS = "more hash_ids than the prompt has blocks: those were left out"
NO_OUTPUT = "no output_length: how long the answer was is not known"
LATEST_MS = 10**14


class Request(NamedTuple):
    """One request: when it came (nanoseconds from some start), its line, and what it was."""

    at_ns: int
    line: int
    lengths: Lengths
    notes: tuple[str, ...] = ()


def mooncake(data: bytes, line: int) -> Request:
    """Return the request of a line. Raises RefusedError."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise RefusedError(_no_text(data) or "not JSON") from None
    if not isinstance(found, dict):
        raise RefusedError("not a JSON object")
    at_ms = found.get("timestamp")
    if isinstance(at_ms, bool) or not isinstance(at_ms, int | float):
        raise RefusedError("no timestamp in milliseconds")
    if not 0 <= at_ms <= LATEST_MS:
        raise RefusedError("a timestamp that is no time in milliseconds")
    tokens = _tokens("input_length", found.get("input_length"), 1, MOST_INPUT_TOKENS)
    ids = found.get("hash_ids")
    notes: list[str] = []
    output: int | None = None
    if found.get("output_length") is None:
        notes.append(NO_OUTPUT)
    else:
        output = _tokens("output_length", found["output_length"], 0, MOST_OUTPUT_TOKENS)
    blocks = _blocks([] if ids is None else ids)
    needed = -(-tokens // BLOCK_TOKENS)
    if len(blocks) < needed:
        notes.append(TOO_FEW_BLOCKS)
    elif len(blocks) > needed:
        notes.append(TOO_MANY_BLOCKS)
        blocks = blocks[:needed]
    return Request(round(at_ms * 10**6), line, Lengths(tokens, output, blocks), tuple(notes))


def azure(data: bytes, line: int) -> Request:
    """Return the request of a row. Raises RefusedError."""
    try:
        cells = [cell.strip().strip('"') for cell in data.decode().split(",")]
    except UnicodeDecodeError:
        raise RefusedError("not UTF-8") from None
    if len(cells) != _AZURE_CELLS:
        raise RefusedError("not three cells: TIMESTAMP, ContextTokens, GeneratedTokens")
    at_ns = instant_ns(cells[0])
    if at_ns is None:
        raise RefusedError("a TIMESTAMP that is no date and time")
    inputs = _tokens("ContextTokens", _whole(cells[1]), 1, MOST_INPUT_TOKENS)
    outputs = _tokens("GeneratedTokens", _whole(cells[2]), 0, MOST_OUTPUT_TOKENS)
    return Request(at_ns, line, Lengths(inputs, outputs, ()))


def _blocks(ids: Any) -> tuple[int, ...]:
    if not isinstance(ids, list):
        raise RefusedError("hash_ids that are no list")
    if ids and (set(map(type, ids)) != {int} or min(ids) < 0 or max(ids) > MOST_BLOCK_ID):
        raise RefusedError("hash_ids that are no whole numbers from 0 to 2^63 - 1")
    return tuple(ids)


def _tokens(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedError(f"no whole number as {name}")
    if value < least:
        raise RefusedError(f"{name} below {least}: there is nothing to send")
    if value > most:
        raise RefusedError(f"{name} above {most:,}")
    return value


def _whole(text: str) -> Any:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else shortened(text)


def _no_text(data: bytes) -> str | None:
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


_AZURE_CELLS = 3
_MOST_DIGITS = 18
