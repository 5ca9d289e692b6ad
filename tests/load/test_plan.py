"""Splitting a plan: the shares together are the plan, nothing twice and nothing missing."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.load.budget import Limits
from profiler.load.plan import (
    WHOLE,
    ArrivalsOf,
    ClosedLoop,
    LoadPlan,
    OpenLoop,
    Share,
    is_idle,
    load_plan,
    parts_of,
    shared,
)
from profiler.load.schedule import ConstantGaps, Process, flat
from profiler.workload.load import load_workload

ARRIVALS = Process(rate=flat(10.0), gaps=ConstantGaps())
some = st.none() | st.integers(1, 60)


def open_loop(max_in_flight):
    return OpenLoop(
        arrivals=ARRIVALS, arrivals_of=ArrivalsOf.SESSIONS, seed=1, max_in_flight=max_in_flight
    )


@st.composite
def plans(draw):
    users = st.integers(1, 40).map(lambda n: ClosedLoop(users=n))
    return LoadPlan(
        loop=draw(users | some.map(open_loop)),
        warmup=draw(st.integers(0, 30)),
        limits=Limits(requests=draw(some), sessions=draw(some), max_requests=draw(some)),
        duration_ns=draw(st.none() | st.just(5)),
    )


def places(plan: LoadPlan):
    loop = plan.loop
    return loop.users if isinstance(loop, ClosedLoop) else loop.max_in_flight


def split(plan: LoadPlan, count: int) -> list[LoadPlan]:
    return [shared(plan, Share(index=index, count=count)) for index in range(count)]


@given(plan=plans(), count=st.integers(1, 12))
def test_users_places_quotas_and_warm_up_add_up_to_the_plans(plan, count):
    shares = split(plan, count)
    for total, parts in (
        (places(plan), [places(s) for s in shares]),
        (plan.warmup, [s.warmup for s in shares]),
        (plan.limits.requests, [s.limits.requests for s in shares]),
        (plan.limits.sessions, [s.limits.sessions for s in shares]),
        (plan.limits.max_requests, [s.limits.max_requests for s in shares]),
    ):
        if total is None:
            assert set(parts) == {None}
        else:
            assert sum(parts) == total


@given(plan=plans(), count=st.integers(1, 12), arrivals=st.integers(0, 100))
def test_each_session_and_each_arrival_falls_to_exactly_one_share(plan, count, arrivals):
    working = [s for s in split(plan, count) if not is_idle(s)]
    taken = [
        a for s in working for a in islice(range(arrivals), s.share.index, None, s.share.count)
    ]
    assert sorted(taken) == list(range(arrivals))
    if plan.limits.sessions is not None:
        indices = [
            number * s.share.count + s.share.index
            for s in working
            for number in range(s.limits.sessions)
        ]
        assert sorted(indices) == list(range(plan.limits.sessions))


@given(plan=plans(), count=st.integers(1, 12))
def test_a_share_has_work_or_is_idle_and_the_first_ones_work(plan, count):
    parts = parts_of(plan, count)
    assert [is_idle(s) for s in split(plan, count)] == [i >= parts for i in range(count)]


@given(plan=plans())
def test_the_only_share_is_the_plan(plan):
    assert shared(plan, WHOLE) == plan


@pytest.mark.parametrize(
    ("text", "parts"), [("users: 3", 3), ("users: 9, requests: 2", 2), ("rate: 5/s", 8)]
)
def test_a_run_splits_no_further_than_its_users_and_its_quota(tmp_path, text, parts):
    path = tmp_path / "w.yaml"
    path.write_text(f"name: x\nload: {{{text}}}\nscenarios: [{{name: a, turns: [{{user: hi}}]}}]\n")
    assert parts_of(load_plan(load_workload(path)), 8) == parts
