"""Lending connections: who gets which, who waits, and for how long."""

from __future__ import annotations

import asyncio

import anyio
import httpx
import pytest

from profiler.clock import monotonic_ns
from profiler.endpoints.stamps import Stamps
from tests.endpoints.hostile import read_request, serving, whole
from tests.endpoints.wire import HandClock, answering, ask, both_loops, meeting, until

WHOLE = whole(b"{}")


def gated(gate: anyio.Semaphore, order: list[bytes]):
    """A server that answers one request for each release of the gate."""

    async def handle(stream):
        while True:
            order.append((await read_request(stream)).rpartition(b"\r\n\r\n")[2])
            await gate.acquire()
            await stream.send(WHOLE)

    return handle


@both_loops
async def test_the_connection_used_last_is_lent_first():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order)) as (transport, url):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, transport, url)
            await until(lambda: len(order) == 3)
            for _ in range(3):
                gate.release()
        assert transport.pool.idle_connections == 3
        idle = [connection.number for connection in next(iter(transport.pool._idle.values()))]
        gate.release()
        received, _ = await ask(transport, url)
        assert received.stamps.connection_id == idle[-1]


@both_loops
async def test_a_connection_idle_for_too_long_is_closed_with_all_that_are_older():
    clock = HandClock()
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), clock=clock, keepalive_expiry_s=60.0) as (
        transport,
        url,
    ):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, transport, url)
            await until(lambda: len(order) == 3)
            for _ in range(5):
                gate.release()
        clock.now_ns += 59 * 10**9
        received, _ = await ask(transport, url)
        assert received.stamps.reused
        clock.now_ns += 61 * 10**9
        received, _ = await ask(transport, url)
        assert not received.stamps.reused
        assert transport.pool.open_connections == transport.pool.idle_connections == 1


@both_loops
async def test_without_an_expiry_a_connection_is_kept():
    clock = HandClock()
    async with meeting(answering(WHOLE, close=False), clock=clock, keepalive_expiry_s=None) as (
        transport,
        url,
    ):
        await ask(transport, url)
        clock.now_ns += 10**15
        received, _ = await ask(transport, url)
        assert received.stamps.reused


@both_loops
async def test_a_connection_that_the_server_closes_in_idleness_is_forgotten():
    async with meeting(answering(WHOLE)) as (transport, url):
        await ask(transport, url)
        await until(lambda: transport.pool.open_connections == 0)
        received, _ = await ask(transport, url)
        assert (received.stamps.connection_id, received.stamps.retried) == (2, 0)


@both_loops
async def test_a_connection_that_closes_before_the_loop_said_so_is_not_lent():
    async with meeting(answering(WHOLE, close=False)) as (transport, url):
        await ask(transport, url)
        connection = next(iter(transport.pool._origins))
        connection._transport.abort()  # closing, and not a word of it yet
        received, _ = await ask(transport, url)
        assert received.stamps.connection_id == 2


@both_loops
async def test_who_waits_is_served_in_order_and_the_wait_is_measured_apart():
    """Each is answered 20 ms after it was sent, on a clock that nothing else puts forward."""
    clock, gate, order = HandClock(), anyio.Semaphore(0), []
    stamps = {name: Stamps() for name in (b"a", b"b", b"c", b"d")}
    async with (
        meeting(gated(gate, order), max_connections=1, clock=clock) as (transport, url),
        anyio.create_task_group() as tasks,
    ):
        for number, (name, own) in enumerate(stamps.items()):

            async def user(name=name, own=own):
                await ask(transport, url, body=name, stamps=own)

            tasks.start_soon(user)
            if number == 0:
                await until(lambda: order == [b"a"])
            else:
                await until(lambda count=number: len(transport.pool._waiters) == count)
        assert transport.pool.open_connections == 1
        for count in (1, 2, 3, 4):
            clock.now_ns += 20_000_000
            gate.release()
            await until(lambda count=count: len(order) == min(4, count + 1))
    assert order == [b"a", b"b", b"c", b"d"]
    waits = [own.pool_wait_ns for own in stamps.values()]
    assert waits == [0, 20_000_000, 40_000_000, 60_000_000]
    assert {own.last_byte_ns - own.sent_ns for own in stamps.values()} == {20_000_000}
    assert [own.reused for own in stamps.values()] == [False, True, True, True]


@both_loops
async def test_the_pool_timeout_holds_and_leaves_the_queue_in_order():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), max_connections=1) as (transport, url):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, transport, url)
            await until(lambda: len(order) == 1)
            for options in ({"pool_timeout_s": 0.03}, {"timeout_s": 0.03}):
                stamps = Stamps()
                with pytest.raises(httpx.PoolTimeout) as caught:
                    await ask(transport, url, stamps=stamps, **options)
                assert caught.value.request.url == url
                assert stamps.pool_wait_ns >= 25_000_000
            with anyio.move_on_after(0.02) as scope:
                await ask(transport, url)
            assert scope.cancelled_caught
            assert not transport.pool._waiters
            tasks.start_soon(ask, transport, url)
            await until(lambda: len(transport.pool._waiters) == 1)
            gate.release()
            gate.release()
        assert len(order) == 2
        assert transport.pool.open_connections == 1


@both_loops
async def test_the_pool_timeout_of_httpx_is_the_same():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), max_connections=1) as (transport, url):
        client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(5, pool=0.03))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, transport, url)
            await until(lambda: len(order) == 1)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await client.get(url)
            assert caught.value.request.url == url
            gate.release()
        gate.release()
        assert (await client.get(url)).status_code == 200


@both_loops
@pytest.mark.parametrize("response", [WHOLE, WHOLE + b"dirt"])
async def test_a_limit_is_never_passed_and_nobody_is_forgotten(response):
    now = most = 0

    async def handle(stream):
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            while True:
                await read_request(stream)
                await stream.send(response)
        finally:
            now -= 1

    async with meeting(handle, max_connections=3) as (transport, url):
        done = 0

        async def user(cancels):
            nonlocal done
            for _ in range(10):
                with anyio.move_on_after(0.001 if cancels else 30):
                    await ask(transport, url)
            done += 1

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(user, number % 4 == 0)
        assert done == 20
        assert transport.pool.open_connections <= 3
    assert response is not WHOLE or most <= 3 + 1  # a socket that is closing may still be seen


@both_loops
async def test_an_idle_connection_elsewhere_makes_room():
    async with (
        serving(answering(WHOLE, close=False)) as other,
        meeting(answering(WHOLE, close=False), max_connections=1) as (transport, url),
    ):
        for _ in range(2):
            for target in (url, f"http://127.0.0.1:{other}/"):
                received, _ = await ask(transport, target)
                assert not received.stamps.reused
                assert transport.pool.open_connections == 1


@both_loops
async def test_who_waits_for_another_origin_gets_the_place():
    gate, order = anyio.Semaphore(0), []
    async with (
        serving(answering(WHOLE, close=False)) as other,
        meeting(gated(gate, order), max_connections=1) as (transport, url),
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, transport, url)
            await until(lambda: len(order) == 1)
            tasks.start_soon(ask, transport, f"http://127.0.0.1:{other}/")
            await until(lambda: len(transport.pool._waiters) == 1)
            gate.release()
        assert transport.pool.open_connections == transport.pool.idle_connections == 1


@both_loops
async def test_a_retry_takes_its_turn_and_a_new_connection():
    requests: list[int] = []
    connections = 0
    is_waited_for = anyio.Event()

    async def handle(stream):
        nonlocal connections
        connections += 1
        number = connections
        while True:
            await read_request(stream)
            requests.append(number)
            if number == 1 and requests.count(1) == 2:
                await is_waited_for.wait()
                return
            await stream.send(WHOLE)

    # On a clock that stands still: a second later it would be no stale connection any more.
    async with meeting(handle, max_connections=1, clock=HandClock()) as (transport, url):
        await ask(transport, url)
        results = []

        async def user():
            received, _ = await ask(transport, url)
            results.append(received.stamps)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(user)
            await until(lambda: len(requests) == 2)
            tasks.start_soon(user)  # gets the place of the stale connection; the retry waits
            await until(lambda: len(transport.pool._waiters) == 1)
            is_waited_for.set()
        assert [stamps.retried for stamps in results] == [0, 1]
        assert not results[1].reused
        assert transport.pool.open_connections == 1
    assert requests[:2] == [1, 1]


@both_loops
async def test_a_place_granted_to_one_who_left_goes_to_the_next():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), max_connections=1) as (transport, url):
        pool = transport.pool
        tasks = [asyncio.ensure_future(ask(transport, url, body=b"a"))]
        await until(lambda: len(order) == 1)
        for count, name in enumerate((b"b", b"c"), 1):
            tasks.append(asyncio.ensure_future(ask(transport, url, body=name)))
            await until(lambda count=count: len(pool._waiters) == count)
        (connection,) = pool._origins
        connection.fail(httpx.ReadError("gone"))  # its place is granted to the second ...
        tasks[1].cancel()  # ... who is cancelled before it runs
        gate.release()  # for the first, whose connection is gone
        gate.release()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], httpx.ReadError)
        assert isinstance(results[1], asyncio.CancelledError)
        assert order == [b"a", b"c"]
        assert pool.open_connections == 1


@both_loops
async def test_a_granted_connection_that_closes_before_its_turn_is_replaced():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), max_connections=1) as (transport, url):
        gate.release()
        await ask(transport, url)
        pool = transport.pool
        (connection,) = pool._origins
        origin = pool._origins[connection]
        taken = pool.take(origin, monotonic_ns())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, transport, url)
            await until(lambda: len(pool._waiters) == 1)
            pool.release(taken)  # granted ...
            taken.close()  # ... and gone before the waiter runs
            gate.release()
        assert pool.open_connections == 1
        assert order == [b"{}", b"{}"]


@both_loops
async def test_a_grant_to_one_who_left_is_not_lost_whatever_became_of_it():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), max_connections=1) as (transport, url):
        pool = transport.pool
        for closes in (False, True):
            gate.release()
            await ask(transport, url)
            (connection,) = pool._origins
            taken = pool.take(pool._origins[connection], monotonic_ns())
            task = asyncio.ensure_future(ask(transport, url))
            await until(lambda: len(pool._waiters) == 1)
            pool.release(taken)
            if closes:
                taken.close()
            task.cancel()  # granted, cancelled, and it has not run in between
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pool.open_connections == pool.idle_connections == (0 if closes else 1)


@both_loops
async def test_closing_wakes_who_waits():
    gate, order = anyio.Semaphore(0), []
    async with meeting(gated(gate, order), max_connections=1) as (transport, url):
        failures = []

        async def user():
            try:
                await ask(transport, url)
            except (httpx.ReadError, RuntimeError) as exc:
                failures.append(str(exc))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(user)
            await until(lambda: len(order) == 1)
            tasks.start_soon(user)
            await until(lambda: len(transport.pool._waiters) == 1)
            await transport.aclose()
        assert failures == ["the transport was closed"] * 2
