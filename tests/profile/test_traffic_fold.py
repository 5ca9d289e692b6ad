"""What a gateway alone saw, summed up. Every number is of `traffic_journal`'s table, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.errors import ProfileError
from profiler.measure.records import End, EndReason, Outcome
from profiler.profile.schema import json_schema
from profiler.profile.traffic import Traffic, dump_traffic
from profiler.profile.traffic_fold import MOST_MODELS, OTHER_MODELS, build_traffic
from tests.profile.journals import END, S, interaction, run, write
from tests.profile.traffic_journal import (
    ZERO_NS,
    attempt,
    call,
    traffic_records,
    traffic_run,
    usage,
)


def traffic_of(tmp_path: Path, *records, first=None, end=END) -> Traffic:
    return build_traffic(write(tmp_path, *records, first=first or traffic_run(), end=end))


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    return traffic_of(tmp_path, *traffic_records())


def test_calls_failures_requests_and_traces_are_counted(traffic: Traffic):
    assert (traffic.calls, traffic.failed) == (5, {"http_429": 1})
    assert (traffic.requests, traffic.retried_calls, traffic.http_429) == (6, 1, 2)
    assert (traffic.traces, traffic.untraced_calls) == (2, 1)
    assert traffic.duration_s == 81
    assert not traffic.partial


def test_the_run_is_told(traffic: Traffic):
    assert traffic.run.model_dump() == {
        "id": "r1",
        "started_at": "2023-11-14T22:13:20+00:00",
        "tool_version": "0.1.0",
        "argv": ("agent-profiler", "gateway", "--upstream", "https://llm.example/v1"),
        "upstream": "https://llm.example/v1",
        "encoding": "o200k_base",
    }


def test_tokens_are_those_reported(traffic: Traffic):
    assert traffic.tokens.model_dump() == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "cached_input_tokens": 50,
        "reasoning_tokens": None,
        "cache_write_tokens": None,
        "unreported_calls": 0,
    }


def test_a_call_that_succeeded_without_usage_is_in_no_sum_and_said(tmp_path: Path):
    traffic = traffic_of(tmp_path, call("a", 0, 1), call("a", 1, 2, outcome=Outcome.TIMEOUT))
    assert traffic.tokens.unreported_calls == 1
    assert traffic.tokens.input_tokens is None
    assert traffic.per_minute.tokens is None


def test_the_busiest_minute_is_what_limits_are_about(traffic: Traffic):
    rates = traffic.per_minute
    # 60 s that end at 80 hold the requests at 50, 70, 72 and 80; the calls of 0, 2 and 50 are as
    # many as those of 50, 70 and 80, and come first; the call of 70 was answered to its second try.
    assert (rates.requests.busiest, rates.requests.busiest_from) == (
        4,
        "2023-11-14T22:14:10+00:00",
    )
    assert (rates.calls.busiest, rates.calls.busiest_from) == (3, "2023-11-14T22:13:20+00:00")
    assert rates.input_tokens is not None
    assert rates.output_tokens is not None
    assert rates.tokens is not None
    assert (rates.input_tokens.busiest, rates.output_tokens.busiest) == (700, 70)
    assert (rates.tokens.busiest, rates.tokens.busiest_from) == (770, "2023-11-14T22:14:10+00:00")
    assert rates.requests.mean == pytest.approx(6 * 60 / 81)
    assert rates.tokens.mean == pytest.approx(1100 * 60 / 81)


def test_less_than_a_minute_has_no_mean_per_minute(tmp_path: Path):
    traffic = traffic_of(tmp_path, attempt("a", 0), call("a", 0, 59.9))
    assert traffic.per_minute.calls.mean is None
    assert traffic.per_minute.calls.busiest == 1


def test_the_calls_of_a_trace_are_one_cluster(traffic: Traffic):
    latency = traffic.llm_call["latency"]  # 1 s and 2 s of a, 3 s of none, 5 s of b
    assert (latency.count, latency.mean, latency.min, latency.max) == (4, 2.75, 1, 5)
    assert latency.clusters.sessions == 3
    assert latency.clusters.sum_nn == 2 * 2 + 1 + 1
    assert latency.clusters.sum_ss == (3 * 3 + 3 * 3 + 5 * 5) * 10**12
    assert latency.eligible == 4
    assert latency.source == "gateway"
    attempts = traffic.llm_call["attempts"]  # of every call: 2 of a, 1 of none, 2 of b
    assert (attempts.count, attempts.clusters.sum_s) == (5, 6)
    assert traffic.llm_call["retry_time"].max == 2
    assert traffic.llm_call["time_to_first_token"].mean == 0.25


def test_each_model_has_its_own(traffic: Traffic):
    m, n = traffic.models["m"], traffic.models["n"]
    assert (m.calls, m.failed, n.calls, n.failed) == (4, {"http_429": 1}, 1, {})
    assert (m.tokens.input_tokens, n.tokens.input_tokens) == (700, 300)
    assert (m.per_minute.requests.busiest, n.per_minute.requests.busiest) == (3, 1)
    assert m.metrics["latency"].mean == pytest.approx(8 / 3)
    assert n.metrics["latency"].mean == 3
    assert "time_to_first_token" not in n.metrics


def test_models_without_end_are_one(tmp_path: Path):
    names = [f"model-{number}" for number in range(MOST_MODELS + 5)]
    traffic = traffic_of(tmp_path, *(call("a", 0, 1, model=name) for name in names))
    assert len(traffic.models) == MOST_MODELS + 1
    assert traffic.models[OTHER_MODELS].calls == 5


def test_round_trips_count_with_and_without_a_trace(traffic: Traffic):
    trips = traffic.tool_round_trips
    assert {name: trip.mean for name, trip in trips.items()} == {"search": 1, "a+b": 2}


def test_rate_limits_ledger_and_notes_are_told(traffic: Traffic):
    limits = traffic.rate_limits["m"]
    assert (limits.calls, limits.attempts, limits.http_429) == (4, 5, 2)
    assert (limits.limit_requests_lowest, limits.limit_tokens_highest) == (60, 9000)
    assert limits.longest_retry_after_s == 2
    side = traffic.ledger["m"].input  # counted 40 + 50 + 3 of the one call with both numbers
    assert side is not None
    assert (side.calls, side.counted_tokens, side.reported_tokens) == (1, 93, 100)
    gateway = traffic.observers["gateway"]
    assert (gateway.llm_calls, gateway.unattributed) == (5, 1)
    assert gateway.attribution == {"ambiguous": 1, "trace": 4}
    assert (gateway.interactions, gateway.eligible, gateway.coverage) == (None, None, None)
    assert [(note.kind, note.count) for note in gateway.notes] == [("other_path", 6)]
    assert gateway.reported == ("cached_input_tokens", "input_tokens", "output_tokens")


def test_a_journal_without_a_call_is_traffic_of_nothing(tmp_path: Path):
    traffic = traffic_of(tmp_path)
    assert (traffic.calls, traffic.duration_s, traffic.traces) == (0, None, None)
    assert (traffic.llm_call, traffic.models) == ({}, {})
    assert traffic.per_minute.requests.busiest_from is None


def test_a_gateway_that_was_killed_is_partial(tmp_path: Path):
    assert traffic_of(tmp_path, *traffic_records(), end=None).partial
    failed = End(at_ns=0, reason=EndReason.JOURNAL_FAILED)
    assert traffic_of(tmp_path, end=failed).partial_reasons == ("journal_failed",)
    assert not traffic_of(tmp_path, end=End(at_ns=0, reason=EndReason.DURATION)).partial


def test_the_same_journal_gives_the_same_bytes_and_they_follow_the_schema(tmp_path: Path):
    journal = write(tmp_path, *traffic_records(), first=traffic_run())
    first = dump_traffic(build_traffic(journal))
    assert dump_traffic(build_traffic(journal)) == first
    again = Traffic.model_validate_json(first)
    assert dump_traffic(again) == first


def test_the_order_of_the_records_does_not_matter(tmp_path: Path, traffic: Traffic):
    shuffled = traffic_of(tmp_path, *reversed(list(traffic_records())))
    plain = shuffled.model_dump() | {"models": dict(sorted(shuffled.models.items()))}
    assert plain["per_minute"] == traffic.per_minute.model_dump()
    assert plain["llm_call"] == traffic.model_dump()["llm_call"]
    assert shuffled.tokens == traffic.tokens


def test_every_field_is_described():
    schema = json_schema("traffic")
    assert schema["title"] == "LLM traffic"
    for model in (schema, *schema["$defs"].values()):
        assert all("description" in one for one in model["properties"].values())


def test_the_journal_of_a_run_is_refused(tmp_path: Path):
    with pytest.raises(ProfileError, match="no journal of a gateway alone"):
        traffic_of(tmp_path, interaction("a"), first=run())


def test_a_number_that_is_none_names_the_event(tmp_path: Path):
    with pytest.raises(ProfileError, match="event 3 holds a value that is no integer"):
        traffic_of(tmp_path, call("a", 0, 1), call("a", 0, 1, usage=usage(2**70, 1)))
    with pytest.raises(ProfileError, match="event 2 holds"):
        traffic_of(tmp_path, attempt("a", 0, start_ns=0.5))


def test_times_are_of_the_run(tmp_path: Path):
    late = call("a", 0, 1, start_ns=ZERO_NS + 3600 * S)
    begun = traffic_of(tmp_path, late).per_minute.calls.busiest_from
    assert begun == "2023-11-14T23:13:20+00:00"
