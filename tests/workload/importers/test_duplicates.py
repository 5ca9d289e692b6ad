import pytest

from profiler.workload.importers.duplicates import Ids


@pytest.mark.parametrize("most_in_memory", [1, 2, 8192])
def test_lines_with_an_id_that_was_used_before_are_found_on_disk_or_not(
    most_in_memory: int,
) -> None:
    with Ids(most_in_memory=most_in_memory) as ids:
        for line in range(1, 1001):
            ids.add(f"session-{line}", line)
        for line, again in ((1001, 7), (1002, 1000), (1003, 7)):
            ids.add(f"session-{again}", line)
        assert ids.repeated() == [1001, 1002, 1003]


def test_ids_that_differ_are_no_duplicates() -> None:
    with Ids() as ids:
        ids.add("a", 1)
        ids.add("A", 2)
        assert ids.repeated() == []
