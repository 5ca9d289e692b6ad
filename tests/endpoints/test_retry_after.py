"""`retry-after` in both of its forms (RFC 9110, 10.2.3), and in none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from profiler.endpoints.retry_after import retry_after_s

NOW = datetime(1999, 12, 31, 23, 59, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0.5 ", 0.5),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59),
        ("Fri, 31 Dec 1999 23:58:59 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("9" * 40, None),
        ("", None),
        (None, None),
    ],
)
def test_it_is_read_as_seconds(text, seconds):
    assert retry_after_s(text, now=NOW) == seconds
