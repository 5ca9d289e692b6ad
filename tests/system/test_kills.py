"""A run that is killed 50 times loses nothing that it had reported, and sends nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from profiler.comparison.sessions import _known, _names
from profiler.measure.journal import find_resumes, read_as_written, read_journal
from profiler.measure.reached import reached_by
from profiler.measure.records import EndReason, Interaction, Outcome, Phase, Resumed
from profiler.profile.build import build_profile
from profiler.workload.load import load_workload
from profiler.workload.sessions import SessionSampler
from tests.system.cli import ROOT, environment
from tests.system.servers import response, serving

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

KILLS = 50
SESSIONS = 1500
TURNS = 3
WORKLOAD = f"""\
name: killed
target: {{stream: false, model: gpt-4o, timeout: 60s}}
load: {{users: 4, sessions: {SESSIONS}, seed: 3}}
scenarios:
- {{name: a, weight: 2, turns: [{{user: "one {{{{ n }}}}"}}, {{user: two}}, {{user: three}}],
   variables: {{n: {{int: [1, 99]}}}}}}
- {{name: b, weight: 1, turns: [{{user: four}}, {{user: five}}, {{user: six}}]}}
"""


async def answer(writer) -> bool:
    writer.write(response())
    return True


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed 50 times and then left to end: what it reported, and its directory."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "w.yaml").write_text(WORKLOAD)
    with serving(answer) as url:
        arguments = [folder / "w.yaml", url, folder / "journal.jsonl", KILLS, 9]
        done = subprocess.run(
            [sys.executable, "-m", "tests.system.killing", *map(str, arguments)],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder, done.stderr


def interactions(records) -> list[Interaction]:
    return [record for record in records if isinstance(record, Interaction)]


def test_every_process_was_killed_but_the_last_which_came_to_the_end(killed):
    processes, _, complaints = killed
    statuses = [process["status"] for process in processes]
    assert [os.WTERMSIG(status) for status in statuses[:-1]] == [signal.SIGKILL] * KILLS
    assert statuses[-1] == 0
    assert complaints == ""


def test_every_interaction_that_was_reported_as_ended_is_in_the_journal_once(killed):
    processes, folder, _ = killed
    reported = [trace for process in processes for trace in process["ended"]]
    journaled = Counter(i.trace_id for i in interactions(read_as_written(folder)))
    assert len(reported) > SESSIONS * TURNS  # what was begun anew was reported before, too
    assert set(reported) - journaled.keys() == set()
    assert set(journaled.values()) == {1}


def test_the_resumed_run_has_the_interactions_of_one_that_was_not_interrupted(killed):
    _, folder, _ = killed
    sampler = SessionSampler(load_workload(folder / "w.yaml"), seed=3)
    plans = [sampler.session(index) for index in range(SESSIONS)]
    expected = Counter((p.index, p.scenario, turn) for p in plans for turn in range(len(p.turns)))
    measured = [i for i in interactions(read_journal(folder)) if i.phase is Phase.MEASURE]
    assert Counter((i.session_index, i.scenario, i.turn) for i in measured) == expected
    assert {i.outcome for i in measured} == {Outcome.OK}


def test_finished_sessions_were_not_sent_again_and_the_others_under_a_new_id(killed):
    _, folder, _ = killed
    finished: set[int] = set()
    ids: dict[str, int] = {}
    for number, record in enumerate(read_as_written(folder)):
        if isinstance(record, Interaction):
            assert record.session_index not in finished
            if record.last_turn:
                finished.add(record.session_index)
            ids.setdefault(record.session, number)
        elif isinstance(record, Resumed):
            assert not any(ids[session] > number for session in record.superseded)
    assert finished == set(range(SESSIONS))


def test_each_session_is_known_by_its_index_whatever_process_sent_it(killed):
    """So that a comparison pairs it with the same session of another run."""
    _, folder, _ = killed
    profile = build_profile(folder)
    known = _known(profile)
    assert set(_names(profile)) == known.keys()
    assert sorted(index for _, index in known.values()) == list(range(SESSIONS))


def test_the_profile_says_how_often_it_was_resumed_and_its_time_leaves_the_pauses_out(killed):
    _, folder, _ = killed
    profile = build_profile(folder)
    reached = reached_by(read_as_written(folder))
    resumes = find_resumes(folder / "journal.jsonl")
    superseded = [i for i in interactions(read_journal(folder)) if i.phase is Phase.SUPERSEDED]
    assert reached.end is not None
    assert (reached.end.reason, reached.unfinished) == (EndReason.COMPLETED, ())
    assert profile.run.resumed == len(resumes) == resumes[-1].number
    assert len(profile.run.parts) == len(resumes) + 1
    sample = profile.sample
    assert (sample.interactions, sample.sessions_completed) == (SESSIONS * TURNS, SESSIONS)
    assert (sample.partial, sample.warmup_excluded) == (False, 0)
    assert sample.superseded == len(superseded) > 0
    windows = [
        part.window_end_ns - part.window_start_ns
        for part in profile.run.parts
        if part.window_start_ns is not None and part.window_end_ns is not None
    ]
    assert profile.load.duration_s == pytest.approx(sum(windows) / 1e9)
    assert profile.load.users == 4
