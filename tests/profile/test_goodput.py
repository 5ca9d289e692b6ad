"""Goodput: what users were promised, judged interaction by interaction, from the journal alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import binomtest

from profiler.errors import ProfileError, UsageError
from profiler.measure.journal import to_line
from profiler.measure.records import Outcome, Phase
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from profiler.profile.model import Goodput, dump_profile, load_profile
from profiler.report.markdown import profile_markdown
from tests.profile.journals import MS, S, interaction, run, write

OPEN = {"mode": "open", "rate_per_s": 10.0, "arrivals": "poisson"}


def goodput_of(tmp_path: Path, text: str, *records, **changes) -> Goodput:
    first = run(manifest={"goodput": text}, **changes)
    goodput = build_profile(write(tmp_path, *records, first=first)).goodput
    assert goodput is not None
    return goodput


def took(trace: str, latency_ms: int, **changes):
    return interaction(trace, **{"end_ns": latency_ms * MS, **changes})


def test_an_interaction_is_good_that_is_ok_and_meets_all_objectives(tmp_path: Path):
    goodput = goodput_of(
        tmp_path,
        "latency<2s, time_to_first_token<=500ms",
        took("good", 1999, first_token_ns=500 * MS),
        took("slow", 2000, first_token_ns=100 * MS),
        took("late", 1000, first_token_ns=501 * MS),
        took("failed", 10, first_token_ns=5 * MS, outcome=Outcome.TIMEOUT),
        took("warm", 10, first_token_ns=5 * MS, phase=Phase.WARMUP),
    )
    assert (goodput.count, goodput.good, goodput.share) == (4, 1, 0.25)
    assert goodput.objective == "latency<2s, time_to_first_token<=500ms"
    exact = binomtest(1, 4).proportion_ci(0.95, method="exact")
    assert goodput.share_ci95 == pytest.approx((exact.low, exact.high))
    assert goodput.per_s == 0.5  # one good interaction in the two seconds of measuring
    assert goodput.reasons == {}


def test_bounds_from_below_are_judged_too(tmp_path: Path):
    records = [took("a", 1000), took("b", 1001)]
    assert goodput_of(tmp_path, "latency>1s", *records).good == 1
    assert goodput_of(tmp_path, "latency>=1s", *records).good == 2


def test_latency_counts_from_the_intended_start(tmp_path: Path):
    late = took("late", 1500, intended_start_ns=0, send_ns=1000 * MS)
    in_time = took("in time", 900, intended_start_ns=0)
    goodput = goodput_of(tmp_path, "latency<1s", late, in_time, load=OPEN)
    assert (goodput.count, goodput.good) == (2, 1)


def test_what_was_not_observed_is_neither_good_nor_bad(tmp_path: Path):
    goodput = goodput_of(
        tmp_path,
        "time_to_first_token<1s",
        took("streamed", 900, first_token_ns=10 * MS),
        took("not streamed", 900),
        took("failed", 900, outcome=Outcome.HTTP_5XX),
    )
    assert (goodput.count, goodput.good, goodput.unobserved) == (2, 1, 1)


def test_a_metric_that_nobody_observes_leaves_nothing_to_judge(tmp_path: Path):
    goodput = goodput_of(tmp_path, "tool_calls<3", took("a", 1))
    assert (goodput.count, goodput.share, goodput.share_ci95, goodput.per_s) == (
        0,
        None,
        None,
        None,
    )
    assert goodput.reasons == {"share": "not observed in any of 1 interactions: tool_calls<3"}
    nothing = goodput_of(tmp_path, "latency<1s")
    assert nothing.reasons == {"share": "no interaction could be judged"}


def test_one_session_has_a_share_and_no_interval(tmp_path: Path):
    goodput = goodput_of(
        tmp_path, "latency<1s", took("a", 1, session="s"), took("b", 2, session="s")
    )
    assert (goodput.share, goodput.share_ci95) == (1.0, None)
    assert "one session" in goodput.reasons["share_ci95"]


def test_interactions_of_one_session_are_worth_less(tmp_path: Path):
    def records(sessions: int):
        return [
            took(
                f"t{i}", 500 if i * sessions // 100 % 2 else 2000, session=f"{i * sessions // 100}"
            )
            for i in range(100)
        ]

    alike = goodput_of(tmp_path, "latency<1s", *records(20)).share_ci95
    alone = goodput_of(tmp_path, "latency<1s", *records(100)).share_ci95
    assert alike is not None
    assert alone is not None
    assert alike[0] < alone[0] < 0.5 < alone[1] < alike[1]


def test_without_an_objective_the_profile_has_no_goodput(tmp_path: Path):
    profile = build_profile(write(tmp_path, took("a", 1)))
    assert profile.goodput is None
    assert b"goodput" not in dump_profile(profile)


def test_it_is_written_and_read_back(tmp_path: Path):
    run_dir = write(tmp_path, took("a", 1), first=run(manifest={"goodput": "latency < 1000ms"}))
    profile = build_profile(run_dir)
    file = tmp_path / "profile.json"
    file.write_bytes(dump_profile(profile))
    assert load_profile(file) == profile
    assert profile.goodput is not None
    assert profile.goodput.objective == "latency<1s"
    assert build_profile(run_dir) == profile


def test_an_objective_in_the_journal_that_is_none_is_refused(tmp_path: Path):
    number = write(tmp_path, first=run(manifest={"goodput": 3}))
    with pytest.raises(ProfileError, match="the goodput objective in the manifest is 3"):
        build_profile(number)
    nonsense = write(tmp_path, first=run(manifest={"goodput": "speedy<1s"}))
    with pytest.raises(UsageError, match=r"journal\.jsonl: there is no metric 'speedy'"):
        build_profile(nonsense)


def test_shards_add_up_to_the_whole(tmp_path: Path):
    manifest = {"goodput": "latency<1s"}
    records = [took(f"t{i}", 100 * i, session=f"s{i // 3}", send_ns=0) for i in range(1, 31)]
    whole = build_profile(write(tmp_path, *records, first=run(manifest=manifest)))
    # Whole sessions: t1, t2 are s0, so the cut is at a multiple of three.
    cut = 17
    parts = [
        build_profile(write(tmp_path, *part, first=run(manifest=manifest, run_id=name)))
        for name, part in (("a", records[:cut]), ("b", records[cut:]))
    ]
    assert merge_profiles(parts).goodput == whole.goodput
    assert whole.goodput is not None
    assert (whole.goodput.count, whole.goodput.good) == (30, 9)


def test_different_promises_are_not_merged(tmp_path: Path):
    one = build_profile(
        write(tmp_path, took("a", 1), first=run(manifest={"goodput": "latency<1s"}))
    )
    two = build_profile(
        write(tmp_path, took("b", 1), first=run(manifest={"goodput": "latency<2s"}))
    )
    none = build_profile(write(tmp_path, took("c", 1)))
    for other in (two, none):
        with pytest.raises(ProfileError, match="differ in goodput objective"):
            merge_profiles([one, other])


def test_people_see_the_share_its_interval_the_rate_and_the_promise(tmp_path: Path):
    first = run(manifest={"goodput": "latency<1s, time_to_first_token<1s"})
    records = [took(f"t{i}", 10 * i + 5, first_token_ns=0) for i in range(200)]
    text = profile_markdown(build_profile(write(tmp_path, *records, first=first)))
    exact = binomtest(100, 200).proportion_ci(0.95, method="exact")
    interval = f"\\[{exact.low * 100:.0f} %, {exact.high * 100:.0f} %\\]"
    promise = "(latency&lt;1s, time\\_to\\_first\\_token&lt;1s)"
    assert f"- **goodput**: 50 % {interval} of 200 interactions, 50.1/s {promise}\n" in text
    more = write(tmp_path, took("a", 1, first_token_ns=0), took("b", 1), first=first)
    assert "of 1 interaction, 1e+03/s" in profile_markdown(build_profile(more))
    assert "1 more could not be judged" in profile_markdown(build_profile(more))
    alone = write(tmp_path, took("b", 1), first=first)
    assert "not observed in any of 1 interactions" in profile_markdown(build_profile(alone))


def test_the_record_in_the_journal_is_plain_text():
    assert b'"manifest":{"goodput":"latency<1s"}' in to_line(
        run(manifest={"goodput": "latency<1s"})
    )
    assert S == 1000 * MS
