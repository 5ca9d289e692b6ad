"""The catalogue of technologies: sourced, dated, strict; a file of one's own is merged by name."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiler.errors import PlanError
from profiler.planner.demand import PARTS, Operations, Stack
from profiler.planner.operations import check_skills
from profiler.planner.price_book import load_price_book
from profiler.planner.stack import check_stack
from profiler.planner.stack_catalogue import SHIPPED, load_catalogue

CATALOGUE = load_catalogue()
RAW = yaml.safe_load(SHIPPED.read_text())


def figures(node: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping of the file that holds a number, or says what a technology lacks."""
    if isinstance(node, dict):
        if node.keys() & {"value", "tiers", "why", "familiar"}:
            yield at, node
        for key, value in node.items():
            yield from figures(value, f"{at}.{key}")
    elif isinstance(node, list):
        for place, item in enumerate(node):
            yield from figures(item, f"{at}[{place}]")


FIGURES = dict(figures(RAW["parts"]))


def test_the_candidates_are_there():
    assert {part: list(CATALOGUE.parts[part].technologies) for part in PARTS} == {
        "queue": [
            "redis_streams",
            "redis_lists",
            "sqs_standard",
            "sqs_fifo",
            "pubsub",
            "postgresql_skip_locked",
        ],
        "hot_state": ["redis", "memcached", "dynamodb"],
        "cold_state": ["postgresql", "dynamodb"],
        "compute": ["vms", "managed_containers", "kubernetes", "serverless"],
        "inference_routing": ["one_model", "multi_model_routing", "self_run_inference"],
    }


@pytest.mark.parametrize("figure", FIGURES.values(), ids=list(FIGURES))
def test_every_figure_has_a_source_and_a_day(figure: dict[str, Any]):
    assert figure["source"].startswith(("https://", "http://", "the demand:", "estimate"))
    assert isinstance(figure["date"], date)
    assert figure["date"] <= RAW["date"]
    if figure["source"] == "estimate":
        assert figure["reason"]


def test_figures_are_many():
    assert len(FIGURES) > 60


def test_hours_fall_with_skill_and_each_estimate_is_a_range():
    book = load_price_book()
    for part in CATALOGUE.parts.values():
        for technology in part.technologies.values():
            for way, hours in technology.hours.items():
                none, familiar, expert = (
                    hours.of(skill, way, book) for skill in ("none", "familiar", "expert")
                )
                assert none.likely > familiar.likely > expert.likely or (
                    hours.component == "providers"
                )
                assert all(one.low < one.high for one in (none, familiar, expert))


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return path


QUEUE = "parts:\n  queue:\n    technologies:\n"
SOURCED = "source: our load test, date: 2026-11-20"
NEW = f"""{QUEUE}      nats:
        name: NATS JetStream
        skill: nats
        limits:
          messages_per_s: {{value: 9000, {SOURCED}}}
        costs:
          self: [{{nodes: machines, copies: 3}}]
        hours:
          self: {{none: 20, familiar: 8, expert: 4, {SOURCED}}}
"""


def test_a_technology_of_ones_own_stands_beside_those_that_ship(tmp_path: Path):
    queue = load_catalogue(own(tmp_path, NEW)).parts["queue"].technologies
    assert list(queue) == [*CATALOGUE.parts["queue"].technologies, "nats"]
    assert queue["nats"].limits["messages_per_s"].value.likely == 9000
    assert queue["sqs_fifo"] == CATALOGUE.parts["queue"].technologies["sqs_fifo"]


def test_a_figure_is_replaced_and_its_neighbours_stay(tmp_path: Path):
    text = f"{QUEUE}      sqs_fifo: {{limits: {{messages_per_s: {{value: 7, {SOURCED}}}}}}}\n"
    fifo = load_catalogue(own(tmp_path, text)).parts["queue"].technologies["sqs_fifo"]
    shipped = CATALOGUE.parts["queue"].technologies["sqs_fifo"]
    assert fifo.limits["messages_per_s"].value.likely == 7
    assert fifo.limits["messages_per_s"].source == "our load test"
    assert not fifo.limits["messages_per_s"].adjustable
    assert fifo.limits["message_bytes"] == shipped.limits["message_bytes"]
    assert fifo.hours == shipped.hours


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            f"{QUEUE}      sqs_fifo: {{limits: {{messages_per_s: {{value: 7}}}}}}\n",
            r"own\.yaml:4: the key 'source' is missing",
        ),
        (
            f"{QUEUE}      sqs_fifo: {{limits: {{messages_per_s: {{value: 7, source: us}}}}}}\n",
            "the key 'date' is missing",
        ),
        (
            f"{QUEUE}      sqs_fifo: {{limits: {{message_per_s: {{value: 7, {SOURCED}}}}}}}\n",
            "no quantity 'message_per_s'. Did you mean 'messages_per_s'",
        ),
        (
            f"{QUEUE}      sqs_fifo: {{limit: {{}}}}\n",
            r"own\.yaml:4: unknown key 'limit'.*Did you mean 'limits'",
        ),
        (
            f"{QUEUE}      sqs_fifo: {{lacks: {{orderin: {{why: so, {SOURCED}}}}}}}\n",
            "no capability 'orderin'. Did you mean 'ordering'",
        ),
        (
            "parts:\n  qeue: {technologies: {}}\n",
            r"own\.yaml:2: .*qeue.*Did you mean 'queue'",
        ),
        (
            NEW.replace("nodes: machines", "rate: dis"),
            "the price book has no rate 'dis'. Did you mean 'disk'",
        ),
        (NEW.replace("nodes: machines", "spare: 1"), "a cost is nothing"),
        (NEW.replace("our load test", "estimate"), "an estimate without a reason"),
        (
            NEW.replace("          self: {none", "          managed: {none"),
            "has hours and no costs",
        ),
        (NEW.replace("familiar: 8, ", ""), "no hours for the skill 'familiar'"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, text: str, says: str):
    with pytest.raises(PlanError, match=says) as caught:
        load_catalogue(own(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_estimate_that_claims_to_be_exact_is_refused(tmp_path: Path):
    text = NEW.replace("{value: 9000, source: our load test", "{value: 9000, source: estimate")
    text = text.replace("date: 2026-11-20}", "date: 2026-11-20, reason: a guess}", 1)
    with pytest.raises(PlanError, match=r"an estimate is a range.*low: 1"):
        load_catalogue(own(tmp_path, text))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"prefer": {"queue": "redis_stream"}}, "no technology 'redis_stream' for queue"),
        ({"exclude": {"compute": ["kubernets"]}}, "Did you mean 'kubernetes'"),
        ({"require": {"queue": ["order"]}}, "Did you mean 'ordering'"),
        # one of another part
        ({"prefer": {"hot_state": "postgresql"}}, "no technology 'postgresql' for hot_state"),
    ],
)
def test_what_the_catalogue_does_not_have_names_the_nearest(asked: dict[str, Any], says: str):
    with pytest.raises(PlanError, match=says) as caught:
        check_stack(Stack.model_validate(asked), CATALOGUE)
    assert "\n" not in str(caught.value)


def test_skills_may_be_of_components_skills_and_technologies():
    skills = {"database": "expert", "redis": "none", "sqs_fifo": "expert"}
    check_skills(Operations.model_validate({"skills": skills}), CATALOGUE.skills())


def test_an_unknown_skill_names_the_nearest():
    team = Operations.model_validate({"skills": {"kubernets": "expert"}})
    with pytest.raises(PlanError, match=r"'kubernets' is no component.*Did you mean 'kubernetes'"):
        check_skills(team, CATALOGUE.skills())


def test_prices_of_its_own_are_as_their_sources_say():
    """SQS FIFO: $0.50 per million after the first; Pub/Sub: $40 per TiB after 10 GiB."""
    queue = CATALOGUE.parts["queue"].technologies
    fifo, pubsub = (queue[key].costs["managed"][0].price for key in ("sqs_fifo", "pubsub"))
    assert fifo is not None
    assert pubsub is not None
    assert fifo.cost(Decimal(3)) == 1
    assert pubsub.cost(Decimal(10) / 1024) == 0
    assert pubsub.cost(Decimal(1) + Decimal(10) / 1024) == 40
