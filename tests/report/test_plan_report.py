"""Who stakes a budget on a plan can follow each number, and is told what is not known."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from profiler.planner.plan import Plan
from profiler.report.plan_demand import demand_lines, limit_sum
from profiler.report.plan_markdown import plan_markdown
from profiler.report.plan_swings import tornado
from profiler.report.plan_terminal import plan_report
from profiler.report.terminal import print_report
from tests.report import plans

HOSTILE = "[red]x[/red]|<script>alert(1)</script>\x1b[31m`*_\n```\n# big"


def section(text: str, title: str) -> str:
    """Return what stands under a heading, up to the next."""
    return re.split(r"\n#+ ", text.split(f"# {title}\n")[1])[0]


def terminal(plan: Plan, width: int = 100) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=width), plan_report(plan), [])
    return out.getvalue()


def row(text: str, label: str) -> list[str]:
    """Return the cells of the row with this label, as they read: without Markdown's backslashes."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line)[2:-1]]


def test_the_worked_example_reads_as_one_would_reckon_it():
    plan = plans.plan(provenance=())
    lines = demand_lines(plan, plan.scales[0])
    assert lines[:3] == [
        "500 users x 2 interactions/min = 1,000 interactions/min",
        "x 2 LLM calls per interaction = 2,000 calls/min",
        "one request per call = 2,000 requests/min",
    ]
    assert limit_sum(plan, plan.scales[0].limits[0]) == (
        "2,000 / 1,500 = 133.3 %: 500 too many; 375 users at most (300 with 80 % headroom); "
        "would fit with 1.5 calls per interaction"
    )


def test_a_measured_factor_stands_with_its_interval():
    measured = plans.measured(value=1.7472, ci95=(1.5273, 1.9672))
    demand = plans.demand(llm_calls_per_interaction=1.7472, llm_calls_per_minute=1747.2)
    plan = plans.plan(provenance=(measured,), scales=(plans.scale(demand=demand),))
    assert demand_lines(plan, plan.scales[0])[1] == (
        "x 1.747 LLM calls per interaction (measured, 1.53 to 1.97) = 1,747 calls/min"
    )


def test_tokens_are_a_product_only_where_the_product_is_the_plan_s_number():
    """2,000 tokens an interaction x 1,000 is what the plan holds; 1,500 would be another number."""
    measured = plans.measured("interaction.input_tokens", value=2000.0, ci95=None)
    plan = plans.plan(provenance=(measured,))
    product = "1,000 interactions/min x 2,000 input tokens (measured, no interval)"
    assert f"{product} = 2,000,000 input tokens/min" in demand_lines(plan, plan.scales[0])
    plan = plans.plan(provenance=({**measured, "value": 1500.0},))
    assert "in all 2,000,000 input tokens/min" in demand_lines(plan, plan.scales[0])


def test_retries_that_were_measured_are_in_the_sum():
    measured = plans.measured("interaction.attempts.mean", value=2.2, ci95=(2.1, 2.3))
    demand = plans.demand(attempts_per_minute=2200.0)
    plan = plans.plan(provenance=(measured,), scales=(plans.scale(demand=demand),))
    assert demand_lines(plan, plan.scales[0])[2] == (
        "1,000 interactions/min x 2.2 requests (measured, 2.10 to 2.30) = 2,200 requests/min"
    )


def test_a_closed_loop_says_where_its_pace_is_from():
    users = {"peak_concurrent": 500, "think_time": "28s"}
    plan = plans.plan(inputs=plans.inputs(demand=plans.DEMAND | {"users": users}))
    assert demand_lines(plan, plan.scales[0])[0].endswith(
        "(each 60 s / (the answer's latency + 28.0 s to think))"
    )


def test_a_product_has_as_many_digits_as_a_pencil_needs():
    """3,000 x 1.747 would be 5,241; the plan has 5,241.67."""
    measured = plans.measured(value=1.747222, ci95=None)
    demand = plans.demand(
        users=1500.0,
        interactions_per_minute=3000.0,
        llm_calls_per_interaction=1.747222,
        llm_calls_per_minute=5241.666,
    )
    plan = plans.plan(provenance=(measured,), scales=(plans.scale(demand=demand),))
    assert demand_lines(plan, plan.scales[0])[1] == (
        "x 1.7472 LLM calls per interaction (measured, no interval) = 5,242 calls/min"
    )


def month_lines(**changes) -> list[str]:
    sums = section(plan_markdown(plans.plan(**changes)), "Demand, step by step")
    return [line for line in sums.splitlines() if line.endswith("/month")]


def test_the_month_is_reckoned_from_the_peak():
    (line,) = month_lines(scales=(plans.scale(),))
    day = "1,000 interactions/min / 4 (peak to average) x 60 min x 10 h"
    assert line == f"{day} x 20 days = 3,000,000 interactions/month"


def test_the_month_is_reckoned_from_the_day_at_each_scale():
    traffic = {"interactions_per_day": 150_000, "days_per_month": 20}
    users = {**plans.DEMAND["users"], "session_interactions": 5}
    asked = {**plans.DEMAND, "users": users, "traffic": traffic}
    assert month_lines(inputs=plans.inputs(demand=asked)) == [
        "150,000 interactions/day x 1 (growth) x 20 days = 3,000,000 interactions/month",
        "3,000,000 interactions/month / 5 interactions per session = 600,000 sessions/month",
        "150,000 interactions/day x 10 (growth) x 20 days = 30,000,000 interactions/month",
        "30,000,000 interactions/month / 5 interactions per session = 6,000,000 sessions/month",
    ]


def test_sessions_are_those_measured_where_nobody_states_them():
    measured = plans.measured("session.interactions.mean", value=5.0)
    assert month_lines(provenance=(measured,), scales=(plans.scale(),))[1] == (
        "3,000,000 interactions/month / 5 interactions per session (measured) = "
        "600,000 sessions/month"
    )


def test_a_month_that_does_not_come_out_is_not_made_to():
    demand = plans.demand(interactions_per_month=2e6)
    assert month_lines(scales=(plans.scale(demand=demand),)) == []


def test_several_models_are_told_apart():
    load = plans.demand()["models"]["gpt-4o"]
    demand = plans.demand(models={"gpt-4o": load, "small": load})
    plan = plans.plan(scales=(plans.scale(demand=demand),))
    assert (
        "  of them small: 2,000 calls, 2,000 requests, 2,000,000 input tokens (800,000 cached), "
        "200,000 output tokens"
    ) in demand_lines(plan, plan.scales[0])


def test_a_limit_that_fits_says_how_much_more_would():
    roomy = plans.limit(
        allowed=10_000.0,
        utilization=0.2,
        excess=0.0,
        max_users=2500,
        max_users_within_headroom=2000,
        calls_that_fit=10.0,
    )
    plan = plans.plan(scales=(plans.scale(limits=(roomy,)),))
    assert limit_sum(plan, plan.scales[0].limits[0]) == (
        "2,000 / 10,000 = 20.0 %: fits; 2,500 users at most (2,000 with 80 % headroom); "
        "up to 10 calls per interaction would fit"
    )


@pytest.mark.parametrize(
    ("utilization", "within", "said"),
    [
        (4 / 3, 300, "does not fit. gpt-4o requests/min binds at 133.3 %"),
        (0.9, 450, "fits, but not within the headroom. gpt-4o requests/min binds at 90.0 %"),
        (0.5, 800, "fits. gpt-4o requests/min binds at 50.0 %"),
    ],
)
def test_the_verdict_says_what_binds_and_whether_it_fits(utilization, within, said):
    binding = plans.binding(utilization=utilization, max_users_within_headroom=within)
    plan = plans.plan(scales=(plans.scale(binding=binding),))
    assert f"- 1x, 500 users: {said}" in section(plan_markdown(plan), "Verdict")


def test_the_verdict_is_the_first_section_and_has_every_scale_as_a_column():
    text = plan_markdown(plans.plan())
    assert text.startswith("# Plan launch\n\n## Verdict\n")
    found = section(text, "Verdict")
    assert "|  | 1x: 500 users | 10x: 5,000 users |" in found
    assert row(found, "users that fit") == ["375", "375"]
    assert row(found, "workers") == ["12 (10 to 15), 4 slots each"] * 2
    assert row(found, "total, per month") == ["$18,000 ($15,000 to $22,000)"] * 2
    assert row(found, "per active user and month") == ["$9.00", "$9.00"]
    assert row(found, "per interaction") == ["$0.006", "$0.006"]
    assert row(found, "margin per user and month") == ["-$1.00", "-$1.00"]
    assert "- 1 warning: see below, under Warnings." in found


def test_what_is_not_trusted_or_only_the_mock_is_said_before_all_else():
    profile = plans.profile(mock=True, verdict="driver_limited", reasons=("late | sends",))
    plan = plans.plan(inputs=plans.inputs(profile=profile))
    head = plan_markdown(plan).split("## Verdict")[0]
    assert "**Warning.** The profile is not trusted" in head
    assert r"driver limited (late \| sends)" in head
    assert "**Warning.** The agent measured was the mock" in head
    shown = terminal(plan)
    assert shown.index("not trusted") < shown.index("Plan launch")
    assert "Warning" not in plan_markdown(plans.plan()).split("## Verdict")[0]


def test_the_three_numbers_of_a_limit_have_their_own_names_and_both_windows_side_by_side():
    text = plan_markdown(plans.plan())
    for title, cells in (
        ("Probability that a window is exceeded", ["71 %", "97 %"]),
        ("Share rejected", ["29 %", "25 %"]),
        ("Share of time limited", ["31 %", "26 %"]),
    ):
        found = section(text, title)
        assert "|  | 1x, 1 s | 1x, 60 s | 10x, 1 s | 10x, 60 s |" in found
        assert row(found, "gpt-4o requests/min") == cells * 2


def test_retries_have_intervals_of_the_simulation_and_the_fixed_point():
    found = section(plan_markdown(plans.plan(scales=(plans.scale(),))), "gpt-4o")
    assert "bucket of 60 s" in found
    assert row(found, "attempts rejected") == ["37 % [35 %, 39 %]"]
    assert row(found, "calls that fail after all retries") == ["6.2 % [5.5 %, 7.0 %]"]
    assert row(found, "time limited") == ["40 % [?]"]
    assert row(found, "fixed point: attempts rejected") == ["63 %"]


def test_three_counts_of_workers_stand_side_by_side_with_what_decided():
    text = plan_markdown(plans.plan(scales=(plans.scale(),)))
    found = section(text, "Workers")
    assert row(found, "by Erlang C") == ["14"]
    assert row(found, "by Allen-Cunneen") == ["11"]
    assert row(found, "which count decided") == ["simulation"]
    assert row(found, "which target asked for so many") == ["service_level.worker_wait_p95"]
    assert row(found, "answer latency, p95") == ["2.34 s [2.30, 2.38] (2.10 s to 2.90 s)"]
    waiting = section(text, "Queue")
    assert row(waiting, "5 x workers") == ["60"]
    assert row(waiting, "share of time with more waiting than 5 x workers") == [
        "&lt;0.1 % [0 %, 0.1 %]"
    ]


def test_a_target_that_no_number_of_workers_meets_is_said_at_the_top():
    plan = plans.plan(scales=(plans.scale(workers=plans.workers(meets_targets=False)),))
    assert "no number of workers meets" in section(plan_markdown(plan), "Verdict")
    assert "no number of workers meets" in terminal(plan)


def test_the_tree_has_exact_amounts_by_scale_and_lines_that_one_scale_lacks():
    spare = {"name": "spare", "usd": "0.5"}
    children = (*plans.tree()["children"], spare)
    other = plans.cost(tree=plans.tree(usd="18000.75", children=children))
    plan = plans.plan(scales=(plans.scale(1.0), plans.scale(3.0, cost=other)))
    found = section(plan_markdown(plan), "Cost tree")
    assert row(found, "total") == ["**$18,000.25**", "**$18,000.75**"]
    assert row(found, "&emsp;&emsp;gpt-4o") == ["$14,100.00", "$14,100.00"]
    assert row(found, "&emsp;operations") == ["$3,000.00", "$3,000.00"]
    assert row(found, "&emsp;spare") == ["—", "$0.50"]
    how = section(plan_markdown(plan), "How each line comes about")
    assert row(how, "API / gpt-4o")[:2] == ["6,000,000 calls", "$0.00235"]


def test_two_lines_of_one_name_are_both_in_the_tree():
    node = {"name": "disk", "usd": "1"}
    tree = plans.tree(usd="2", children=(node, node))
    plan = plans.plan(scales=(plans.scale(cost=plans.cost(tree=tree)),))
    found = section(plan_markdown(plan), "Cost tree")
    assert found.count("| &emsp;disk | \\$1.00 |") == 2


def test_managed_and_self_run_stand_side_by_side_and_operations_has_its_own_line():
    found = section(plan_markdown(plans.plan(scales=(plans.scale(),))), "Managed against self-run")
    assert "| 1x managed (planned) | 1x self-run |" in found
    assert row(found, "infrastructure") == ["$900", "$400"]
    assert row(found, "operations") == ["$3,000", "$6,000"]
    assert row(found, "total") == ["$18,000", "$20,500"]


def test_unit_economics_are_said_in_words():
    found = section(plan_markdown(plans.plan()), "Value against cost").replace("\\", "")
    assert "- 1x: -$1.00 margin per active user and month" in found
    said = "4.2x (below that, each user costs more than they bring)"
    assert f"- growth at which the margin changes its sign: {said}" in found
    assert "that leaves the margin aimed at: $8.00" in found
    economics = {
        "margins": {"1": 2.0},
        "breaks_at_factor": None,
        "note": "a profit at every scale",
        "needed_cost_per_user": 8.0,
    }
    found = section(plan_markdown(plans.plan(economics=economics)), "Value against cost")
    assert "changes its sign: — (a profit at every scale)" in found


def test_the_bars_go_from_the_lower_cost_to_the_higher_around_the_plan_s():
    """6,000 up is the widest and fills its 20 cells; 3,000 down is half of it."""
    plan = plans.plan()
    (line,) = tornado(plan.sensitivities, 18000.25)
    assert line == (f"users.peak_concurrent  {' ' * 10}{'▇' * 10}|{'▇' * 20}  $15,000 to $24,000")
    still = plans.sensitivity(input="a", cost_total=(18000.25, 18000.25))
    plan = plans.plan(sensitivities=(still,))
    assert tornado(plan.sensitivities, 18000.25) == [
        f"a  {' ' * 20}|{' ' * 20}  $18,000 to $18,000"
    ]
    assert tornado((), 1.0) == []


def test_what_a_change_would_buy_has_its_sign():
    found = section(plan_markdown(plans.plan()), "What if")
    assert row(found, "0.5 fewer LLM calls per interaction (1.5)")[:2] == ["$14,475", "-$3,525"]
    dearer = plans.plan(what_ifs=(plans.what_if(change="more", cost_change=12.0),))
    assert row(section(plan_markdown(dearer), "What if"), "more")[1] == "+$12.00"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "370 interactions cost $1.6924 at these prices."),
        ({"hypothetical": True}, "370 interactions would have cost $1.6924 at these prices."),
        ({"usd": None}, "370 interactions: — (tokens were not observed)."),
        ({"note": "warm-up included"}, "warm-up included"),
    ],
)
def test_what_the_run_cost_is_told_from_what_it_would_have_cost(changes, said):
    cost = {"usd": "1.6924", "hypothetical": False, "interactions": 370, "note": None, **changes}
    found = section(plan_markdown(plans.plan(run_cost=cost)), "What the run itself cost")
    assert said in found.replace("\\", "")


def test_measured_numbers_stand_with_interval_observer_and_coverage_and_the_inputs_with_dates():
    provenance = (
        plans.measured(),
        plans.measured("interaction.latency", used_for="latency", unit="s", coverage=None),
        plans.measured("state.reads", used_for="reads", ci95=None, coverage=0.5),
        plans.measured("cached", used_for="cached", unit="share", value=0.4, ci95=(0.3, 0.5)),
    )
    plan = plans.plan(provenance=provenance)
    found = section(
        plan_markdown(plan, command="agent-profiler plan x --demand d.yaml"),
        "Where each number comes from",
    )
    assert row(found, "LLM calls") == [
        "interaction.llm_calls",
        "2.00 [1.80, 2.20]",
        "response",
        "100 %",
    ]
    assert row(found, "latency")[1:] == ["2.00 s [1.80, 2.20]", "response", "— (not known)"]
    assert row(found, "reads")[1:] == ["2.00 [?]", "response", "50 %"]
    assert row(found, "cached")[1] == "40 % [30 %, 50 %]"
    assert "genai-prices 0.2.1, data of 2026-11-01, as at 2026-11-22" in found
    assert "aws us-east-1, 2026-10-01" in found
    assert "seed 7; 200 draws" in found
    assert "again: agent-profiler plan x --demand d.yaml" in found


def bare() -> Plan:
    """Return a plan in which all that may be null or empty is."""
    cost = plans.cost(
        per_user=None, value_per_user=None, margin_per_user=None, alternative={}, ranges90={}
    )
    none = plans.estimate(1.0)
    workers = plans.workers(
        wait_mean_s=none,
        wait_p95_ci95=None,
        answer_latency_p50_s=none,
        answer_latency_p95_s=none,
        ranges90={},
    )
    state = plans.state(
        reads_per_s=None,
        writes_per_s=None,
        hot_memory_bytes=None,
        cold_growth_bytes_per_month=None,
    )
    scale = plans.scale(
        demand=plans.demand(monthly_active_users=None, models={}, ranges90={}),
        limits=(),
        binding=None,
        retries=(),
        workers=workers,
        state=state,
        cost=cost,
    )
    prices = plans.inputs()["prices"] | {"models_date": None}
    return plans.plan(
        inputs=plans.inputs(prices=prices, demand={"of": "a later version"}),
        scales=(scale,),
        sensitivities=(plans.sensitivity(binding_utilization=None),),
        what_ifs=(plans.what_if(binding_utilization=None, max_users=None),),
        economics=None,
        run_cost={"usd": None, "hypothetical": True, "interactions": 0, "note": None},
        warnings=(),
        provenance=(),
    )


def test_what_is_null_is_a_dash_with_its_reason_and_never_zero():
    text = plan_markdown(bare())
    assert row(text, "what binds") == ["— (the demand names no limit of a model in use)"]
    assert row(text, "reads/s") == ["— (no observer saw state operations)"]
    assert row(text, "hot memory") == ["— (workers.memory_per_session is not given)"]
    assert row(text, "cold state, growth per month") == [
        "— (workers.cold_bytes_per_interaction is not given)"
    ]
    assert row(text, "per active user") == ["— (users.monthly_active is not given)"]
    assert row(text, "active users/month") == ["— (users.monthly_active is not given)"]
    assert row(text, "margin per active user")[0].startswith("— (value")
    assert row(text, "wait for a slot, p95") == ["210 ms [?]"]
    assert row(section(text, "Managed against self-run"), "total") == [
        "$18,000",
        "— (was not computed)",
    ]
    assert "— (value and users.monthly" in section(text, "Value against cost")
    assert "data of — (not known)" in text
    assert section(text, "Warnings").strip() == "None."
    assert "whether one would bind is not known" in section(text, "Limits")
    assert "None" not in text.replace("None.", "")
    shown = terminal(bare())
    assert "no limit is known to bind" in shown
    assert re.search(r"per active user +—", shown)


def test_names_from_outside_cannot_write_markdown_html_or_terminal_codes():
    load = plans.demand()["models"]["gpt-4o"]
    demand = plans.demand(models={HOSTILE: load, "b": load})
    scale = plans.scale(
        demand=demand,
        limits=(plans.limit(model=HOSTILE, limit=HOSTILE, counting=HOSTILE),),
        binding=plans.binding(model=HOSTILE, limit=HOSTILE),
        retries=(plans.retries(model=HOSTILE, enforcement=HOSTILE),),
        workers=plans.workers(decided_by=HOSTILE),
        cost=plans.cost(run_by=HOSTILE, tree=plans.tree(name=HOSTILE, note=HOSTILE)),
    )
    prices = dict.fromkeys(("models", "models_date", "at", "infrastructure"), HOSTILE)
    reasons = {"verdict": HOSTILE, "reasons": (HOSTILE,), "id": HOSTILE, "digest": HOSTILE}
    plan = plans.plan(
        name=HOSTILE,
        tool_version=HOSTILE,
        inputs=plans.inputs(profile=plans.profile(**reasons), prices=prices),
        scales=(scale,),
        sensitivities=(plans.sensitivity(input=HOSTILE, ends=HOSTILE),),
        what_ifs=(plans.what_if(change=HOSTILE, note=HOSTILE),),
        warnings=(HOSTILE,),
        provenance=(plans.measured(HOSTILE, used_for=HOSTILE, source=HOSTILE, unit=HOSTILE),),
        economics={
            "margins": {HOSTILE: 1.0},
            "breaks_at_factor": None,
            "note": HOSTILE,
            "needed_cost_per_user": 1.0,
        },
        run_cost={"usd": "1", "hypothetical": False, "interactions": 1, "note": HOSTILE},
    )
    text = plan_markdown(plan, command=HOSTILE)
    assert "\x1b" not in text
    assert not any(line.startswith("# big") for line in text.splitlines())
    outside = without_fenced(text)
    assert "<script" not in outside
    assert not re.search(r"(?<!\\)[\[\]`]", outside)
    assert "\x1b[31m" not in terminal(plan)
    assert "[red]x[/red]" in terminal(plan)


def without_fenced(text: str) -> str:
    """Leave out what stands between fences, as CommonMark (0.31, 4.5) finds them."""
    kept, fence = [], None
    for line in text.splitlines():
        if fence is None and (opened := re.fullmatch(r"(`{3,})text", line)):
            fence = opened[1]
        elif fence is not None:
            closing = re.fullmatch(r"(`+)\s*", line)
            fence = None if closing and len(closing[1]) >= len(fence) else fence
        else:
            kept.append(line)
    assert fence is None
    return "\n".join(kept)


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head():
    for plan in (plans.plan(), bare()):
        for table in re.findall(r"(?:^\|.*\n)+", plan_markdown(plan), flags=re.MULTILINE):
            cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(cells) == 1


def test_the_terminal_has_the_answers_in_a_hundred_columns_and_forty_lines():
    plan = plans.plan(scales=tuple(plans.scale(factor) for factor in (1.0, 3.0, 10.0)))
    lines = terminal(plan).splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 100 for line in lines)
    text = "\n".join(lines)
    assert re.search(r"total, per month +\$18,000 +\$18,000 +\$18,000", text)
    assert "500 users x 2 interactions/min = 1,000 interactions/min" in text
    assert "2,000 / 1,500 = 133.3 %" in text


def test_a_long_list_on_the_terminal_says_how_much_is_left_out():
    limits = tuple(plans.limit(model=f"m{number}") for number in range(6))
    plan = plans.plan(scales=(plans.scale(limits=limits),), warnings=tuple("abcdefg"))
    shown = terminal(plan)
    assert "… 2 more in plan.md" in shown.split("Warnings")[0]
    assert "… 2 more in plan.md" in shown.split("Warnings")[1]
