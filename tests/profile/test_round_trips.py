"""What a gateway sees of tools is told as round trips, and never as the tools' time."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import NO_TRACE, Observer, Outcome, Phase, Timeline, ToolRoundTrip
from profiler.profile import round_trips
from profiler.profile.build import build_profile
from profiler.profile.model import named_distributions
from tests.profile.journals import MS, interaction, write
from tests.profile.observed_run import RUN, observed_run


def round_trip(trace: str, *tools: str, duration_ms: int = 5) -> ToolRoundTrip:
    return ToolRoundTrip(
        trace_id=trace,
        observer=Observer.GATEWAY,
        clock=Timeline.HARNESS,
        tools=tools,
        start_ns=7 * MS,
        end_ns=(7 + duration_ms) * MS,
    )


def test_they_are_told_by_the_tools_that_were_asked_for_together(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            round_trip("a", "search", duration_ms=10),
            round_trip("a", "weather", "search"),
            round_trip("b", "search", duration_ms=30),
            round_trip("b", "search", "search"),
            interaction("a"),
            interaction("b", outcome=Outcome.TIMEOUT),
        )
    )
    found = profile.tool_round_trips
    assert set(found) == {"search", "search+weather", "search+search"}
    assert (found["search"].count, found["search"].source) == (2, "gateway")
    assert found["search"].mean == pytest.approx(0.020)
    assert found["search"].clusters.sessions == 2
    assert profile.tools == {}
    assert "tool_time" not in profile.interaction
    assert "tool_round_trips.search" in dict(named_distributions(profile))


def test_those_of_warm_up_and_of_nobody_are_left_out(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            round_trip("w", "search"),
            interaction("w", phase=Phase.WARMUP),
            round_trip(NO_TRACE, "search"),
            round_trip("never ended", "search"),
            interaction("a"),
        )
    )
    assert profile.tool_round_trips == {}
    assert profile.observers["gateway"].other_unattributed == 1
    assert profile.sample.unmatched_events == 1


def test_combinations_without_end_are_one_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(round_trips, "MOST_NAMES", 2)
    trips = [round_trip("a", name) for name in ("x", "y", "z", "x", "w")]
    found = build_profile(write(tmp_path, *trips, interaction("a"))).tool_round_trips
    assert {name: one.count for name, one in found.items()} == {
        "x": 2,
        "y": 1,
        round_trips.OTHERS: 2,
    }


def test_the_made_up_run_has_two_combinations(tmp_path: Path):
    found = build_profile(write(tmp_path, *observed_run(), first=RUN)).tool_round_trips
    assert {name: (one.count, one.mean) for name, one in found.items()} == {
        "search": (20, 0.2),
        "search+weather": (19, 0.2),
    }
