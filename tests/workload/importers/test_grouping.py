from __future__ import annotations

import tracemalloc
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.workload.importers.grouping import Groups

RECORDS = st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=300)), max_size=200)


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, most=st.sampled_from([2_000, 2**20]))
def test_each_key_comes_once_with_its_records_in_order(
    records: list[tuple[bytes, bytes]], most: int
) -> None:
    """Against a dict; a key with more than `most` bytes is left to the test below."""
    expected: dict[bytes, list[bytes]] = defaultdict(list)
    for key, record in records:
        if sum(map(len, expected[key])) + len(record) <= 2_000:
            expected[key].append(record)
    with Groups(most_bytes=most) as groups:
        for key, kept in expected.items():
            for record in kept:
                groups.add(key, record)
        found = list(groups.groups())
    assert len(found) == len(dict(found))
    assert dict(found) == {key: kept for key, kept in expected.items() if kept}
    assert groups.dropped == 0


def test_what_one_key_has_beyond_the_limit_is_counted_and_others_lose_nothing() -> None:
    with Groups(most_bytes=1_000) as groups:
        for number in range(30):
            groups.add(b"large", b"%099d" % number)
            groups.add(b"small-%d" % number, b"x")
        found = dict(groups.groups())
    assert found.pop(b"large") == [b"%099d" % number for number in range(10)]
    assert groups.dropped == 20
    assert found == {b"small-%d" % number: [b"x"] for number in range(30)}


def test_memory_does_not_grow_with_what_is_gathered() -> None:
    def peak(megabytes: int) -> int:
        tracemalloc.start()
        with Groups(most_bytes=2**20) as groups:
            for number in range(megabytes * 100):
                groups.add(b"%d" % (number % 1_000), b"x" * 10_000)
            records = sum(len(found) for _, found in groups.groups())
        assert records == megabytes * 100
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(60) < 1.5 * peak(15) < 10 * 2**20


@pytest.mark.parametrize("key", [b"", b"\xff\x00", b"k" * 100_000])
def test_any_bytes_are_a_key(key: bytes) -> None:
    with Groups() as groups:
        groups.add(key, b"")
        assert list(groups.groups()) == [(key, [b""])]
