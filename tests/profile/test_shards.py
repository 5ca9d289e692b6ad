"""The profile of a run that was split."""

from __future__ import annotations

import pytest

from profiler.errors import JournalError
from profiler.measure.journal import to_line
from profiler.measure.records import End, EndReason, Interaction, Outcome, Phase, Run
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from profiler.profile.model import dump_profile
from profiler.profile.shards import profile_of_shards, shard_dir, shard_dirs


def leave_journal(run_dir, index, *, shards=2, reason=EndReason.COMPLETED, interactions=3):
    """Write the journal of a shard; without a reason, as one that was killed leaves it."""
    run = Run(
        run_id="r",
        tool_version="0",
        argv=(),
        started_wall_ns=10**18 + index,
        started_monotonic_ns=0,
        workload="w",
        digests={},
        seeds={"sessions": 1},
        host={},
        target={},
        load={"mode": "closed", "users": 1},
        encoding="o200k_base",
        observers=("client",),
        manifest={"shard": index, "shards": shards},
    )
    told = [
        Interaction(
            trace_id=f"{index}-{number}",
            session=f"{index}-{number}",
            session_index=number * shards + index,
            scenario="x",
            turn=0,
            last_turn=True,
            phase=Phase.MEASURE,
            send_ns=number * 1000,
            end_ns=number * 1000 + 500_000,
            outcome=Outcome.OK,
        )
        for number in range(interactions)
    ]
    end = [] if reason is None else [End(at_ns=10**9, reason=reason)]
    folder = shard_dir(run_dir, index)
    folder.mkdir(parents=True)
    journal = folder / "journal.jsonl"
    journal.write_bytes(b"".join(to_line(record) for record in (run, *told, *end)))
    return folder


def test_it_is_the_shards_profiles_merged(tmp_path):
    folders = [leave_journal(tmp_path, index) for index in range(2)]
    profile, of_shards = profile_of_shards(tmp_path)
    assert profile == merge_profiles([build_profile(folder) for folder in folders])
    assert list(of_shards) == folders
    assert (profile.sample.interactions, profile.sample.partial) == (6, False)
    assert profile.run.id == "r"


def test_profiles_that_were_built_already_give_the_same_bytes(tmp_path):
    folders = [leave_journal(tmp_path, index) for index in range(2)]
    built = {folders[0]: build_profile(folders[0])}
    again, _ = profile_of_shards(tmp_path, built)
    assert dump_profile(again) == dump_profile(profile_of_shards(tmp_path)[0])


def test_shards_are_in_the_order_of_their_numbers(tmp_path):
    for index in (10, 1, 9):
        leave_journal(tmp_path, index, shards=11)
    assert [folder.name for folder in shard_dirs(tmp_path)] == ["2", "10", "11"]


def test_a_shard_that_was_killed_makes_it_partial_and_is_named(tmp_path):
    leave_journal(tmp_path, 0)
    leave_journal(tmp_path, 1, reason=None)
    sample = profile_of_shards(tmp_path)[0].sample
    assert sample.partial
    (reason,) = sample.partial_reasons
    assert reason.startswith("shard 2 of 2: the journal has no end")


def test_a_reason_that_all_shards_have_is_said_once(tmp_path):
    for index in range(2):
        leave_journal(tmp_path, index, reason=EndReason.INTERRUPTED)
    assert profile_of_shards(tmp_path)[0].sample.partial_reasons == ("interrupted",)


@pytest.mark.parametrize("torn", [None, b"", b'{"event":"ru'])
def test_a_shard_that_left_nothing_is_missed(tmp_path, torn):
    leave_journal(tmp_path, 0)
    if torn is not None:
        shard_dir(tmp_path, 1).mkdir()
        (shard_dir(tmp_path, 1) / "journal.jsonl").write_bytes(torn)
    sample = profile_of_shards(tmp_path)[0].sample
    assert (sample.interactions, sample.partial) == (3, True)
    assert sample.partial_reasons == ("shard 2 of 2 left no journal",)


def test_a_run_of_which_no_shard_left_anything_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="no shard"):
        profile_of_shards(tmp_path)
