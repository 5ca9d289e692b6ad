"""Whom a run shows its metrics to, as the options say it."""

from __future__ import annotations

import pytest

from profiler.cli.exporting import (
    NOWHERE,
    Exporting,
    check_alone,
    exporting_of,
    options_of,
    wait_s,
)
from profiler.cli.observing import NOTHING, Address, Observing
from profiler.errors import UsageError

HERE = Address(host="127.0.0.1", port=9464)


def test_a_port_alone_is_one_of_this_machine():
    assert exporting_of(prometheus=":9464", otlp_export=None) == Exporting(prometheus=HERE)


def test_nothing_asked_for_is_nothing_done():
    assert exporting_of(prometheus=None, otlp_export=None) == NOWHERE
    assert not NOWHERE.is_on


@pytest.mark.parametrize(
    ("options", "what", "fix"),
    [
        ({"prometheus": "here"}, "--prometheus: 'here' is no address", "127.0.0.1:9464"),
        ({"otlp_export": "localhost:4318"}, "--otlp-export: 'localhost:4318' is no URL", "http://"),
    ],
)
def test_a_wrong_option_is_said_with_a_right_one(options, what, fix):
    with pytest.raises(UsageError) as caught:
        exporting_of(**{"prometheus": None, "otlp_export": None, **options})
    assert what in str(caught.value)
    assert fix in str(caught.value)


def test_the_command_to_repeat_holds_no_password():
    shown = options_of(Exporting(prometheus=HERE, otlp_url="http://me:hunter2@c:4318/x?key=k"))
    assert shown == ("--prometheus", "127.0.0.1:9464", "--otlp-export", "http://c:4318/x")


def test_a_run_of_several_processes_cannot_be_shown():
    with pytest.raises(UsageError, match=r"--otlp-export shows a run of one process.*--workers"):
        check_alone(Exporting(otlp_url="http://c:4318"), alone=False)
    check_alone(NOWHERE, alone=False)


def test_spans_are_waited_for_longer_than_a_gateways_calls():
    gateway, otlp = Observing(gateway=HERE), Observing(gateway=HERE, otlp=HERE, grace_s=6.0)
    assert wait_s(NOTHING) == 0
    assert 0 < wait_s(gateway) < 6.0 < wait_s(otlp)
