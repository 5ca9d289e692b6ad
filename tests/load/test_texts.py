"""What was said is kept as asked for: redacted, whole, and for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from profiler.errors import JournalError, UsageError
from profiler.load.texts import TextLog
from profiler.measure.records import Interaction, Outcome, Phase
from profiler.redaction import remember

SAID = Interaction(
    trace_id="t",
    session="s",
    session_index=0,
    scenario="a",
    turn=1,
    phase=Phase.MEASURE,
    send_ns=0,
    end_ns=1,
    outcome=Outcome.OK,
)


def test_texts_are_redacted_by_kind_by_own_patterns_and_of_known_secrets(tmp_path):
    remember("canary-77")
    log = TextLog(tmp_path / "texts.jsonl", patterns=[r"order \d+"])
    log.put(SAID, "mail me@example.com on order 12", "your code is canary-77")
    log.put(SAID, "hello", None)
    log.close()
    lines = [orjson.loads(line) for line in (tmp_path / "texts.jsonl").read_bytes().splitlines()]
    assert lines[0] == {
        "trace_id": "t",
        "session": "s",
        "scenario": "a",
        "turn": 1,
        "phase": "measure",
        "user": "mail [email] on [redacted]",
        "reply": "your code is [redacted]",
    }
    assert lines[1]["reply"] is None
    assert (tmp_path / "texts.jsonl").stat().st_mode & 0o777 == 0o600


def test_texts_are_never_written_over(tmp_path):
    (tmp_path / "texts.jsonl").write_text("others\n")
    with pytest.raises(JournalError, match="File exists"):
        TextLog(tmp_path / "texts.jsonl")


def test_a_pattern_that_is_none_is_told_before_a_file_is_made(tmp_path):
    with pytest.raises(UsageError, match="no regular expression"):
        TextLog(tmp_path / "texts.jsonl", patterns=["("])
    assert not (tmp_path / "texts.jsonl").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_at_the_end(tmp_path, monkeypatch):
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("profiler.load.texts.os.open", lambda *_: full)
    log = TextLog(tmp_path / "texts.jsonl")
    for _ in range(200):  # more than is held back before it is written
        log.put(SAID, "x" * 100, None)
    with pytest.raises(JournalError, match="No space left on device"):
        log.close()
