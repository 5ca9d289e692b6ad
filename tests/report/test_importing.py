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
    found = Survey(whole=Tally(turns=Counter({1: 3, 4: 1}), tokens=1234), begun_s=(0.0, 86_400.0))
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
    assert "skipped: 7" in text
    assert "not JSON (line 10, 11, 12, 13, 14, ...)" in text
    assert "odd thing (line 3)" in text
    assert "taken: 1 session, 1 turn (seed 7)" in text
    assert lines[-1] == "redacted: 2 e-mail addresses"


def test_a_whole_file_without_redaction_says_both() -> None:
    whole = Tally(turns=Counter({1: 1}))
    text = "\n".join(import_summary("a", Survey(whole=whole), whole, seed=1, redacted=None))
    assert "taken: every session" in text
    assert "not redacted" in text
    assert (
        "nothing was found"
        in import_summary("a", Survey(whole=whole), whole, seed=1, redacted={})[-1]
    )
