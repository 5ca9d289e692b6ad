from __future__ import annotations

import json
from itertools import combinations

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from profiler.planner.monitoring.dashboard import dashboard_json
from tests.planner.monitoring.sample import sample_plan


def board():
    return json.loads(dashboard_json(sample_plan()))


def test_grafanas_own_model_reads_it_and_writes_the_same():
    register_default_plugins()
    read = Dashboard.from_json(board())
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == board()


def test_the_rows_are_those_that_people_ask_for():
    rows = [panel["title"] for panel in board()["panels"] if panel["type"] == "row"]
    assert rows == [
        "At a glance",
        "Rollout: what the next stage waits for",
        "Users",
        "LLM",
        "Tools",
        "State",
        "Queue and workers",
        "Cost",
    ]


def test_panels_have_ids_of_their_own_and_do_not_lie_upon_each_other():
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_the_first_line_fills_the_width():
    stats = [panel["gridPos"]["w"] for panel in board()["panels"] if panel["type"] == "stat"]
    assert sum(stats) == 24
    assert max(stats) - min(stats) <= 1


def test_queries_of_a_panel_have_names_of_their_own_and_ask_the_chosen_source():
    for panel in board()["panels"]:
        if panel["type"] != "row":
            names = [target["refId"] for target in panel["targets"]]
            assert len(names) == len(set(names))
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_every_panel_over_time_has_the_line_of_what_is_normal():
    for panel in board()["panels"]:
        if panel["type"] == "timeseries":
            normal = [target for target in panel["targets"] if target["refId"] == "B"]
            assert [target["expr"].partition("{")[0] for target in normal] == [
                "agent_profiler:baseline"
            ]


def test_the_windows_of_an_error_budget_are_in_one_panel():
    late = [panel for panel in board()["panels"] if panel["title"] == "Answers come too late"]
    assert len(late) == 1
    assert [target.get("legendFormat") for target in late[0]["targets"]] == [
        "over 1h",
        "over 6h",
        "over 1d",
        "over 3d",
        "nothing goes wrong",
    ]
