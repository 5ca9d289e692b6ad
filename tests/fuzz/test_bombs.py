"""Small inputs that would be large: each is refused or cut short, in bounded memory."""

from __future__ import annotations

import base64
import gzip
import struct
import tracemalloc
import zlib

import pytest

from profiler.endpoints.decoding import decode, decoders_for
from profiler.endpoints.json_values import json_text
from profiler.errors import ProfileError, WorkloadError
from profiler.measure.histogram import DURATION, Histogram
from profiler.observers.gateway.apis import CHAT
from profiler.observers.gateway.recording import object_of
from profiler.observers.otlp.decode import JSON, PROTOBUF, RefusedError
from profiler.observers.otlp.intake import read
from profiler.workload.document import read_document
from tests.endpoints.wire import brotli_compress
from tests.fuzz.mutations import DEEP, DEEPER
from tests.fuzz.targets import TARGETS

MIB = 2**20


def zeros(compressor) -> bytes:
    """100 MiB of zeros in 100 kB, or in 100 B."""
    packed = b"".join(compressor.compress(bytes(MIB)) for _ in range(100))
    return bytes(packed + compressor.flush())


GZIP, ZLIB = zeros(zlib.compressobj(1, wbits=31)), zeros(zlib.compressobj(1))


@pytest.fixture
def peak():
    """What was allocated at most since the test began, in MiB."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()


def laughs(levels: int) -> str:
    """`a0` to `aN`, each a list of ten aliases of the one before: 10 ** levels items."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


def test_a_billion_laughs_are_not_laughed(tmp_path):
    path = tmp_path / "laughs.yaml"
    path.write_text(laughs(9))
    with pytest.raises(WorkloadError, match="the document has over 200,000 values"):
        read_document(path)


def test_an_alias_of_what_it_stands_in_is_refused(tmp_path):
    path = tmp_path / "endless.yaml"
    path.write_text("a: &a [*a]")
    with pytest.raises(WorkloadError, match="an alias makes the document endless"):
        read_document(path)


@pytest.mark.parametrize("text", ["[" * 2_000, "{a: " * 2_000, "- " * 2_000 + "x"])
def test_yaml_that_is_nested_without_end_is_refused(tmp_path, text):
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=r"nested too deeply|not valid YAML"):
        read_document(path)


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "content-coding"])
@pytest.mark.parametrize("text", [DEEP, DEEPER], ids=["deep", "deeper"])
def test_deep_nesting_is_taken_or_refused_everywhere(name, text):
    seed = TARGETS[name].seeds[0]
    for data in (text.encode(), b"\0" + text.encode(), seed.replace(b'""', text.encode(), 1)):
        TARGETS[name].run(data)


def test_a_deep_tool_call_is_read_by_the_gateway():
    arguments = '{"a":' * 300 + "1" + "}" * 300
    call = f'{{"id": "c", "function": {{"name": "f", "arguments": {arguments}}}}}'
    answer = f'{{"choices": [{{"message": {{"tool_calls": [{call}]}}}}]}}'.encode()
    read_answer = CHAT.read_answer(answer)
    assert read_answer.fault is None
    assert read_answer.texts == ("f", arguments)
    body = object_of(f'{{"messages": [{{"role": "x", "tool_calls": [{call}]}}]}}'.encode())
    assert body is not None
    assert CHAT.countable(body).messages[0]["tool_calls"][0]["function"]["arguments"] == arguments


def test_what_python_cannot_write_either_is_nothing():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    try:
        assert json_text(value) == ""
    finally:  # taken apart by hand: Python's own way is recursive
        while value:
            value = value[0]


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [
        ("gzip", GZIP),
        ("deflate", ZLIB),
        ("gzip, gzip", gzip.compress(GZIP)),
        ("br", brotli_compress(bytes(32 * MIB))),
    ],
    ids=["gzip", "deflate", "twice", "br"],
)
def test_a_bomb_in_an_answer_comes_in_small_pieces(coding, bomb, peak):
    body, largest = 0, 0
    for piece in decode(decoders_for(coding), bomb):
        body += len(piece)
        largest = max(largest, len(piece))
        if body > 10 * MIB:
            break
    assert largest <= 128 * 1024
    assert peak() < 20


def test_a_bomb_of_spans_is_refused(peak):
    for media in (PROTOBUF, JSON):
        with pytest.raises(RefusedError, match="MiB"):
            read(GZIP, media, "gzip")
    assert peak() < 80


def test_a_bomb_in_a_histogram_is_refused(peak):
    payload = base64.b64encode(struct.pack(">ii", 0x1C849304 | 0x10, len(ZLIB)) + ZLIB)
    with pytest.raises(ProfileError, match="more than a histogram of its kind can be"):
        Histogram.decode(DURATION, payload.decode())
    assert peak() < 20
