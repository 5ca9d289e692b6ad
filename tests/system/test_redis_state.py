"""The Redis observer against a real server: what was sent is what is counted."""

from __future__ import annotations

import logging
import socket
import threading

import pytest
import redis

from profiler.errors import UsageError
from profiler.measure.records import StateDelta
from profiler.observers.redis_commands import documented_kind, kind_by_flags
from profiler.observers.state.select import probe_for
from tests.system.stores import free_port, redis_server

pytestmark = pytest.mark.system

SECRET = "c4nary-p4ssw0rd"


@pytest.fixture(scope="module")
def server():
    with redis_server() as server:
        yield server


def client(server, **options):
    """A client that sends nothing of its own: no HELLO, no CLIENT SETINFO."""
    connection = redis.Redis(
        port=server.port, protocol=2, single_connection_client=True, driver_info=None, **options
    )
    connection.ping()
    return connection


@pytest.fixture
def agent(server):
    with client(server) as connection:
        connection.flushall()
        yield connection


async def counted(server, work, url=None):
    probe = probe_for(url or server.url)
    await probe.begin()
    work()
    return await probe.finish(), probe


def figures(delta):
    assert delta.void_reason is None
    return delta.reads, delta.writes, delta.other


async def test_nothing_done_is_nothing_counted(server):
    delta, probe = await counted(server, lambda: None)
    assert delta == StateDelta(store="redis", reads=0, writes=0, other=0)
    assert probe.notes == []


async def test_reads_writes_and_others_are_exact(server, agent):
    def work():
        for number in range(7):
            agent.set(f"key{number}", number)
        for number in range(11):
            agent.get(f"key{number}")
        agent.hset("hash", mapping={"a": 1, "b": 2})
        agent.hgetall("hash")
        agent.ping()
        agent.config_get("maxmemory")

    delta, probe = await counted(server, work)
    assert figures(delta) == (12, 8, 2)
    assert probe.notes == []


async def test_a_pipeline_counts_its_commands(server, agent):
    def work():
        pipeline = agent.pipeline(transaction=False)
        for number in range(5):
            pipeline.set(f"key{number}", number).get(f"key{number}")
        pipeline.execute()

    assert figures((await counted(server, work))[0]) == (5, 5, 0)


async def test_a_transaction_counts_its_commands_and_itself_as_two_others(server, agent):
    def work():
        pipeline = agent.pipeline(transaction=True)
        pipeline.set("a", 1).incr("a").get("a")
        pipeline.execute()

    assert figures((await counted(server, work))[0]) == (1, 2, 2)


async def test_a_script_counts_its_commands_and_never_twice(server, agent):
    def work():
        agent.eval("redis.call('SET', KEYS[1], 'x'); return redis.call('GET', KEYS[1])", 1, "a")
        agent.eval_ro("return redis.call('GET', KEYS[1])", 1, "a")

    assert figures((await counted(server, work))[0]) == (2, 1, 2)


async def test_a_failed_command_counts_and_a_rejected_one_is_noted(server, agent):
    agent.set("text", "x")

    def work():
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            agent.lpush("text", 1)  # executed, and failed
        with pytest.raises(redis.ResponseError, match="wrong number"):
            agent.execute_command("GET")  # rejected
        with pytest.raises(redis.ResponseError, match="unknown command"):
            agent.execute_command("NOSUCH")  # counted nowhere

    delta, probe = await counted(server, work)
    assert figures(delta) == (0, 1, 0)
    assert [(note.kind, note.count) for note in probe.notes] == [("rejected_command", 1)]


async def test_a_blocking_read_of_a_stream_is_one_read(server, agent):
    agent.xadd("stream", {"a": 1})

    def work():
        agent.xread({"stream": "0"}, block=10)
        agent.blpop(["nothing"], timeout=0.05)

    assert figures((await counted(server, work))[0]) == (1, 1, 0)


async def test_all_databases_count(server, agent):
    def work():
        with client(server, db=3) as other:  # sends SELECT, and PING here
            other.set("a", 1)

    assert figures((await counted(server, work))[0]) == (0, 1, 2)


async def test_a_restart_voids_the_figure():
    with redis_server() as server:

        def work():
            server.stop()
            server.start()

        delta, _ = await counted(server, work)
    assert delta.void_reason == (
        "Redis was restarted during the run, or another server answers there"
    )
    assert (delta.reads, delta.writes, delta.other) == (None, None, None)


async def test_a_reset_of_the_statistics_voids_the_figure(server, agent):
    agent.get("a")

    def work():
        agent.config_resetstat()
        for _ in range(500):  # more calls than before: no counter is lower
            agent.get("a")
            agent.set("a", 1)

    delta, _ = await counted(server, work)
    assert delta.void_reason == ("Redis's statistics were reset during the run (CONFIG RESETSTAT)")


async def test_a_server_that_is_gone_at_the_end_voids_the_figure():
    with redis_server() as server:
        delta, _ = await counted(server, server.stop)
    assert delta.void_reason is not None
    assert delta.void_reason.startswith("at the end the store could not be asked: Redis cannot")


async def test_a_connection_that_the_server_closes_does_no_harm(server, agent):
    agent.set("a", 1)

    def work():
        agent.get("a")
        agent.client_kill_filter(_type="normal", skipme=True)

    assert figures((await counted(server, work))[0]) == (1, 0, 1)


async def test_our_own_login_is_taken_out():
    with redis_server(SECRET) as server:
        delta, probe = await counted(server, lambda: None)
    assert figures(delta) == (0, 0, 0)
    assert SECRET not in repr([delta, probe.notes, probe.shown, probe])


async def test_without_permission_for_command_the_table_stands_in(server, agent):
    agent.execute_command("ACL", "SETUSER", "watch", "on", f">{SECRET}", "+info", "allkeys")
    url = f"redis://watch:{SECRET}@127.0.0.1:{server.port}"

    def work():
        agent.set("a", 1)
        agent.get("a")
        agent.object("encoding", "a")
        agent.config_get("maxmemory")

    delta, probe = await counted(server, work, url)
    assert figures(delta) == (2, 1, 1)
    (note,) = [note for note in probe.notes if note.kind == "command_not_permitted"]
    assert note.detail is not None
    assert "COMMAND is not permitted" in note.detail


async def test_without_permission_for_info_the_run_does_not_start(server, agent):
    agent.execute_command("ACL", "SETUSER", "blind", "on", f">{SECRET}", "+ping")
    with pytest.raises(UsageError, match=r"the user may not run INFO\. Permit it: ACL"):
        await probe_for(f"redis://blind:{SECRET}@127.0.0.1:{server.port}").begin()


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (f":{SECRET}@", "did not accept the user and password"),
        (f"someone:{SECRET}@", "did not accept the user and password"),
        (f"{SECRET}@", "did not accept the user and password"),
        ("", "asks for a user and a password"),
    ],
)
async def test_a_wrong_password_is_said_and_never_shown(login, said, caplog):
    caplog.set_level(logging.DEBUG)
    with redis_server("another") as server:
        probe = probe_for(f"redis://{login}127.0.0.1:{server.port}/0")
        with pytest.raises(UsageError) as failure:
            await probe.begin()
    message = str(failure.value)
    assert f"redis://127.0.0.1:{server.port}/0: Redis {said}" in message
    assert "\n" not in message
    assert SECRET not in message + caplog.text + repr(failure.getrepr(chain=True))
    assert failure.value.__cause__ is None


async def test_a_password_where_none_is_configured(server):
    with pytest.raises(UsageError, match="did not accept the user and password") as failure:
        await probe_for(f"redis://:{SECRET}@127.0.0.1:{server.port}").begin()
    assert SECRET not in str(failure.value)


async def test_nobody_listens():
    port = free_port()
    with pytest.raises(UsageError, match=rf"^redis://127.0.0.1:{port}/0: Redis cannot be asked: "):
        await probe_for(f"redis://:{SECRET}@127.0.0.1:{port}").begin()


async def test_a_cluster_node_and_a_replica_are_refused(server):
    bus = str(free_port())
    cluster = redis_server(None, "--cluster-enabled", "yes", "--cluster-port", bus)
    with cluster as node, pytest.raises(UsageError, match="Redis Cluster is not supported"):
        await probe_for(node.url).begin()
    follower = redis_server(None, "--replicaof", "127.0.0.1", str(server.port))
    with follower as replica, pytest.raises(UsageError, match="this is a replica"):
        await probe_for(replica.url).begin()


async def test_a_server_that_never_answers_does_not_hang_the_run():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        probe = probe_for(f"redis://127.0.0.1:{port}", timeout_s=0.3)
        with pytest.raises(UsageError, match=r"redis did not answer in 0.3 s"):
            await probe.begin()
    delta = await probe.finish()
    assert delta.void_reason == "the store was not watched from the beginning of the run"


async def test_what_is_no_redis_server_is_said():
    def answer():
        with silent.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UsageError, match="Redis cannot be asked"):
            await probe_for(f"redis://127.0.0.1:{silent.getsockname()[1]}").begin()
        thread.join()


async def test_the_table_says_what_the_server_says(agent):
    entries = agent.connection
    entries.send_command("COMMAND")
    commands = entries.read_response()
    subcommands = [sub for entry in commands if len(entry) > 9 for sub in entry[9]]
    containers = {sub[0].partition(b"|")[0] for sub in subcommands}
    assert len(commands) > 200
    for entry in [*commands, *subcommands]:
        if entry[0] not in containers:
            name, flags = entry[0].decode(), {flag.decode() for flag in entry[2]}
            assert documented_kind(name) is kind_by_flags(name, flags), name
