"""Distributions of integer values, in the HdrHistogram format that every language reads.

The only importer of `hdrh`. That library gives the bucket layout and the wire format; some things
that it does are done here instead:

- Its percentile rounds the rank to the nearest (the 25th percentile of 1, 2, 2, 2, 2 is 1) and
  walks the counters in Python. Ours is the nearest rank, rounded up, as Java's HdrHistogram has it.
- Its `add` takes an empty histogram's minimum for zero.
- It keeps all of 22,000 counters for each histogram, and takes microseconds for a value.
- Its decoder checks neither base64 nor sizes: a small payload may ask for gigabytes.
"""

from __future__ import annotations

import base64
import binascii
import math
import operator
import struct
import zlib
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from hdrh.histogram import HdrHistogram

from profiler.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MAX_VALUE = 2**53  # beyond it a reader that holds numbers as float64 would not be exact
_MAX_DIGITS = 5

# HdrHistogram's V2 format (AbstractHistogram.java, `encodeIntoCompressedByteBuffer`): an outer
# header of cookie and length, then zlib of an inner header and the counts, ZigZag LEB128 encoded.
_OUTER_HEADER = struct.Struct(">II")
_INNER_HEADER = struct.Struct(">IIIIQQd")
_COOKIE_MASK = ~0xF0 & 0xFFFFFFFF
_OUTER_COOKIE = 0x1C849304
_INNER_COOKIE = 0x1C849303
_MAX_COUNT_BYTES = 9

_PAGE_BITS = 8
_PAGE = 1 << _PAGE_BITS
_PAGE_MASK = _PAGE - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramSpec:
    """What a histogram holds: the unit of its values, their range, both ends included, and digits.

    `lowest` is the smallest value told apart from zero; zero itself can always be recorded.
    `digits` are significant decimal digits: 3 keeps every value to 0.1 %. Only histograms of equal
    specs can be merged. Raises `ValueError` for a range or precision that has no layout.
    """

    name: str
    value_unit: Literal["us", "tokens", "count"]
    lowest: int
    highest: int
    digits: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= _MAX_DIGITS:
            raise ValueError(f"digits must be 1 to {_MAX_DIGITS}, not {self.digits}")
        if self.lowest < 1 or not 2 * self.lowest <= self.highest <= _MAX_VALUE:
            raise ValueError(f"no histogram has the range {self.lowest} to {self.highest}")


DURATION = HistogramSpec(name="duration", value_unit="us", lowest=1, highest=3_600_000_000)
TOKENS = HistogramSpec(name="tokens", value_unit="tokens", lowest=1, highest=10_000_000)
COUNT = HistogramSpec(name="count", value_unit="count", lowest=1, highest=1_000_000)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which values share a counter: HdrHistogram's buckets and sub-buckets, of one spec."""

    counters: int
    mask: int
    shift: int
    unit: int
    half_magnitude: int
    half: int

    def index(self, value: int) -> int:
        """Return the counter of a value from 0 to the highest: `_counts_index_for` of `hdrh`."""
        bucket = (value | self.mask).bit_length() - self.shift
        return ((bucket + 1) << self.half_magnitude) + (value >> (bucket + self.unit)) - self.half

    def lowest(self, index: int) -> int:
        """Return the smallest value of a counter."""
        bucket = max((index >> self.half_magnitude) - 1, 0)
        return (index - (bucket << self.half_magnitude)) << (bucket + self.unit)

    def highest(self, index: int) -> int:
        """Return the largest value of a counter."""
        return self.lowest(index + 1) - 1


@cache
def _layout(spec: HistogramSpec) -> _Layout:
    hdr = HdrHistogram(spec.lowest, spec.highest, spec.digits)
    half_magnitude = hdr.sub_bucket_half_count_magnitude
    return _Layout(
        counters=hdr.counts_len,
        mask=hdr.sub_bucket_mask,
        shift=hdr.unit_magnitude + half_magnitude + 1,
        unit=hdr.unit_magnitude,
        half_magnitude=half_magnitude,
        half=hdr.sub_bucket_half_count,
    )


class _Pages(dict[int, "array[int]"]):
    """Counters by index, kept as pages of `_PAGE` of them: only where there are values.

    Most metrics spread over few of the histogram's 22,000 counters. `width` numbers are kept for
    each counter, all first ones of a page before its second ones.
    """

    def __init__(self, width: int) -> None:
        self._zeros = bytes(8 * _PAGE * width)

    def __missing__(self, number: int) -> array[int]:
        page = self[number] = array("Q", self._zeros)
        return page

    def items_in_order(self, place: int) -> Iterator[tuple[int, int]]:
        """Yield the counters whose number at `place` is not zero, in order."""
        for number in sorted(self):
            first = number << _PAGE_BITS
            numbers = self[number][place * _PAGE : (place + 1) * _PAGE]
            yield from ((first + i, n) for i, n in enumerate(numbers) if n)


class Histogram:
    """How often each value was seen, to the spec's precision. Not for several threads at once.

    A value that is negative or above `spec.highest` is not recorded but counted in `out_of_range`.
    Two histograms are equal if their specs, all their counts and `out_of_range` are.
    """

    __hash__ = None  # type: ignore[assignment]  # mutable, so it must not be a key

    def __init__(self, spec: HistogramSpec) -> None:
        self.spec = spec
        self.out_of_range = 0
        self._layout = _layout(spec)
        self._pages = _Pages(width=1)
        self._count = 0
        self._cumulated: tuple[list[int], list[int]] | None = None

    @property
    def count(self) -> int:
        """Values recorded, those out of range left out."""
        return self._count

    @property
    def min(self) -> int | None:
        """The lower edge of the lowest bucket that holds a value; None when empty.

        Exact below 2048 at 3 digits, else within the precision: a bucket does not keep the values
        that fell into it, and so a decoded histogram says the same as the one that was encoded.
        """
        return self._layout.lowest(self._ranks()[0][0]) if self.count else None

    @property
    def max(self) -> int | None:
        """The upper edge of the highest bucket that holds a value; None when empty. See `min`."""
        return self._layout.highest(self._ranks()[0][-1]) if self.count else None

    def record(self, value: int, times: int = 1) -> None:
        """Record a value, in the spec's unit. Raises `TypeError` for what is not an integer."""
        value = operator.index(value)
        if not 0 <= value <= self.spec.highest:
            self.out_of_range += times
        elif times:
            self._add(self._layout.index(value), times)

    def record_many(self, values: Iterable[int]) -> None:
        """Record many values: about 0.5 microseconds each.

        Raises `TypeError` for what is not an integer; then none of the values is recorded.
        """
        for value in [operator.index(value) for value in values]:
            self.record(value)

    def _add(self, index: int, times: int) -> None:
        self._pages[index >> _PAGE_BITS][index & _PAGE_MASK] += times
        self._count += times
        self._cumulated = None

    def _ranks(self) -> tuple[list[int], list[int]]:
        """Return the counters that hold values, and how many values are in them and below."""
        if self._cumulated is None:
            found = list(self._pages.items_in_order(0))
            indices = [index for index, _ in found]
            self._cumulated = indices, list(accumulate(times for _, times in found))
        return self._cumulated

    def percentile(self, p: float) -> int | None:
        """Return the smallest recorded value that at least `p` percent of all do not exceed.

        `p` is taken as the decimal it is written as, from 0 to 100 (0: the minimum); None when
        empty. Returns the upper edge of the value's bucket, as HdrHistogram does everywhere, so it
        may be above the true value by the precision. Raises `ValueError` for another `p`.
        """
        if not 0 <= p <= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"a percentile is from 0 to 100, not {p}")
        if not self.count:
            return None
        if p == 0:
            return self.min
        rank = math.ceil(Fraction(str(float(p))) * self.count / 100)
        indices, cumulated = self._ranks()
        return self._layout.highest(indices[bisect_left(cumulated, rank)])

    def at_or_below(self, bound: float) -> int:
        """Return how many values are at or below a bound, in the spec's unit, to its precision.

        A bucket that holds the bound counts as below it.
        """
        if bound < 0 or not self.count:
            return 0
        indices, cumulated = self._ranks()
        last = self._layout.index(min(math.floor(bound), self.spec.highest))
        place = bisect_right(indices, last)
        return cumulated[place - 1] if place else 0

    def merge(self, other: Histogram) -> None:
        """Add all that another histogram counted; nothing is lost, `out_of_range` included.

        Raises `ProfileError` if the specs differ.
        """
        if self.spec != other.spec:
            raise ProfileError(
                f"histograms of different kinds cannot be merged: {self.spec} and {other.spec}",
                where=f"histogram {self.spec.name!r}",
                fix="Merge only profiles that were made by one version of agent-profiler",
            )
        for index, times in list(other._pages.items_in_order(0)):
            self._add(index, times)
        self.out_of_range += other.out_of_range

    def encode(self) -> str:
        """Return the counts in HdrHistogram's V2 compressed format, in base64.

        Equal counts give equal text. `out_of_range` has no place in the format: keep it beside.
        """
        hdr = HdrHistogram(self.spec.lowest, self.spec.highest, self.spec.digits)
        for index, times in self._pages.items_in_order(0):
            hdr.counts[index] = times
        if self.count:
            indices, _ = self._ranks()
            hdr.set_internal_tacking_values(indices[0], indices[-1], self.count)
        encoded: bytes = hdr.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, spec: HistogramSpec, payload: str, out_of_range: int = 0) -> Histogram:
        """Read what `encode`, or any HdrHistogram implementation, wrote for this spec.

        Raises `ProfileError` for a payload that is corrupt, of another spec, or that would unpack
        to more than this spec's histogram can be.
        """
        histogram = cls(spec)
        counters = histogram._layout.counters
        try:
            body = _unpack(payload, counters)
            _check_header(body, spec)
            counts = _read_counts(body[_INNER_HEADER.size :], counters)
        except ValueError as exc:
            raise ProfileError(
                f"the histogram payload cannot be read: {exc}",
                where=f"histogram {spec.name!r}",
                fix="Compute the profile again from its journal: `agent-profiler profile RUN_DIR`",
            ) from exc
        for index, times in counts:
            histogram._add(index, times)
        histogram.out_of_range = out_of_range
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.spec == other.spec
            and self.out_of_range == other.out_of_range
            and list(self._pages.items_in_order(0)) == list(other._pages.items_in_order(0))
        )

    def __repr__(self) -> str:
        return (
            f"<Histogram {self.spec.name} count={self.count} min={self.min} max={self.max} "
            f"out_of_range={self.out_of_range}>"
        )


class ClusterHistogram:
    """A histogram of values that come in clusters, which knows how clustered they are at any value.

    For a bound t and clusters of n_i values, b_i of which are at or below t, it tells the sums of
    b_i, of b_i squared and of n_i b_i, in memory that does not grow with the clusters. Each value
    adds to its counter: one; n_i; and, being the j-th smallest of its cluster, 2j - 1. Up to t
    these add up to the three sums, since 1 + 3 + ... + (2b - 1) is b squared.
    """

    def __init__(self, spec: HistogramSpec) -> None:
        self.spec = spec
        self._layout = _layout(spec)
        self._pages = _Pages(width=3)
        self._top = self._layout.index(spec.highest)
        # What no counter holds: values below zero; those above the range that are nevertheless in
        # its last bucket; and those that are above all buckets.
        self._below, self._beside = [0, 0, 0], [0, 0, 0]
        self._above = 0

    def add(self, values: Sequence[int]) -> None:
        """Add one cluster, its values in ascending order."""
        size, highest, layout = len(values), self.spec.highest, self._layout
        if values[0] == values[-1] and 0 <= values[0] <= highest:
            self._weigh(values[0], size, size * size, size * size)
            return
        mask, shift, unit = layout.mask, layout.shift, layout.unit
        half_magnitude, half = layout.half_magnitude, layout.half
        pages = self._pages
        odd = -1
        for value in values:
            odd += 2
            if 0 <= value <= highest:
                # `_Layout.index`, written out: this runs some sixty times for each interaction.
                bucket = (value | mask).bit_length() - shift
                index = ((bucket + 1) << half_magnitude) + (value >> (bucket + unit)) - half
                page, place = pages[index >> _PAGE_BITS], index & _PAGE_MASK
                page[place] += 1
                page[place + _PAGE] += size
                page[place + 2 * _PAGE] += odd
            else:
                self._weigh(value, 1, size, odd)

    def join(self, value: int, others: Iterable[int]) -> None:
        """Add a value to a cluster to which these others were added before."""
        size = 1
        for other in others:
            size += 1
            self._weigh(other, 0, 1, 0)
            self._weigh(max(other, value), 0, 0, 2)
        self._weigh(value, 1, size, 1)

    def _weigh(self, value: int, *weights: int) -> None:
        """Add to the three sums of a value's counter."""
        places = (0, 1, 2)
        if 0 <= value <= self.spec.highest:
            index = self._layout.index(value)
            page, place = self._pages[index >> _PAGE_BITS], index & _PAGE_MASK
            for i in places:
                page[place + i * _PAGE] += weights[i]
            return
        if value > self._layout.highest(self._top):
            self._above += weights[0]
            return
        sums = self._below if value < 0 else self._beside
        for i in places:
            sums[i] += weights[i]

    def add_zeros(self, count: int, squares: int) -> None:
        """Add clusters of zeros only: `count` values, the clusters' sizes squared being `squares`.

        Only where no value of a cluster that was added before is of one of these clusters.
        """
        if count:
            page = self._pages[0]
            for place, weight in enumerate((count, squares, squares)):
                page[place * _PAGE] += weight

    def histogram(self) -> Histogram:
        """Return how often each value was seen."""
        found = Histogram(self.spec)
        for index, times in self._pages.items_in_order(0):
            found._add(index, times)
        found.out_of_range = self._above + self._below[0] + self._beside[0]
        return found

    def at_or_below(self, bound: int) -> tuple[int, int, int]:
        """Return the sums over clusters of b_i, n_i b_i and b_i squared, for a bound from 0 on.

        `bound` is one that a `Histogram` gave, the upper edge of a bucket (0 is one); up to any
        other value within a bucket the sums are those up to the bucket's upper edge.
        """
        last = self._layout.index(bound)
        size, squares, count = self._below[1], self._below[2], self._below[0]
        for index, times in self._pages.items_in_order(0):
            if index > last:
                break
            page, place = self._pages[index >> _PAGE_BITS], index & _PAGE_MASK
            count += times
            size += page[place + _PAGE]
            squares += page[place + 2 * _PAGE]
        if last >= self._top:
            count += self._beside[0]
            size += self._beside[1]
            squares += self._beside[2]
        return count, size, squares


def _unpack(payload: str, counters: int) -> bytes:
    """Return the inner header and counts, having refused what is too large to be them."""
    try:
        data = base64.b64decode(payload, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"not base64 ({exc})") from exc
    if len(data) < _OUTER_HEADER.size:
        raise ValueError("too short")
    cookie, length = _OUTER_HEADER.unpack_from(data)
    if cookie & _COOKIE_MASK != _OUTER_COOKIE:
        raise ValueError("not HdrHistogram's V2 compressed format")
    if length != len(data) - _OUTER_HEADER.size:
        raise ValueError("its length is not the one that it announces")
    limit = _INNER_HEADER.size + counters * _MAX_COUNT_BYTES
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(data[_OUTER_HEADER.size :], limit + 1)
    except zlib.error as exc:
        raise ValueError(f"not zlib ({exc})") from exc
    if len(body) > limit:
        raise ValueError("it unpacks to more than a histogram of its kind can be")
    if not unpacker.eof:
        raise ValueError("it is cut off")
    return body


def _check_header(body: bytes, spec: HistogramSpec) -> None:
    if len(body) < _INNER_HEADER.size:
        raise ValueError("too short")
    cookie, length, offset, digits, lowest, highest, _ratio = _INNER_HEADER.unpack_from(body)
    if cookie & _COOKIE_MASK != _INNER_COOKIE:
        raise ValueError("not HdrHistogram's V2 format")
    # HdrHistogram_c (0.9 and before) counts the header in; zlib's checksum has found cuts already.
    if length not in (len(body) - _INNER_HEADER.size, len(body)):
        raise ValueError("its counts are not as long as it announces")
    if offset:
        raise ValueError("it has a normalizing offset, which is not supported")
    if (lowest, highest, digits) != (spec.lowest, spec.highest, spec.digits):
        raise ValueError(
            f"it is of the range {lowest} to {highest} with {digits} digits, "
            f"not {spec.lowest} to {spec.highest} with {spec.digits}"
        )


def _read_counts(data: bytes, counters: int) -> list[tuple[int, int]]:
    """Decode ZigZag LEB128 numbers: a positive one is a count, a negative one a run of zeros.

    Returns the counters that are not zero: their index and count.
    """
    counts: list[tuple[int, int]] = []
    index = total = position = 0
    while position < len(data):
        number, position = _read_varint(data, position)
        number = (number >> 1) ^ -(number & 1)
        if number < 0:
            index -= number
        elif index < counters:
            if number:
                counts.append((index, number))
            total += number
            index += 1
        else:
            raise ValueError("it has more counts than its range")
    if index > counters or total >= 2**63:
        raise ValueError("it has more counts than its range")
    return counts


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Read one LEB128 number as HdrHistogram writes it: the ninth byte, if any, is a whole one."""
    number = shift = 0
    for position, byte in enumerate(data[start : start + _MAX_COUNT_BYTES], start + 1):
        if shift == 7 * (_MAX_COUNT_BYTES - 1):
            return number | byte << shift, position
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return number, position
        shift += 7
    raise ValueError("a count is cut off")
