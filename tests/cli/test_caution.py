"""Before a run goes beyond this machine: who is asked, what is said, and how it begins."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext

import pytest
import typer

from profiler.cli import caution
from profiler.cli.intent import Intent, is_beyond
from profiler.cli.spending import Prices, check_priced, prices_of
from profiler.errors import TargetUnusableError, UsageError
from profiler.measure.records import Usage
from profiler.workload.load import load_workload

BEYOND = "http://192.0.2.7:8000/v1/chat/completions"  # TEST-NET-1: nobody's


@pytest.fixture
def workload(tmp_path):
    def make(url=BEYOND, load="users: 4, requests: 10, warmup: 2", model="gpt-4o"):
        file = tmp_path / "w.yaml"
        file.write_text(
            f"target: {{url: '{url}', model: {model}, headers: {{authorization: Bearer canary-1}}}}"
            f"\nload: {{{load}}}\nscenarios: [{{name: a, turns: [{{user: hello}}]}}]\n"
        )
        return load_workload(file)

    return make


@pytest.mark.parametrize(
    ("url", "beyond"),
    [
        ("http://127.0.0.1:1/x", False),
        ("http://127.9.9.9/x", False),
        ("http://[::1]/x", False),
        ("http://[::ffff:127.0.0.1]/x", False),
        ("http://localhost:8080/", False),
        ("http://agent.localhost/", False),
        ("http://192.0.2.7/", True),
        ("http://10.0.0.1/", True),
        ("http://[2001:db8::1]/", True),
    ],
)
def test_only_loopback_is_this_machine(url, beyond):
    assert is_beyond(url) is beyond


@pytest.mark.parametrize(
    ("addresses", "beyond"),
    [(["127.0.0.1"], False), (["127.0.0.1", "192.0.2.7"], True), ([], True)],
)
def test_a_name_is_what_it_resolves_to_and_one_that_does_not_is_beyond(
    monkeypatch, addresses, beyond
):
    def found(*_args, **_kwargs):
        if not addresses:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert is_beyond("http://agent.test/") is beyond


@pytest.mark.parametrize(
    ("proxy", "is_asked"),
    [("http://192.0.2.7:3128", True), ("192.0.2.7:3128", True), ("http://127.0.0.1:3128", False)],
)
def test_a_proxy_beyond_this_machine_leads_beyond_it_whatever_the_url(
    workload, monkeypatch, proxy, is_asked
):
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr("profiler.cli.init_asking.is_terminal", lambda: False)
    here = workload("http://127.0.0.1:9/")
    assert (caution.gently(here).load.ramp_up_s is not None) is is_asked
    said = "the proxy on the way to 127.0.0.1:9 is beyond this machine"
    with pytest.raises(UsageError, match=said) if is_asked else nullcontext():
        caution.ask(intent(here), yes=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    caution.ask(intent(here), yes=False)


def intent(workload) -> Intent:
    return Intent(workload=workload, prices=Prices(None, workload.target.model))


def test_without_a_terminal_it_is_refused_with_all_that_is_known(workload, monkeypatch):
    monkeypatch.setattr("profiler.cli.init_asking.is_terminal", lambda: False)
    with pytest.raises(UsageError) as refused:
        caution.ask(intent(workload()), yes=False)
    assert refused.value.exit_code == 2
    said = str(refused.value)
    for part in ("192.0.2.7:8000", "12 interactions (2 of warm-up)", "4 users", "--yes"):
        assert part in said
    # 12 times "hello", one token each, at gpt-4o's $2.50 for a million
    assert "at least 12 tokens" in said
    assert "at least $0.0000" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    ("proxy", "error"),
    [(None, TargetUnusableError), ("http://192.0.2.9:3128", UsageError)],
)
def test_a_name_that_nobody_knows_is_said_to_be_unless_a_proxy_may_know_it(
    workload, monkeypatch, proxy, error
):
    def unknown(*_args, **_kwargs):
        raise socket.gaierror

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    if proxy is not None:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr("profiler.cli.init_asking.is_terminal", lambda: False)
    with pytest.raises(error):
        caution.ask(intent(workload("http://agent.test/")), yes=False)


@pytest.mark.parametrize("url", [BEYOND, "http://127.0.0.1:9/"])
def test_a_dry_run_says_how_users_begin_and_whether_it_will_be_asked_for(workload, capsys, url):
    caution.show(intent(caution.gently(workload(url))))
    said = capsys.readouterr().out
    for line in ("4 users within 400 ms", "--yes answers"):
        assert (line in said) is (url == BEYOND)


def test_a_dry_run_of_a_search_has_no_users_and_does_not_pause_for_what_it_looks_for(
    workload, capsys
):
    gently = caution.gently(workload())
    caution.show(Intent(workload=gently, prices=Prices(None, None), search="up to 3 steps"))
    said = capsys.readouterr().out
    assert "search     up to 3 steps\n" in said
    assert "never pauses on 429 or 503" in said
    assert "users" not in said


def test_a_dry_run_names_what_is_written_where_it_is():
    alone = ("journal.jsonl", "profile.json", "profile.md")
    assert caution.files_of(save_text=False, search=False) == alone
    mocked = caution.files_of(save_text=False, search=False, is_mock=True)
    assert mocked == (*alone, "mock_truth.jsonl")
    split = caution.files_of(save_text=False, search=False, is_split=True)
    assert split == (
        "profile.json",
        "profile.md",
        "shards/ (each with journal.jsonl, profile.json)",
    )


@pytest.mark.parametrize("answer", [True, False])
def test_on_a_terminal_it_is_asked(workload, monkeypatch, answer, capsys):
    monkeypatch.setattr("profiler.cli.init_asking.is_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *_args, **_kwargs: answer)
    if answer:
        caution.ask(intent(workload()), yes=False)
    else:
        with pytest.raises(typer.Abort):
            caution.ask(intent(workload()), yes=False)
    said = capsys.readouterr().err
    assert "authorization: ***" in said
    assert ("Nothing was sent." in said) is not answer


def test_nobody_is_asked_of_loopback_of_the_mock_agent_or_with_yes(workload):
    caution.ask(intent(workload("http://127.0.0.1:9/")), yes=False)
    caution.ask(intent(workload()), yes=True)


def test_users_of_others_systems_begin_one_after_the_other(workload):
    assert caution.gently(workload()).load.ramp_up_s == pytest.approx(0.4)
    many = workload(load="users: 500")
    assert caution.gently(many).load.ramp_up_s == 10
    assert caution.gently(workload("http://127.0.0.1:9/")).load.ramp_up_s is None
    assert caution.gently(workload(load="users: 4, ramp_up: 0s")).load.ramp_up_s == 0


def test_own_prices_are_those_of_a_million_tokens(workload):
    prices = prices_of(workload(model="mine"), price_input=2.0, price_output=8.0)
    usage = Usage(input_tokens=500_000, output_tokens=250_000, cached_input_tokens=100_000)
    assert prices("whatever", usage) == 3


def test_a_model_without_a_price_is_an_error_that_names_near_ones(workload):
    wrong = workload(model="gpt-4o-minni")
    with pytest.raises(UsageError, match=r"no model 'gpt-4o-minni'.*gpt-4o-mini.*--price-input"):
        check_priced(wrong, prices_of(wrong, price_input=None, price_output=None))


def test_one_price_alone_is_none(workload):
    with pytest.raises(UsageError, match="--price-output"):
        prices_of(workload(), price_input=1.0, price_output=None)
