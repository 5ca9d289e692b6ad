"""When things happened to one request, in nanoseconds on the harness clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stamps:
    """The times of one request. None is *did not happen*, never zero.

    After a retry everything but `pool_wait_ns`, which adds up, is about the second connection.
    `sent_ns` is when the last byte of the request was handed to the kernel; `first_byte_ns` and
    `last_byte_ns` are when the event loop handed bytes of the response to us.
    """

    pool_wait_ns: int = 0
    connect_start_ns: int | None = None
    connect_end_ns: int | None = None
    sent_ns: int | None = None
    first_byte_ns: int | None = None
    last_byte_ns: int | None = None
    reused: bool = False
    retried: int = 0
    connection_id: int = 0
