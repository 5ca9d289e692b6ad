"""Finding the capacity, with a target that is computed: what is run, written, printed, returned."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from profiler.cli import capacity, capacity_step
from profiler.cli.capacity import CapacityOptions, find_capacity
from profiler.errors import (
    GateFailedError,
    InconclusiveError,
    JournalError,
    TargetUnusableError,
    UsageError,
)
from profiler.load.shard import ShardEnd, ShardSpec
from profiler.measure.journal import JournalWriter
from profiler.measure.records import EndReason, Outcome
from profiler.profile.capacity import CapacityCurve
from profiler.profile.model import load_profile
from profiler.workload.load import load_workload
from tests.profile.journals import END, MS, S, interaction, run

WORKLOAD = """
name: x
target: {url: "http://user:hunter2@127.0.0.1:1/"}
load: {rate: 1/s, warmup: 7, seed: 11}
scenarios: [{name: a, turns: [{user: hi}]}]
"""
SERVICE_NS = 20 * MS
CAPACITY_PER_S = 50.0
COARSE: dict[str, Any] = {"resolution": 1.0}
"""A search of few steps, where only its frame matters."""


@dataclass
class Target:
    """A queue with one server that takes 20 ms, by Lindley's recursion: 50 interactions a second.

    Times are of one epoch a run, so that runs follow each other as they do in life.
    """

    changes: Callable[[ShardSpec, int], dict[str, Any]] = lambda *_: {}
    end: Callable[[ShardSpec], ShardEnd | None] = lambda _: None
    specs: list[ShardSpec] = field(default_factory=list)

    def run_shard(self, spec: ShardSpec, companion: Any, hooks: Any) -> ShardEnd:
        assert callable(companion)
        assert callable(hooks.on_interaction)
        self.specs.append(spec)
        ended = self.end(spec)
        load = spec.workload.load
        assert load.requests is not None
        assert load.rate_per_s is not None
        epoch_ns = len(self.specs) * 3600 * S
        gap_ns, free_ns = round(S / load.rate_per_s), epoch_ns
        records = []
        for number in range(load.requests if ended is None else 3):
            start_ns = epoch_ns + number * gap_ns
            free_ns = max(start_ns, free_ns) + SERVICE_NS
            times = {"intended_start_ns": start_ns, "send_ns": start_ns, "end_ns": free_ns}
            times |= self.changes(spec, number)
            records.append(interaction(f"{spec.run_id}/{number}", **times))
        first = run(
            run_id=spec.run_id,
            seeds={"sessions": load.seed},
            load={"mode": "open", "rate_per_s": load.rate_per_s, "arrivals": load.arrivals.kind},
        )
        writer = JournalWriter(spec.journal)
        writer.append([first, *records, END])
        writer.close()
        if ended is not None:
            return ended
        return ShardEnd(reason=EndReason.COMPLETED, detail=None, answered=True)


@pytest.fixture
def use(monkeypatch) -> Callable[..., Target]:
    def install(**behaviour: Any) -> Target:
        target = Target(**behaviour)
        monkeypatch.setattr(capacity_step, "run_shard", target.run_shard)
        return target

    return install


def options(tmp_path: Path, text: str = WORKLOAD, **changes: Any) -> CapacityOptions:
    file = tmp_path / "w.yaml"
    file.write_text(text)
    fields = {
        "workload": load_workload(file),
        "argv": ("agent-profiler", "run", "w.yaml", "--find-capacity"),
        "objective": "latency.p95<200ms, error_rate<5%",
        "out": tmp_path / "found",
        "settle_s": 0.0,
        "start_rate_per_s": 10.0,
        **changes,
    }
    return CapacityOptions(**fields)


def curve(tmp_path: Path) -> CapacityCurve:
    return CapacityCurve.model_validate_json((tmp_path / "found/capacity.json").read_bytes())


@dataclass
class Search:
    """A search that was made: where, on what, pauses as (seconds, runs made), what it printed."""

    folder: Path
    target: Target
    slept: list[tuple[float, int]]
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Search:
    folder, target = tmp_path_factory.mktemp("searched"), Target()
    slept: list[tuple[float, int]] = []
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(capacity_step, "run_shard", target.run_shard)
        patch.setattr(capacity, "sleep", lambda s: slept.append((s, len(target.specs))))
        code = find_capacity(options(folder, settle_s=2.0))
    return Search(folder, target, slept, code, out.getvalue(), err.getvalue())


def test_the_limit_is_found_written_and_said(searched):
    assert searched.code == 0
    found = curve(searched.folder)
    result = found.result
    assert result.end == "found"
    assert result.lower_per_s is not None
    assert result.upper_per_s is not None
    # A queue that is offered less than 2 % too much is not told from one that keeps up.
    assert result.lower_per_s <= CAPACITY_PER_S * 1.02
    assert result.upper_per_s >= CAPACITY_PER_S
    assert result.upper_per_s <= result.lower_per_s * 1.05
    assert "step 1: 10.0/s  latency.p95 20.0 ms [20.0, 20.0]" in searched.err
    assert result.answer.split("(")[0] in " ".join(searched.out.split())
    assert "Again: agent-profiler run w.yaml --find-capacity" in searched.out
    written = (searched.folder / "found/capacity.md").read_text()
    assert result.answer.split(": ")[1].split("(")[0] in written
    assert len(searched.target.specs) == sum(len(step.runs) for step in found.steps)
    assert "hunter2" not in (searched.folder / "found/capacity.json").read_text()


def test_every_step_is_a_run_with_journal_and_profile(searched):
    found = searched.folder / "found"
    steps = curve(searched.folder).steps
    assert steps[0].runs == ("steps/01-10",)
    for step in steps:
        for directory in step.runs:
            assert (found / directory / "journal.jsonl").exists()
            assert (found / directory / "profile.md").exists()
        profile = load_profile(found / step.profile)
        assert profile.sample.interactions == step.interactions
    extended = next(step for step in steps if len(step.runs) > 1)
    assert extended.profile == f"{extended.runs[0]}/merged.json"
    assert extended.runs[1] == f"{extended.runs[0]}/part-2"
    assert extended.interactions % 2 == 0


def test_quiet_prints_only_the_path(tmp_path, use, capsys):
    use()
    find_capacity(options(tmp_path, quiet=True, **COARSE))
    assert capsys.readouterr() == (f"{tmp_path / 'found' / 'capacity.json'}\n", "")


def test_every_run_sends_single_interactions_of_fresh_sessions_and_the_first_is_warmed_up(searched):
    specs = searched.target.specs
    loads = [spec.workload.load for spec in specs]
    assert [load.seed for load in loads] == list(range(11, 11 + len(loads)))
    assert [load.warmup for load in loads] == [7] + [0] * (len(loads) - 1)
    assert {load.arrivals_of for load in loads} == {"interactions"}
    assert all(load.is_open and load.sessions is None for load in loads)
    assert loads[0].rate_per_s == 10
    assert len({spec.run_id for spec in specs}) == len(loads)
    digests = {spec.workload.digest() for spec in specs}
    assert digests == {curve(searched.folder).digests["workload"]}


def shape(tmp_path: Path, load: str) -> str:
    text = WORKLOAD.replace("load: {rate: 1/s, warmup: 7, seed: 11}", f"load: {load}")
    workload = options(tmp_path, text).workload
    changed = capacity_step.at_rate(workload, rate_per_s=3, requests=5, seed=1, warmup=0)
    assert changed.load.users is None
    assert changed.load.requests == 5
    return changed.load.arrivals.kind


def test_arrivals_keep_the_shape_of_the_file_and_are_poisson_without_one(tmp_path):
    (tmp_path / "times.csv").write_text("0\n1\n")
    assert shape(tmp_path, "{rate: 1/s, arrivals: constant}") == "constant"
    assert shape(tmp_path, "{rate: 1/s, arrivals: {gamma: {burstiness: 4}}}") == "gamma"
    assert shape(tmp_path, "{users: 5, sessions: 3}") == "poisson"
    assert shape(tmp_path, "{arrivals: {trace: times.csv}}") == "poisson"


def test_steps_are_long_enough_for_the_objectives_to_be_shown(tmp_path, use):
    target = use()
    # The start of the range is enough for a look: 1 % of errors takes 368 interactions.
    with pytest.raises(InconclusiveError):
        find_capacity(options(tmp_path, objective="latency.p95<1h", max_rate_per_s=10.0))
    assert target.specs[0].workload.load.requests == 368
    assert curve(tmp_path).implied == "error_rate<1%"
    assert [judged.implied for judged in curve(tmp_path).steps[0].judged] == [False, True]


def test_dropped_arrivals_are_asked_for_where_they_can_be_dropped(tmp_path, use):
    use()
    text = WORKLOAD.replace("rate: 1/s,", "rate: 1/s, max_in_flight: 5,")
    with pytest.raises(InconclusiveError):
        find_capacity(options(tmp_path, text, max_rate_per_s=10.0))
    assert curve(tmp_path).implied == "dropped_rate<1%"


def test_it_settles_between_steps_but_not_before_the_first(searched):
    made = len(searched.target.specs)
    assert searched.slept == [(2.0, runs) for runs in range(1, made)]


def test_a_limit_above_the_highest_rate_is_inconclusive(tmp_path, use):
    use()
    with pytest.raises(InconclusiveError, match=r"the limit is above that\. Raise --max-rate"):
        find_capacity(options(tmp_path, max_rate_per_s=20.0))
    assert curve(tmp_path).result.end == "never_missed"


def test_an_objective_missed_even_at_the_lowest_rate_fails_the_gate(tmp_path, use, capsys):
    use()
    with pytest.raises(GateFailedError, match="missed at every rate tried, the lowest being"):
        find_capacity(options(tmp_path, objective="latency.p95<5ms", start_rate_per_s=8.0))
    assert [step.rate_per_s for step in curve(tmp_path).steps] == [8, 4, 2, 1]
    assert "missed at every rate tried" in " ".join(capsys.readouterr().out.split())


def test_steps_that_are_used_up_are_inconclusive(tmp_path, use):
    use()
    with pytest.raises(InconclusiveError, match="Raise --max-steps"):
        find_capacity(options(tmp_path, most_steps=2))


def late(_spec: ShardSpec, number: int) -> dict[str, Any]:
    """Interactions that the harness sends half a second late, and the target answers at once."""
    start_ns = 3600 * S + number * 100 * MS
    return {
        "intended_start_ns": start_ns,
        "send_ns": start_ns + 500 * MS,
        "end_ns": start_ns + 520 * MS,
    }


def test_a_step_that_measured_the_harness_is_tried_again_and_then_ends_the_search(
    tmp_path, use, capsys
):
    target = use(changes=late)
    with pytest.raises(InconclusiveError, match="The harness was the limit"):
        find_capacity(options(tmp_path))
    assert [str(spec.journal.parent.relative_to(tmp_path / "found")) for spec in target.specs] == [
        *("steps/01-10", "steps/01-10/part-1-again"),
    ]
    assert "driver limited, tried again" in capsys.readouterr().err
    step = curve(tmp_path).steps[0]
    assert (step.verdict, step.profile) == (
        *("driver_limited", "steps/01-10/part-1-again/profile.json"),
    )


def test_a_target_that_fails_more_under_load_has_its_limit_there(tmp_path, use):
    def refusing(spec: ShardSpec, number: int) -> dict[str, Any]:
        over = (spec.workload.load.rate_per_s or 0) > 25
        return {"outcome": Outcome.HTTP_429} if over and number % 2 else {}

    use(changes=refusing)
    assert find_capacity(options(tmp_path, quiet=True)) == 0
    result = curve(tmp_path).result
    assert result.lower_per_s is not None
    assert result.upper_per_s is not None
    assert result.lower_per_s <= 25 <= result.upper_per_s
    assert "error_rate 50 %" in result.answer


def ending(reason: EndReason, *, answered: bool, after: int) -> Callable[[ShardSpec], Any]:
    made: list[ShardSpec] = []

    def end(spec: ShardSpec) -> ShardEnd | None:
        made.append(spec)
        if len(made) <= after:
            return None
        return ShardEnd(reason=reason, detail="it broke", answered=answered)

    return end


@pytest.mark.parametrize("after", [0, 2])
def test_a_target_that_never_answers_in_a_step_is_unusable(tmp_path, use, after: int):
    use(end=ending(EndReason.ERROR_LIMIT, answered=False, after=after))
    with pytest.raises(TargetUnusableError, match="the target is unusable: it broke") as caught:
        find_capacity(options(tmp_path))
    assert "hunter2" not in str(caught.value)
    found = curve(tmp_path)
    assert found.result.end == "target_unusable"
    assert len(found.steps) == after


def test_a_step_that_is_interrupted_ends_the_search_with_what_there_is(tmp_path, use):
    use(end=ending(EndReason.INTERRUPTED, answered=True, after=2))
    assert find_capacity(options(tmp_path)) == 130
    found = curve(tmp_path)
    assert (found.result.end, found.result.lower_per_s, len(found.steps)) == ("interrupted", 20, 2)
    assert found.result.answer.endswith("It was interrupted.")
    assert (tmp_path / "found/steps/03-40/profile.json").exists()


def test_an_interrupt_between_steps_does_the_same(tmp_path, use, monkeypatch):
    use()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(capacity, "sleep", interrupt)
    assert find_capacity(options(tmp_path)) == 130
    assert len(curve(tmp_path).steps) == 1


def test_a_journal_that_cannot_be_written_ends_it_all(tmp_path, use):
    use(end=ending(EndReason.JOURNAL_FAILED, answered=True, after=1))
    with pytest.raises(JournalError, match="it broke"):
        find_capacity(options(tmp_path))
    assert len(curve(tmp_path).steps) == 1


def test_wrong_options_are_refused_before_anything_is_written(tmp_path, use):
    use()
    for changes, said in (
        ({"objective": "latency<2s"}, "latency needs a statistic"),
        ({"objective": "goodput>90%"}, "Add --goodput"),
        ({"goodput": "latency.p95<1s"}, "one interaction has no p95"),
        ({"resolution": 7.0}, "a resolution of 7"),
        ({"start_rate_per_s": 5000.0}, "is not between"),
    ):
        with pytest.raises(UsageError, match=said):
            find_capacity(options(tmp_path, **changes))
    assert not (tmp_path / "found").exists()


def test_a_search_is_never_overwritten(searched, use):
    target = use()
    with pytest.raises(UsageError, match="already holds a search"):
        find_capacity(options(searched.folder))
    assert target.specs == []


@pytest.mark.parametrize(
    ("protocol", "path"), [("openai-chat", "/v1/chat/completions"), ("http-json", "/chat")]
)
def test_without_a_url_all_steps_go_to_one_mock_agent(
    tmp_path, use, monkeypatch, protocol: str, path: str
):
    target = use()
    started: list[Any] = []

    @contextmanager
    def mock_agent(**asked: Any):
        started.append(asked)
        yield {"agent": "http://127.0.0.1:9"}
        started.append("ended")

    monkeypatch.setattr(capacity, "mock_agent", mock_agent)
    extra = ", http_json: {body: {m: '{{ user }}'}, reply: r}" if protocol == "http-json" else ""
    text = WORKLOAD.replace(
        'url: "http://user:hunter2@127.0.0.1:1/"', f"protocol: {protocol}{extra}"
    )
    assert find_capacity(options(tmp_path, text, mock_speed=2.0, **COARSE)) == 0
    assert [asked if asked == "ended" else asked["speed"] for asked in started] == [2.0, "ended"]
    assert {spec.url for spec in target.specs} == {f"http://127.0.0.1:9{path}"}
    assert dict(target.specs[0].target_note)["mock"]["speed"] == 2.0
    assert curve(tmp_path).target["mock"] == {"speed": 2.0, "address": f"http://127.0.0.1:9{path}"}


def test_without_a_directory_there_is_one_in_results(tmp_path, use, monkeypatch):
    target = use()
    monkeypatch.chdir(tmp_path)
    assert find_capacity(options(tmp_path, out=None, quiet=True, **COARSE)) == 0
    (root,) = (tmp_path / "results").iterdir()
    assert root.name.startswith("x-capacity-")
    assert (root / "capacity.json").exists()
    assert target.specs[0].run_id == f"{root.name}/steps/01-10"
