"""The price book: dated, sourced, strict; one of one's own takes its place."""

import re
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import PlanError
from profiler.planner.price_book import SHIPPED, MeteredRate, load_price_book

SHIPPED_TEXT = SHIPPED.read_text()


def altered(tmp_path, old, new):
    assert old in SHIPPED_TEXT
    path = tmp_path / "book.yaml"
    path.write_text(SHIPPED_TEXT.replace(old, new, 1))
    return path


def test_every_figure_that_ships_has_a_source_and_a_day():
    book = load_price_book()
    priced = [*book.machines.values(), *book.cache_nodes.values(), *book.database_nodes.values()]
    priced += [getattr(book.rates, name) for name in type(book.rates).model_fields]
    assert all(re.match("https://", one.source) and one.date <= book.date for one in priced)


def test_the_hours_that_ship_fall_with_skill_and_rise_when_self_run():
    for component in load_price_book().operations.values():
        for way in ("managed", "self"):
            likely = [
                component.hours(way, skill).likely for skill in ("none", "familiar", "expert")
            ]
            assert likely == sorted(likely, reverse=True)
        for skill in ("none", "familiar", "expert"):
            managed, own = (component.hours(way, skill) for way in ("managed", "self"))
            assert managed.likely <= own.likely


def test_a_book_of_ones_own_takes_the_place_of_the_one_that_ships(tmp_path):
    path = altered(tmp_path, "usd: 0.0816", "usd: 0.07")
    assert load_price_book(path).machine("m7g.large").usd == Decimal("0.07")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("currency: USD", "currency: EUR", r"book\.yaml:8: currency: EUR is not the currency"),
        ("date: 2026-06-17}", "note: x}", r"book\.yaml:\d+: .*date"),
        ("date: 2026-06-17}", "date: June}", r"'June' is not a day.*2026-11-22"),
        ("usd: 0.0816", "usd: 0.0816 EUR", "another currency"),
        ("memory: 8 GiB, usd: 0.0816", "memry: 8 GiB, usd: 0.0816", "Did you mean 'memory'"),
        ("{from: 100, usd: 0.09}", "{from: 0, usd: 0.09}", "tiers do not rise"),
        ("  queue:\n    reason", "  queues:\n    reason", "queue"),
    ],
)
def test_a_mistake_in_a_book_is_one_line_that_says_where(tmp_path, old, new, says):
    with pytest.raises(PlanError, match=says) as caught:
        load_price_book(altered(tmp_path, old, new))
    assert "\n" not in str(caught.value)


def test_an_unknown_machine_names_the_nearest():
    with pytest.raises(PlanError, match=r"no machine 'm7g.larg'.*Did you mean 'm7g.large'"):
        load_price_book().machine("m7g.larg")


def test_graduated_tiers_bill_each_unit_in_its_own_tier():
    # 100 GB free, 10,000 GB at 0.09, the rest at 0.085
    egress = load_price_book().rates.egress
    assert egress.cost(Decimal(100)) == 0
    assert egress.cost(Decimal(101)) == Decimal("0.09")
    assert egress.cost(Decimal(10_200)) == Decimal("908.5")


@given(st.decimals(0, 10**6, places=3), st.decimals(0, 10**6, places=3))
def test_more_units_never_cost_less(few, more):
    rate = MeteredRate.model_validate(yaml.safe_load(RATE))
    assert rate.cost(few) <= rate.cost(few + more)


RATE = """
unit: GB
source: x
date: 2026-01-01
tiers: [{from: 0, usd: 0}, {from: 10, usd: 2}, {from: 100, usd: 1}]
"""
