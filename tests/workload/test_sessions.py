import random
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.workload.load import load_workload
from profiler.workload.sessions import SessionSampler, _Deck, _ScenarioDraws, _Seeds, session_ids
from profiler.workload.shipped import find_workload

MIXED = """
scenarios:
  - name: orders
    weight: 3
    think_time: {lognormal: {median: 2s, p95: 8s}}
    variables:
      id: {csv: o.csv, column: id}
      item: {csv: o.csv, column: item}
      colour: {values: [red, green, blue]}
      size: {int: [1, 1000000]}
    turns:
      - user: "{{ id }} {{ item }} {{ colour }} {{ size }} {{ session_id }} {{ turn }}"
        check: {contains: "{{ id }}", status: 200}
      - user: "{{ turn }}"
        check: {status: 200}
      - user: and?
  - {name: recorded, weight: 1, conversations: c.jsonl, think_time: 1s}
  - {name: never, weight: 0, turns: [{user: a}]}
"""
CONVERSATION = (
    '{{"id": "c{0}", "messages": [{{"role": "user", "content": "first {0}"}},'
    ' {{"role": "assistant", "content": "x"}}, {{"role": "user", "content": "second {0}"}}]}}\n'
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: Any) -> Any:
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "o.csv").write_text("id,item\n" + "".join(f"o{i},item-{i}\n" for i in range(5)))
    (folder / "c.jsonl").write_text("".join(CONVERSATION.format(i) for i in range(7)))
    (folder / "w.yaml").write_text(MIXED)
    return load_workload(folder / "w.yaml")


@pytest.fixture(scope="module")
def airline_workload() -> Any:
    return load_workload(find_workload("airline"))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), indexes=st.lists(st.integers(0, 300), min_size=1, max_size=30))
def test_the_same_seed_gives_the_same_sessions_in_any_order_of_asking(
    mixed: Any, seed: Any, indexes: Any
) -> None:
    in_order = SessionSampler(mixed, seed=seed, salt="run")
    expected = [in_order.session(index) for index in range(max(indexes) + 1)]
    as_asked = SessionSampler(mixed, seed=seed, salt="run")
    assert [expected[index] for index in indexes] == [as_asked.session(i) for i in indexes]


def test_threads_that_ask_at_once_are_given_the_same_sessions(mixed: Any) -> None:
    expected = [SessionSampler(mixed, seed=1).session(index) for index in range(200)]
    shared = SessionSampler(mixed, seed=1)
    indexes = list(range(200))
    random.Random(3).shuffle(indexes)
    with ThreadPoolExecutor(8) as pool:
        drawn = dict(zip(indexes, pool.map(shared.session, indexes), strict=True))
    assert [drawn[index] for index in range(200)] == expected


def test_another_seed_or_stream_gives_other_sessions(mixed: Any) -> None:
    def sizes(**options: Any) -> Any:
        sampler = SessionSampler(mixed, **options)
        return [[turn.user for turn in sampler.session(i).turns] for i in range(50)]

    base = sizes(seed=1)
    assert base == sizes(seed=1, stream="measure")
    assert base != sizes(seed=2)
    assert base != sizes(seed=1, stream="warmup")


def test_the_salt_changes_the_ids_and_nothing_else(airline_workload: Any) -> None:
    one = [SessionSampler(airline_workload, seed=1, salt="a").session(i) for i in range(60)]
    two = [SessionSampler(airline_workload, seed=1, salt="b").session(i) for i in range(60)]
    assert [s.turns for s in one] == [s.turns for s in two]
    assert [s.conversation for s in one] == [s.conversation for s in two]
    ids = [s.session_id for s in (*one, *two)]
    assert len(set(ids)) == 120
    assert all(str(UUID(text)) == text and UUID(text).version == 4 for text in ids)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_recording_comes_once_before_any_comes_again(mixed: Any, seed: Any) -> None:
    sampler = SessionSampler(mixed, seed=seed)
    sessions = (sampler.session(index) for index in range(150))
    recorded = [s.conversation for s in sessions if s.scenario == "recorded"]
    for start in range(0, len(recorded) - 6, 7):
        assert set(recorded[start : start + 7]) == {f"c{i}" for i in range(7)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_row_comes_once_before_any_comes_again_and_its_columns_together(
    mixed: Any, seed: Any
) -> None:
    sampler = SessionSampler(mixed, seed=seed)
    sessions = (sampler.session(index) for index in range(60))
    rows = [s.turns[0].user.split()[:2] for s in sessions if s.scenario == "orders"]
    assert all(item == f"item-{order[1:]}" for order, item in rows)
    orders = [order for order, _ in rows]
    for start in range(0, len(orders) - 4, 5):
        assert set(orders[start : start + 5]) == {f"o{i}" for i in range(5)}


def test_every_cycle_is_shuffled_anew(airline_workload: Any) -> None:
    sampler = SessionSampler(airline_workload, seed=1)
    ids = [str(sampler.session(index).conversation) for index in range(100)]
    assert sorted(ids[:50]) == sorted(ids[50:])
    assert ids[:50] != ids[50:]
    assert ids[:50] != sorted(ids[:50])


def test_weights_are_respected_in_the_long_run(mixed: Any) -> None:
    sampler = SessionSampler(mixed, seed=1)
    drawn = Counter(sampler.session(index).scenario for index in range(4000))
    assert drawn["orders"] / 4000 == pytest.approx(0.75, abs=0.03)  # 4 standard errors
    assert set(drawn) == {"orders", "recorded"}


def test_replaying_the_airline_workload_once_sends_all_of_it(airline_workload: Any) -> None:
    sampler = SessionSampler(airline_workload, seed=5)
    sessions = [sampler.session(index) for index in range(50)]
    assert len({session.conversation for session in sessions}) == 50
    assert sum(len(session.turns) for session in sessions) == 360


def test_nobody_thinks_before_the_first_message(mixed: Any) -> None:
    sampler = SessionSampler(mixed, seed=1)
    for index in range(40):
        session = sampler.session(index)
        first, *others = (turn.think_time_ns for turn in session.turns)
        assert first == 0
        assert all(time_ns > 0 for time_ns in others)
        if session.scenario == "recorded":
            assert others == [1_000_000_000]


def test_values_stay_the_same_within_a_session_and_reach_its_checks(mixed: Any) -> None:
    sampler = SessionSampler(mixed, seed=1)
    orders = [s for s in map(sampler.session, range(40)) if s.scenario == "orders"]
    for session in orders:
        order_id, _, colour, size, session_id, turn = session.turns[0].user.split()
        assert session_id == session.session_id
        assert (turn, session.turns[1].user) == ("0", "1")
        assert colour in {"red", "green", "blue"}
        assert 1 <= int(size) <= 1_000_000
        assert session.turns[0].checks[0].contains == order_id
        assert session.turns[1].checks[0].status == 200
        assert session.turns[2].checks == ()
        assert session.conversation is None
    assert len({s.turns[0].user.split()[3] for s in orders}) > len(orders) / 2


def test_workers_that_take_every_nth_session_share_the_run(mixed: Any) -> None:
    whole = SessionSampler(mixed, seed=1)
    expected = [whole.session(index) for index in range(40)]
    workers = [SessionSampler(mixed, seed=1) for _ in range(4)]
    assert expected == [workers[index % 4].session(index) for index in range(40)]


def test_a_long_run_keeps_a_few_bytes_a_session(airline_workload: Any) -> None:
    sampler = SessionSampler(airline_workload, seed=1)
    sampler.session(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sampler.session(100_000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000 * 12


def test_rounding_at_the_upper_end_never_draws_a_scenario_without_weight() -> None:
    draws = _ScenarioDraws([1.0, 0.0], _Seeds("x"))
    draws._random = lambda: 1.0  # above what a generator gives: the product's worst rounding
    assert draws.draw(0) == (0, 0)


def test_a_deck_forgets_old_cycles_and_can_deal_them_again() -> None:
    deck = _Deck(3, random.Random)
    dealt = [deck.card(ordinal) for ordinal in range(30)]
    assert len(deck._cycles) == 4
    assert [deck.card(ordinal) for ordinal in range(30)] == dealt


def test_ids_are_told_from_seed_and_salt_alone(airline_workload: Any) -> None:
    sampler = SessionSampler(airline_workload, seed=3, salt="run")
    told = list(islice(session_ids(3, salt="run"), 20))
    assert told == [sampler.session(index).session_id for index in range(20)]
