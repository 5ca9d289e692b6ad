"""Selection: eliminated by limits and lacks, ranked by bill and hours; by hand, as an algebra."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.demand import PARTS, Operations, PartName, Skill
from profiler.planner.price_book import load_price_book
from profiler.planner.ranges import Range
from profiler.planner.stack import candidates_of
from profiler.planner.stack_catalogue import Technology, load_catalogue
from profiler.planner.stack_costs import Bills, skill_level
from profiler.planner.stack_overturn import outgrown, overturned_by, verdict
from profiler.planner.stack_quantities import QUANTITIES
from profiler.planner.stack_select import (
    Candidate,
    Rules,
    choose,
    eliminated,
    over_quotas,
    why_lost,
)

BOOK = load_price_book()
CATALOGUE = load_catalogue()
BILLS = Bills(
    book=BOOK,
    usd={
        way: {name: Decimal(100) for name in ("api", "queue", "cache", "database", "workers")}
        for way in ("managed", "self")
    },
)
DAY = {"source": "a test", "date": "2026-11-20"}


def technology(name: str, skill: str = "x", **keys: Any) -> Technology:
    hours = {"none": 1, "familiar": 1, "expert": 1, **DAY}
    return Technology.model_validate(
        {
            "name": name,
            "skill": skill,
            "costs": {"managed": [{"bill": "queue"}]},
            "hours": {"managed": hours},
            **keys,
        }
    )


def limit(value: float, **keys: Any) -> dict[str, Any]:
    return {"value": value, **DAY, **keys}


def candidate(
    name: str,
    usd: float,
    hours: tuple[float, float, float] = (8, 4, 2),
    *,
    skill: Skill = "familiar",
    known: str | None = None,
    rate: int = 50,
    **keys: Any,
) -> Candidate:
    """A candidate with hours for none, familiar and expert; half to twice as many in the range."""
    levels: tuple[Skill, ...] = ("none", "familiar", "expert")
    return Candidate(
        key=name.lower(),
        technology=technology(name, known or name.lower(), **keys),
        way="managed",
        skill=skill,
        infrastructure_usd=Decimal(str(usd)),
        hours_by_skill={
            level: Range(h / 2, h, h * 2) for level, h in zip(levels, hours, strict=True)
        },
        rate_usd=Decimal(rate),
    )


RULES = Rules(capabilities={"ordering": "in order"})


def overturning(candidates: list[Candidate], rules: Rules = RULES, **wants: float) -> list[str]:
    choice = choose(candidates, wants, rules)
    return list(overturned_by(candidates, choice, wants, rules, {}))


def test_the_cheapest_with_its_hours_wins():
    # A: 100 + 4 x 50 = 300; B: 20 + 6 x 50 = 320
    a, b = candidate("A", 100), candidate("B", 20, (12, 6, 3))
    choice = choose([b, a], {}, RULES)
    assert choice.winner is a
    assert (a.total_usd, b.total_usd) == (300, 320)


def test_a_technology_that_the_team_knows_beats_a_slightly_better_one_that_it_does_not():
    # better: 80 + 4 x 50 = 280 against 100 + 4 x 50 = 300, if known alike;
    # unknown: 80 + 8 x 50 = 480 against 100 + 2 x 50 = 200
    better, worse = candidate("Better", 80), candidate("Worse", 100)
    assert choose([better, worse], {}, RULES).winner is better
    unknown, known = better.at(skill="none"), worse.at(skill="expert")
    assert choose([unknown, known], {}, RULES).winner is known
    assert (unknown.total_usd, known.total_usd) == (480, 200)


def test_a_loser_s_reason_adds_up():
    # 80 + 8 x 50 = 480 against 100 + 2 x 50 = 200: 20 less, 6 hours more, 280 in all

    loser, winner = candidate("L", 80, skill="none"), candidate("W", 100, skill="expert")
    assert why_lost(loser, winner, preferred=False) == (
        "$280 a month more than W: $20.00 less for machines and services, "
        "6 hours more of people with no knowledge of l"
    )


def test_a_hard_limit_eliminates_and_names_itself_and_the_demand():
    fifo = candidate("Fifo", 1, limits={"messages_per_s": limit(300)})
    out = eliminated(fifo, {"messages_per_s": 720.0}, RULES)
    assert out is not None
    assert out.reason == (
        "over its limit: messages come to 720 messages/s, it carries 300 messages/s"
    )
    assert eliminated(fifo, {"messages_per_s": 300.0}, RULES) is None


def test_headroom_is_kept_of_what_follows_the_load_and_not_of_sizes():
    rules = replace(RULES, headroom=0.8)
    one = candidate("One", 1, limits={"messages_per_s": limit(300), "message_bytes": limit(1000)})
    assert eliminated(one, {"messages_per_s": 240.0, "message_bytes": 1000.0}, rules) is None
    by_rate = eliminated(one, {"messages_per_s": 241.0, "message_bytes": 1000.0}, rules)
    by_size = eliminated(one, {"messages_per_s": 1.0, "message_bytes": 1001.0}, rules)
    assert by_rate is not None
    assert by_rate.limit == "messages_per_s"
    assert by_rate.reason.endswith("of which 80% may be used")
    assert by_size is not None
    assert by_size.limit == "message_bytes"


def test_a_quota_that_is_raised_on_request_is_told_and_eliminates_nothing():
    one = candidate("One", 1, limits={"messages_per_s": limit(300, adjustable=True)})
    wants = {"messages_per_s": 720.0}
    assert eliminated(one, wants, RULES) is None
    assert list(over_quotas(one, wants, 1.0)) == [
        "messages come to 720 messages/s, it carries 300 messages/s"
    ]


def test_what_nobody_measured_is_held_against_no_limit():
    one = candidate("One", 1, limits={"message_bytes": limit(10)})
    assert eliminated(one, {"message_bytes": None}, RULES) is None
    assert eliminated(one, {}, RULES) is None


def test_a_required_capability_eliminates_what_lacks_it():
    lists = candidate("Lists", 1, lacks={"ordering": {"why": "side by side", **DAY}})
    streams = candidate("Streams", 9)
    rules = replace(RULES, requires=("ordering",))
    choice = choose([lists, streams], {}, rules)
    assert choice.winner is streams
    assert choice.out[0].reason == "it lacks ordering (in order): side by side"


def test_exclusion_and_preference_are_the_demands():
    a, b, c = candidate("A", 1), candidate("B", 2), candidate("C", 3)
    rules = replace(RULES, excluded=frozenset({"a"}), preferred="c")
    choice = choose([a, b, c], {}, rules)
    assert [one.key for one in choice.ranked] == ["c", "b"]
    # C 3 + 200, B 2 + 200
    assert overturning([a, b, c], rules) == [
        "leaving out the preference: B costs $1.00 a month less"
    ]


def test_nothing_that_can_do_it_is_no_winner():
    one = candidate("One", 1, limits={"messages_per_s": limit(1)})
    wants = {"messages_per_s": 5.0}
    choice = choose([one], wants, RULES)
    assert choice.winner is None
    assert "Nothing in the catalogue" in verdict({1.0: choice}, {1.0: wants})


def test_the_price_of_an_hour_at_which_another_one_wins():
    # W: 20 + 4 r, L: 100 + 2 r: equal at r = 40. At 30: W 140, L 160
    w, x = candidate("W", 20, rate=30), candidate("L", 100, (4, 2, 1), rate=30)
    said = overturning([w, x])
    assert "price: its own bill $20.00 a month higher (+100%), then L wins" in said
    assert "pay: an hour at more than $40.00 instead of $30.00, then L wins" in said
    # at 50: W 220, L 200
    assert "pay: an hour at less than $40.00 instead of $50.00, then W wins" in overturning(
        [w.at(rate_usd=Decimal(50)), x.at(rate_usd=Decimal(50))]
    )


def test_the_skill_with_which_another_one_wins():
    # A: 100 + 4 x 50 = 300 (none 500), B: 150 + 4 x 50 = 350 (expert 250)
    said = overturning([candidate("A", 100), candidate("B", 150)])
    assert "skill: a team with no knowledge of a, then B wins" in said
    assert "skill: a team expert in b, then B wins" in said
    assert len([line for line in said if line.startswith("skill")]) == 2


def test_a_skill_that_both_need_does_not_turn_one_alone():
    a, b = candidate("A", 100, known="redis"), candidate("B", 150, known="redis")
    assert not [line for line in overturning([a, b]) if line.startswith("skill")]


def test_ranges_of_hours_that_overlap_are_told():
    # A 4 h (2 to 8): up to 100 + 400; B from 150 + 100
    said = overturning([candidate("A", 100), candidate("B", 150)])
    assert any("within their ranges (2 to 8 a month here) B may be cheaper" in one for one in said)
    far = overturning([candidate("A", 100), candidate("B", 1500)])
    assert not [line for line in far if line.startswith("hours")]


def test_a_cheaper_one_that_is_out_says_what_would_bring_it_back():
    a = candidate("A", 100)
    b = candidate("B", 10, limits={"messages_per_s": limit(5)})
    c = candidate("C", 20, lacks={"ordering": {"why": "so", **DAY}})
    rules = replace(RULES, requires=("ordering",))
    said = overturning([a, b, c], rules, messages_per_s=6.0)
    assert "limit: a higher one on messages, then B wins by $90.00 a month" in said
    assert "requirement: doing without ordering (in order), then C wins by $80.00 a month" in said


def test_sharing_what_another_part_runs_is_told():
    # B alone: 150 + 200 = 350; on what is there: 200 against A's 300
    a, b = candidate("A", 100), candidate("B", 150, shares={"cold_state": "postgresql"})
    choice = choose([a, b], {}, RULES)
    said = list(overturned_by([a, b], choice, {}, RULES, {"cold_state": "postgresql"}))
    assert (
        "sharing: on the postgresql that cold state has already, B has no bill of its own, and wins"
        in said
    )
    assert not [line for line in overturning([a, b]) if line.startswith("sharing")]


def test_the_growth_at_which_the_winner_ends():
    # 60 of 300 at 10x: 80 % of it at 40x
    one = candidate("One", 1, limits={"messages_per_s": limit(300)})
    rules = replace(RULES, headroom=0.8)
    said = outgrown(one, {"messages_per_s": 60.0}, rules, 10.0)
    assert said == "growth: at about 40x it is at 80% of its limit: messages"


def test_throughput_that_does_not_decide_is_said_plainly():
    one = candidate("One", 1, limits={"messages_per_s": limit(300)})
    other = candidate("Other", 1, (80, 40, 20))
    wants = {"messages_per_s": 3.0}
    choice = choose([one, other], wants, RULES)
    assert verdict({10.0: choice}, {10.0: wants}) == (
        "Throughput does not decide: no limit ends a candidate, and the fullest limit of One "
        "(messages) is used to 1.0% at 10x. People's hours tell the candidates apart more than "
        "their bills do."
    )


def test_a_limit_that_decides_is_said_with_its_scale():
    one = candidate("One", 1, limits={"messages_per_s": limit(10)})
    other = candidate("Other", 5)
    few, many = {"messages_per_s": 3.0}, {"messages_per_s": 30.0}
    choices = {1.0: choose([one, other], few, RULES), 10.0: choose([one, other], many, RULES)}
    assert [choice.winner.key for choice in choices.values() if choice.winner] == ["one", "other"]
    said = verdict(choices, {1.0: few, 10.0: many})
    assert said.startswith("Limits decide: One ends at 10x (messages)")


@pytest.mark.parametrize(
    ("skills", "level"),
    [
        ({}, "familiar"),
        ({"queue": "expert"}, "expert"),
        ({"queue": "expert", "sqs": "none"}, "none"),
        ({"queue": "expert", "sqs": "none", "sqs_fifo": "expert"}, "expert"),
    ],
)
def test_the_narrowest_skill_counts(skills: dict[str, str], level: str):
    team = Operations.model_validate({"skills": skills})
    fifo = CATALOGUE.parts["queue"].technologies["sqs_fifo"]
    assert skill_level(team, "queue", "sqs_fifo", fifo) == level


def of(part: PartName, wants: dict[str, float]) -> dict[str, Candidate]:
    found = candidates_of(
        part,
        CATALOGUE.parts[part],
        wants=wants,
        bills=BILLS,
        operations=Operations(),
        run_by="managed",
    )
    return {one.key: one for one in found}


def test_the_shipped_queues_cost_what_a_pencil_says():
    """30 million requests of 10 million messages of 4,000 bytes; an hour is 75."""
    queue = of(
        "queue",
        {
            "queue_requests_per_month": 30e6,
            "queue_bytes_per_month": 2 * 10e6 * 4000,
            "queue_operations_per_s": 100.0,
        },
    )
    assert queue["sqs_standard"].infrastructure_usd == Decimal("11.6")  # 29 x 0.40
    assert queue["sqs_fifo"].infrastructure_usd == Decimal("14.5")  # 29 x 0.50
    # (8e10 B / 2^40 - 10/1024) TiB x 40
    assert float(queue["pubsub"].infrastructure_usd) == pytest.approx(2.519758, abs=1e-6)
    # two cache.t4g.small: 2 x 0.0256 x 730
    assert queue["redis_streams"].infrastructure_usd == Decimal("37.376")
    # two db.t4g.small: 2 x 0.032 x 730
    assert queue["postgresql_skip_locked"].infrastructure_usd == Decimal("46.72")
    assert queue["sqs_standard"].total_usd == Decimal("11.6") + 75  # 1 hour


def test_machines_that_carry_a_load_are_whole_and_one_is_spare():
    # 300 calls/s by 292 each: 2 and 1 spare; 4 cpus and 8 GB of Fargate: 0.03238, 0.00356
    routing = of("inference_routing", {"llm_calls_per_s": 300.0, "output_tokens_per_s": 1.0})
    gateway = 3 * 730 * (4 * Decimal("0.03238") + 8 * Decimal("0.00356"))
    assert routing["multi_model_routing"].infrastructure_usd == 100 + gateway
    # 1 token/s: one machine and a spare one, 21.96 an hour
    assert routing["self_run_inference"].infrastructure_usd == 2 * 730 * Decimal("21.96")


def test_serverless_is_paid_by_gigabyte_seconds():
    # 1,000,000 interactions x 3 s x 1 GiB x 0.0000133334, and 0.20 for the requests
    wants = {"compute_gb_seconds_per_month": 3e6, "interactions_per_month": 1e6}
    assert of("compute", wants)["serverless"].infrastructure_usd == Decimal("40.2002")


def test_a_bill_that_lacks_a_quantity_says_which():
    assert of("cold_state", {"cold_bytes": 1e9})["dynamodb"].unknown == (
        "cold_write_units_per_month",
        "cold_read_units_per_month",
    )


def test_serverless_ends_at_fifteen_minutes():
    rules = Rules(capabilities={})
    serverless = of("compute", {})["serverless"]
    assert eliminated(serverless, {"answer_p99_s": 900.0}, rules) is None
    out = eliminated(serverless, {"answer_p99_s": 901.0}, rules)
    assert out is not None
    assert "the longest answers come to 901 s, it carries 900 s" in out.reason


WANTS = st.dictionaries(
    st.sampled_from(sorted(QUANTITIES)), st.floats(0, 1e13, allow_nan=False), max_size=12
)


@given(
    st.sampled_from(PARTS),
    WANTS,
    st.floats(1, 1e6),
    st.floats(0.1, 1),
    st.dictionaries(st.sampled_from(sorted(QUANTITIES)), st.floats(1, 100)),
)
def test_raising_the_demand_never_brings_an_eliminated_candidate_back(
    part, wants, factor, headroom, further
):
    """At the shipped limits, for any demand, when some or all of it grows."""
    rules = Rules(
        requires=CATALOGUE.parts[part].requires,
        capabilities=CATALOGUE.parts[part].capabilities,
        headroom=headroom,
    )
    more = {name: value * factor * further.get(name, 1.0) for name, value in wants.items()}
    for one in SHIPPED[part]:
        if eliminated(one, wants, rules) is not None:
            assert eliminated(one, more, rules) is not None
    before, after = choose(SHIPPED[part], wants, rules), choose(SHIPPED[part], more, rules)
    assert {out.candidate.key for out in before.out} <= {out.candidate.key for out in after.out}
    for choice in (before, after):
        keys = [one.key for one in choice.ranked] + [out.candidate.key for out in choice.out]
        assert sorted(keys) == sorted(CATALOGUE.parts[part].technologies)
        totals = [one.total_usd for one in choice.ranked]
        assert totals == sorted(totals)


SHIPPED = {part: list(of(part, {}).values()) for part in PARTS}
