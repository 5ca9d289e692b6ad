"""What a plan takes out of a profile: nothing is invented, and what is missing has a remedy."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profiler.errors import PlanError
from profiler.measure.records import (
    Observer,
    Outcome,
    RateLimit,
    Record,
    StateDelta,
    StateKind,
    Timeline,
    Usage,
)
from profiler.planner.measured import Measured, measure
from profiler.profile import joint_calls
from profiler.profile.build import build_profile
from profiler.profile.model import WorkloadProfile, load_profile
from tests.profile.journals import MS, S, interaction, llm_call, run, state_op, tool_call, write

SAMPLE = Path(__file__).parents[2] / "results" / "sample"
GATEWAY: dict[str, Any] = {"observer": Observer.GATEWAY, "clock": Timeline.HARNESS}


def built(tmp_path: Path, *records: Record, **of_run: Any) -> WorkloadProfile:
    return build_profile(write(tmp_path, *records, first=run(**of_run)))


def without_calls(profile: WorkloadProfile) -> WorkloadProfile:
    """The same as an older version would have written it."""
    return profile.model_copy(update={"joint_calls": None})


@pytest.fixture
def profile(tmp_path: Path) -> WorkloadProfile:
    """Three interactions of two sessions: three calls of two models, one without any."""
    return built(
        tmp_path,
        llm_call(
            "a",
            model="big",
            attempts=3,
            start_ns=0,
            end_ns=500 * MS,
            usage=Usage(input_tokens=100, cached_input_tokens=40, output_tokens=10),
            rate_limit=RateLimit(limit_requests=60),
        ),
        llm_call("a", model="small", attempts=2, outcome=Outcome.HTTP_429),
        tool_call("a", "search", start_ns=0, end_ns=250 * MS),
        state_op("a", StateKind.READ, 4),
        interaction("a", session="s", turn=0),
        llm_call(
            "b",
            model="big",
            attempts=1,
            usage=Usage(input_tokens=50, cached_input_tokens=0, output_tokens=6),
        ),
        state_op("b", StateKind.READ, 2),
        interaction("b", session="s", turn=1, last_turn=True, end_ns=3 * S),
        state_op("c", StateKind.READ, 0),
        interaction("c", session="t", last_turn=True, outcome=Outcome.TIMEOUT, end_ns=5 * S),
    )


@pytest.fixture
def measured(profile: WorkloadProfile) -> Measured:
    return measure(profile)


def refusal(measured: Measured, path: str, calculation: str = "the plan") -> str:
    with pytest.raises(PlanError) as caught:
        measured.figure(path, calculation=calculation)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plan_names_the_very_file_that_it_was_made_of():
    measured = measure(load_profile(SAMPLE))
    data = (SAMPLE / "profile.json").read_bytes()
    assert measured.identity.digest_sha256 == hashlib.sha256(data).hexdigest()
    assert measured.identity.profile_id == json.loads(data)["run"]["id"]


def test_who_was_measured_is_said(measured: Measured, tmp_path: Path):
    identity = measured.identity
    assert (identity.interactions, identity.succeeded, identity.sessions) == (3, 2, 2)
    assert (identity.workload, identity.protocol, identity.is_mock) == ("w", "openai-chat", False)
    assert (identity.verdict, identity.is_partial) == ("inconclusive", False)
    assert identity.verdict_reasons
    mock = built(tmp_path, interaction("a"), target={"mock": {"speed": 1.0}, "url": None})
    assert measure(mock).identity.is_mock


def test_a_figure_has_all_that_a_reader_needs_to_trust_it(measured: Measured):
    figure = measured.figure("tools.search.duration.mean")
    assert (figure.value, figure.unit, figure.source) == (0.25, "s", "response")
    assert (figure.coverage, figure.method, figure.interval95) == (1.0, "measured", None)
    assert figure.path == "tools.search.duration.mean"
    assert measured.figure("interaction.latency.max").value == 3  # the failed one is no latency
    assert measured.figure("state.redis.reads.mean").value == 2
    assert measured.figure("models.big.input_tokens.count").unit == "count"


def test_the_figures_of_the_sample_are_those_in_its_file():
    measured = measure(load_profile(SAMPLE))
    plain = json.loads((SAMPLE / "profile.json").read_bytes())["interaction"]
    for name, statistic in itertools.product(("latency", "llm_calls"), ("mean", "p95")):
        figure = measured.figure(f"interaction.{name}.{statistic}")
        assert figure.value == plain[name][statistic]
        assert figure.interval95 == tuple(plain[name][f"{statistic}_ci95"])


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("interaction.input_tokens.mean", "--gateway (every LLM call), --otlp (spans)"),
        ("interaction.counted_input_tokens.mean", "--gateway, or a trace block"),
        ("interaction.tool_time.mean", "--otlp (spans), or a trace block"),
        ("interaction.state_reads.mean", "--state (whole run)"),
        ("state.redis.writes.mean", "--otlp (database spans)"),
        ("tools.my.search.duration.mean", "--otlp (spans)"),
        ("models.gpt-4.1.output_tokens.mean", "--gateway"),
        ("interaction.scheduled_latency.p95", "--rate"),
        ("interaction.time_to_first_token.mean", "stream: true"),
        ("session.think_time.mean", "think_time"),
    ],
)
def test_what_nobody_observed_is_refused_with_who_would_show_it(
    tmp_path: Path, path: str, remedy: str
):
    text = refusal(measure(built(tmp_path, interaction("a"))), path, "the token demand")
    assert text.startswith(f"r1: the profile has no {path.rpartition('.')[0]}, which the token ")
    assert "nobody observed it" in text
    assert remedy in text


def test_who_watched_and_was_told_nothing_is_not_nobody(measured: Measured):
    text = refusal(measured, "interaction.cache_write_tokens.mean")
    assert "response saw 3 LLM calls, and none of them told it" in text


def test_a_percentile_that_the_sample_does_not_support_says_how_many_it_takes(measured: Measured):
    assert "needs 20 values" in refusal(measured, "interaction.latency.p95")


@pytest.mark.parametrize(
    "path",
    ["latency.mean", "interaction.latency", "interaction.speed.mean", "mean", "tools.x.reads.mean"],
)
def test_a_path_that_no_profile_has_is_our_own_mistake(measured: Measured, path: str):
    with pytest.raises(ValueError, match="is no figure"):
        measured.figure(path)


def test_interactions_are_columns_and_what_was_not_observed_is_not_zero(measured: Measured):
    rows = measured.interactions
    by_latency = np.argsort(rows.latency_s)
    assert rows.latency_s[by_latency].tolist() == [1, 3, 5]
    assert rows.ok[by_latency].tolist() == [True, True, False]
    assert rows.turn[by_latency].tolist() == [0, 1, 0]
    one, two, three = rows.session[by_latency].tolist()
    assert one == two != three
    assert (rows.sessions, rows.population, len(rows)) == (2, 3, 3)
    assert rows.llm_calls[by_latency].tolist() == [2, 1, 0]
    assert rows.input_tokens[by_latency].tolist() == [100, 50, 0]
    assert np.isnan(rows.state_writes).all()


def test_calls_are_columns_that_point_to_their_interaction(measured: Measured):
    calls, rows = measured.calls, measured.interactions
    of = {
        (rows.latency_s[calls.interaction[i]], calls.model_names[i]): i for i in range(len(calls))
    }
    first, refused, second = of[1, "big"], of[1, "small"], of[3, "big"]
    assert len(calls) == calls.population == 3
    assert not measured.calls_are_derived
    assert calls.input_tokens[[first, second]].tolist() == [100, 50]
    assert calls.cached_input_tokens[[first, second]].tolist() == [40, 0]
    assert calls.attempts[[first, refused, second]].tolist() == [3, 2, 1]
    assert calls.ok[[first, refused, second]].tolist() == [True, False, True]
    assert np.isnan(calls.input_tokens[refused])
    assert calls.latency_s[first] == 0.5
    assert np.isnan(calls.start_s[second])
    assert calls.covered.all()
    assert measured.warnings == ()


def test_nobody_can_change_what_was_measured(measured: Measured):
    with pytest.raises(ValueError, match="read-only"):
        measured.calls.attempts[0] = 7


def test_calls_per_interaction_are_by_model(measured: Measured):
    assert measured.calls_per_interaction() == {"big": pytest.approx(2 / 3), "small": 1 / 3}


def test_weights_move_the_calls_per_interaction(measured: Measured):
    rows = measured.interactions
    weights = np.where(rows.latency_s == 3, 1.0, 0.0)  # only the one with one call of `big`
    assert measured.calls_per_interaction(weights) == {"big": 1, "small": 0}


def test_retries_are_what_the_calls_took_beyond_one_request_each(measured: Measured):
    retries = measured.retries
    assert retries.attempts_per_call is not None
    assert retries.attempts_per_call.value == 2  # 3 + 2 + 1 requests, 3 calls
    assert retries.failed_attempts_per_call == pytest.approx(4 / 3)  # two calls succeeded
    assert retries.billed_attempts_per_call == pytest.approx(2 / 3)
    assert retries.retried_share == pytest.approx(2 / 3)
    assert retries.failed_call_share == pytest.approx(1 / 3)
    assert (retries.http_429, retries.requests_seen) == (1, 3)


def test_of_an_older_profile_calls_are_alike_and_it_is_said(profile: WorkloadProfile):
    measured = measure(without_calls(profile))
    calls, rows = measured.calls, measured.interactions
    assert measured.calls_are_derived
    assert "agent-profiler profile RUN_DIR" in measured.warnings[0]
    of_first = calls.input_tokens[rows.latency_s[calls.interaction] == 1]
    assert of_first.tolist() == [50, 50]  # of 100
    assert calls.input_tokens.sum() == 150
    assert calls.population == len(calls) == 3
    assert sorted(calls.model_names) == ["big", "big", "small"]
    assert measured.retries.retried_share is None
    assert sum(measured.calls_per_interaction().values()) == pytest.approx(1)


def test_tokens_that_only_the_whole_interaction_has_are_divided_among_its_calls(tmp_path: Path):
    measured = measure(
        built(
            tmp_path,
            llm_call("a", **GATEWAY),
            llm_call("a", **GATEWAY),
            llm_call("a", outcome=Outcome.HTTP_5XX, **GATEWAY),
            interaction("a", usage=Usage(input_tokens=90, output_tokens=8)),
        )
    )
    calls = measured.calls
    assert measured.calls_are_derived
    (warning,) = measured.warnings
    assert warning.startswith("gateway did not tell input_tokens, output_tokens of single LLM")
    assert sorted(calls.input_tokens[calls.ok].tolist()) == [45, 45]
    assert np.isnan(calls.input_tokens[~calls.ok]).all()
    assert np.isnan(calls.cached_input_tokens).all()


def test_where_nobody_watched_calls_there_are_none_and_their_number_is_refused(tmp_path: Path):
    for profile in (built(tmp_path, interaction("a")), without_calls(built(tmp_path))):
        measured = measure(profile)
        assert len(measured.calls) == 0
        with pytest.raises(PlanError, match=r"llm_calls, which requests a minute takes.*--gateway"):
            measured.calls_per_interaction(calculation="requests a minute")


def test_calls_that_had_no_room_are_said_and_in_no_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(joint_calls, "LIMIT", 5)
    records: list[Record] = []
    for trace in "abcd":
        records += [llm_call(trace), llm_call(trace), interaction(trace)]
    measured = measure(built(tmp_path, *records))
    assert measured.calls.covered.tolist() == [True, True, False, False]
    assert "lacks the LLM calls of 2 of 4 sampled interactions" in measured.warnings[0]
    assert measured.calls_per_interaction() == {"m": 2}


def test_a_call_of_an_interaction_that_is_not_there_is_refused(profile: WorkloadProfile):
    calls = profile.joint_calls
    assert calls is not None
    rows = (("no such key", *calls.rows[0][1:]), *calls.rows[1:])
    damaged = profile.model_copy(update={"joint_calls": calls.model_copy(update={"rows": rows})})
    with pytest.raises(PlanError, match="not in its sample"):
        measure(damaged)


def test_what_a_store_counted_itself_stands_in_where_nobody_told_interactions_apart(
    tmp_path: Path,
):
    counted = measure(
        built(
            tmp_path,
            StateDelta(store="pg", reads=30, writes=6),
            StateDelta(store="void", reads=1, writes=1, void_reason="restarted"),
            interaction("a"),
            interaction("b"),
        )
    ).stores
    assert [(s.store, s.reads, s.writes, s.is_whole_run) for s in counted] == [
        ("pg", 15, 3, True),
        ("void", None, None, False),
    ]


def test_a_draw_takes_sessions_whole(measured: Measured):
    rng = np.random.default_rng(5)
    rows = measured.interactions
    for _ in range(20):
        weights = measured.resample_sessions(rng)
        by_session = {s: set(weights[rows.session == s].tolist()) for s in (0, 1)}
        assert sorted(map(tuple, by_session.values())) == [(0,), (2,)]  # one of two, twice its size


def test_draws_repeat_with_their_seed_and_vary_as_the_mean_of_the_sessions_does():
    measured = measure(load_profile(SAMPLE))
    rows = measured.interactions
    totals = np.bincount(rows.session, weights=rows.llm_calls)
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    draws = [measured.resample_sessions(rng) for _ in range(4000)]
    assert all((draws[i] == measured.resample_sessions(again)).all() for i in range(5))
    drawn = np.array([weights @ rows.llm_calls for weights in draws])
    # The total of n sessions has the variance n * s^2, s^2 being that between sessions.
    expected = np.sqrt(len(totals) * totals.var(ddof=1))
    assert drawn.mean() == pytest.approx(totals.sum(), rel=4 * expected / totals.sum() / 4000**0.5)
    assert drawn.std(ddof=1) == pytest.approx(expected, rel=0.06)  # over 5 of its standard errors


def test_one_session_alone_tells_of_no_variance(tmp_path: Path):
    records = [interaction(trace, session="s") for trace in "ab"]
    weights = measure(built(tmp_path, *records)).resample_sessions(np.random.default_rng(1))
    assert weights.tolist() == [1, 1]


def test_the_calls_of_the_sample_add_up_to_its_interactions():
    measured = measure(load_profile(SAMPLE))
    calls, rows = measured.calls, measured.interactions
    assert (measured.calls_are_derived, measured.warnings) == (False, ())
    numbers = np.bincount(calls.interaction, minlength=len(rows))
    assert numbers.tolist() == rows.llm_calls.tolist()
    for name in ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"):
        of_calls = np.bincount(calls.interaction, weights=getattr(calls, name), minlength=len(rows))
        assert of_calls.tolist() == getattr(rows, name).tolist()
    times = np.bincount(calls.interaction, weights=calls.latency_s, minlength=len(rows))
    assert times == pytest.approx(rows.llm_time_s, abs=1e-9)
    assert (calls.start_s >= 0).all()
