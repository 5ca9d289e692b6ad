"""What an import says; shares are computed by hand."""

from collections import Counter

from profiler.report.importing import import_summary, mix_sentence
from profiler.workload.importers.sample import Place
from profiler.workload.importers.survey import Survey, Tally


def test_the_largest_difference_is_said_in_percentage_points() -> None:
    """Up to 1 turn: 50 of 100 against 9 of 20, 5 points less."""
    sentence = mix_sentence({1: 50, 2: 50}, {1: 9, 2: 11})
    assert "is close to the mix" in sentence
    assert "at most 1 turn is off by 5 percentage points" in sentence


def test_a_sample_that_keeps_the_mix_and_one_that_does_not_are_told_apart() -> None:
    assert "distributed alike" in mix_sentence({1: 50, 2: 50}, {1: 1, 2: 1})
    assert "keeps the mix" in mix_sentence({1: 500, 2: 500}, {1: 101, 2: 99})
    assert "take more with --sessions" in mix_sentence({1: 50, 2: 50}, {2: 2})


def test_everything_that_was_seen_is_said() -> None:
    found = Survey(whole=Tally(turns=Counter({1: 3, 4: 1}), tokens=1234))
    found.begun.add(86_400.0)
    found.begun.add(0.0)
    found.chosen = [Place(0, 1, 1)]
    for line in range(10, 17):
        found.skipped.add("not JSON", line)
    found.odd.add("odd thing", 3)
    taken = Tally(turns=Counter({1: 1}))
    lines = import_summary("a.jsonl", found, taken, seed=7, redacted={"email": 2, "card": 0})
    text = "\n".join(lines)
    assert lines[0] == "a.jsonl: 4 sessions, 7 turns, 1,234 tokens"
    assert "turns per session: 1 to 4, median 1" in text
    assert "recorded from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z" in text
    assert "arrivals: over 86,400.0 s, 1.16e-05 sessions per second (of 2 sessions with" in text
    assert "skipped: 7" in text
    assert "not JSON (line 10, 11, 12, 13, 14, ...)" in text
    assert "odd thing (line 3)" in text
    assert "taken: 1 session, 1 turn (seed 7)" in text
    assert lines[-1] == "redacted: 2 e-mail addresses"


def test_arrivals_of_sessions_are_said_with_their_burstiness() -> None:
    """Two sessions in every other second of 40: counts 2 and 0, mean 1, variance 40 / 39."""
    whole = Tally(turns=Counter({1: 42}))
    found = Survey(whole=whole)
    for second in range(0, 41, 2):
        found.begun.add(1000.0 + second)
        found.begun.add(1000.5 + second)
    lines = import_summary("a", found, whole, seed=1, redacted=None)
    assert "  tokens: not counted; --count-tokens counts them" in lines
    assert "  arrivals: over 40.5 s, 1.01 sessions per second" in lines
    assert "  burstiness: index of dispersion 1.03 per second (Poisson 0.61 to 1.49)" in lines
    assert "              per minute not observed (0 whole windows, 10 are needed)" in lines


def test_without_times_arrivals_are_not_observed() -> None:
    whole = Tally(turns=Counter({1: 1}))
    lines = import_summary("a", Survey(whole=whole), whole, seed=1, redacted=None)
    assert "  arrivals: not observed, no session has a time" in lines
    assert not any("burstiness" in line for line in lines)


def test_a_whole_file_without_redaction_says_both() -> None:
    whole = Tally(turns=Counter({1: 1}))
    text = "\n".join(import_summary("a", Survey(whole=whole), whole, seed=1, redacted=None))
    assert "taken: every session" in text
    assert "not redacted" in text
    assert (
        "nothing was found"
        in import_summary("a", Survey(whole=whole), whole, seed=1, redacted={})[-1]
    )
