"""Changing an input: its bytes, the JSON that it is or that its lines hold, its lines of YAML.

Bytes alone seldom get past the first parser; a value of another type in the right place does.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

DEEP = '{"a":' * 300 + "1" + "}" * 300
"""Read by orjson (1,024 levels), not written by it (254)."""
DEEPER = "[" * 1_100
_VALUES = [
    *("null", "true", "false", "0", "-1", "1.5", "9223372036854775808", "-1e308", "1e999"),
    *('""', '"x"', '"-"', '"1"', '"\\ud800"', '"\\u0000"', '"2025-13-01T99:00:00Z"', '"NaN"'),
    *("[]", "{}", "[[]]", "[{}]", "[null]", '{"type":"x"}', '{"id":{}}', '["a",1]', DEEP),
    '"' + "long " * 200 + '"',
]
_SCALARS = [
    *("", "~", "0", "-1", "1e999", ".nan", "true", "'", '"', "*a", "&a x", "!!int x"),
    *("[", "{", "[]", "{}", "{a: b}", "[1, 2]", "s", "-5s", "9999999999s", "5/s", "{{ x }}"),
    *("${HOME}", "| \n  x", "? x", "2024-05-15", "0x10", "10%", "../../x", "nosuch.csv"),
]  # fmt: skip
_BYTES = [
    *(b"", b"\0", b"\r", b"\n\n", b"\r\n\r\n", b"\xff\xfe", b"\xed\xa0\x80", b"data: ", b"[DONE]"),
    *(b"event: x\n", b"\x1f\x8b\x08", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"ffffffffffffffff\r\n", b'"', b"{", b"[" * 2000, b"\x80" * 20, b"9" * 400, b": ", b"\t"),
]
_ORDINARY = 0.9


def mutated(data: bytes, random: Random) -> bytes:
    """Return a changed input: once, or a few times."""
    for _ in range(random.choice((1, 1, 2, 4))):
        change: Callable[[bytes, Random], bytes] = random.choice((_bytes, _json, _json, _yaml))
        data = change(data, random)
    return data


def _bytes(data: bytes, random: Random) -> bytes:
    start, end = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    match random.randrange(5):
        case 0:
            return data[:start] + random.randbytes(random.randint(1, 4)) + data[start + 1 :]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:end] + data[start:]
        case 3:
            return data[:start] + random.choice(_BYTES) + data[start:]
        case _:
            return data[:start]


def _json(data: bytes, random: Random) -> bytes:
    """Change a value of the document, or of one that stands on a line (JSON Lines, events)."""
    whole = _parsed(data)
    if whole is not None:
        return _changed(whole, random)
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    start = lines[at].find(b"{")
    document = None if start < 0 else _parsed(lines[at][start:])
    if document is None:
        return _bytes(data, random)
    lines[at] = lines[at][:start] + _changed(document, random)
    return b"\n".join(lines)


def _parsed(data: bytes) -> Any:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) and found else None


def _changed(document: Any, random: Random) -> bytes:
    document = copy.deepcopy(document)
    mark = "the value that is replaced"
    place, depth = document, random.randrange(8)
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = random.choice(keys)
        inner = place[key]
        if depth == 0 or not isinstance(inner, dict | list) or not inner:
            break
        place, depth = inner, depth - 1
    if random.random() < _ORDINARY:
        place[key] = mark
    elif isinstance(place, dict):
        place[random.choice(("", "id", "type", "content", "\ud800"))] = place.pop(key)
    else:
        place.append(copy.deepcopy(inner))
    text = json.dumps(document, separators=(",", ":"))
    return text.replace(json.dumps(mark), random.choice(_VALUES)).encode()


def _yaml(data: bytes, random: Random) -> bytes:
    lines = data.decode("utf-8", "replace").split("\n")
    places = [number for number, line in enumerate(lines) if re.match(r"[\s-]*[\w.]+:", line)]
    if not places:
        return _bytes(data, random)
    at = random.choice(places)
    key, _, _ = lines[at].partition(":")
    match random.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[random.choice(places)])
        case _:
            lines[at] = f"{key}: {random.choice(_SCALARS)}"
    return "\n".join(lines).encode()
