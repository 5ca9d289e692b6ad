"""docs/planning.md and the sample demand have every key of the demand's models, and its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from scipy.stats import poisson

from profiler.planner import demand as models
from profiler.planner import stages
from profiler.planner.demand import Demand
from profiler.planner.demand_file import load_demand
from profiler.planner.samples import sample_demand

GUIDE = Path(__file__).parents[2] / "docs" / "planning.md"
NAMES = {"models": "<model>"}
LEAST: dict[type[BaseModel], dict[str, Any]] = {
    models.Users: {"peak_concurrent": 1, "interactions_per_minute": 1},
    models.Traffic: {"peak_to_average": 1},
    models.ArrivalTrace: {"trace": "arrivals.csv"},
    models.Limits: {"requests_per_minute": 1},
    models.Price: {"input": 1, "output": 1},
    models.Value: {"per_interaction": 1},
    stages.Stage: {"name": "one"},
    stages.StageTrigger: {"metric": "active_sessions", "above": 1},
    stages.StageWorkers: {"least": 1, "most": 1},
    Demand: {
        "users": {"peak_concurrent": 1, "interactions_per_minute": 1},
        "traffic": {"peak_to_average": 1},
    },
}
"""The least that each section has to say."""


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections(part)


def keys(model: type[BaseModel], at: str = "") -> Iterator[tuple[str, type[BaseModel], FieldInfo]]:
    """Yield every key that may be written, with the section that it stands in."""
    for name, field in model.model_fields.items():
        yield at + name, model, field
        below = f"{at}{name}.{NAMES[name]}." if name in NAMES else f"{at}{name}."
        for section in sections(field.annotation):
            yield from keys(section, below)


EVERY = list(keys(Demand))


def documented() -> dict[str, str]:
    """Return the keys of the guide's table, and what it says of their defaults."""
    table = GUIDE.read_text().split("Every key:")[1].split("\n\n")[1]
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in table.splitlines()[2:]]
    assert all(len(row) == 4 for row in rows)
    return {row[0].strip("`"): row[2] for row in rows}


def test_every_key_is_in_the_guide_and_none_that_is_not():
    assert list(documented()) == [key for key, _, _ in EVERY]


@pytest.mark.parametrize(("key", "model", "field"), EVERY, ids=[key for key, _, _ in EVERY])
def test_the_guide_s_default_is_the_model_s(key: str, model: type[BaseModel], field: FieldInfo):
    """One in code is what the model takes when left out; words stand for no value at all."""
    said, name = documented()[key], key.rsplit(".", 1)[-1]
    least = LEAST.get(model, {})
    if said.startswith("`"):
        given = yaml.safe_load(said.strip("`"))
        assert model.model_validate({**least, name: given}) == model.model_validate(least)
    elif said == "required":
        assert field.is_required()
    elif said == "see below":
        assert not field.is_required()
    elif model is not models.ArrivalTrace:
        assert field.get_default(call_default_factory=True) in (None, {})


def test_the_sample_can_be_read(tmp_path: Path):
    file = tmp_path / "demand.yaml"
    file.write_text(sample_demand())
    demand = load_demand(file).demand
    assert demand.users.peak_concurrent.likely == 500
    assert demand.growth == (1.0, 3.0, 10.0)


def test_the_sample_has_every_key():
    text = sample_demand()
    missing = [
        key
        for key, _, _ in EVERY
        if not re.search(rf"(?:^|[\s#{{]){key.rsplit('.', 1)[-1]}:", text, re.MULTILINE)
    ]
    assert missing == []


OFF = [line for line in sample_demand().splitlines() if re.match(r"\s*#[^ ]", line)]
INSTEAD = {"think_time": "interactions_per_minute", "per_user_month": "per_interaction"}
"""A key that stands for another one, which then has to go."""


@pytest.mark.parametrize("line", OFF, ids=str.strip)
def test_a_key_that_is_left_out_of_the_sample_can_be_put_in(line: str):
    text = sample_demand().replace(line, line.replace("#", "", 1), 1)
    name = line.strip().lstrip("#").split(":")[0]
    if name in INSTEAD:
        text = re.sub(rf"^ *{INSTEAD[name]}:.*\n", "", text, flags=re.MULTILINE)
    if name == "burstiness":
        text = text.replace("  burstiness: 1\n", "")
    if name == "fallback":
        text = re.sub(r"^  #(gpt-4o-mini:)", r"  \1", text, flags=re.MULTILINE)
    assert text != sample_demand()
    Demand.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("mean", "admitted", "windows", "requests"),
    [(980, 1000, "26 %", "0.5 %"), (980 / 60, 16, "47 %", "11 %")],
)
def test_the_guide_s_example_of_a_limit_is_what_poisson_says(mean, admitted, windows, requests):
    """scipy: P(N > a), and E[(N - a)+] / E[N] = P(N >= a) - a/m P(N > a)."""
    over = poisson.sf(admitted, mean)
    rejected = poisson.sf(admitted - 1, mean) - admitted / mean * over
    assert f"{over:.0%}" == windows.replace(" ", "")
    assert f"{rejected:.{1 if rejected < 0.01 else 0}%}" == requests.replace(" ", "")
    example = GUIDE.read_text().split("980 requests a minute")[1].split("\n\n")[0]
    assert windows in example
    assert requests in example
