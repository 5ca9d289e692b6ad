"""How bursty a run was, from its journal and from merged shards."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.errors import ProfileError
from profiler.measure.records import DriverSample, Phase
from profiler.profile import burstiness as module
from profiler.profile.build import build_profile
from profiler.profile.burstiness import Burstiness, StartCounter, burstiness_of, merge_burstiness
from profiler.profile.merge import merge_profiles
from profiler.profile.model import dump_profile, load_profile
from profiler.report.summary import summarise
from tests.profile.journals import MS, WALL_NS, S, interaction, run, write

OPEN = {"mode": "open", "arrivals": "trace"}


def counter(*starts_ns: int) -> StartCounter:
    found = StartCounter(WALL_NS)
    for at_ns in starts_ns:
        found.add(at_ns)
    return found


def section(*starts_ns: int) -> Burstiness:
    return burstiness_of(counter(*starts_ns), counter(*starts_ns), is_open=True, dropped=0)


def journal(folder: Path, starts_ns: list[int], late_ns: int = 0) -> Path:
    records = [
        interaction(
            f"{at_ns}-{number}",
            intended_start_ns=at_ns,
            send_ns=at_ns + late_ns,
            end_ns=at_ns + late_ns + 10 * MS,
        )
        for number, at_ns in enumerate(starts_ns)
    ]
    return write(folder, *records, first=run(load=OPEN))


def test_asked_and_sent_are_counted_by_whole_seconds(tmp_path: Path) -> None:
    """One at 0.5 s, then 3, 1, 0 in each three seconds; the seconds at both ends are not whole."""
    counts = [3, 1, 0] * 5
    starts = [500 * MS]
    for second, count in enumerate(counts, start=1):
        starts += [second * S + number * MS for number in range(count)]
    starts.append(16 * S + 200 * MS)
    profile = build_profile(journal(tmp_path, starts, late_ns=2 * MS))
    found = profile.burstiness
    assert found is not None
    for starts_of in (found.asked, found.sent):
        assert starts_of is not None
        assert starts_of.per_second is not None
        assert starts_of.count == 22
        assert starts_of.per_second.windows == 15
        assert starts_of.per_second.most == 3
        expected = np.var(counts, ddof=1) / np.mean(counts)
        assert starts_of.per_second.index == pytest.approx(expected)
        assert starts_of.per_minute is None
        assert starts_of.reasons == {"per_minute": "0 whole windows, 10 are needed"}
    assert found.asked is not None
    assert found.asked.stretches[0].first_ns == WALL_NS + 500 * MS
    assert found.sent.stretches[0].first_ns == WALL_NS + 502 * MS
    facts = dict(summarise(profile).facts)
    assert facts["burstiness"].startswith(
        "index of dispersion per s 1.25 asked, 1.25 sent (Poisson"
    )
    assert "per min not observed (0 whole windows, 10 are needed)" in facts["burstiness"]
    file = tmp_path / "profile.json"
    file.write_bytes(dump_profile(profile))
    assert load_profile(file) == profile


def test_a_closed_loop_asks_for_nothing_and_warm_up_is_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        interaction("w", phase=Phase.WARMUP, send_ns=0, end_ns=1),
        interaction("m", send_ns=S, end_ns=2 * S),
    )
    found = build_profile(path).burstiness
    assert found is not None
    assert (found.asked, found.sent.count) == (None, 1)
    assert found.reasons == {"asked": "closed loop: nothing is asked for at a time"}
    assert found.sent.per_second is None


def test_dropped_arrivals_make_what_was_asked_unknown() -> None:
    both = counter(0, S)
    found = burstiness_of(both, both, is_open=True, dropped=3)
    assert found.asked is None
    assert found.reasons["asked"] == "arrivals were dropped, and when is not kept"
    untold = burstiness_of(counter(0), both, is_open=True, dropped=None)
    assert untold.asked is None


def test_nothing_sent_is_said(tmp_path: Path) -> None:
    found = section()
    assert found.sent.count == 0
    assert found.sent.reasons["per_second"] == "0 whole windows, 10 are needed"


times = st.lists(st.integers(0, 40 * S), min_size=0, max_size=60)


@settings(max_examples=60, deadline=None)
@given(times, st.randoms())
def test_shards_merged_in_any_grouping_are_the_whole(starts: list[int], rng: Any) -> None:
    """Every shard has an arrival at the beginning and the end, so that they all overlap."""
    ends = [0, 41 * S]
    shards: list[list[int]] = [list(ends), list(ends), list(ends)]
    for at_ns in starts:
        rng.choice(shards).append(at_ns)
    whole = section(*starts, *ends, *ends, *ends)
    parts = [section(*shard) for shard in shards]
    for order in itertools.permutations(parts):
        assert merge_burstiness(order) == whole
        assert merge_burstiness([merge_burstiness(order[:2]), order[2]]) == whole


def test_runs_one_after_the_other_are_apart_and_no_silence_is_between_them() -> None:
    first, second = section(*range(0, 12 * S, S)), section(*range(1000 * S, 1012 * S, S))
    merged = merge_burstiness([second, first])
    assert merged is not None
    assert [one.first_ns for one in merged.sent.stretches] == [WALL_NS, WALL_NS + 1000 * S]
    assert merged.sent.per_second is not None
    assert (merged.sent.per_second.windows, merged.sent.per_second.index) == (22, 0)


def test_profiles_of_shards_merge_and_one_without_the_section_leaves_it_out(tmp_path: Path) -> None:
    starts = [at * 100 * MS for at in range(200)]
    whole = build_profile(journal(tmp_path, starts)).burstiness
    parts = [build_profile(journal(tmp_path, starts[n::2])) for n in range(2)]
    merged = merge_profiles(parts).burstiness
    assert merged is not None
    assert whole is not None
    assert merged.sent == whole.sent
    old = parts[0].model_copy(update={"burstiness": None})
    assert merge_profiles([old, parts[1]]).burstiness is None


def test_a_stream_too_long_to_keep_is_not_observed_alone_and_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_SECONDS", 100)
    long, short = section(0, 200 * S, 5 * S), section(*range(0, 20 * S, S))
    for found in (long, merge_burstiness([long, short]), merge_burstiness([short, long])):
        assert found is not None
        assert found.sent.per_second is None
        assert "the seconds were not kept" in found.sent.reasons["per_second"]
        assert found.sent.stretches == ()
    far = section(*range(300 * S, 390 * S, S))
    near = section(*range(0, 90 * S, S))
    assert far.sent.per_second is not None
    both = merge_burstiness([far, near])
    assert both is not None
    assert both.sent.per_second is None


@pytest.mark.parametrize("counts", ["1", "1,1,1,1", "1,1,x", "9,9,9", "", "1,1,-1"])
def test_counts_that_do_not_fit_are_refused(tmp_path: Path, counts: str) -> None:
    profile = build_profile(journal(tmp_path, [0, S, 2 * S]))
    plain = orjson.loads(dump_profile(profile))
    plain["burstiness"]["sent"]["stretches"][0]["counts"] = counts
    file = tmp_path / "profile.json"
    file.write_bytes(orjson.dumps(plain))
    with pytest.raises(ProfileError, match="does not follow its schema"):
        load_profile(file)


def test_the_driver_counts_what_it_dropped(tmp_path: Path) -> None:
    sample = DriverSample(
        at_ns=S, sent=1, ended=1, in_flight=0, dropped=2, loop_lag_max_ns=0, cpu_share=0.1
    )
    sent = interaction("a", intended_start_ns=0, send_ns=0, end_ns=1)
    path = write(tmp_path, sent, sample, first=run(load=OPEN))
    found = build_profile(path).burstiness
    assert found is not None
    assert found.asked is None
