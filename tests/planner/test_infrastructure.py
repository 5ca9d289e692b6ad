"""Infrastructure: whole machines, managed against self-run, from the price book."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import PlanError
from profiler.planner.demand import Operations
from profiler.planner.infrastructure import Needs, infrastructure
from profiler.planner.machines import for_service, for_workers
from profiler.planner.operations import check_skills, operations, side_by_side
from profiler.planner.price_book import load_price_book

BOOK = load_price_book()
GIB = 1024**3
NEEDS = Needs(
    workers=10,
    worker_cpus=1.0,
    worker_memory_bytes=2 * GIB,
    queue_operations_per_month=3e6,
    queue_operations_per_s=30.0,
    cache_operations_per_s=100.0,
    database_operations_per_s=50.0,
    hot_bytes=1e9,
    cold_bytes_per_month=50e9,
    retention_months=12.0,
    egress_bytes_per_month=200e9,
    requests_per_month=1e6,
)


def bill(needs=NEEDS, **options):
    return infrastructure(needs, BOOK, **options)


def test_workers_take_whole_machines_and_one_may_fail():
    # 10 workers of 1 cpu and 2 GiB on m7g.large (2 cpus, 7.2 of 8 GiB): 2 on each, 5 and a spare
    tree = bill(run_by="self", machine="m7g.large").tree
    fleet = tree.line("workers", "m7g.large")
    assert (fleet.quantity, fleet.usd) == (6, Decimal("357.408"))  # 6 x 0.0816 x 730
    assert tree.line("workers", "disks").usd == Decimal("9.6")  # 6 x 20 GB x 0.08


def test_a_worker_is_never_split_over_machines():
    # 3 GiB fit twice into 7.2 GiB, though 2.4 of them would
    fleet = for_workers(
        4, 0.5, 3 * GIB, {"m7g.large": BOOK.machines["m7g.large"]}, reserved_share=0.1
    )
    assert fleet.count == 3


def test_the_cheapest_machine_that_fits_is_taken():
    fleet = for_workers(1, 4.0, 12 * GIB, BOOK.machines, reserved_share=0.1)
    assert fleet.machine == "m7g.xlarge"  # 4 cpus and 14.4 GiB; c7g.xlarge has too little memory


def test_a_worker_that_no_machine_takes_is_refused():
    with pytest.raises(PlanError, match="no machine of the price book takes a worker of 64 cpus"):
        bill(replace(NEEDS, worker_cpus=64.0))


def test_managed_workers_are_containers_by_cpu_and_memory():
    # 10 x 730 h x (1 x 0.03238 + 2 x 0.00356)
    assert bill().tree.line("workers").usd == Decimal("288.35")


def test_the_queue_is_billed_by_request_and_the_first_million_is_free():
    assert bill().tree.line("queue", "requests").usd == Decimal("0.8")


def test_the_cache_holds_the_hot_state_twice():
    # 1e9 B are 0.93 GiB; cache.t4g.small has 0.959 GiB for keys: one, and its copy
    tree = bill().tree.line("cache")
    assert tree.children[0].name == "cache.t4g.small"
    assert tree.usd == Decimal("37.376")  # 2 x 0.0256 x 730


def test_the_database_keeps_what_its_retention_says_in_both_zones():
    # 12 x 50 GB, twice, at 0.115
    assert bill().tree.line("database", "disks").usd == Decimal(138)


def test_egress_and_the_balancer_are_billed_by_use():
    network = bill().tree.line("network")
    assert network.line("egress").usd == 9  # 100 GB free, 100 at 0.09
    # 200 GB are 200 unit-hours, more than 1e6 / (25 x 3600) by connections
    assert network.line("load balancer units").usd == Decimal("1.6")


def test_what_is_not_known_is_noted_and_logs_are_left_out():
    tree = bill(replace(NEEDS, hot_bytes=None, cold_bytes_per_month=None)).tree
    assert "not known" in (tree.line("cache").note or "")
    assert "not known" in (tree.line("database").note or "")
    assert "monitoring" not in [line.name for line in tree.children]
    known = bill(replace(NEEDS, log_bytes_per_month=10e9)).tree
    assert known.line("monitoring", "logs").usd == 5


def test_further_lines_are_added_to_either_way():
    more = {"queue": Decimal("12.5")}
    for way in ("managed", "self"):
        plain, with_more = bill(run_by=way).tree, bill(run_by=way, monthly_usd=more).tree
        assert with_more.usd - plain.usd == Decimal("12.5")


def test_every_line_says_where_its_price_is_from():
    known = bill(replace(NEEDS, log_bytes_per_month=1e9))
    for lines in known.ways.values():
        leaves = [line for part in lines for _, line in part.walk() if not line.children]
        assert all(leaf.source for leaf in leaves)


scales = st.floats(0.01, 200)


@given(factor=scales, growth=st.floats(1, 50))
def test_the_bill_never_falls_with_volume(factor, growth):
    def at(scale):
        needs = replace(
            NEEDS,
            workers=int(NEEDS.workers * scale) + 1,
            queue_operations_per_month=NEEDS.queue_operations_per_month * scale,
            queue_operations_per_s=NEEDS.queue_operations_per_s * scale,
            hot_bytes=1e9 * scale,
            cold_bytes_per_month=5e9 * scale,
            egress_bytes_per_month=NEEDS.egress_bytes_per_month * scale,
            requests_per_month=NEEDS.requests_per_month * scale,
        )
        return bill(needs)

    small, large = at(factor), at(factor * growth)
    for way in ("managed", "self"):
        below = sum(line.usd for line in small.ways[way])
        assert below <= sum(line.usd for line in large.ways[way])


@given(memory=st.floats(0, 1e12), cpus=st.floats(0, 100))
def test_a_service_has_room_for_what_it_holds_twice(memory, cpus):
    fleet = for_service(memory, cpus, BOOK.cache_nodes)
    node = BOOK.cache_nodes[fleet.machine]
    room = fleet.count // 2 * node.memory.likely * node.usable_share.likely
    assert fleet.count % 2 == 0
    assert room >= memory * (1 - 1e-6)
    assert fleet.count // 2 * node.cpus.likely >= cpus * (1 - 1e-6)


TEAM = Operations.model_validate({"rate_per_hour": 100, "skills": {"database": "expert"}})


def test_hours_are_a_line_of_their_own_by_component_and_skill():
    tree = operations(TEAM, BOOK, "managed")
    # workers 4, queue 1, cache 1, database (expert) 2, network 1, monitoring 4, providers 4
    assert (tree.usd, tree.line("database").quantity) == (1700, 2)
    assert operations(TEAM, BOOK, "self").line("database").usd == 800


def test_hours_of_ones_own_stand_in_place_of_the_books():
    team = Operations.model_validate({"rate_per_hour": 100, "hours_per_month": 7})
    assert operations(team, BOOK, "managed").usd == 700


def test_the_skill_of_no_component_names_the_nearest():
    team = Operations.model_validate({"skills": {"databse": "expert"}})
    with pytest.raises(PlanError, match=r"'databse' is no component.*Did you mean 'database'"):
        check_skills(team)


def test_managed_and_self_run_stand_side_by_side_with_their_hours():
    choices = {choice.component: choice for choice in side_by_side(TEAM, BOOK, bill())}
    assert list(choices) == ["workers", "queue", "cache", "database", "network"]
    queue = choices["queue"]
    assert queue.managed.infrastructure_usd == Decimal("0.8")
    assert (queue.managed.hours, queue.self_run.hours) == (1, 6)
    # two m7g.medium: 2 x 0.0408 x 730 + 2 x 20 x 0.08
    assert queue.self_run.total_usd == Decimal("62.768") + 600
    assert queue.cheaper == "managed"
