"""The profile of a resumed run: its pause is in no time and no rate, each turn in it once."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.errors import ProfileError
from profiler.measure.records import (
    DriverSample,
    End,
    EndReason,
    Interaction,
    Resumed,
)
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from profiler.profile.model import WorkloadProfile, dump_profile, load_profile
from profiler.report.markdown import profile_markdown
from tests.profile.journals import WALL_NS, S, interaction, llm_call, run, write

OPEN = {"mode": "open", "rate_per_s": 4.0, "arrivals": "constant"}
INTERRUPTED = End(at_ns=12 * S, reason=EndReason.INTERRUPTED)


def resumed(number: int, *, after_s: int, superseded: tuple[str, ...] = ()) -> Resumed:
    """On a machine that has started anew: its monotonic clock begins at 1 s."""
    return Resumed(
        number=number,
        tool_version="0.1.1",
        resumed_wall_ns=WALL_NS + after_s * S,
        resumed_monotonic_ns=S,
        superseded=superseded,
    )


def sends(name: str, first_s: int, count: int) -> list[Interaction]:
    """Four a second from `first_s` on, each of its own session, a second long."""
    times = [first_s * S + place * S // 4 for place in range(count)]
    return [
        interaction(
            f"{name}{place}", intended_start_ns=at, send_ns=at, end_ns=at + S, last_turn=True
        )
        for place, at in enumerate(times)
    ]


def sample(dropped: int) -> DriverSample:
    return DriverSample(
        at_ns=5 * S,
        in_flight=0,
        sent=0,
        ended=0,
        dropped=dropped,
        loop_lag_max_ns=0,
        cpu_share=0.1,
    )


@pytest.fixture
def profile(tmp_path) -> WorkloadProfile:
    """Ten seconds at 4/s, an hour of pause, and five more: 40 and 20 interactions."""
    again = resumed(1, after_s=3600)
    return build_profile(
        write(
            tmp_path,
            *sends("a", 0, 40),
            INTERRUPTED,
            again,
            *sends("b", 2, 20),
            first=run(load=OPEN),
        )
    )


def test_the_pause_is_in_no_time_and_in_no_rate(profile):
    """By hand: the first process measured 9.75 + 1 s, the second 4.75 + 1 s."""
    assert profile.load.duration_s == pytest.approx(10.75 + 5.75)
    assert profile.load.achieved_rate == pytest.approx(60 / 16.5)
    assert profile.load.offered_rate == pytest.approx(4.0)
    first, second = profile.run.parts
    assert (first.interactions, second.interactions) == (40, 20)
    assert first.window_start_ns == WALL_NS
    # Sent at 2 s of a clock that read 1 s when the wall clock read an hour more.
    assert second.window_start_ns == WALL_NS + 3601 * S
    assert (first.tool_version, second.tool_version) == ("0.1.0", "0.1.1")


def test_an_end_before_it_went_on_is_none_and_latencies_are_what_they_were(profile):
    assert not profile.sample.partial
    assert profile.run.resumed == 1
    latency = profile.interaction["latency"]
    assert (latency.count, latency.min, latency.max) == (60, 1.0, 1.0)
    assert profile.interaction["dispatch_delay"].max == 0


def test_seconds_of_the_pause_are_not_counted_as_seconds_without_load(profile):
    assert profile.burstiness is not None
    sent = profile.burstiness.sent
    assert (sent.count, len(sent.stretches)) == (60, 2)
    assert sent.per_second is not None
    # Whole seconds within a stretch: 8 of the first, 3 of the second, each with four starts.
    assert (sent.per_second.mean, sent.per_second.index) == (4.0, 0.0)


def test_sessions_that_were_begun_anew_count_once_and_what_was_inside_them_too(tmp_path):
    cut_off = interaction("old", session="cut off", send_ns=0, end_ns=3 * S)
    records = [
        cut_off,
        llm_call("old"),
        *sends("a", 0, 4),
        resumed(1, after_s=60, superseded=("cut off",)),
        interaction("new", session="again", last_turn=True, send_ns=2 * S, end_ns=3 * S),
        llm_call("new"),
    ]
    profile = build_profile(write(tmp_path, *records))
    sample = profile.sample
    assert (sample.interactions, sample.superseded, sample.warmup_excluded) == (5, 1, 0)
    assert (sample.sessions, sample.unmatched_events) == (5, 0)
    assert profile.interaction["latency"].max == 1.0
    assert profile.interaction["llm_calls"].count == 1


def test_arrivals_that_were_dropped_add_up_over_the_processes(tmp_path):
    records = [*sends("a", 0, 4), sample(3), resumed(1, after_s=60), *sends("b", 2, 4), sample(2)]
    assert build_profile(write(tmp_path, *records, first=run(load=OPEN))).load.dropped == 5


def test_a_run_that_was_never_resumed_says_nothing_of_it(tmp_path):
    profile = build_profile(write(tmp_path, *sends("a", 0, 4)))
    assert (profile.run.resumed, profile.sample.superseded) == (None, None)
    assert b"resumed" not in dump_profile(profile)
    assert b"superseded" not in dump_profile(profile)


def test_a_resumed_run_merges_with_others_and_not_with_itself(tmp_path, profile):
    (tmp_path / "other").mkdir()
    other = build_profile(
        write(tmp_path / "other", *sends("c", 0, 8), first=run(run_id="r2", load=OPEN))
    )
    merged = merge_profiles([other, profile])
    assert (merged.run.resumed, len(merged.run.parts)) == (1, 3)
    assert merged.sample.interactions == 68
    with pytest.raises(ProfileError, match="the same journal is in two of the profiles"):
        merge_profiles([profile, profile])


def test_it_is_read_as_it_was_written_and_the_report_says_so(tmp_path: Path, profile):
    (tmp_path / "profile.json").write_bytes(dump_profile(profile))
    assert load_profile(tmp_path / "profile.json") == profile
    assert "1 time" in profile_markdown(profile)
