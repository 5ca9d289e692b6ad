"""Asking Prometheus: its answers, and its refusals in one line."""

from __future__ import annotations

import math

import httpx
import pytest

from profiler.errors import UsageError
from profiler.observers.prometheus import Prometheus


def server(body: object = None, *, status: int = 200, url: str = "http://prom:9090") -> Prometheus:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body)

    return Prometheus(url, transport=httpx.MockTransport(answer))


def success(*result: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": "vector", "result": list(result)}}


def test_a_value_is_that_of_the_one_series():
    assert server(success({"metric": {}, "value": [1.0, "2.5"]})).value("up", 1.0) == 2.5


def test_nothing_and_what_is_no_number_are_none():
    assert server(success()).value("up", 1.0) is None
    assert server(success({"metric": {}, "value": [1.0, "NaN"]})).value("up", 1.0) is None


def test_buckets_come_in_the_order_of_their_edges():
    series = [
        {"metric": {"le": edge}, "value": [1.0, count]}
        for edge, count in (("+Inf", "9"), ("10", "7"), ("2.5", "3"))
    ]
    assert server(success(*series)).buckets("b", 1.0) == [(2.5, 3), (10, 7), (math.inf, 9)]


def test_a_series_leaves_out_what_is_no_number():
    found = server(success({"metric": {}, "values": [[1, "4"], [2, "NaN"], [3, "5"]]}))
    assert found.series("x", start_s=1, end_s=3, step_s=1) == [(1, 4), (3, 5)]


def test_a_query_that_is_refused_is_quoted():
    body = {"status": "error", "error": "parse error"}
    with pytest.raises(UsageError, match=r"http://prom:9090.*400 parse error.*The query was up\("):
        server(body, status=400).value("up(", 1.0)


def test_a_server_that_is_none_says_what_is_expected():
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, text="<html>")

    with pytest.raises(UsageError, match=r"this is no Prometheus: HTTP 404.*/api/v1/query"):
        Prometheus("http://web", transport=httpx.MockTransport(answer)).value("up", 1.0)


def test_a_server_that_is_not_there_is_one_line():
    with (
        Prometheus("http://127.0.0.1:9") as nobody,
        pytest.raises(UsageError, match=r"http://127\.0\.0\.1:9: Prometheus does not answer"),
    ):
        nobody.value("up", 1.0)


def test_a_password_is_never_shown():
    body = {"status": "error", "error": "no"}
    with pytest.raises(UsageError) as failure:
        server(body, url="http://me:secret@prom:9090/base").value("x", 1.0)
    assert "http://prom:9090/base" in str(failure.value)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("url", ["prom:9090", "ftp://prom", "http://"])
def test_another_address_is_refused(url):
    with pytest.raises(UsageError, match="not the address of a Prometheus"):
        Prometheus(url)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "success"},
        {"status": "success", "data": {"result": {}}},
        success({"metric": {}}),
        success({"metric": {}, "value": ["now", "x"]}),
        success({"metric": {"le": {}}, "value": [1.0]}),
    ],
)
def test_an_answer_of_another_shape_is_one_line(body):
    for ask in (
        lambda: server(body).buckets("b", 1.0),
        lambda: server(body).value("b", 1.0) and None,
    ):
        with pytest.raises(UsageError, match="this is no Prometheus"):
            ask()


def test_an_answer_without_end_is_not_read_to_its_end():
    asked_for = 0

    def without_end():
        nonlocal asked_for
        while True:
            asked_for += 1
            yield b" " * 2**20

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=without_end()))
    with pytest.raises(UsageError, match="more than 64 MiB"):
        Prometheus("http://prom:9090", transport=transport).value("up", 1.0)
    assert asked_for == 65
