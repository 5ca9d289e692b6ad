"""The cost tree: every level is the exact sum of the one below."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.planner.cost_tree import CostLine, priced, total

amounts = st.decimals(0, 10**12, places=6)


@given(st.lists(st.lists(amounts, max_size=5), max_size=5))
def test_every_level_adds_up_exactly(groups):
    branches = [
        total(f"g{i}", [CostLine(name=f"l{j}", usd=usd) for j, usd in enumerate(group)])
        for i, group in enumerate(groups)
    ]
    tree = total("all", branches)
    millionths = sum(int(usd.scaleb(6)) for group in groups for usd in group)
    assert int(tree.usd.scaleb(6)) == millionths
    for _, line in tree.walk():
        if line.children:
            below = sum(int(child.usd.scaleb(6)) for child in line.children)
            assert int(line.usd.scaleb(6)) == below


@given(st.lists(amounts, min_size=1, max_size=5))
def test_a_tree_comes_back_from_json_as_it_was(group):
    lines = [CostLine(name=f"l{j}", usd=usd, note="n") for j, usd in enumerate(group)]
    tree = total("all", [*lines, priced("p", Decimal(3), "hours", Decimal("0.1"), source="s")])
    assert CostLine.from_json(json.loads(json.dumps(tree.to_json()))) == tree


def test_a_sum_that_is_not_the_sum_is_refused():
    line = CostLine(name="a", usd=Decimal(1))
    with pytest.raises(ValueError, match="not the sum"):
        CostLine(name="all", usd=Decimal("1.000001"), children=(line,))


def test_a_leaf_is_not_finer_than_a_millionth_and_names_are_unique():
    with pytest.raises(ValueError, match="finer"):
        CostLine(name="a", usd=Decimal("0.0000001"))
    line = CostLine(name="a", usd=Decimal(1))
    with pytest.raises(ValueError, match="one name"):
        total("all", [line, line])


def test_a_line_is_found_by_its_path():
    leaf = priced("egress", Decimal(3), "GB", Decimal("0.09"))
    tree = total("all", [total("network", [leaf])])
    assert tree.line("network", "egress").usd == Decimal("0.27")
    assert [path for path, _ in tree.walk()] == [(), ("network",), ("network", "egress")]
    with pytest.raises(KeyError):
        tree.line("network", "ingress")
