"""`agent-profiler review` against a real Prometheus that has seen nine days of production."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from profiler.cli import review
from profiler.errors import GateFailedError
from profiler.planner.plan import Plan, dump_plan
from tests.planner.review_profiles import planned
from tests.system.prometheus_server import prometheus

pytestmark = pytest.mark.system

DAY_S = 86_400
DAYS, SCRAPED_S, SELDOM_S = 9, 60, 3600
TOOL_S = 0.8
EDGES = (0.25, 0.5, 1.0, 2.5, 5.0)


def series(now: int, *, waiting: int) -> Iterator[str]:
    """Yield OpenMetrics: counters that rise until now, traffic each minute, the rest each hour.

    2,000 interactions a day come evenly; each takes 1.4 s, of which the tool 0.8.
    """
    begin = now - DAYS * DAY_S
    often, done = (
        [(at, 2000 * (at - begin) / DAY_S) for at in range(begin, now + 1, step)]
        for step in (SCRAPED_S, SELDOM_S)
    )
    yield from counter("agent_interactions", often, 1.0, 'outcome="ok"')
    yield from histogram("agent_interaction_duration_seconds", done, 1.4)
    yield from histogram("agent_interaction_llm_calls", done, 2.0)
    yield from histogram("agent_interaction_tokens", done, 5440.0, 'part="input"')
    yield from histogram("agent_interaction_tokens", done, 4000.0, 'part="history"', head=False)
    yield from histogram("agent_tool_duration_seconds", done, TOOL_S, 'gen_ai_tool_name="search"')
    yield "# TYPE agent_queue_depth gauge"
    yield from (f"agent_queue_depth {waiting} {at}" for at, _ in often[-60:])
    yield "# EOF"


def counter(name: str, done: list[tuple[int, float]], each: float, labels: str) -> Iterator[str]:
    yield f"# TYPE {name} counter"
    yield from (f"{name}_total{{{labels}}} {n * each} {at}" for at, n in done)


def histogram(
    name: str, done: list[tuple[int, float]], mean: float, labels: str = "", *, head: bool = True
) -> Iterator[str]:
    if head:
        yield f"# TYPE {name} histogram"
    more = f"{labels}," if labels else ""
    for edge in (*EDGES, float("inf")):
        text = "+Inf" if edge == float("inf") else f"{edge}"
        inside = 1.0 if mean <= edge else 0.0
        yield from (f'{name}_bucket{{{more}le="{text}"}} {n * inside} {at}' for at, n in done)
    own = f"{{{labels}}}" if labels else ""
    yield from (f"{name}_count{own} {n} {at}" for at, n in done)
    yield from (f"{name}_sum{own} {n * mean} {at}" for at, n in done)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Of fifty users, who start on one server: stage 2 is ahead of them."""
    users = {"peak_concurrent": 50, "interactions_per_minute": 2}
    return planned(tmp_path_factory.mktemp("plan"), users=users, rollout={})


@pytest.fixture(scope="module")
def found(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Review a production in which messages wait; nothing else in it depends on that."""
    folder: Path = tmp_path_factory.mktemp("review")
    (folder / "plan.json").write_bytes(dump_plan(plan))
    text = "\n".join(series(int(time.time()), waiting=10_000)) + "\n"
    with prometheus(text) as url, suppress(GateFailedError):
        review.command(folder, actual=f"prometheus={url}", since="8d", quiet=True)
    loaded: dict[str, Any] = orjson.loads((folder / "review.json").read_bytes())
    return loaded


def test_a_real_prometheus_tells_what_drifted(found):
    inputs = {each["name"]: each for each in found["inputs"]}
    assert inputs["interaction.tool_time"]["actual"] == pytest.approx(TOOL_S, rel=0.01)
    assert inputs["interaction.tool_time"]["status"] == "drifted"
    assert inputs["interaction.latency"]["actual"] == pytest.approx(1.4, rel=0.01)
    assert inputs["interaction.latency"]["follows"] == ["interaction.tool_time"]
    assert inputs["interaction.history_tokens"]["status"] == "steady"
    assert inputs["traffic.month"]["actual"] == pytest.approx(30 * 2000, rel=0.01)
    assert inputs["traffic.peak"]["actual"] == pytest.approx(2000 / 1440, rel=0.01)
    assert found["growth"] is None, "four weeks tell of growth, and nine days do not"
    missing = {each["name"]: each["reason"] for each in found["not_compared"]}
    assert missing["interaction.attempts"] == "production has nothing of agent_llm_attempts_total"


def test_a_queue_that_waits_has_fired_its_trigger(found):
    fired = [each for each in found["triggers"] if each["state"] == "fired"]
    assert [each["stage"] for each in fired if each["stage"]] == [2]
    assert found["verdict"] == "act_now"
