"""Nothing that was recorded is lost, and other HdrHistograms read and write what we do."""

from __future__ import annotations

import base64
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import ProfileError
from profiler.measure.histogram import (
    COUNT,
    DURATION,
    TOKENS,
    ClusterHistogram,
    Histogram,
    HistogramSpec,
)

# HdrHistogram_c's encodings of its standard test histogram, 1 to 3,600,000,000 at 3 digits: 1,000
# recorded 10,000 times and 100,000,000 once; and the same corrected for coordinated omission with
# an interval of 10,000. From HdrHistogram_py's test/test_hdrhistogram.py, with the values below.
FROM_C = "HISTFAAAACl4nJNpmSzMwMBgyAABzFCaEURcm7yEwf4DROA8/4I5jNM7mJgAlWkH9g=="
FROM_C_CORRECTED = (
    "HISTFAAAAP94nJNpmSzMwCByigECmKE0I4i4NnkJg/0HiMB5/gVzGD8aM/3lZ7rPyTSbjektC9N7Fqa"
    "HzEzbmZi2whCEvZKRaSYj02wwiYng4tFM3lDoC2dhhwh5UyZlJlUMjClCmgpMEUUmQSZ+IBZEojFFCM"
    "vQRwUxenmZ2MGQFUqz4+CTo4I2pg4dFdQylZWJkYkZCaPyMEUIydPLjMHrssFixuB12XD0HRAwMsFJg"
    "kwilZHJHHKmjzp41MFDOjhYmFiQEUEmMWqGsvKBd8Fwd/Co/waTC9jYOMAIiSJRhLbKh5x9Q87Bo/YN"
    "bfsoM4CPhw+IIJAkxnDXN+QcTIpyAPnGh6k="
)
# HdrHistogram Java and C, (1, 2048, 3) with 2048 recorded once: byte-identical in both.
FROM_JAVA = "HISTFAAAACB4nJNpmSzMwMDAzAABMJoRQnEw2H+AsP7LMwEARZgDpQ=="

SMALL = HistogramSpec(name="small", value_unit="us", lowest=1, highest=2048)
COARSE = HistogramSpec(name="coarse", value_unit="us", lowest=1000, highest=10**12, digits=2)

durations = st.lists(st.integers(0, DURATION.highest), max_size=60)
any_values = st.lists(st.integers(-10, 2 * DURATION.highest), max_size=60)


def histogram_of(values: Any, spec: HistogramSpec = DURATION) -> Histogram:
    histogram = Histogram(spec)
    histogram.record_many(values)
    return histogram


def payload_of(body: bytes, cookie: int = 0x1C849314) -> str:
    packed = zlib.compress(body)
    return base64.b64encode(struct.pack(">II", cookie, len(packed)) + packed).decode()


def body_of(
    counts: bytes = b"",
    *,
    cookie: int = 0x1C849313,
    length: int | None = None,
    offset: int = 0,
    digits: int = 3,
    lowest: int = 1,
    highest: int = 3_600_000_000,
) -> bytes:
    length = len(counts) if length is None else length
    header = struct.pack(">IIIIQQd", cookie, length, offset, digits, lowest, highest, 1.0)
    return header + counts


# What is recorded


@given(durations)
def test_percentiles_are_numpys_nearest_rank_to_three_digits(values):
    histogram = histogram_of([*values, 5])
    for p in (0, 1, 25, 50, 75, 90, 95, 99, 99.9, 100):
        exact = int(np.percentile([*values, 5], p, method="inverted_cdf"))
        got = histogram.percentile(p)
        assert got is not None
        if p == 0:  # the minimum: a lower edge
            assert exact * 0.999 <= got <= exact
        else:
            assert exact <= got <= exact * 1.001


@given(durations)
def test_min_and_max_are_those_of_the_values_to_three_digits(values):
    histogram = histogram_of([*values, 5])
    low, high = min([*values, 5]), max([*values, 5])
    assert histogram.min is not None
    assert histogram.max is not None
    assert low * 0.999 <= histogram.min <= low
    assert high <= histogram.max <= high * 1.001


def test_small_values_are_exact():
    # 1 to 100, below 2048, each in a bucket of its own
    histogram = histogram_of(range(1, 101), TOKENS)
    assert [histogram.percentile(p) for p in (0, 1, 50, 95, 99, 100)] == [1, 1, 50, 95, 99, 100]
    assert (histogram.min, histogram.max, histogram.count) == (1, 100, 100)


def test_a_rank_is_rounded_up_where_the_library_rounds_to_the_nearest():
    # 25 % of five values is 1.25 values: one value is not enough, the second is needed.
    histogram = histogram_of([1, 2, 2, 2, 2], COUNT)
    assert histogram.percentile(25) == 2
    assert histogram.percentile(20) == 1


def test_a_percentile_is_the_decimal_that_was_written():
    # 99.9 % of 1,000 is 999 exactly, though the nearest float to 99.9 is a little more.
    histogram = histogram_of(range(1, 1001), COUNT)
    assert histogram.percentile(99.9) == 999
    assert histogram.percentile(99.91) == 1000


def test_zero_is_recorded():
    histogram = Histogram(TOKENS)
    histogram.record(0)
    assert (histogram.count, histogram.min, histogram.max, histogram.percentile(50)) == (1, 0, 0, 0)


def test_an_empty_histogram_has_no_percentile_min_or_max():
    histogram = Histogram(DURATION)
    assert (histogram.count, histogram.min, histogram.max) == (0, None, None)
    assert [histogram.percentile(p) for p in (0, 50, 100)] == [None, None, None]


@pytest.mark.parametrize("p", [-0.1, 100.1, float("nan"), float("inf")])
def test_what_is_no_percentile_is_refused(p):
    with pytest.raises(ValueError, match="from 0 to 100"):
        Histogram(DURATION).percentile(p)


@pytest.mark.parametrize("spec", [DURATION, TOKENS, COUNT, COARSE])
def test_values_out_of_range_are_counted_and_nothing_else(spec):
    histogram = Histogram(spec)
    for value in (-1, spec.highest, spec.highest + 1, 2**70, -(2**70)):
        histogram.record(value)
    assert (histogram.count, histogram.out_of_range) == (1, 4)


@pytest.mark.parametrize("value", [1.0, 1.5, "1", None])
def test_only_integers_are_recorded(value):
    histogram = Histogram(DURATION)
    with pytest.raises(TypeError):
        histogram.record(value)
    with pytest.raises(TypeError):
        histogram.record_many([3, value])
    assert (histogram.count, histogram.out_of_range) == (0, 0)


@pytest.mark.parametrize("spec", [DURATION, TOKENS, COUNT, COARSE])
@given(values=any_values)
def test_many_at_once_are_the_same_as_one_by_one(spec, values):
    one_by_one = Histogram(spec)
    for value in values:
        one_by_one.record(value)
    assert histogram_of(values, spec) == one_by_one
    assert histogram_of(np.array(values, dtype=np.int64), spec) == one_by_one
    assert histogram_of((value for value in values), spec) == one_by_one


def test_integers_that_no_machine_word_holds_are_counted_out_of_range():
    histogram = histogram_of([1, 2**80, -(2**80), 2**63, -1])
    assert (histogram.count, histogram.out_of_range) == (1, 4)


@pytest.mark.parametrize("spec", [DURATION, TOKENS, COUNT, COARSE])
def test_buckets_found_in_bulk_are_those_of_the_library(spec):
    values = sorted(
        {v for bit in range(44) for v in (2**bit - 1, 2**bit, 2**bit + 1) if v <= spec.highest}
    )
    theirs = HdrHistogram(spec.lowest, spec.highest, spec.digits)
    for value in values:
        assert theirs.record_value(value)
    assert histogram_of(values, spec).encode() == theirs.encode().decode()


# Merging


@given(any_values, any_values)
def test_merging_is_recording_everything_in_one(left, right):
    merged = histogram_of(left)
    merged.merge(histogram_of(right))
    together = histogram_of(left + right)
    assert merged == together
    assert (merged.min, merged.max, merged.count) == (together.min, together.max, together.count)
    assert merged.encode() == together.encode()


@given(any_values, any_values)
def test_merging_is_commutative(left, right):
    one, other = histogram_of(left), histogram_of(right)
    one.merge(histogram_of(right))
    other.merge(histogram_of(left))
    assert one == other


@given(any_values, any_values, any_values)
def test_merging_is_associative(a, b, c):
    left = histogram_of(a)
    left.merge(histogram_of(b))
    left.merge(histogram_of(c))
    tail = histogram_of(b)
    tail.merge(histogram_of(c))
    right = histogram_of(a)
    right.merge(tail)
    assert left == right


def test_merging_into_an_empty_one_keeps_the_minimum():
    # The library's own add makes it zero.
    merged = Histogram(DURATION)
    merged.merge(histogram_of([700, 900]))
    assert (merged.min, merged.max) == (700, 900)


def test_merging_leaves_the_other_alone_and_may_be_with_itself():
    histogram = histogram_of([1, 2, -1])
    histogram.merge(histogram)
    assert (histogram.count, histogram.out_of_range) == (4, 2)
    other = histogram_of([7])
    histogram.merge(other)
    assert other == histogram_of([7])


def test_histograms_of_different_specs_do_not_merge():
    with pytest.raises(ProfileError, match=r"'duration'.*different kinds") as caught:
        Histogram(DURATION).merge(Histogram(TOKENS))
    assert "\n" not in str(caught.value)


# Encoding


@given(any_values)
def test_decoding_gives_what_was_encoded(values):
    histogram = histogram_of(values)
    decoded = Histogram.decode(DURATION, histogram.encode(), histogram.out_of_range)
    assert decoded == histogram
    assert (decoded.min, decoded.max, decoded.count) == (
        histogram.min,
        histogram.max,
        histogram.count,
    )
    assert decoded.encode() == histogram.encode()
    assert [decoded.percentile(p) for p in (0, 50, 100)] == [
        histogram.percentile(p) for p in (0, 50, 100)
    ]


@given(any_values)
def test_the_library_reads_what_we_write(values):
    histogram = histogram_of(values)
    theirs = HdrHistogram.decode(histogram.encode())
    assert theirs.get_total_count() == histogram.count
    assert theirs.get_min_value() == (histogram.min or 0)
    assert theirs.get_max_value() == (histogram.max or 0)


def test_a_histogram_of_the_c_implementation_is_read():
    histogram = Histogram.decode(DURATION, FROM_C)
    assert histogram.count == 10_001
    assert histogram.min == 1000
    assert [histogram.percentile(p) for p in (30, 99, 99.99)] == [1000, 1000, 1000]
    top = histogram.percentile(99.999)
    assert top is not None
    assert 100_000_000 <= top <= 100_100_000
    ours = histogram_of([1000] * 10_000 + [100_000_000])
    assert histogram == ours


def test_a_corrected_histogram_of_the_c_implementation_is_read():
    histogram = Histogram.decode(DURATION, FROM_C_CORRECTED)
    assert histogram.count == 20_000
    published = {30: 1000, 50: 1000, 75: 50e6, 90: 80e6, 99: 98e6, 99.999: 100e6, 100: 100e6}
    for p, value in published.items():
        got = histogram.percentile(p)
        assert got is not None
        assert abs(got - value) <= value * 0.001


def test_java_and_we_write_the_same_bytes():
    assert Histogram.decode(SMALL, FROM_JAVA) == histogram_of([2048], SMALL)
    ours = zlib.decompress(base64.b64decode(histogram_of([2048], SMALL).encode())[8:])
    assert ours == zlib.decompress(base64.b64decode(FROM_JAVA)[8:])


def test_the_headers_are_those_of_the_specification():
    data = base64.b64decode(histogram_of([3]).encode())
    assert struct.unpack_from(">II", data) == (0x1C849304 | 0x10, len(data) - 8)
    body = zlib.decompress(data[8:])
    # 3 zeros, as ZigZag of -3 is 5, then a count of 1, which is 2
    assert body == body_of(b"\x05\x02")


def test_counts_of_any_size_are_read():
    # 2**62: ZigZag 2**63, in LEB128 eight groups of 7 zero bits and then the ninth byte, 0x80
    histogram = Histogram.decode(DURATION, payload_of(body_of(b"\x80" * 8 + b"\x80")))
    assert histogram.count == 2**62
    for count in (1, 2**6, 2**13, 2**31, 2**48):
        theirs = HdrHistogram(DURATION.lowest, DURATION.highest, DURATION.digits)
        theirs.record_value(77, count)
        decoded = Histogram.decode(DURATION, theirs.encode().decode())
        assert (decoded.count, decoded.min) == (count, 77)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("", "too short"),
        ("HIST", "too short"),
        ("HISTF*AAA", "not base64"),
        ("HISTFAA", "not base64"),
        ("HISTFÄÄÄ", "not base64|ASCII"),
        (FROM_C[:-8], "length"),
        (payload_of(body_of(), cookie=0x1C849301), "V2 compressed"),
        (base64.b64encode(struct.pack(">II", 0x1C849314, 4) + b"junk").decode(), "not zlib"),
        (base64.b64encode(struct.pack(">II", 0x1C849314, 0)).decode(), "cut off"),
        (payload_of(b""), "too short"),
        (payload_of(body_of(cookie=0x1C849301)), "V2 format"),
        (payload_of(body_of(b"\x02", length=2)), "announces"),
        (payload_of(body_of(offset=1)), "normalizing"),
        (payload_of(body_of(digits=2)), "2 digits"),
        (payload_of(body_of(digits=2**31)), "digits"),
        (payload_of(body_of(lowest=0)), "range 0 to"),
        (payload_of(body_of(highest=2**63)), "range 1 to"),
        (payload_of(body_of(b"\x80")), "cut off"),
        (payload_of(body_of(b"\x02" * 30_000)), "more counts"),
        (payload_of(body_of(b"\xff" * 9)), "more counts"),
        (payload_of(body_of((b"\x80" * 8 + b"\x80") * 2)), "more counts"),
        (payload_of(body_of(bytes(50_000_000))), "unpacks to more"),
    ],
)
def test_a_corrupt_payload_is_one_line(payload, problem):
    with pytest.raises(ProfileError, match=problem) as caught:
        Histogram.decode(DURATION, payload)
    assert "\n" not in str(caught.value)
    assert "'duration'" in str(caught.value)


@given(st.data())
def test_no_damage_is_more_than_a_profile_error(data):
    body = bytearray(zlib.decompress(base64.b64decode(FROM_C_CORRECTED)[8:]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProfileError):
        Histogram.decode(DURATION, payload_of(bytes(body)))


# Equality and specs


def test_histograms_are_equal_by_content_and_no_keys():
    assert histogram_of([1, 2]) == histogram_of([2, 1])
    assert histogram_of([1, 2]) != histogram_of([1, 3])
    assert histogram_of([1]) != histogram_of([1, -1])
    assert histogram_of([1], TOKENS) != histogram_of([1], COUNT)
    assert histogram_of([1]) != "histogram"
    with pytest.raises(TypeError, match="unhashable"):
        hash(histogram_of([1]))


def test_a_histogram_shows_what_is_in_it():
    shown = repr(histogram_of([3, 5, -1], TOKENS))
    assert shown == "<Histogram tokens count=2 min=3 max=5 out_of_range=1>"


@pytest.mark.parametrize(
    ("lowest", "highest", "digits"),
    [(0, 100, 3), (1, 1, 3), (60, 100, 3), (1, 2**53 + 1, 3), (1, 100, 0), (1, 100, 6)],
)
def test_a_spec_without_a_layout_is_refused(lowest, highest, digits):
    with pytest.raises(ValueError, match=r"digits|range"):
        HistogramSpec(name="x", value_unit="us", lowest=lowest, highest=highest, digits=digits)


# Clusters

clusters = st.lists(
    st.lists(st.integers(-3, DURATION.highest + 10**7), min_size=1, max_size=6), max_size=15
)


def sums_at(groups: list[list[int]], bound: int) -> tuple[int, int, int]:
    below = [sum(value <= bound for value in group) for group in groups]
    return (
        sum(below),
        sum(b * len(group) for b, group in zip(below, groups, strict=True)),
        sum(b * b for b in below),
    )


def clustered(groups: list[list[int]]) -> ClusterHistogram:
    found = ClusterHistogram(DURATION)
    for group in groups:
        found.add(sorted(group))
    return found


@given(clusters, st.sampled_from([5, 50, 95, 100]))
def test_sums_over_clusters_are_known_at_any_percentile(groups: list[list[int]], p: int):
    found = clustered(groups)
    histogram = found.histogram()
    assert histogram == histogram_of([value for group in groups for value in group])
    bound = histogram.percentile(p) or 0
    assert found.at_or_below(bound) == sums_at(groups, bound)


@given(clusters)
def test_a_cluster_that_grows_is_one_that_was_whole(groups: list[list[int]]):
    grown = ClusterHistogram(DURATION)
    for group in groups:
        for place, value in enumerate(group):
            grown.join(value, group[:place])
    whole = clustered(groups)
    assert grown.histogram() == whole.histogram()
    bound = whole.histogram().percentile(95) or 0
    assert grown.at_or_below(bound) == whole.at_or_below(bound)


@given(clusters, st.lists(st.integers(1, 9), max_size=5))
def test_zeros_are_clusters_like_others(groups: list[list[int]], sizes: list[int]):
    found = clustered(groups)
    found.add_zeros(sum(sizes), sum(size * size for size in sizes))
    expected = clustered([*groups, *([0] * size for size in sizes)])
    assert found.histogram() == expected.histogram()
    assert found.at_or_below(0) == expected.at_or_below(0)


def test_counts_are_the_buckets_that_hold_values_with_their_edges():
    """To three digits, values from 2048 on share a bucket with their neighbour."""
    histogram = Histogram(COUNT)
    histogram.record_many([3001, 5, 3000, 0, 5])
    assert histogram.counts() == [(0, 0, 1), (5, 5, 2), (3000, 3001, 2)]
    assert Histogram(COUNT).counts() == []
