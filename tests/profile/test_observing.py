"""What each observer saw, how its calls were assigned, and what limits it, is in the profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.measure.records import (
    NO_TRACE,
    Attribution,
    Observer,
    ObserverNote,
    Outcome,
    Phase,
    StateKind,
    Usage,
    Watched,
)
from profiler.profile.build import build_profile
from profiler.profile.merge import merge_profiles
from profiler.profile.model import WorkloadProfile, dump_profile, load_profile
from tests.profile.journals import interaction, llm_call, run, state_op, tool_call, write
from tests.profile.observed_run import RUN, observed_run

GATEWAY, OTEL = Observer.GATEWAY, Observer.OTEL


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> WorkloadProfile:
    return build_profile(write(tmp_path_factory.mktemp("runs"), *observed_run(), first=RUN))


def numbers(profile: WorkloadProfile, metric: str) -> tuple[int, int, str]:
    """Interactions, sum, and source."""
    found = profile.interaction[metric]
    return found.count, found.clusters.sum_s, found.source


def test_a_protocol_that_shows_tools_tells_of_no_llm_call(tmp_path: Path):
    none = Watched(trace_id="b", observer=Observer.RESPONSE, llm_calls=False)
    tool = tool_call("a", "f", observer=Observer.RESPONSE)
    profile = build_profile(write(tmp_path, tool, none, *(interaction(trace) for trace in "abc")))
    assert numbers(profile, "tool_calls") == (2, 1, "response")  # of c nobody said anything
    assert not {"llm_calls", "attempts", "llm_time", "own_time"} & set(profile.interaction)


def test_a_protocol_that_never_showed_a_tool_tells_nothing(tmp_path: Path):
    none = Watched(trace_id="a", observer=Observer.RESPONSE, llm_calls=False)
    profile = build_profile(write(tmp_path, none, interaction("a")))
    assert not {"llm_calls", "tool_calls", "tool_time"} & set(profile.interaction)


def test_llm_calls_from_who_sees_no_tools_tell_of_no_tool(tmp_path: Path):
    call = llm_call("a")
    blind = Watched(trace_id="a", observer=Observer.RESPONSE, llm_calls=False, tool_calls=False)
    profile = build_profile(write(tmp_path, call, blind, interaction("a")))
    assert numbers(profile, "llm_calls") == (1, 1, "response")
    assert not {"tool_calls", "tool_time", "own_time"} & set(profile.interaction)
    seen = build_profile(write(tmp_path, call, interaction("a")))
    assert numbers(seen, "tool_calls") == (1, 0, "response")


def test_an_interaction_that_was_watched_without_a_call_has_none(tmp_path: Path):
    call = llm_call("a", observer=GATEWAY, attempts=1, start_ns=0, end_ns=5000)
    usage = Usage(input_tokens=7)
    profile = build_profile(
        write(
            tmp_path,
            call,
            llm_call("b", observer=GATEWAY, usage=usage, attempts=1, start_ns=0, end_ns=1000),
            Watched(trace_id="c", observer=GATEWAY),
            *(interaction(trace) for trace in "abcd"),
        )
    )
    assert numbers(profile, "llm_calls") == (3, 2, "gateway")  # of d nobody said anything
    assert numbers(profile, "attempts") == (3, 2, "gateway")
    assert numbers(profile, "llm_time") == (3, 6, "gateway")
    assert numbers(profile, "input_tokens") == (2, 7, "gateway")  # a's were not reported
    assert "output_tokens" not in profile.interaction
    assert "tool_calls" not in profile.interaction
    report = profile.observers["gateway"]
    assert (report.interactions, report.eligible, report.coverage) == (3, 4, 0.75)


def test_a_run_that_was_watched_and_made_no_call_has_zeros(tmp_path: Path):
    profile = build_profile(
        write(tmp_path, Watched(trace_id="a", observer=GATEWAY), interaction("a"))
    )
    for metric in ("llm_calls", "attempts", "llm_time", "input_tokens", "output_tokens"):
        assert numbers(profile, metric) == (1, 0, "gateway")
    assert "reasoning_tokens" not in profile.interaction
    assert "counted_input_tokens" not in profile.interaction


def test_spans_that_were_watched_tell_of_tools_too(tmp_path: Path):
    profile = build_profile(write(tmp_path, Watched(trace_id="a", observer=OTEL), interaction("a")))
    assert numbers(profile, "tool_calls") == (1, 0, "otel")
    assert "state_reads" not in profile.interaction


def test_an_interaction_of_warm_up_that_was_watched_is_in_no_number(tmp_path: Path):
    profile = build_profile(
        write(
            tmp_path,
            Watched(trace_id="w", observer=GATEWAY),
            interaction("w", phase=Phase.WARMUP),
            interaction("a"),
        )
    )
    assert "llm_calls" not in profile.interaction
    assert profile.observers["gateway"].interactions == 0


def test_calls_of_nobody_are_joined_with_nothing_and_counted(tmp_path: Path):
    lost = llm_call(
        NO_TRACE,
        observer=GATEWAY,
        attribution=Attribution.AMBIGUOUS,
        outcome=Outcome.HTTP_429,
        usage=Usage(input_tokens=9),
    )
    known = llm_call("a", observer=GATEWAY, attribution=Attribution.MARKER, api="anthropic")
    profile = build_profile(
        write(
            tmp_path,
            lost,
            lost,
            known,
            tool_call(NO_TRACE, "search", observer=OTEL),
            state_op(NO_TRACE, StateKind.READ, 4, observer=OTEL),
            interaction("a"),
        )
    )
    assert numbers(profile, "llm_calls") == (1, 1, "gateway")
    assert "input_tokens" not in profile.interaction
    assert profile.sample.unmatched_events == 0
    report = profile.observers["gateway"]
    assert (report.llm_calls, report.unattributed) == (3, 2)
    assert report.outcomes == {"http_429": 2, "ok": 1}
    assert report.attribution == {"ambiguous": 2, "marker": 1}
    assert report.apis == {"anthropic": 1}
    assert profile.observers["otel"].other_unattributed == 2
    assert profile.rate_limits["m"].http_429 == 2


def test_an_observer_that_was_to_watch_and_said_nothing_is_there(tmp_path: Path):
    first = run(observers=("client", "otel", "state_store"))
    profile = build_profile(write(tmp_path, interaction("a"), first=first))
    assert set(profile.observers) == {"otel", "state_store"}
    assert profile.observers["otel"].coverage == 0
    assert profile.observers["state_store"].coverage is None


def test_without_an_interaction_there_is_no_coverage(tmp_path: Path):
    assert build_profile(write(tmp_path)).observers["response"].coverage is None


def test_notes_add_up_by_kind_and_keep_one_example(tmp_path: Path):
    def note(kind: str, count: int, detail: str | None) -> ObserverNote:
        return ObserverNote(observer=GATEWAY, kind=kind, count=count, detail=detail)

    notes = [note("stream_cut", 1, "b"), note("stream_cut", 2, None), note("big_body", 1, None)]
    profile = build_profile(write(tmp_path, *notes, note("stream_cut", 1, "a")))
    found = [(n.kind, n.count, n.detail) for n in profile.observers["gateway"].notes]
    assert found == [("big_body", 1, None), ("stream_cut", 4, "a")]


def test_what_calls_never_had_is_not_among_what_is_reported(tmp_path: Path):
    usage = Usage(input_tokens=1, reasoning_tokens=None)
    profile = build_profile(write(tmp_path, llm_call("a", usage=usage), interaction("a")))
    assert profile.observers["response"].reported == ("input_tokens",)


def test_the_made_up_run_is_described(observed: WorkloadProfile):
    gateway, otel = observed.observers["gateway"], observed.observers["otel"]
    assert (gateway.interactions, gateway.coverage) == (40, 1)
    # 39 interactions with two calls each; every fourth by the chain of tools, t30 has none.
    assert gateway.attribution == {"ambiguous": 2, "tool_chain": 20, "trace": 56}
    assert (gateway.llm_calls, gateway.unattributed) == (78, 2)
    assert (otel.interactions, otel.eligible, otel.llm_calls) == (38, 40, 74)
    assert [note.kind for note in otel.notes] == ["no_spans"]
    assert numbers(observed, "llm_calls") == (40, 76, "gateway")
    assert numbers(observed, "attempts") == (40, 79, "gateway")
    assert numbers(observed, "tool_calls") == (38, 55, "otel")  # 20 + 19 * 2, less t38's and t39's
    assert observed.tools["search"].duration is not None
    assert observed.tools["search"].duration.source == "otel"


def test_the_made_up_runs_profile_is_read_back_as_it_was(observed: WorkloadProfile, tmp_path: Path):
    file = tmp_path / "profile.json"
    file.write_bytes(dump_profile(observed))
    assert dump_profile(load_profile(file)) == file.read_bytes()


def test_an_observer_that_one_run_did_not_have_saw_nothing_there(tmp_path: Path):
    seen = build_profile(
        write(tmp_path, llm_call("a", observer=OTEL), interaction("a"), first=run(run_id="a"))
    )
    blind = build_profile(write(tmp_path, interaction("a"), first=run(run_id="b")))
    merged = merge_profiles([seen, blind]).observers["otel"]
    assert (merged.interactions, merged.eligible, merged.coverage) == (1, 2, 0.5)
    old = blind.model_copy(update={"observers": {}})
    assert merge_profiles([seen, old]).observers["otel"].eligible == 1  # it cannot tell


def test_who_watches_only_tools_says_nothing_of_llm_calls(tmp_path: Path):
    watched = [
        Watched(trace_id=trace, observer=Observer.RESPONSE, llm_calls=False) for trace in "ab"
    ]
    called = tool_call("c", "search")
    profile = build_profile(write(tmp_path, *watched, called, *map(interaction, "abcd")))
    assert numbers(profile, "tool_calls") == (3, 1, "response")
    for metric in ("llm_calls", "llm_time", "input_tokens", "own_time"):
        assert metric not in profile.interaction
