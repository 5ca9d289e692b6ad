"""What Redis commands do; expected values from the flags that redis.io documents."""

from __future__ import annotations

import pytest

from profiler.measure.records import StateKind
from profiler.observers.redis_commands import classify_redis, documented_kind, kind_by_flags


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("GET", StateKind.READ),
        ("get key", StateKind.READ),
        ("SET ? ?", StateKind.WRITE),
        ("XINFO STREAM key", StateKind.READ),
        ("xinfo|stream", StateKind.READ),
        ("XINFO HELP", StateKind.OTHER),
        ("xgroup create s g $", StateKind.WRITE),
        ("OBJECT ENCODING a", StateKind.READ),
        ("FUNCTION LOAD x", StateKind.WRITE),
        ("FUNCTION LIST", StateKind.OTHER),
        ("CONFIG GET maxmemory", StateKind.OTHER),
        ("EVAL_RO", StateKind.OTHER),
        ("EXEC", StateKind.OTHER),
        ("JSON.SET doc $ 1", StateKind.WRITE),
        ("FT.SEARCH", StateKind.READ),
        ("HSETEX", StateKind.WRITE),
        ("VSIM", StateKind.READ),
        ("NOSUCH", StateKind.OTHER),
        ("", StateKind.OTHER),
    ],
)
def test_a_command_by_its_name_or_its_text(command, kind):
    assert classify_redis(command) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("get", StateKind.READ),
        ("client|setinfo", StateKind.OTHER),
        ("memory|usage", StateKind.READ),
        ("memory|doctor", StateKind.OTHER),
        ("memory", StateKind.READ),  # Redis 6: COMMAND INFO memory says readonly
        ("xgroup", StateKind.WRITE),
        ("nosuch", None),
        ("nosuch|sub", None),
    ],
)
def test_a_name_as_commandstats_has_it(name, kind):
    assert documented_kind(name) is kind


def test_flags_say_it_except_for_what_runs_other_commands():
    assert kind_by_flags("mine.get", {"readonly", "fast"}) is StateKind.READ
    assert kind_by_flags("mine.set", {"write", "denyoom"}) is StateKind.WRITE
    assert kind_by_flags("mine.ping", {"fast"}) is StateKind.OTHER
    assert kind_by_flags("fcall_ro", {"readonly"}) is StateKind.OTHER
