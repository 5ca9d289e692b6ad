"""What a virtual machine's host took, from what the system says of its processors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from profiler.cli.steal import ProcessorTime, processor_time, steal_finding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stat(tmp_path: Path) -> Path:
    return tmp_path / "stat"


def test_ticks_are_those_of_all_processors_guests_not_counted_twice(stat: Path) -> None:
    """proc(5): guest time, the ninth and tenth, is part of user and nice."""
    stat.write_text("cpu  10 20 30 400 5 6 7 8 9 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert processor_time(stat) == ProcessorTime(all=486, stolen=8)


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu 1 2 3 4\n", "intr 1 2 3 4 5 6 7 8\n", "cpu x"])
def test_what_does_not_tell_it_is_not_known(stat: Path, text: str) -> None:
    stat.write_text(text)
    assert processor_time(stat) is None


def test_without_the_file_it_is_not_known(stat: Path) -> None:
    assert processor_time(stat) is None
    found = steal_finding(None, None)
    assert (found.mark, found.found) == ("ok  ", "not known on this system")


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_this_machine_tells_it() -> None:
    found = processor_time()
    assert found is not None
    assert 0 <= found.stolen < found.all


@pytest.mark.parametrize(
    ("stolen", "mark", "words"), [(0, "ok  ", "0 %"), (9, "ok  ", "0.9 %"), (140, "NOTE", "14 %")]
)
def test_a_share_that_delays_is_noted(stolen: int, mark: str, words: str) -> None:
    found = steal_finding(ProcessorTime(5_000, 300), ProcessorTime(6_000, 300 + stolen))
    assert (found.mark, found.figures) == (mark, {"steal_share": stolen / 1000})
    assert found.found.startswith(f"{words} of the processors' time")
    assert ("measure on a machine of its own" in (found.hint or "")) is (mark == "NOTE")


def test_no_time_between_is_no_share() -> None:
    same = ProcessorTime(5_000, 300)
    assert steal_finding(same, same).figures == {}
