from profiler.profile.distinct import Distinct


def distinct(texts: list[str], exact: int) -> int:
    found = Distinct(exact)
    for text in texts:
        found.add(text)
    return found.count


def test_a_few_are_counted_exactly():
    assert distinct([], 4) == 0
    assert distinct(["a", "b", "a", "c", "d", "d"], 4) == 4


def test_many_are_estimated_and_again_does_not_count():
    texts = [f"trace {number}" for number in range(20_000)]
    once = distinct(texts, 1024)
    assert abs(once - 20_000) < 4 * 20_000 / 1024**0.5  # four standard errors
    assert distinct(texts + texts[::-1], 1024) == once


def test_what_is_kept_does_not_grow():
    found = Distinct(16)
    for number in range(1000):
        found.add(str(number))
    assert len(found._kept) == len(found._largest_first) == 16
