"""The options that say what watches a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiler.cli.observing import (
    NOTHING,
    TOKEN_VARIABLE,
    Address,
    Observing,
    check_fits,
    observing_of,
    options_of,
    with_variable,
)
from profiler.errors import UsageError
from profiler.workload.load import load_workload


def observing(**options) -> Observing:
    known = ("gateway", "upstream", "otlp", "otlp_grpc", "otlp_grace")
    given: dict[str, Any] = dict.fromkeys(known)
    given |= {"state": (), "tag_interactions": False, "environ": {}} | options
    return observing_of(**given)


def workload(tmp_path: Path, *, url: str | None = None, more: str = ""):
    file = tmp_path / "w.yaml"
    target = "" if url is None else f"target: {{url: {url}}}\n"
    file.write_text(f"name: w\n{target}scenarios: [{{name: s, turns: [{{user: hi}}]{more}}}]\n")
    return load_workload(file, overrides={}, environ={})


def test_nothing_watches_unless_asked():
    assert observing() == NOTHING
    assert NOTHING.names == ()


def test_addresses_may_leave_out_the_host():
    watched = observing(gateway="8787", otlp=":4318", otlp_grpc=4317, upstream="http://a/v1")
    assert watched.gateway == Address(host="127.0.0.1", port=8787)
    assert watched.otlp == Address(host="127.0.0.1", port=4318)
    assert watched.otlp_grpc == 4317
    assert str(observing(otlp="[::1]:9").otlp) == "[::1]:9"
    assert watched.names == ("gateway", "otel")
    assert watched.grace_s == 6


@pytest.mark.parametrize(
    ("options", "what", "fix"),
    [
        ({"gateway": "here"}, "'here' is no address", "HOST:PORT"),
        ({"gateway": "a:99999"}, "'a:99999' is no address", "HOST:PORT"),
        ({"upstream": "http://a"}, "--upstream has no use without --gateway", "--gateway"),
        ({"gateway": "1", "upstream": "a"}, "is no URL", "https://api.openai.com/v1"),
        ({"otlp_grace": "3s"}, "--otlp-grace has no use without --otlp", "--otlp"),
        ({"otlp": "1", "otlp_grace": "soon"}, "'soon' is no duration", "6s"),
        ({"tag_interactions": True}, "no use without --gateway", "--gateway"),
        ({"gateway": "0.0.0.0:1"}, "needs a token", TOKEN_VARIABLE),
        ({"gateway": "agents.example:1"}, "needs a token", TOKEN_VARIABLE),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(options, what, fix):
    with pytest.raises(UsageError) as caught:
        observing(**options)
    assert what in caught.value.what
    assert fix in str(caught.value.fix)


def test_the_token_is_asked_for_only_beyond_loopback():
    environ = {TOKEN_VARIABLE: "s3cret-token"}
    assert observing(gateway="127.0.0.1:1", environ=environ).token is None
    assert observing(gateway="localhost:1", environ=environ).token is None
    assert observing(gateway="0.0.0.0:1", environ=environ).token == "s3cret-token"


def test_what_is_shown_has_no_secrets_and_can_be_read_again():
    watched = observing(
        gateway="0.0.0.0:8787",
        upstream="https://user:hunter2@llm.example/v1?key=hunter2",
        otlp="127.0.0.1:4318",
        otlp_grace="3s",
        state=("redis://:hunter2@localhost:6379/0",),
        tag_interactions=True,
        environ={TOKEN_VARIABLE: "hunter2"},
    )
    shown = " ".join(options_of(watched))
    assert shown == (
        "--gateway 0.0.0.0:8787 --upstream https://llm.example/v1 --otlp 127.0.0.1:4318 "
        "--otlp-grace 3s --state redis://localhost:6379/0 --tag-interactions"
    )


def test_a_run_that_cannot_be_watched_so_is_refused(tmp_path):
    mine, agents = workload(tmp_path), workload(tmp_path, url="http://a/v1/chat/completions")
    check_fits(NOTHING, agents, alone=False)
    check_fits(observing(gateway="1"), mine, alone=True)
    with pytest.raises(UsageError, match="watches a run of one process"):
        check_fits(observing(otlp="1"), mine, alone=False)
    with pytest.raises(UsageError, match="no provider to pass calls on to"):
        check_fits(observing(gateway="1"), agents, alone=True)
    tagged = observing(gateway="1", tag_interactions=True)
    with pytest.raises(UsageError, match="no scenario may be tagged"):
        check_fits(tagged, mine, alone=True)
    check_fits(tagged, workload(tmp_path, more=", taggable: true"), alone=True)


def test_a_base_url_is_shown_with_the_tokens_variable_in_its_place():
    shown = with_variable("http://0.0.0.0:8787/t/s3cret-token/v1", "s3cret-token")
    assert shown == f"http://0.0.0.0:8787/t/${TOKEN_VARIABLE}/v1"
    assert with_variable("http://127.0.0.1:8787/v1", None) == "http://127.0.0.1:8787/v1"
