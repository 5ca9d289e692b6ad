"""The PostgreSQL observer against a real server: what was sent is what is counted."""

from __future__ import annotations

import logging
import socket

import psycopg
import pytest

from profiler.errors import UsageError
from profiler.measure.records import StateDelta
from profiler.observers.state.select import probe_for
from tests.system.stores import free_port, postgres_server

pytestmark = pytest.mark.system

SECRET = "c4nary-p4ssw0rd"


@pytest.fixture(scope="module")
def server():
    with postgres_server(SECRET) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
            admin.execute("CREATE DATABASE bare")
            admin.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0")
            admin.execute(f"CREATE USER watcher PASSWORD '{SECRET}'")
            admin.execute("CREATE TABLE state (key text PRIMARY KEY, value int)")
        with psycopg.connect(server.url("plain"), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
        yield server


@pytest.fixture
def agent(server):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("TRUNCATE state")
        yield connection


async def counted(server, work, url=None):
    probe = probe_for(url or server.url())
    await probe.begin()
    work()
    return await probe.finish(), probe


def figures(delta):
    assert delta.void_reason is None
    return delta.reads, delta.writes, delta.other


async def test_nothing_done_is_nothing_counted(server):
    for _ in range(2):  # the second time our own statements have entries already
        delta, probe = await counted(server, lambda: None)
        assert delta == StateDelta(store="postgresql", reads=0, writes=0, other=0)
        assert probe.notes == []


async def test_reads_writes_and_others_are_exact(server, agent):
    def work():
        for number in range(4):
            agent.execute("INSERT INTO state VALUES (%s, %s)", (f"k{number}", number))
        for _ in range(6):
            agent.execute("SELECT value FROM state WHERE key = %s", ("k1",))
        agent.execute("-- a comment\n/* and /* another */ */ UPDATE state SET value = 1")
        agent.execute("DELETE FROM state WHERE key = 'k0'")
        agent.execute("SELECT * FROM state FOR UPDATE")
        agent.execute("SET application_name = 'agent'")

    assert figures((await counted(server, work))[0]) == (7, 6, 1)


async def test_with_is_a_write_if_a_part_of_it_is(server, agent):
    def work():
        agent.execute("WITH old AS (SELECT 1) SELECT * FROM old")
        agent.execute("WITH gone AS (DELETE FROM state RETURNING *) SELECT * FROM gone")
        agent.execute("WITH new AS (SELECT 'x', 1) INSERT INTO state SELECT * FROM new")

    assert figures((await counted(server, work))[0]) == (1, 2, 0)


async def test_a_transaction_counts_its_statements_and_two_others(server, agent):
    def work():
        with agent.transaction():
            agent.execute("INSERT INTO state VALUES ('a', 1)")

    assert figures((await counted(server, work))[0]) == (0, 1, 2)


async def test_prepared_statements_count_by_their_executions(server, agent):
    def work():
        for number in range(9):  # psycopg prepares it at the sixth
            agent.execute("SELECT value FROM state WHERE value = %s", (number,))
        agent.execute("PREPARE put (text) AS INSERT INTO state VALUES ($1, 0)")
        agent.execute("EXECUTE put ('a')")
        agent.execute("EXECUTE put ('b')")

    assert figures((await counted(server, work))[0]) == (9, 2, 0)


async def test_executemany_counts_each_set_of_values(server, agent):
    def work():
        rows = [(f"k{number}", number) for number in range(25)]
        agent.cursor().executemany("INSERT INTO state VALUES (%s, %s)", rows)

    assert figures((await counted(server, work))[0]) == (0, 25, 0)


async def test_copy_goes_one_way_or_the_other(server, agent):
    def work():
        with agent.cursor().copy("COPY state FROM STDIN") as copy:
            copy.write_row(("a", 1))
        with agent.cursor().copy("COPY (SELECT * FROM state) TO STDOUT") as copy:
            assert b"".join(copy) == b"a\t1\n"

    assert figures((await counted(server, work))[0]) == (1, 1, 0)


async def test_a_failed_statement_is_not_counted(server, agent):
    def work():
        with pytest.raises(psycopg.errors.DivisionByZero):
            agent.execute("SELECT 1 / 0")

    assert figures((await counted(server, work))[0]) == (0, 0, 0)


async def test_what_a_function_runs_is_not_counted(server, agent):
    agent.execute(
        "CREATE OR REPLACE FUNCTION put() RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO state VALUES ('f', 1); END $$"
    )

    def work():
        agent.execute("SET pg_stat_statements.track = 'all'")
        agent.execute("SELECT put()")

    assert figures((await counted(server, work))[0]) == (1, 0, 1)


async def test_another_database_is_not_counted(server):
    def work():
        with psycopg.connect(server.url("bare"), autocommit=True) as other:
            other.execute("CREATE TABLE t (a int)")
            other.execute("SELECT 1")

    assert figures((await counted(server, work))[0]) == (0, 0, 0)


async def test_a_database_without_an_encoding_is_counted(server):
    def work():
        with psycopg.connect(server.url("plain"), autocommit=True) as other:
            other.execute(b"SELECT '\xff'")

    assert figures((await counted(server, work, server.url("plain")))[0]) == (1, 0, 0)


async def test_the_extension_may_be_in_a_schema_of_its_own(server, agent):
    agent.execute('CREATE SCHEMA "my stats"')
    agent.execute('ALTER EXTENSION pg_stat_statements SET SCHEMA "my stats"')
    try:
        delta, _ = await counted(server, lambda: agent.execute("SELECT 1"))
    finally:
        agent.execute("ALTER EXTENSION pg_stat_statements SET SCHEMA public")
    assert figures(delta) == (1, 0, 0)


async def test_statements_of_others_that_the_user_may_not_see_void_the_figure(server, agent):
    url = server.url(user="watcher")
    assert figures((await counted(server, lambda: None, url))[0]) == (0, 0, 0)
    delta, _ = await counted(server, lambda: agent.execute("SELECT 1"), url)
    assert delta.void_reason is not None
    assert "GRANT pg_read_all_stats" in delta.void_reason
    agent.execute("GRANT pg_read_all_stats TO watcher")
    assert figures((await counted(server, lambda: agent.execute("SELECT 1"), url))[0]) == (1, 0, 0)


async def test_a_reset_voids_the_figure(server, agent):
    delta, _ = await counted(server, lambda: agent.execute("SELECT pg_stat_statements_reset()"))
    assert delta.void_reason == "pg_stat_statements was reset during the run"


async def test_a_reset_of_one_entry_voids_the_figure(server, agent):
    agent.execute("SELECT value FROM state")

    def work():
        agent.execute(
            "SELECT pg_stat_statements_reset(userid, dbid, queryid) FROM pg_stat_statements "
            "WHERE query = 'SELECT value FROM state'"
        )

    delta, _ = await counted(server, work)
    assert delta.void_reason == "entries of pg_stat_statements were reset during the run"


async def test_dropped_entries_void_the_figure():
    with (
        postgres_server(SECRET, **{"pg_stat_statements.max": "100"}) as server,
        psycopg.connect(server.url(), autocommit=True) as agent,
    ):
        agent.execute("CREATE EXTENSION pg_stat_statements")

        def work():
            for columns in range(1, 150):  # more different statements than the 100 entries
                agent.execute("SELECT " + ", ".join("1" * columns))

        delta, _ = await counted(server, work)
    assert delta.void_reason is not None
    assert delta.void_reason.endswith("during the run: raise pg_stat_statements.max")


async def test_a_restart_and_a_server_that_is_gone_void_the_figure():
    with postgres_server(SECRET) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")

        def restart():
            server.stop()
            server.start()

        delta, _ = await counted(server, restart)
        assert delta.void_reason == "PostgreSQL was restarted during the run"

        probe = probe_for(server.url())
        await probe.begin()
        server.stop()
        delta = await probe.finish()
        server.start()
    assert delta.void_reason is not None
    assert "the store could not be asked: PostgreSQL cannot be reached" in delta.void_reason
    assert SECRET not in delta.void_reason


async def test_a_missing_extension_is_said(server):
    with pytest.raises(UsageError) as failure:
        await probe_for(server.url("bare")).begin()
    assert str(failure.value) == (
        f"postgresql://127.0.0.1:{server.port}/bare: the extension pg_stat_statements is missing "
        "from this database. Run CREATE EXTENSION pg_stat_statements in it, with "
        "pg_stat_statements in shared_preload_libraries"
    )


async def test_an_extension_that_is_not_loaded_is_said():
    with postgres_server(SECRET, preload="") as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
        with pytest.raises(UsageError, match="pg_stat_statements is not loaded") as failure:
            await probe_for(server.url()).begin()
    assert "shared_preload_libraries" in str(failure.value)


async def test_an_old_extension_and_one_that_tracks_nothing_are_said():
    options = {"pg_stat_statements.track": "none", "pg_stat_statements.track_utility": "off"}
    with (
        postgres_server(SECRET, **options) as server,
        psycopg.connect(server.url(), autocommit=True) as admin,
    ):
        admin.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
        with pytest.raises(UsageError, match=r"is of version 1\.8, not 1\.9 or later"):
            await probe_for(server.url()).begin()
        admin.execute("ALTER EXTENSION pg_stat_statements UPDATE")
        with pytest.raises(UsageError, match="track is none"):
            await probe_for(server.url()).begin()
        admin.execute("ALTER USER admin SET pg_stat_statements.track = 'top'")
        probe = probe_for(server.url())
        await probe.begin()
        await probe.finish()
    assert [note.kind for note in probe.notes] == ["utility_not_tracked"]


@pytest.mark.parametrize(
    "login", [f"admin:{SECRET}", f"nobody:{SECRET}", f"admin:%63{SECRET[1:]}x", SECRET]
)
async def test_a_wrong_password_is_said_and_never_shown(server, login, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = login.replace("p4ss", "n0pe")
    with pytest.raises(UsageError) as failure:
        await probe_for(f"postgresql://{wrong}@127.0.0.1:{server.port}/postgres").begin()
    message = str(failure.value)
    assert message.startswith(f"postgresql://127.0.0.1:{server.port}/postgres: PostgreSQL cannot")
    assert "\n" not in message
    seen = message + caplog.text + repr(failure.getrepr(chain=True))
    assert "c4nary" not in seen


async def test_nobody_listens():
    port = free_port()
    with pytest.raises(UsageError, match="PostgreSQL cannot be reached: ") as failure:
        await probe_for(f"postgresql://admin:{SECRET}@127.0.0.1:{port}/x").begin()
    assert SECRET not in str(failure.value)


async def test_an_option_that_libpq_does_not_know_is_not_quoted(server):
    with pytest.raises(UsageError, match="an option in the URL is malformed") as failure:
        await probe_for(f"{server.url()}?pasword={SECRET}").begin()
    assert SECRET not in str(failure.value)


async def test_a_server_that_never_answers_does_not_hang_the_run():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://admin:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(UsageError, match=r"postgresql did not answer in 0.3 s"):
            await probe_for(url, timeout_s=0.3).begin()
