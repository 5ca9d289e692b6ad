"""The two passes over a file: what is found, and what is written."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.workload.conversations import ROLES, read_conversations
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.messages import ORPHAN
from profiler.workload.importers.redact import Redactor
from profiler.workload.importers.rewriting import Rewriter
from profiler.workload.importers.streaming import Imported, Problem, sessions
from profiler.workload.importers.survey import REPEATED, Survey, survey

OPENAI, SHAREGPT = ImportKind.OPENAI_MESSAGES, ImportKind.SHAREGPT


def talk(turns: int, **extra: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    return {**extra, "messages": messages * turns}


def stream_of(*lines: Any) -> io.BytesIO:
    written = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return io.BytesIO(b"\n".join(written) + b"\n")


def surveyed(*lines: Any, size: int | None = None, **options: Any) -> Survey:
    return survey(stream_of(*lines), OPENAI, size=size, seed=1, **options)


def test_sessions_turns_and_messages_are_counted() -> None:
    found = surveyed(talk(1), talk(3), talk(3))
    assert found.whole.turns == {1: 1, 3: 2}
    assert (found.whole.sessions, found.whole.interactions, found.whole.messages) == (3, 7, 14)
    assert found.whole.tokens is None
    assert (found.skipped.total, found.odd.total) == (0, 0)


def test_tokens_are_counted_where_asked() -> None:
    found = surveyed(talk(1), talk(3), count=lambda message: len(message["content"]))
    assert found.whole.tokens == 4 * (2 + 4)


def test_whatever_cannot_be_taken_is_named_with_its_line_and_nothing_else_is_lost() -> None:
    found = surveyed(
        talk(1),
        b"{broken",
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        {"messages": []},
        {"messages": [{"role": "narrator", "content": "x"}]},
        b"",
        b"{also broken",
        talk(2),
    )
    assert found.skipped.counts == {
        "not JSON": 2,
        "not UTF-8": 1,
        "an empty conversation": 1,
        "the unknown role 'narrator'": 1,
    }
    assert found.skipped.first_lines["not JSON"] == [2, 7]
    assert found.skipped.first_lines["not UTF-8"] == [3]
    assert found.whole.turns == {1: 1, 2: 1}


def test_reasons_are_bounded_and_their_total_is_not() -> None:
    lines = ({"messages": [{"role": f"r{number}", "content": "x"}]} for number in range(200))
    found = surveyed(*lines)
    assert found.skipped.total == 200
    assert len(found.skipped.counts) == 51
    assert found.skipped.counts["for other reasons"] == 150


def test_ids_that_come_again_and_results_without_calls_are_odd_but_taken() -> None:
    orphan = talk(1, id="b")
    orphan["messages"].append({"role": "tool", "tool_call_id": "x", "content": "y"})
    found = surveyed(talk(1, id="a"), orphan, talk(2, id="a"))
    assert found.odd.counts == {ORPHAN: 1, REPEATED: 1}
    assert found.odd.first_lines == {ORPHAN: [2], REPEATED: [3]}
    assert found.whole.sessions == 3


def test_sessions_begin_in_any_order_and_those_without_a_time_are_no_arrivals() -> None:
    """Two sessions with a time, 30 s apart: one gap."""
    begun = surveyed(talk(1, timestamp=50), talk(1), talk(1, timestamp=20)).begun
    assert (begun.count, begun.first_s, begun.last_s) == (2, 20.0, 50.0)
    assert begun.rate_per_s == 1 / 30


def written(stream: io.BytesIO, found: Survey, tmp_path: Path, **options: Any) -> Any:
    rewriter = Rewriter(**options)
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"".join(rewriter.lines(stream, OPENAI, found.chosen)))
    return rewriter, read_conversations(path)


@pytest.mark.parametrize("size", [None, 4, 100])
def test_what_is_written_are_the_messages_as_they_were_under_ids_of_their_own(
    size: int | None, tmp_path: Path
) -> None:
    lines = (talk(1, id="a"), talk(2), talk(3, id="a"), talk(4, id="a-line-3"))
    stream = stream_of(*lines)
    rewriter, read = written(stream, survey(stream, OPENAI, size=size, seed=1), tmp_path)
    assert [c.id for c in read] == ["a", "line-2", "a-line-3", "a-line-3-line-4"]
    assert [list(c.messages) for c in read] == [line["messages"] for line in lines]
    assert rewriter.taken.turns == {1: 1, 2: 1, 3: 1, 4: 1}


def test_a_sample_is_of_the_files_sessions_and_ids_are_redacted_too(tmp_path: Path) -> None:
    stream = stream_of(*(talk(1 + n % 3, id=f"user{n}@mail.example") for n in range(30)))
    found = survey(stream, OPENAI, size=6, seed=1)
    rewriter, read = written(stream, found, tmp_path, redactor=Redactor())
    assert rewriter.taken.turns == {1: 2, 2: 2, 3: 2}
    assert len({c.id for c in read}) == 6
    assert all(c.id.startswith("[email]") for c in read)


def test_a_file_that_changed_between_the_passes_is_an_error(tmp_path: Path) -> None:
    found = surveyed(talk(1), talk(2), size=1)
    with pytest.raises(UsageError, match="was changed"):
        written(io.BytesIO(b"x" * 1000), found, tmp_path)


def test_an_array_and_lines_of_sharegpt_give_the_same() -> None:
    data = [
        {"id": n, "conversations": [{"from": "human", "value": "]}"}] * (1 + n % 2)}
        for n in range(5)
    ]
    array = list(sessions(io.BytesIO(json.dumps(data, indent=1).encode()), SHAREGPT))
    one_a_line = list(sessions(stream_of(*data), SHAREGPT))
    assert [item.session for item in array if isinstance(item, Imported)] == [
        item.session for item in one_a_line if isinstance(item, Imported)
    ]
    assert len(array) == 5


def test_a_broken_item_of_an_array_is_skipped_and_the_next_is_read() -> None:
    good = b'{"conversations": [{"from": "human", "value": "Hi"}]}'
    first, second, third = sessions(
        io.BytesIO(b"[" + good + b",\n{oops},\n" + good + b"]"), SHAREGPT
    )
    assert isinstance(first, Imported)
    assert second == Problem(2, "not JSON")
    assert isinstance(third, Imported)
    assert third.line == 3


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from([*sorted(ROLES), "narrator"])},
        optional={
            "content": st.text(max_size=5) | st.none() | st.integers() | st.lists(st.none()),
            "tool_calls": st.lists(st.fixed_dictionaries({"id": st.text(max_size=2)}), max_size=2),
            "tool_call_id": st.text(max_size=2),
        },
    ),
    max_size=6,
)


@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_whatever_is_taken_can_be_read_as_conversations(
    tmp_path_factory: pytest.TempPathFactory, data: list[Any]
) -> None:
    stream = stream_of(*data)
    found = survey(stream, OPENAI, size=None, seed=1)
    assert found.whole.sessions + found.skipped.total == len(data)
    if found.whole.sessions:
        _, read = written(stream, found, tmp_path_factory.mktemp("any"), redactor=Redactor())
        assert len(read) == found.whole.sessions


class Endless(io.RawIOBase):
    """A file of `size` bytes that is made while it is read."""

    def __init__(self, piece: Callable[[int], bytes], size: int) -> None:
        self._pieces: Iterator[bytes] = map(piece, range(size // len(piece(0))))
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest or next(self._pieces, b"")
        taken = min(len(data), len(buffer))
        buffer[:taken] = data[:taken]
        self._rest = data[taken:]
        return taken


@pytest.mark.parametrize("size_mb", [1, 4])
def test_memory_does_not_grow_with_the_file(size_mb: int, monkeypatch: Any) -> None:
    """The same bound for both sizes, and below the larger one by far: 4 MB pass through 1."""
    body = json.dumps(talk(20)["messages"])

    def piece(number: int) -> bytes:
        return b'{"id": "%09d", "messages": %b}\n' % (number, body.encode())

    stream = io.BufferedReader(Endless(piece, size_mb * 2**20))
    monkeypatch.setattr("profiler.workload.importers.frames.skip_bom", lambda _: 0)
    tracemalloc.start()
    try:
        found = survey(stream, OPENAI, size=50, seed=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.whole.sessions > 500 * size_mb
    assert peak < 2**20
