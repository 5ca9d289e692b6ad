"""What happens to a target during a run shows in the profile, under its own name."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

import pytest

from tests.system.cli import agent_profiler, json_lines, load_json
from tests.system.servers import response, serving

pytestmark = pytest.mark.system

PLAIN = """
name: plain
target: {stream: false, timeout: 5s}
load: {warmup: 0, error_limit: never}
scenarios: [{name: a, turns: [{user: "Are you there?"}]}]
"""


def run(folder, url, *options) -> tuple[int, str, dict]:
    (folder / "w.yaml").write_text(PLAIN)
    done = agent_profiler(
        "run", "w.yaml", "--url", url, "--out", "run", *options, cwd=folder, NO_PROXY="*"
    )
    profile = folder / "run" / "profile.json"
    code = 0 if done.is_done else done.code
    return code, done.out + done.err, load_json(profile) if profile.exists() else {}


def test_a_server_that_stalls_for_two_seconds_shows_in_scheduled_latency(tmp_path):
    began: list[float] = []

    async def stalls(writer):
        began.append(time.monotonic())
        into = time.monotonic() - began[0]
        if 1 <= into < 3:
            await asyncio.sleep(3 - into)
        writer.write(response())
        return True

    with serving(stalls) as url:
        _, said, profile = run(tmp_path, url, "--rate", "100/s", "-n", 500)
    assert profile["sample"]["succeeded"] == 500, said
    scheduled = profile["interaction"]["scheduled_latency"]
    # Of 5 s of arrivals those of 2 s wait for up to 2 s: the slowest hundredth for 1.95 s or more.
    assert scheduled["max"] > 1.9
    assert scheduled["p99"] > 1.8
    assert scheduled["p50"] < 1.0


def test_a_limit_on_what_is_in_flight_drops_arrivals_and_counts_them(tmp_path):
    async def slow(writer):
        await asyncio.sleep(0.5)
        writer.write(response())
        return True

    (tmp_path / "w.yaml").write_text(
        PLAIN.replace(
            "load: {", "load: {rate: 50/s, arrivals: constant, max_in_flight: 5, requests: 40, "
        )
    )
    with serving(slow) as url:
        done = agent_profiler("run", "w.yaml", "--url", url, "--out", "run", cwd=tmp_path)
    profile = load_json(tmp_path / "run" / "profile.json")
    assert profile["sample"]["succeeded"] == 40, done.err
    events = json_lines(tmp_path / "run" / "journal.jsonl")
    sent = [event for event in events if event["event"] == "interaction"]
    # 50 arrive in a second, however long the machine stands still. Each of them that was not sent,
    # from the first to the last that was, is dropped; and five take half a second.
    first_ns, *_, last_ns = sorted(event["intended_start_ns"] for event in sent)
    arrived = round((last_ns - first_ns) / 20e6) + 1
    assert profile["load"]["dropped"] == arrived - 40 > 0
    sends_ns = [event["send_ns"] for event in sent]
    assert max(sends_ns) - min(sends_ns) >= 7 * 0.5e9
    for begun in sent:
        assert sum(e["send_ns"] <= begun["send_ns"] < e["end_ns"] for e in sent) <= 5
    assert "dropped" in done.out


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("reset", "protocol_error/connection_lost"),
        ("closed", "protocol_error/invalid_http"),
        ("garbage", "protocol_error/not_json"),
        ("error_inside", "agent_error/error_in_body"),
        ("busy", "http_5xx/http_503"),
        ("limited", "http_429"),
    ],
)
def test_a_fault_in_mid_run_has_its_kind_and_the_run_goes_on(tmp_path, kind, outcome):
    count = 0

    async def faulty(writer):
        nonlocal count
        count += 1
        if count % 4:
            writer.write(response())
            return True
        match kind:
            case "reset":  # once a byte has come: before it, an idle connection might have closed
                writer.write(b"HTTP/1.1 200 OK\r\n")
                await asyncio.sleep(0.02)
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case "closed":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
            case "garbage":
                writer.write(response(b"<html>"))
            case "error_inside":
                writer.write(response(b'{"error": {"message": "out of order"}}'))
            case "busy":
                writer.write(response(b"{}", "503 Service Unavailable"))
            case "limited":
                writer.write(response(b"{}", "429 Too Many Requests"))
        return kind not in {"reset", "closed"}

    with serving(faulty) as url:
        code, said, profile = run(tmp_path, url, "-n", 40)
    assert code == 0, said
    assert profile["sample"]["failed"] == {outcome: 10}
    assert profile["sample"]["succeeded"] == 30
    assert outcome.rpartition("/")[2] in said


def test_an_idle_connection_that_closes_is_replaced_and_the_journal_says_so(tmp_path):
    answered: set[int] = set()

    async def answers_once_a_connection(writer):
        if id(writer) in answered:
            return False  # hangs up on the second request, before a byte
        answered.add(id(writer))
        alive.append(writer)
        writer.write(response())
        return True

    alive: list[asyncio.StreamWriter] = []  # so that no two connections share an id
    with serving(answers_once_a_connection) as url:
        code, said, profile = run(tmp_path, url, "-n", 20)
    assert code == 0, said
    assert profile["sample"]["succeeded"] == 20
    events = json_lines(tmp_path / "run" / "journal.jsonl")
    reconnects = [e.get("reconnects") for e in events if e["event"] == "interaction"]
    # Each but the first finds the connection of the one before it closed.
    assert reconnects == [None] + [1] * 19
    assert len(answered) == 20


def test_an_answer_of_100_mb_is_cut_off_and_the_run_goes_on(tmp_path):
    count = 0

    async def huge_once(writer):
        nonlocal count
        count += 1
        if count != 3:
            writer.write(response())
            return True
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
        for _ in range(100):
            writer.write(b" " * 2**20)
            await writer.drain()
        return True

    with serving(huge_once) as url:
        code, said, profile = run(tmp_path, url, "-n", 10)
    assert code == 0, said
    assert profile["sample"]["failed"] == {"protocol_error/body_too_large": 1}
    assert profile["sample"]["succeeded"] == 9


def test_a_target_that_goes_away_in_mid_run_is_refused_from_then_on(tmp_path):
    count = 0
    gone = asyncio.Event()

    async def goes_away(writer):
        nonlocal count
        count += 1
        writer.write(response())
        if count == 30:
            gone.set()
            for server_socket in listening:
                server_socket.close()
        return count < 30

    listening: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        original = asyncio.start_server

        async def start_server(handle, host, _port, **options):
            server = await original(handle, host, port, **options)
            listening.append(_Closer(server))
            return server

        patch.setattr(asyncio, "start_server", start_server)
        with serving(goes_away) as url:
            code, said, profile = run(tmp_path, url, "-n", 50)
    assert code == 0, said
    assert profile["sample"]["succeeded"] == 30
    assert profile["sample"]["failed"] == {"connect_error/refused": 20}


class _Closer:
    def __init__(self, server):
        self.close = server.close


def test_a_name_that_does_not_resolve_is_one_clear_line(tmp_path):
    code, said, _ = run(tmp_path, "http://no-such-host.invalid/")
    assert code == 5
    assert len(said.strip().splitlines()) == 1
    assert "no-such-host.invalid" in said


def test_more_users_than_files_may_be_open_is_told_before_the_run(tmp_path):
    code, said, _ = run(tmp_path, "http://127.0.0.1:9/", "--users", 10_000_000)
    assert code == 2
    assert "ulimit -n" in said
    assert len(said.strip().splitlines()) == 1
