"""A target that answers only 429 and 503 is left alone: as long as it asks, or ever longer."""

from __future__ import annotations

import pytest

from profiler.load.backing_off import REJECTIONS, BackingOff

S = 1_000_000_000


def rejected(off: BackingOff, times: int, *, at_s: float, asked_s: float | None = None) -> list:
    return [
        off.ended(
            rejected=True, send_ns=round(at_s * S), now_ns=round(at_s * S), retry_after_s=asked_s
        )
        for _ in range(times)
    ]


def answered(off: BackingOff, at_s: float):
    return off.ended(rejected=False, send_ns=0, now_ns=round(at_s * S), retry_after_s=None)


def test_nineteen_rejections_are_no_reason_and_the_twentieth_is():
    off = BackingOff()
    assert rejected(off, REJECTIONS - 1, at_s=5) == [None] * 19
    (pause,) = rejected(off, 1, at_s=5)
    assert (pause.at_ns, pause.until_ns, pause.answers) == (5 * S, 6 * S, 20)
    assert not pause.is_asked


def test_one_other_answer_makes_all_forgotten():
    off = BackingOff()
    rejected(off, REJECTIONS - 1, at_s=5)
    answered(off, 5)
    assert rejected(off, REJECTIONS - 1, at_s=6) == [None] * 19


def test_pauses_double_up_to_half_a_minute():
    off = BackingOff()
    rejected(off, REJECTIONS - 1, at_s=0)
    lengths = []
    for _ in range(7):
        (pause,) = rejected(off, 1, at_s=off.until_ns / S)
        lengths.append((pause.until_ns - pause.at_ns) / S)
    assert lengths == [1, 2, 4, 8, 16, 30, 30]


def test_what_was_sent_before_a_pause_does_not_lengthen_it():
    off = BackingOff()
    rejected(off, REJECTIONS, at_s=5)
    late = off.ended(rejected=True, send_ns=4 * S, now_ns=round(5.5 * S), retry_after_s=None)
    assert late is None
    assert off.until_ns == 6 * S


@pytest.mark.parametrize(("asked_s", "pause_s"), [(7, 7), (0, 1), (86_400, 300)])
def test_it_lasts_as_long_as_the_target_asks_within_reason(asked_s, pause_s):
    off = BackingOff()
    *_, pause = rejected(off, REJECTIONS, at_s=5, asked_s=asked_s)
    assert (pause.until_ns - pause.at_ns) / S == pause_s
    assert pause.is_asked
