"""`agent-profiler doctor`: what it finds, and what it says to do about it."""

from __future__ import annotations

import sys

import orjson
import pytest

from profiler.cli import app as cli
from profiler.cli import ceiling, doctor, trial
from profiler.cli.finding import Finding
from profiler.errors import AgentProfilerError
from profiler.measure.records import Interaction, Outcome, Phase

pytestmark = pytest.mark.unmeasured

MS = 1_000_000
MACHINE = {"python", "clock", "event loop", "tokens", "open files", "cores", "disk"}


def run_doctor(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["agent-profiler", "doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_it_finds_this_machine_fit_or_says_what_to_do(monkeypatch, capsys):
    code, out = run_doctor(monkeypatch, capsys, "--quick", "--json")
    findings = orjson.loads(out)
    assert {f["name"] for f in findings} == MACHINE
    assert code == (0 if all(f["ok"] for f in findings) else 1)


def test_it_says_what_to_do_where_something_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_FEW_FILES", 1 << 40)
    code, out = run_doctor(monkeypatch, capsys, "--quick")
    assert code == 1
    assert "FIX  open files" in out
    assert "ulimit -n" in out


def test_what_limits_a_measurement_is_noted_and_is_no_failure(monkeypatch, capsys):
    def findings(**_options):
        yield Finding(name="1,000/s", found="late", is_well=True, is_notable=True, advice="Split")

    monkeypatch.setattr(doctor, "_findings", findings)
    code, out = run_doctor(monkeypatch, capsys)
    assert code == 0
    assert out.splitlines()[0].startswith("NOTE 1,000/s")
    assert "Split" in out


@pytest.mark.system
def test_the_harness_is_really_driven_against_null_servers():
    findings = {f.name: f for f in ceiling.harness_findings(scale=0.1)}
    assert set(findings) == {
        "timer", "plain", "streamed", "10/s", "100/s", "500/s", "1,000/s", "pauses",
    }  # fmt: skip
    for kind in ("plain", "streamed"):
        figures = findings[kind].figures
        assert figures["per_s"] > 0
        assert figures["cpu_us"] > 0
        assert figures["server_share_of_a_core"] > 0
    assert findings["100/s"].figures["dispatch_delay_p99_ms"] > 0


@pytest.mark.system
def test_a_trial_that_breaks_is_one_line(tmp_path):
    gone = "http://127.0.0.1:1/v1"
    (tmp_path / "plain.jsonl").mkdir()  # a journal cannot be made there
    steps = ceiling._steps(gone, gone, tmp_path, 0.01)
    with pytest.raises(AgentProfilerError, match="doctor --quick"):
        list(steps)


def test_a_ceiling_says_from_where_on_workers_are_needed():
    step = {"step": "plain", "per_s": 12_345.0, "cpu_us": 70.4}
    finding = ceiling.ceiling_finding(step, server_share=0.3)
    assert finding.is_well
    assert "12,345 plain interactions/s" in finding.found
    assert "70 us of CPU" in finding.found
    assert finding.hint == "Runs above 9,800 plain interactions/s need --workers"  # 80 % of it


def test_a_ceiling_that_is_the_null_servers_says_so():
    step = {"step": "streamed", "per_s": 2_000.0, "cpu_us": 70.0}
    assert "limited this" in (ceiling.ceiling_finding(step, server_share=0.97).hint or "")


def test_no_answers_at_all_is_a_failure():
    step = {"step": "plain", "per_s": None, "cpu_us": None}
    assert not ceiling.ceiling_finding(step, server_share=0.0).is_well


@pytest.mark.parametrize(
    ("rate", "found", "mark", "words"),
    [
        (1_000, (0.1, 0.3, 60), "ok  ", ""),
        (1_000, (0.1, 1.5, 60), "NOTE", "--workers"),
        (1_000, (9.0, 0.3, 60), "NOTE", "--workers"),
        (1_000, (0.1, 9.0, 8_000), "NOTE", "null server was late itself, by 8.0 ms"),
        (100, (9.0, 0.3, 60), "FIX ", "busy"),
        (100, (None, None, None), "FIX ", "busy"),
    ],
)
def test_a_rate_is_judged_by_lateness_and_error(rate, found, mark, words):
    late_ms, error_ms, server_us = found
    rung = {"rate_per_s": rate, "sent": 1, "late_p99_ms": late_ms, "error_p99_ms": error_ms}
    finding = ceiling.rung_finding(rung, server_us)
    assert finding.mark == mark
    assert words in (finding.hint or "")


@pytest.mark.parametrize(("lag_ms", "is_well"), [(0.02, True), (12.0, False)])
def test_a_timer_that_wakes_late_when_idle_is_a_failure(lag_ms, is_well):
    assert ceiling.timer_finding({"lag_p99_ms": lag_ms}).is_well is is_well


def test_each_rung_of_the_ladder_has_its_own_p99():
    ladder = [(10, 1.0), (100, 1.0)]
    slow = [sent(at_ms=100 * n, late_ms=1, took_ms=21) for n in range(10)]
    fast = [sent(at_ms=1_000 + 10 * n, late_ms=0, took_ms=20 + n / 10) for n in range(100)]
    first, second = trial._rungs(slow + fast, ladder)
    assert (first["sent"], first["late_p99_ms"], first["error_p99_ms"]) == (10, 1.0, 1.0)
    assert (second["sent"], second["late_p99_ms"]) == (100, 0.0)
    assert second["error_p99_ms"] == pytest.approx(9.8)  # the 99th of 0, 0.1, ... 9.9


def sent(*, at_ms: float, late_ms: float, took_ms: float) -> Interaction:
    intended_ns = 5_000 * MS + round(at_ms * MS)
    send_ns = intended_ns + round(late_ms * MS)
    return Interaction(
        trace_id="t",
        session="s",
        session_index=0,
        scenario="question",
        turn=0,
        last_turn=True,
        phase=Phase.MEASURE,
        think_time_ns=0,
        intended_start_ns=intended_ns,
        send_ns=send_ns,
        end_ns=send_ns + round(took_ms * MS),
        outcome=Outcome.OK,
    )
