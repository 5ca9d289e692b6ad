from __future__ import annotations

import io
import json
from typing import Any

import pytest

from profiler.workload.importers import documents, frames
from profiler.workload.importers.documents import items_within, records

PATHS = [("log", "entries")]
HAR = {
    "log": {
        "version": "1.2",
        "entries of another name": [1, 2],
        "pages": [{"entries": ["no"]}, {"log": {"entries": ["no"]}}],
        "creator": {"name": 'a "quoted, [name]: {x"', "entries": ["no"]},
        "entries": [{"a": 1}, {"b": [1, {"c": "]"}]}, {"d": "\\"}],
        "comment": [{"not": "read"}],
    }
}


def read(text: str, paths: Any = PATHS, by: Any = items_within) -> list[Any]:
    stream = io.BytesIO(text.encode())
    return [json.loads(f.data) if f.why is None else f.why for f in by(stream, paths)]


@pytest.mark.parametrize("indent", [None, 2])
def test_the_items_of_an_array_are_found_by_its_path(indent: int | None) -> None:
    text = json.dumps(HAR, indent=indent)
    assert read(text) == HAR["log"]["entries"]
    assert read("\ufeff" + text) == HAR["log"]["entries"]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_chunks_may_end_anywhere(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(documents, "_CHUNK_BYTES", chunk)
    monkeypatch.setattr(frames, "_CHUNK_BYTES", chunk)
    text = json.dumps(HAR, indent=1, ensure_ascii=False)
    assert read(text) == HAR["log"]["entries"]
    stream = io.BytesIO(text.encode())
    for frame in items_within(stream, PATHS):
        assert text.encode()[frame.offset :].startswith(frame.data)
        assert text.encode()[: frame.offset].count(b"\n") == frame.line - 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"log": {}}', '{"log": {"entries": {}}}', '{"log": [{"entries": [1]}]}',
     "{" * 5000, '{"a": "', "\x00\xff", '{"log": {"x": "entries", "y": [3]}}'],
)  # fmt: skip
def test_a_document_without_the_array_says_so(text: str) -> None:
    assert read(text) == ["a document without the list log.entries"]


def test_an_array_that_is_cut_off_is_named() -> None:
    found = read('{"log": {"entries": [{"a": 1}, {"b": ')
    assert found[0] == {"a": 1}
    assert "not closed" in found[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}\n{"b": 2}\n', [{"a": 1}, {"b": 2}]),
        ('[{"a": 1},\n {"b": 2}]', [{"a": 1}, {"b": 2}]),
        ('{"a":\n 1}\n', [{"a": 1}]),
        ('{"a": 1}', [{"a": 1}]),
        ("\n\n{\n}\n", [{}]),
        ("", []),
    ],
)
def test_records_are_lines_items_or_one_document(text: str, expected: Any) -> None:
    assert read(text, by=records) == expected


def test_a_first_line_that_is_broken_makes_no_document_of_the_others() -> None:
    stream = io.BytesIO(b'{"a": \n{"b": 2}\n{"c": 3}\n')
    assert [frame.line for frame in records(stream, PATHS)] == [1, 2, 3]


def test_a_document_of_more_than_the_limit_comes_by_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 200)
    text = json.dumps({"data": [{"n": n} for n in range(100)]}, indent=1)
    assert read(text, [("data",)], records) == [{"n": n} for n in range(100)]
