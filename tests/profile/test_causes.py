"""A cause is named where the numbers fit it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import (
    NO_TRACE,
    LlmCall,
    Observer,
    Record,
    StateDelta,
    StateKind,
    TokenParts,
    Usage,
)
from profiler.profile.build import build_profile
from profiler.profile.causes import CAUSES
from profiler.profile.model import WorkloadProfile
from tests.profile.journals import interaction, llm_call, state_op, write
from tests.profile.observed_run import RUN, observed_run

GATEWAY, OTEL, RESPONSE = Observer.GATEWAY, Observer.OTEL, Observer.RESPONSE
RETRIES = "SDK retries: spans show a call once, the gateway each request"
UNASSIGNED = "LLM calls that the gateway could not assign to an interaction"
TWICE = "sub-agents or two instrumentations: spans count a call twice"
SCHEMAS = "the provider adds overhead for tool schemas"
OUTSIDE = "operations outside interactions, of other clients, or not instrumented"


def call(trace: str, observer: Observer, attempts: int | None = None, **usage) -> LlmCall:
    return llm_call(trace, observer=observer, attempts=attempts, usage=Usage(**usage))


def causes(tmp_path: Path, *records: Record) -> dict[tuple[str, str, str], str | None]:
    """The causes of what differs: by metric (reported against counted: `counted`) and observers."""
    return causes_of(build_profile(write(tmp_path, *records)))


def causes_of(profile: WorkloadProfile) -> dict[tuple[str, str, str], str | None]:
    return {
        (
            "counted" if row.observer_a == row.observer_b else row.metric,
            row.observer_a,
            row.observer_b,
        ): row.cause
        for row in profile.reconciliation
        if row.differing
    }


def test_requests_that_spans_do_not_show_are_retries(tmp_path: Path):
    found = causes(
        tmp_path,
        call("a", GATEWAY, 3),
        call("a", OTEL, 1),
        interaction("a"),
        call("b", GATEWAY, 1),
        call("b", OTEL, 1),
        interaction("b"),
    )
    assert found == {("attempts", "gateway", "otel"): RETRIES}


def test_requests_are_compared_with_calls_where_the_other_sees_no_requests(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            call("a", GATEWAY, 3),
            call("a", OTEL),
            interaction("a"),
            call("b", GATEWAY, 1),
            call("b", OTEL),
            interaction("b"),
        )
    )
    assert causes_of(profile) == {("attempts", "gateway", "otel"): RETRIES}
    (row,) = (row for row in profile.reconciliation if row.differing)
    assert (row.against, row.compared, row.sum_a, row.sum_b) == ("llm_calls", 2, 4, 2)


@pytest.mark.parametrize(
    ("gateway", "otel"),
    [
        ([3], [1, 1]),  # other calls
        ([1], [2]),  # spans have more
        ([4], [2]),  # spans do show retries, but not all
    ],
)
def test_other_differences_in_attempts_are_not_explained(
    tmp_path: Path, gateway: list[int], otel: list[int]
):
    found = causes(
        tmp_path,
        *(call("a", GATEWAY, n) for n in gateway),
        *(call("a", OTEL, n) for n in otel),
        interaction("a"),
    )
    assert found["attempts", "gateway", "otel"] is None


def test_calls_that_the_gateway_could_not_assign_are_missing_there(tmp_path: Path):
    records: list[Record] = [
        call("a", GATEWAY, input_tokens=5),
        call("a", OTEL, input_tokens=5),
        call("a", OTEL, input_tokens=7),
        interaction("a"),
    ]
    found = causes(tmp_path, *records, call(NO_TRACE, GATEWAY))
    assert found == {
        ("llm_calls", "gateway", "otel"): UNASSIGNED,
        ("input_tokens", "gateway", "otel"): UNASSIGNED,
    }
    assert set(causes(tmp_path, *records).values()) == {None}


def test_twice_the_calls_with_twice_the_tokens_were_counted_twice(tmp_path: Path):
    records: list[Record] = []
    for trace, times in (("a", 2), ("b", 1), ("c", 2)):
        records += [call(trace, GATEWAY, input_tokens=50, output_tokens=7)]
        records += [call(trace, OTEL, input_tokens=50, output_tokens=7)] * times
        records += [interaction(trace)]
    found = causes(tmp_path, *records)
    metrics = ("llm_calls", "input_tokens", "output_tokens")
    assert found == {(metric, "gateway", "otel"): TWICE for metric in metrics}


def test_twice_the_calls_with_other_tokens_were_not(tmp_path: Path):
    found = causes(
        tmp_path,
        call("a", GATEWAY, input_tokens=50),
        call("a", OTEL, input_tokens=50),
        call("a", OTEL, input_tokens=20),
        interaction("a"),
    )
    assert set(found.values()) == {None}


def test_an_observer_that_never_has_what_another_has_drops_it(tmp_path: Path):
    found = causes(
        tmp_path,
        call("a", GATEWAY, reasoning_tokens=8, cached_input_tokens=9),
        call("a", OTEL, reasoning_tokens=0, cached_input_tokens=0),
        call("a", RESPONSE, reasoning_tokens=0, cached_input_tokens=9),
        interaction("a"),
    )
    drops = "this instrumentation drops"
    assert found == {
        ("reasoning_tokens", "gateway", "otel"): f"{drops} reasoning tokens",
        ("reasoning_tokens", "gateway", "response"): (
            "the agent's account leaves reasoning tokens out"
        ),
        ("cached_input_tokens", "gateway", "otel"): f"{drops} cached input tokens",
        ("cached_input_tokens", "otel", "response"): f"{drops} cached input tokens",
    }


def test_a_number_that_is_short_by_its_part_leaves_it_out(tmp_path: Path):
    full = {"cached_input_tokens": 30, "reasoning_tokens": 4}
    found = causes(
        tmp_path,
        call("a", GATEWAY, input_tokens=100, output_tokens=10, **full),
        call("a", OTEL, input_tokens=70, output_tokens=6, **full),
        interaction("a"),
    )
    assert found == {
        ("input_tokens", "gateway", "otel"): (
            "the other's input does not include what was read from a cache"
        ),
        ("output_tokens", "gateway", "otel"): "the other's output does not include reasoning",
    }


def counted(trace: str, tool_schemas: int, above: int, history: int = 0) -> LlmCall:
    """A call for which so much more was reported than we counted."""
    parts = TokenParts(
        system=90, tool_schemas=tool_schemas, history=history, user=7, tool_results=0, overhead=3
    )
    usage = Usage(input_tokens=100 + tool_schemas + history + above)
    return llm_call(trace, observer=GATEWAY, tokens=parts, usage=usage)


@pytest.mark.parametrize(
    ("above", "cause"),
    [
        ([(50, 40), (50, 40), (90, 41)], SCHEMAS),  # near enough the same, each call with tools
        ([(50, 40), (50, 40), (0, 0)], SCHEMAS),  # nothing without tools
        ([(50, 40), (50, 40), (0, 40)], None),  # the same without tools
        ([(50, 40), (50, 10), (90, 90)], None),  # not the same
        ([(50, -40), (50, -40)], None),  # less
        ([(0, 40), (0, 40)], None),  # no tools at all
    ],
)
def test_overhead_for_tool_schemas_is_there_with_tools_only(
    tmp_path: Path, above: list[tuple[int, int]], cause: str | None
):
    records: list[Record] = []
    for number, (tool_schemas, more) in enumerate(above):
        records += [counted(f"t{number}", tool_schemas, more), interaction(f"t{number}")]
    assert causes(tmp_path, *records) == {("counted", "gateway", "gateway"): cause}


def test_overhead_may_go_with_the_schemas_size(tmp_path: Path):
    records: list[Record] = []
    for number in range(20):
        size = 100 * (number % 4)
        call_of = counted(f"t{number}", size, size // 2, history=number * number)
        records += [call_of, interaction(f"t{number}")]
    assert causes(tmp_path, *records) == {("counted", "gateway", "gateway"): SCHEMAS}


def test_a_count_that_is_off_by_a_share_of_all_is_not_blamed_on_schemas(tmp_path: Path):
    records: list[Record] = []
    for number in range(20):
        history, size = 10 * number * number, 100 * (number % 4)
        above = (100 + history + size) // 10
        records += [counted(f"t{number}", size, above, history), interaction(f"t{number}")]
    assert causes(tmp_path, *records) == {("counted", "gateway", "gateway"): None}


def test_a_store_that_counts_more_was_used_by_others_too_and_one_that_counts_less_is_not_explained(
    tmp_path: Path,
):
    found = causes(
        tmp_path,
        state_op("a", StateKind.READ, 3),
        state_op("a", StateKind.WRITE, 3),
        interaction("a"),
        StateDelta(store="redis", reads=5, writes=2),
    )
    assert found == {
        ("state_reads", "state_store", "response"): OUTSIDE,
        ("state_writes", "state_store", "response"): None,
    }


def test_the_made_up_run_is_explained_but_for_the_time_that_retries_take(tmp_path: Path):
    found = causes_of(build_profile(write(tmp_path, *observed_run(), first=RUN)))
    assert {key for key, cause in found.items() if cause is None} == {
        ("llm_time", "gateway", "otel"),
        ("llm_time", "gateway", "response"),
    }
    # Three interactions with more requests, two with fewer calls: both are said.
    assert found["attempts", "gateway", "otel"] == f"{RETRIES}; {UNASSIGNED}"
    assert found["counted", "gateway", "gateway"] == SCHEMAS
    assert found["state_reads", "state_store", "otel"] == OUTSIDE


def test_every_cause_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "profile.md").read_text()
    documented = [line.split("|")[1].strip() for line in page.splitlines() if line[:2] == "| "]
    assert [text for text in documented if text in {cause.text for cause in CAUSES}] == [
        cause.text for cause in CAUSES
    ]
