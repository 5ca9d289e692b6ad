"""Content codings, undone in bounded steps.

The results are those of httpx: the same codings, unknown ones passed through, the end of a stream
not insisted on. Its own decoders are not used: they are private, and they return whatever a chunk
expands to in one piece, so that 64 KiB from a hostile server become 64 MiB before anyone can count
them. Here no piece is larger than `STEP_BYTES` (brotli's: than twice that). One difference: deflate
without its zlib wrapper is recognised wherever the body is cut; httpx needs a first chunk of at
least two bytes.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    brotli: Any = import_module("brotli")  # untyped, and optional, as it is for httpx
except ImportError:  # pragma: no cover
    brotli = None

STEP_BYTES = 64 * 1024
MAX_CODINGS = 5
_GZIP_BITS = zlib.MAX_WBITS | 16
_ZLIB_HEADER_BYTES = 2


def has_brotli() -> bool:
    """Whether `br` can be decoded: brotli is installed, and new enough to stop half-way."""
    return brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data")


ACCEPT_ENCODING = "gzip, deflate, br" if has_brotli() else "gzip, deflate"
"""What a request may say that it accepts."""


class Decoder(Protocol):
    """Undoes one coding of one body."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds, in small pieces. Raises `DecodingError`."""
        ...


class _Zlib:
    """`gzip`; what follows the end of the stream is ignored."""

    def __init__(self, bits: int = _GZIP_BITS) -> None:
        self._inflater = zlib.decompressobj(bits)

    def decode(self, data: bytes) -> Iterator[bytes]:
        inflater = self._inflater
        try:
            while not inflater.eof:
                piece = inflater.decompress(data, STEP_BYTES)
                if piece:
                    yield piece
                data = inflater.unconsumed_tail
                if not data and len(piece) < STEP_BYTES:
                    return
        except zlib.error as exc:
            raise httpx.DecodingError(str(exc)) from exc


class _Deflate:
    """`deflate`: zlib's format by the standard, raw by many servers. The first bytes tell."""

    def __init__(self) -> None:
        self._start = b""
        self._decoder: _Zlib | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            data = self._start + data
            if len(data) < _ZLIB_HEADER_BYTES:
                self._start = data
                return
            self._decoder = _Zlib(zlib.MAX_WBITS if _has_zlib_header(data) else -zlib.MAX_WBITS)
        yield from self._decoder.decode(data)


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950, 2.2: method 8, a window of at most 32 KiB, a check that is a multiple of 31."""
    return data[0] & 0x0F == 8 and data[0] >> 4 <= 7 and (data[0] << 8 | data[1]) % 31 == 0  # noqa: PLR2004 - the standard's numbers


class _Brotli:
    """`br`."""

    def __init__(self) -> None:
        self._decompressor: Any = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        decompressor = self._decompressor
        try:
            while True:
                piece = decompressor.process(data, output_buffer_limit=STEP_BYTES)
                if piece:
                    yield piece
                if len(piece) < STEP_BYTES and decompressor.can_accept_more_data():
                    return
                data = b""
        except brotli.error as exc:
            raise httpx.DecodingError(str(exc)) from exc


def decoders_for(content_encoding: str) -> list[Decoder]:
    """Return what undoes a `content-encoding`, in the order in which to do it.

    Raises `DecodingError` for more than `MAX_CODINGS`: each multiplies what a byte can become.
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    decoders: list[Decoder] = []
    for coding in reversed(codings):
        match coding:
            case "gzip":
                decoders.append(_Zlib())
            case "deflate":
                decoders.append(_Deflate())
            case "br" if has_brotli():
                decoders.append(_Brotli())
            case _:
                pass
    if len(decoders) > MAX_CODINGS:
        raise httpx.DecodingError(f"{len(decoders)} content codings on one body")
    return decoders


def decode(decoders: list[Decoder], data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield what `data` becomes after all `decoders`, piece by piece."""
    if depth == len(decoders):
        yield data
        return
    for piece in decoders[depth].decode(data):
        yield from decode(decoders, piece, depth + 1)
