"""A reader sees how far each observer can be trusted, and where they differ, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import (
    NO_TRACE,
    Attribution,
    Observer,
    ObserverNote,
    Outcome,
    Record,
    StateDelta,
    StateKind,
    TokenParts,
    Usage,
)
from profiler.profile.build import build_profile
from profiler.profile.model import WorkloadProfile
from profiler.report.markdown import profile_markdown
from profiler.report.observations import observer_facts, observer_sections
from profiler.report.quantities import TIMES
from tests.profile.journals import MS, interaction, llm_call, run, state_op, write
from tests.profile.observed_run import RUN, observed_run
from tests.report.test_report import HOSTILE, printed, row, words

GATEWAY, OTEL = Observer.GATEWAY, Observer.OTEL
LEDGER = "Token ledger: our count against the provider's"
DIFFERENCES = "Where observers differ: on average, and in how many interactions"


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> WorkloadProfile:
    return build_profile(write(tmp_path_factory.mktemp("runs"), *observed_run(), first=RUN))


def lines(profile: WorkloadProfile, title: str) -> tuple[str, ...]:
    found = {section.title: section.lines for section in observer_sections(profile)}
    return found.get(title, ())


def profile_of(tmp_path: Path, *records: Record, **kwargs) -> WorkloadProfile:
    return build_profile(write(tmp_path, *records, **kwargs))


def test_the_header_says_how_much_each_saw_and_how_calls_were_assigned(observed: WorkloadProfile):
    assert dict(observer_facts(observed)) == {
        "observers": "gateway 40 of 40 · otel 38 of 40 (2 unseen) · response 40 of 40 interactions",
        "attribution": "gateway: 76 of 78 LLM calls (trace 56, tool_chain 20), 2 ambiguous",
        "429s": "m 3 of 81 requests (asked to wait up to 1.00 s)",
        "stores": "of the whole run, by their own count: redis 138 reads, 42 writes",
    }


def test_notes_and_calls_of_nobody_are_limits(observed: WorkloadProfile):
    assert lines(observed, "What limits observers") == (
        (
            "gateway: 2 LLM calls could not be assigned to an interaction: in no number of "
            "interactions, which are too low by so much."
        ),
        "gateway: ambiguous (2 times): 2 interactions sent the same text at one time",
        "otel: no_spans (2 times): t38 ended without a span",
    )


def test_the_ledger_has_a_line_for_each_model(observed: WorkloadProfile):
    assert lines(observed, LEDGER) == (
        (
            "m (gateway): input of 78 calls: reported +40.0 tokens a call against our "
            "count, an error of 2.9 %; corrected "
            f"(1.000 {TIMES} messages + 1.000 {TIMES} tool schemas + 43.0): ±0, 0 %; "
            "output of 78 calls: reported +2.00 tokens a call against our "
            "count, an error of 4.0 %; corrected "
            f"(1.042 {TIMES} counted): ±0, 0 %."
        ),
    )


def test_a_count_that_cannot_be_corrected_says_why(tmp_path: Path):
    parts = TokenParts(system=9, tool_schemas=0, history=0, user=0, tool_results=0, overhead=3)
    call = llm_call("a", tokens=parts, usage=Usage(input_tokens=10), model="x")
    assert lines(profile_of(tmp_path, call, interaction("a")), LEDGER) == (
        (
            "x (response): input of 1 call: reported -2.00 tokens a call against our "
            "count, an error of 20 %; "
            "no correction: 1 term needs 4 calls, there are 1."
        ),
    )


def test_differences_of_one_pair_and_cause_are_one_line(observed: WorkloadProfile):
    found = lines(observed, DIFFERENCES)
    assert (
        "gateway minus otel: llm_calls -0.05 (2 of 38), input_tokens -69.7 (2 of 38), "
        "output_tokens -3.16 (2 of 38). Likely: LLM calls that the gateway could not assign to an "
        "interaction. See t07."
    ) in found
    assert (
        "gateway, reported minus counted: input_tokens +76.0 (39 of 40). Likely: the provider "
        "adds overhead for tool schemas. See t00."
    ) in found
    assert (
        "redis over the whole run, state_store minus otel: state_reads +18.0 of 138, "
        "state_writes +2.00 of 42. Likely: operations outside interactions, of other clients, or "
        "not instrumented."
    ) in found


def test_clocks_that_differ_by_little_are_not_shown(tmp_path: Path):
    def records(end_ms: int) -> list[Record]:
        return [
            llm_call("a", observer=GATEWAY, start_ns=0, end_ns=100 * MS),
            llm_call("a", observer=OTEL, start_ns=0, end_ns=end_ms * MS),
            interaction("a"),
        ]

    assert lines(profile_of(tmp_path, *records(104)), DIFFERENCES) == ()
    assert lines(profile_of(tmp_path, *records(110)), DIFFERENCES) == (
        "gateway minus otel: llm_time -10.0 ms (1 of 1). See a.",
    )


def test_round_trips_and_retries_are_rows(observed: WorkloadProfile):
    text = printed(observed)
    assert row(text, "search+weather") == "search+weather 200 ms ±0 — gateway"
    assert row(text, "requests for them") == "requests for them ≈ 1.98 ±0.16 3 [?] gateway"
    assert row(text, "failed requests and waits").endswith("gateway")
    assert "never a tool's own time" in words(text)


def test_many_differences_and_models_are_cut_and_counted(tmp_path: Path):
    parts = TokenParts(system=9, tool_schemas=0, history=0, user=0, tool_results=0, overhead=3)
    usage = Usage(input_tokens=10)
    records: list[Record] = [
        llm_call("a", model=f"m{i:02}", tokens=parts, usage=usage) for i in range(14)
    ]
    records += [
        ObserverNote(observer=GATEWAY, kind=f"k{i:02}", detail="x" * 500) for i in range(14)
    ]
    profile = profile_of(tmp_path, *records, interaction("a"))
    assert lines(profile, LEDGER)[-1] == "2 more models in profile.json"
    assert len(lines(profile, LEDGER)) == 13
    limits = lines(profile, "What limits observers")
    assert limits[-1] == "gateway: 2 more kinds in profile.json"
    assert max(map(len, limits)) < 230


def test_an_observer_that_saw_nothing_says_so(tmp_path: Path):
    first = run(observers=("client", "otel", "response"))
    profile = profile_of(tmp_path, interaction("a"), first=first)
    assert dict(observer_facts(profile)) == {"observers": "otel 0 of 1 (1 unseen) interactions"}


def test_where_there_is_nothing_to_say_nothing_is_said(tmp_path: Path):
    records: list[Record] = [llm_call("a", usage=Usage(input_tokens=1)), interaction("a")]
    profile = profile_of(tmp_path, *records, state_op("a", StateKind.READ, 1))
    assert observer_facts(profile) == []
    assert observer_sections(profile) == ()
    assert "## Notes" not in profile_markdown(profile)


def test_events_of_nobody_are_counted(tmp_path: Path):
    lost = state_op(NO_TRACE, StateKind.READ, 1, observer=OTEL)
    refused = llm_call(
        NO_TRACE,
        observer=GATEWAY,
        attribution=Attribution.AMBIGUOUS,
        outcome=Outcome.HTTP_429,
    )
    profile = profile_of(tmp_path, lost, refused, interaction("a"))
    assert (
        "otel: tool calls, state operations and round trips of no interaction that could be told, "
        "in no statistic: 1."
    ) in lines(profile, "What limits observers")
    facts = dict(observer_facts(profile))
    assert facts["attribution"] == "gateway: 0 of 1 LLM call, 1 ambiguous"
    assert facts["429s"] == "m 1 of 1 request"
    assert facts["LLM errors"] == "gateway: 1 of 1 LLM call failed (http_429 1)"


def test_a_store_whose_count_is_void_says_why(tmp_path: Path):
    delta = StateDelta(store="redis", reads=5, void_reason="Redis was restarted")
    profile = profile_of(tmp_path, delta, interaction("a"))
    assert lines(profile, "What limits observers") == (
        "state_store: what redis counted cannot be used: Redis was restarted",
    )
    assert "stores" not in dict(observer_facts(profile))


def test_requests_that_spans_do_not_show_are_told_beside_their_calls(tmp_path: Path):
    gateway = llm_call("a", observer=GATEWAY, attempts=3)
    profile = profile_of(tmp_path, gateway, llm_call("a", observer=OTEL), interaction("a"))
    assert lines(profile, DIFFERENCES) == (
        (
            "gateway minus otel's llm_calls: attempts +2.00 (1 of 1). Likely: SDK retries: spans "
            "show a call once, the gateway each request. See a."
        ),
    )


def test_markdown_has_the_sections_as_lists_and_escapes_them(tmp_path: Path):
    records: list[Record] = [
        llm_call("a", model=HOSTILE, observer=GATEWAY, outcome=Outcome.HTTP_429),
        ObserverNote(observer=GATEWAY, kind=HOSTILE, detail=HOSTILE),
        interaction("a"),
    ]
    profile = profile_of(tmp_path, *records)
    markdown = profile_markdown(profile)
    assert "## What limits observers\n\n- gateway: " in markdown
    assert "## Notes\n\n- " in markdown
    assert "<script" not in markdown
    assert "\x1b" not in markdown
    assert "\x1b" not in printed(profile)


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_longer_than_the_terminal(observed: WorkloadProfile, width: int):
    assert max(len(line) for line in printed(observed, width).splitlines()) <= width
