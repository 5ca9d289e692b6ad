"""The stack of a whole plan: the shipped sample's, as its demand and its catalogue say."""

import re
from datetime import date
from pathlib import Path

import pytest

from profiler.errors import PlanError
from profiler.planner.build import build_plan
from profiler.planner.demand import PARTS
from profiler.planner.demand_file import load_demand
from profiler.planner.plan import Plan, dump_plan, load_plan
from profiler.planner.samples import sample_demand
from profiler.planner.stack_catalogue import load_catalogue
from profiler.planner.stack_model import StackPart
from profiler.profile.model import load_profile
from tests.planner.shortened import short_simulations

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "planning.md").read_text()
TECHNOLOGIES = {str(name): set(part.technologies) for name, part in load_catalogue().parts.items()}
FEW = sample_demand().replace("growth: [1, 3, 10]", "growth: [1, 10]")


def planned(folder: Path, text: str, **files: str) -> Plan:
    (folder / "demand.yaml").write_text(text)
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    asked = load_demand(folder / "demand.yaml")
    profile = load_profile(ROOT / "results" / "sample")
    with short_simulations():
        return build_plan(profile, asked, at=date(2026, 11, 22), draws=0, accept_untrusted=True)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return planned(tmp_path_factory.mktemp("sample"), FEW)


@pytest.fixture(scope="module")
def sample(plan: Plan) -> dict[str, StackPart]:
    return {part.part: part for part in plan.stack}


@pytest.fixture(scope="module")
def wished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StackPart]:
    """The sample with a fallback, a skill, the guide's catalogue, a preference, an exclusion."""
    own = re.search(r"```yaml\n(parts:.*?)```", GUIDE, re.DOTALL)
    assert own is not None
    text = FEW
    for before, after in (
        ("    #fallback: gpt-4o-mini", "    fallback: gpt-4o-mini"),
        ("  #gpt-4o-mini: {provider: openai, replaces: {gpt-4o: 30%}}", MINI),
        ("  #skills: {database: expert, ", "  skills: {postgresql: expert, "),
        ("  #catalogue: catalogue.yaml", "  catalogue: own.yaml"),
        ("  #prefer: ", "  prefer: "),
        ("  #exclude: ", "  exclude: "),
    ):
        assert before in text
        text = text.replace(before, after)
    plan = planned(tmp_path_factory.mktemp("wished"), text, own=own[1])
    return {part.part: part for part in plan.stack}


MINI = "  gpt-4o-mini: {limits: {tokens_per_minute: 150000000}, provider: openai}"


def test_every_part_has_a_choice_at_every_scale(sample: dict[str, StackPart]):
    assert list(sample) == list(PARTS)
    for part in sample.values():
        assert [choice.factor for choice in part.scales] == [1, 10]
        for choice in part.scales:
            named = {choice.winner, *(loser.key for loser in choice.losers)} - {None}
            assert named == TECHNOLOGIES[part.part]
            assert all(loser.reason for loser in choice.losers)


def test_bill_and_hours_add_up(sample: dict[str, StackPart]):
    """An hour is 90 in the sample's demand."""
    for part in sample.values():
        for choice in part.scales:
            amounts = (choice.infrastructure_usd, choice.operations_usd, choice.hours)
            if choice.winner is None:
                assert amounts == (None, None, None)
                continue
            bill, people, hours = (amount or 0.0 for amount in amounts)
            assert people == hours * 90
            assert choice.usd_per_month == pytest.approx(bill + people)


def test_the_queue_is_chosen_by_hours_and_says_that_throughput_does_not_decide(
    sample: dict[str, StackPart],
):
    queue = sample["queue"]
    assert queue.winner == "sqs_standard"
    assert queue.verdict.startswith("Throughput does not decide")
    assert queue.requires == ("visibility_timeout",)
    assert queue.margin is not None
    assert queue.margin.factor == 10
    assert queue.margin.share == queue.margin.demand / queue.margin.limit < 0.01
    lists = next(one for one in queue.scales[0].losers if one.key == "redis_lists")
    assert lists.eliminated
    assert "visibility_timeout" in lists.reason


def test_closed_models_cannot_be_run_by_oneself(sample: dict[str, StackPart]):
    """The sample's model is gpt-4o at OpenAI."""
    routing = sample["inference_routing"]
    own = next(one for one in routing.scales[0].losers if one.key == "self_run_inference")
    assert own.eliminated
    assert "closed_models" in own.reason
    assert routing.winner == "one_model"


def test_a_provider_s_limit_that_growth_breaks_ends_one_model(sample: dict[str, StackPart]):
    """At 10x the sample's tokens are 175 % of gpt-4o's limit, and no fallback is named."""
    routing = sample["inference_routing"]
    assert routing.scales[1].winner is None
    assert routing.changes == ("from 10x on: nothing in the catalogue carries it",)
    reasons = {one.key: one.reason for one in routing.scales[1].losers}
    assert "over its limit: the fullest limit of a provider is used to 174" in reasons["one_model"]


def test_a_fallback_makes_routing_carry_what_one_model_cannot(wished: dict[str, StackPart]):
    routing = wished["inference_routing"]
    assert [choice.winner for choice in routing.scales] == ["one_model", "multi_model_routing"]
    assert routing.changes == ("from 10x on: multi-model routing",)
    assert "one model ends at 10x" in routing.verdict


def test_a_team_s_skill_turns_the_choice(
    sample: dict[str, StackPart], wished: dict[str, StackPart]
):
    """PostgreSQL and DynamoDB cost about the same: whichever the team knows better wins."""
    before, after = sample["cold_state"], wished["cold_state"]
    assert before.winner == "dynamodb"
    assert "skill: a team expert in postgresql, then PostgreSQL wins" in before.overturned_by
    assert (after.winner, after.level) == ("postgresql", "expert")


def test_a_catalogue_and_wishes_of_ones_own_are_taken(wished: dict[str, StackPart]):
    queue, compute = wished["queue"], wished["compute"]
    assert queue.scales[0].hours == 0.2  # of the guide's catalogue
    pubsub = next(one for one in queue.scales[0].losers if one.key == "pubsub")
    assert pubsub.reason == "the demand excludes it"
    assert compute.winner == "managed_containers"
    assert compute.overturned_by[0].startswith("leaving out the preference: serverless")


def test_what_there_is_not_is_told_before_anything_is_computed(tmp_path: Path):
    text = FEW.replace("  #prefer: {compute: managed_containers}", "  prefer: {compute: fargate}")
    with pytest.raises(PlanError, match=r"no technology 'fargate' for compute"):
        planned(tmp_path, text)


def test_the_guide_names_the_technologies_skills_requirements_and_capabilities():
    catalogue = load_catalogue()
    table = GUIDE.split("| part | technologies: their skill |")[1].split("\n\n")
    capabilities = " ".join(table[1].split()) + " "
    for name, row in zip(PARTS, table[0].splitlines()[2:], strict=True):
        part = catalogue.parts[name]
        assert re.findall(r"`(\w+)`", row) == [name, *part.technologies]
        skills = dict.fromkeys(one.skill for one in part.technologies.values())
        assert re.findall(r"`: (\w+)", row) == list(skills)
        assert set(part.requires) <= set(row.rsplit("|", 2)[1].split(", ")) | {
            row.rsplit("|", 2)[1].strip()
        }
        assert f": {', '.join(part.capabilities)}" in capabilities or (
            f"of {name.replace('_', ' ')}: {', '.join(part.capabilities)}" in capabilities
        )


def test_the_plan_can_be_read_again(plan: Plan, tmp_path: Path):
    (tmp_path / "plan.json").write_bytes(dump_plan(plan))
    assert load_plan(tmp_path) == plan
