"""The null server: honest answers, exact delays, and figures of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from profiler.clock import monotonic_ns
from profiler.errors import UsageError
from profiler.measure.journal import read_journal
from profiler.measure.records import Interaction, Outcome
from profiler.mock import null_server
from profiler.mock.alarm import Alarm
from profiler.mock.null_answers import NullAnswers
from profiler.mock.null_server import NullOptions, NullStats, running_null

ROOT = Path(__file__).parents[2]
C_SOURCE = ROOT / "benchmarks" / "null_server.c"
PLAIN = b'{"model":"m","messages":[]}'
STREAM = b'{"model":"m","stream":true}'
GET_STATS = b"GET /stats HTTP/1.1\r\nhost: x\r\n\r\n"


def post(body: bytes, extra: bytes = b"") -> bytes:
    return b"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n%b" % (
        len(body),
        extra,
        body,
    )


@contextlib.contextmanager
def python_server(*arguments: str):
    command = [sys.executable, "-W", "error", "-m", "profiler", "mock", "null", "--port", "0"]
    with process([*command, "--announce", "--until-stdin-closes", *arguments]) as started:
        yield started


@contextlib.contextmanager
def process(command: list[str]):
    """Start a server; yields the process and its port."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as started:
        try:
            assert started.stdout is not None
            url = json.loads(started.stdout.readline())["url"]
            yield started, int(url.split(":")[2].split("/")[0])
        finally:
            if started.poll() is None:
                started.kill()


def binary(folder: Path) -> str:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler")
    built = folder / "null_server"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", built, C_SOURCE], check=True)
    return str(built)


@pytest.fixture(scope="module")
def c_binary(tmp_path_factory):
    return binary(tmp_path_factory.mktemp("null"))


@pytest.fixture(scope="module", params=["python", "c"])
def port(request):
    """Both servers: what the benchmarks use in C must answer as the shipped one does."""
    if request.param == "python":
        with python_server("--chunks", "3") as (_, listening):
            yield listening
    else:
        command = [request.getfixturevalue("c_binary"), "--port", "0", "--chunks", "3"]
        with process(command) as (_, listening):
            yield listening


async def exchange(port: int, *pieces: bytes, answers: int = 1) -> bytes:
    """Send pieces a segment each; read until so many heads came and nothing more does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        got = b""
        while got.count(b"HTTP/1.1 ") < answers or not is_whole(got):
            more = await asyncio.wait_for(reader.read(65536), 10)
            if not more:
                break
            got += more
        return got
    finally:
        writer.close()
        await writer.wait_closed()


def is_whole(got: bytes) -> bool:
    """Whether the last response in there is complete."""
    head, _, body = got[got.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    if b"chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head.rpartition(b"content-length: ")[2].split(b"\r\n")[0])


async def stats_of(port: int) -> dict:
    got = await exchange(port, GET_STATS)
    figures: dict = json.loads(got.partition(b"\r\n\r\n")[2])
    return figures


async def test_a_client_reads_a_plain_answer_and_a_stream(port):
    async with httpx.AsyncClient(verify=False) as client:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        plain = (await client.post(url, content=PLAIN)).json()
        stream = (await client.post(url, content=STREAM)).text
    assert plain["choices"][0]["message"]["content"]
    assert plain["usage"]["prompt_tokens"] > 0
    events = [line.removeprefix("data: ") for line in stream.splitlines() if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["token "] * 3
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 3


async def test_requests_that_come_together_are_each_answered(port):
    got = await exchange(port, post(PLAIN) + post(STREAM) + post(PLAIN), answers=3)
    kinds = [b"chunked" in part for part in got.split(b"HTTP/1.1 200 OK")[1:]]
    assert kinds == [False, True, False]


async def test_a_request_that_comes_in_pieces_is_one_request(port):
    before = await stats_of(port)
    request = post(b'{"text":"%b"}' % (b"x" * 200_000), extra=b"x-a: b\r\n")
    pieces = [request[:9], request[9:40], request[40:100_000], request[100_000:]]
    assert (await exchange(port, *pieces)).startswith(b"HTTP/1.1 200 OK")
    assert (await stats_of(port))["requests"] == before["requests"] + 1


async def test_the_words_of_one_request_do_not_make_a_stream_of_the_one_before(port):
    got = await exchange(port, post(PLAIN) + post(STREAM), answers=2)
    assert b"chunked" not in got.split(b"HTTP/1.1 200 OK")[1]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nx: " + b"y" * 70_000, b"431"),
    ],
)
async def test_what_it_cannot_read_it_refuses_and_hangs_up(port, request_bytes, status):
    got = await exchange(port, request_bytes)
    assert got.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in got


async def test_a_client_that_wants_to_close_is_answered_first(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(PLAIN, extra=b"Connection: close\r\n"))
    got = await asyncio.wait_for(reader.read(-1), 10)  # until the server hangs up
    writer.close()
    assert is_whole(got)


async def test_it_counts_requests_and_streams_and_its_cpu(port):
    before = await stats_of(port)
    await exchange(port, post(PLAIN) + post(STREAM), answers=2)
    after = await stats_of(port)
    assert after["requests"] - before["requests"] == 2
    assert after["streams"] - before["streams"] == 1
    assert after["cpu_s"] >= before["cpu_s"]
    assert after["first_request_ns"] <= monotonic_ns()  # one clock for the whole machine
    assert after["delay_error_us"] is None


async def test_no_answer_comes_before_its_delay():
    options = NullOptions(delay_s=0.03, ttft_s=0.01, chunk_gap_s=0.005, chunks=4)
    async with running_null(options=options) as (urls, stats):
        port = int(urls.url.split(":")[2].split("/")[0])
        for body, least_ns in ((PLAIN, 30_000_000), (STREAM, 10_000_000 + 3 * 5_000_000)):
            sent_ns = monotonic_ns()
            await exchange(port, post(body))
            assert monotonic_ns() - sent_ns >= least_ns
        told = await stats_of(port)
    assert told["delay_error_us"]["count"] == 1 + 4
    assert told["requests"] == stats.requests == 2


async def test_what_is_pipelined_behind_a_delay_waits_for_its_turn():
    async with running_null(options=NullOptions(ttft_s=0.02, chunks=2)) as (urls, _):
        port = int(urls.url.split(":")[2].split("/")[0])
        got = await exchange(port, post(STREAM) + post(PLAIN), answers=2)
    assert [b"chunked" in part for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [True, False]


async def test_a_client_that_leaves_during_a_delay_is_forgotten():
    async with running_null(options=NullOptions(delay_s=0.02)) as (urls, stats):
        port = int(urls.url.split(":")[2].split("/")[0])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(PLAIN))
        await writer.drain()
        while not stats.requests:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.001)
        writer.close()
        assert (await exchange(port, post(PLAIN))).startswith(b"HTTP/1.1 200 OK")
        assert stats.requests == 2


async def test_a_port_that_is_taken_is_one_clear_line():
    async with running_null() as (urls, _):
        port = int(urls.url.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match="cannot listen"):
            async with running_null(port=port):
                pass


async def test_an_alarm_rings_in_the_order_of_the_instants_and_never_early():
    rang: list[tuple[str, int]] = []
    alarm, now_ns = Alarm(), monotonic_ns()
    done = asyncio.Event()

    def ring(name):
        def call(due_ns):
            rang.append((name, monotonic_ns() - due_ns))
            if len(rang) == 3:
                done.set()

        return call

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(alarm.run())
        alarm.at(now_ns + 20_000_000, ring("third"))
        await asyncio.sleep(0)  # it waits for the third by now
        alarm.at(now_ns + 5_000_000, ring("first"))
        alarm.at(now_ns + 5_000_000, ring("second"))
        await done.wait()
        running.cancel()
    assert [name for name, _ in rang] == ["first", "second", "third"]
    assert all(late_ns >= 0 for _, late_ns in rang)


def test_percentiles_of_its_lateness_are_of_the_sample():
    stats = NullStats()
    assert stats.as_dict()["delay_error_us"] is None
    assert stats.as_dict()["cpu_us_per_request"] is None
    now_ns = monotonic_ns()
    for _ in range(3):
        stats.note_late(now_ns + 3_600_000_000_000)  # due in an hour: not late at all
    stats.note_late(now_ns - 3_600_000_000_000)
    errors = stats.as_dict()["delay_error_us"]
    assert (errors["count"], errors["p50"], errors["p99"]) == (4, 0, 100_000)  # capped, not lost
    assert errors["max"] >= 3_600_000_000


def test_a_stream_of_one_chunk_is_a_whole_stream():
    answers = NullAnswers.of(1)
    assert answers.pieces == (answers.stream,)
    assert answers.stream.count(b"data: ") == 2


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, None])
@pytest.mark.parametrize("kind", ["python", "c"])
def test_it_ends_when_asked_to_and_then_gives_its_figures(kind, number, request):
    if kind == "python":
        server = python_server()
    else:
        server = process([request.getfixturevalue("c_binary"), "--port", "0"])
    with server as (started, port):
        asyncio.run(exchange(port, post(PLAIN)))
        if number is not None:
            started.send_signal(number)
        out, err = started.communicate(timeout=20)  # closes standard input
        assert (started.returncode, err) == (0, "")
        assert json.loads(out)["requests"] == 1


@pytest.mark.system
@pytest.mark.parametrize("arguments", [("--delay", "soon"), ("--chunks", "0")])
def test_an_option_that_makes_no_sense_is_one_line(arguments):
    command = [sys.executable, "-m", "profiler", "mock", "null", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert arguments[0] in done.stderr


@pytest.mark.system
def test_a_run_against_it_finds_every_interaction_and_its_tokens(tmp_path):
    workload = tmp_path / "w.yaml"
    workload.write_text(
        "load: {users: 4, requests: 12}\n"
        "target: {stream: true}\n"
        "scenarios: [{name: a, turns: [{user: hello}, {user: again}]}]\n"
        "name: null\n".replace("null", "against-null")
    )
    with python_server("--chunks", "5") as (_, port):
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        command = [sys.executable, "-m", "profiler", "run", workload, "--url", url, "-q", "--out"]
        done = subprocess.run([*command, tmp_path / "run"], cwd=ROOT, check=False)
    records = [r for r in read_journal(tmp_path / "run") if isinstance(r, Interaction)]
    assert done.returncode in {0, 4}  # 4: a busy machine
    assert [r.outcome for r in records] == [Outcome.OK] * 12
    assert {r.usage.output_tokens for r in records} == {5}


async def test_who_is_silent_or_one_too_many_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(null_server, "SILENCE_S", 0.0)
    monkeypatch.setattr(null_server, "_SWEEP_S", 0.05)
    monkeypatch.setattr(null_server, "MOST_CONNECTIONS", 1)
    async with running_null() as (urls, _):
        port = int(urls.stats.rpartition("/")[0].rpartition(":")[2])
        async with asyncio.timeout(20):
            silent, first = await asyncio.open_connection("127.0.0.1", port)
            other, second = await asyncio.open_connection("127.0.0.1", port)
            for reader, writer in ((silent, first), (other, second)):
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
                writer.close()


async def test_who_is_slow_over_a_head_is_hung_up_on_however_often_he_speaks(monkeypatch):
    monkeypatch.setattr(null_server, "HEAD_S", 0.2)
    monkeypatch.setattr(null_server, "_SWEEP_S", 0.05)
    async with running_null() as (urls, _):
        port = int(urls.stats.rpartition("/")[0].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nx: ")
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"y")
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 0.02)
        writer.close()
