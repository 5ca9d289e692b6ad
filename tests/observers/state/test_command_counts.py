"""Redis's counters; the texts are from Redis 7.0.15 and 6.0, cut down to what is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.measure.records import StateKind
from profiler.observers.state.command_counts import (
    CommandCount,
    executed,
    parse_info,
    total,
)
from profiler.observers.state.probe import VoidFigureError

BEFORE = """# Server\r
redis_version:7.0.15\r
redis_mode:standalone\r
run_id:d8081cb6483524b80b7a7032e8b689033efff880\r
\r
# Stats\r
total_commands_processed:22\r
\r
# Replication\r
role:master\r
\r
# Commandstats\r
cmdstat_set:calls=3,usec=26,usec_per_call=8.67,rejected_calls=0,failed_calls=0\r
cmdstat_config|resetstat:calls=1,usec=129,usec_per_call=129.00,rejected_calls=0,failed_calls=0\r
cmdstat_lpush:calls=3,usec=14,usec_per_call=4.67,rejected_calls=0,failed_calls=3\r
cmdstat_get:calls=3,usec=9,usec_per_call=3.00,rejected_calls=1,failed_calls=0\r
cmdstat_info:calls=2,usec=148,usec_per_call=74.00,rejected_calls=0,failed_calls=0\r
"""

AFTER = (
    BEFORE.replace("processed:22", "processed:40")
    .replace(
        "cmdstat_get:calls=3,usec=9,usec_per_call=3.00,rejected_calls=1",
        "cmdstat_get:calls=10,usec=30,usec_per_call=3.00,rejected_calls=3",
    )
    .replace("cmdstat_info:calls=2,usec=148", "cmdstat_info:calls=3,usec=222")
)

REDIS_6_0 = """# Server
redis_version:6.0.16
run_id:aa
# Commandstats
cmdstat_config:calls=2,usec=30,usec_per_call=15.00
"""


def test_the_two_readings_without_our_own_info():
    before, after = parse_info(BEFORE), parse_info(AFTER)
    assert executed(before, after, {"info": 1, "auth": 0}) == {
        "get": CommandCount(calls=7, rejected=2)
    }


def test_redis_6_has_no_subcommands_and_no_rejected_calls():
    reading = parse_info(REDIS_6_0)
    assert (reading.mode, reading.role, reading.version) == ("standalone", "master", "6.0.16")
    assert reading.commands == {"config": CommandCount(calls=2, usec=30)}


@pytest.mark.parametrize("text", ["", "# Server\nrun_id:a\n", "# Commandstats\n"])
def test_an_answer_without_what_is_needed_is_refused(text):
    with pytest.raises(ValueError, match="run_id and commandstats"):
        parse_info(text)


def changed(**fields):
    return replace(parse_info(AFTER), **fields)


def commands(**counts):
    return changed(commands={**parse_info(AFTER).commands, **counts})


RESETSTAT = "config|resetstat"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (changed(run_id="other"), "restarted"),
        (changed(role="slave"), "from master to slave"),
        (changed(processed=21), "reset"),
        (commands(set=CommandCount(calls=2, usec=99)), "reset"),
        (commands(set=CommandCount(calls=9, usec=25)), "reset"),
        (changed(commands={}), "reset"),
        # Every counter is higher, but the last reset took other 128 µs.
        (commands(**{RESETSTAT: CommandCount(calls=1, usec=130)}), "reset"),
        (commands(info=CommandCount(calls=2, usec=148)), "fewer calls of info"),
    ],
)
def test_readings_that_make_no_figure(after, reason):
    with pytest.raises(VoidFigureError, match=reason):
        executed(parse_info(BEFORE), after, {"info": 1})


def test_a_first_reset_is_seen_though_no_counter_is_lower():
    before = replace(parse_info(BEFORE), commands={"get": CommandCount(calls=1, usec=1)})
    after = commands(get=CommandCount(calls=10, usec=30))
    with pytest.raises(VoidFigureError, match="reset"):
        executed(before, after, {})


def test_commands_are_added_up_and_unknown_ones_named():
    counts = {
        "get": CommandCount(calls=5, rejected=1),
        "mget": CommandCount(calls=2),
        "set": CommandCount(calls=3),
        "ping": CommandCount(calls=1),
        "mine.do": CommandCount(calls=4, rejected=2),
    }
    kinds = {
        "get": StateKind.READ,
        "mget": StateKind.READ,
        "set": StateKind.WRITE,
        "ping": StateKind.OTHER,
        "mine.do": None,
    }
    counted = total(counts, kinds)
    assert (counted.reads, counted.writes, counted.other) == (7, 3, 5)
    assert counted.notes == (
        ("unknown_command", 4, "counted as neither read nor write: mine.do"),
        ("rejected_command", 3, "rejected by Redis before execution: left out"),
    )
