"""Distributions of integer values, in the HdrHistogram format that every language reads.

The only importer of `hdrh`. That library gives the bucket layout, the counters and the wire format;
three things it does are done here instead:

- Its percentile rounds the rank to the nearest (the 25th percentile of 1, 2, 2, 2, 2 is 1) and
  walks the counters in Python. Ours is the nearest rank, rounded up, as Java's HdrHistogram has it.
- Its `add` takes an empty histogram's minimum for zero.
- Its decoder checks neither base64 nor sizes: a small payload may ask for gigabytes.
"""

from __future__ import annotations

import base64
import binascii
import math
import operator
import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from hdrh.histogram import HdrHistogram

from profiler.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

_MAX_VALUE = 2**53  # beyond it float64, with which buckets are found in bulk, is not exact
_MAX_DIGITS = 5

# HdrHistogram's V2 format (AbstractHistogram.java, `encodeIntoCompressedByteBuffer`): an outer
# header of cookie and length, then zlib of an inner header and the counts, ZigZag LEB128 encoded.
_OUTER_HEADER = struct.Struct(">II")
_INNER_HEADER = struct.Struct(">IIIIQQd")
_COOKIE_MASK = ~0xF0 & 0xFFFFFFFF
_OUTER_COOKIE = 0x1C849304
_INNER_COOKIE = 0x1C849303
_MAX_COUNT_BYTES = 9


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


class Histogram:
    """How often each value was seen, to the spec's precision. Not for several threads at once.

    A value that is negative or above `spec.highest` is not recorded but counted in `out_of_range`.
    Two histograms are equal if their specs, all their counts and `out_of_range` are.
    """

    __hash__ = None  # type: ignore[assignment]  # mutable, so it must not be a key

    def __init__(self, spec: HistogramSpec) -> None:
        self.spec = spec
        self.out_of_range = 0
        self._hdr = HdrHistogram(spec.lowest, spec.highest, spec.digits)
        # The library's own counters, seen through numpy: no copy.
        self._counts: npt.NDArray[np.uint64] = np.frombuffer(self._hdr.counts, dtype=np.uint64)

    @property
    def count(self) -> int:
        """Values recorded, those out of range left out."""
        return int(self._hdr.total_count)

    @property
    def min(self) -> int | None:
        """The lower edge of the lowest bucket that holds a value; None when empty.

        Exact below 2048 at 3 digits, else within the precision: a bucket does not keep the values
        that fell into it, and so a decoded histogram says the same as the one that was encoded.
        """
        return int(self._hdr.get_min_value()) if self.count else None

    @property
    def max(self) -> int | None:
        """The upper edge of the highest bucket that holds a value; None when empty. See `min`."""
        return int(self._hdr.get_max_value()) if self.count else None

    def record(self, value: int) -> None:
        """Record one value, in the spec's unit. Raises `TypeError` for what is not an integer."""
        value = operator.index(value)
        if value > self.spec.highest or not self._hdr.record_value(value):
            self.out_of_range += 1

    def record_many(self, values: Iterable[int] | npt.NDArray[np.integer[Any]]) -> None:
        """Record many values at once: about 40 ns a value in an array, 130 ns in a list.

        Raises `TypeError` for what is not an integer; then none of the values is recorded.
        """
        array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
        if not array.size:
            return
        if array.dtype.kind not in "iu":  # floats, or integers that no machine word holds
            whole = [operator.index(value) for value in array.tolist()]
            array = np.asarray([min(max(value, -1), _MAX_VALUE + 1) for value in whole])
        inside = array[(array >= 0) & (array <= self.spec.highest)].astype(np.int64)
        self.out_of_range += array.size - inside.size
        added = np.bincount(self._bucket_indices(inside), minlength=self._counts.size)
        self._add_counts(added.astype(np.uint64))

    def _bucket_indices(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Find the counter of each value: the library's `_counts_index_for`, for a whole array."""
        hdr = self._hdr
        half_magnitude = hdr.sub_bucket_half_count_magnitude
        # frexp's exponent of a positive integer is its length in bits.
        bits = np.frexp((values | hdr.sub_bucket_mask).astype(np.float64))[1].astype(np.int64)
        buckets = bits - (hdr.unit_magnitude + half_magnitude + 1)
        in_bucket = (values >> (buckets + hdr.unit_magnitude)) - hdr.sub_bucket_half_count
        indices: npt.NDArray[np.int64] = ((buckets + 1) << half_magnitude) + in_bucket
        return indices

    def _add_counts(self, added: npt.NDArray[np.uint64]) -> None:
        """Add to the counters and tell the library what it derives from them."""
        self._counts += added
        seen = np.flatnonzero(self._counts)
        if seen.size:
            total = self.count + int(added.sum())
            self._hdr.set_internal_tacking_values(int(seen[0]), int(seen[-1]), total)

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
        index = int(np.searchsorted(np.cumsum(self._counts), np.uint64(rank)))
        value = self._hdr.get_value_from_index(index)
        return int(self._hdr.get_highest_equivalent_value(value))

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
        self._add_counts(other._counts.copy())
        self.out_of_range += other.out_of_range

    def encode(self) -> str:
        """Return the counts in HdrHistogram's V2 compressed format, in base64.

        Equal counts give equal text. `out_of_range` has no place in the format: keep it beside.
        """
        encoded: bytes = self._hdr.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, spec: HistogramSpec, payload: str, out_of_range: int = 0) -> Histogram:
        """Read what `encode`, or any HdrHistogram implementation, wrote for this spec.

        Raises `ProfileError` for a payload that is corrupt, of another spec, or that would unpack
        to more than this spec's histogram can be.
        """
        histogram = cls(spec)
        try:
            body = _unpack(payload, histogram._counts.size)
            _check_header(body, spec)
            counts = _read_counts(body[_INNER_HEADER.size :], histogram._counts.size)
        except ValueError as exc:
            raise ProfileError(
                f"the histogram payload cannot be read: {exc}",
                where=f"histogram {spec.name!r}",
                fix="Compute the profile again from its journal: `agent-profiler profile RUN_DIR`",
            ) from exc
        histogram._add_counts(counts)
        histogram.out_of_range = out_of_range
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.spec == other.spec
            and self.out_of_range == other.out_of_range
            and np.array_equal(self._counts, other._counts)
        )

    def __repr__(self) -> str:
        return (
            f"<Histogram {self.spec.name} count={self.count} min={self.min} max={self.max} "
            f"out_of_range={self.out_of_range}>"
        )


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


def _read_counts(data: bytes, counters: int) -> npt.NDArray[np.uint64]:
    """Decode ZigZag LEB128 numbers: a positive one is a count, a negative one a run of zeros."""
    counts = np.zeros(counters, dtype=np.uint64)
    index = total = position = 0
    while position < len(data):
        number, position = _read_varint(data, position)
        number = (number >> 1) ^ -(number & 1)
        if number < 0:
            index -= number
        elif index < counters:
            counts[index] = number
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
