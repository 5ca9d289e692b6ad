"""What the mocks export, and the line in front of an agent with few workers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import anyio
import httpx
import pytest

from profiler.clock import monotonic_ns
from profiler.errors import UsageError
from profiler.mock.options import AgentOptions, LlmOptions
from profiler.mock.serve import running_mocks
from profiler.mock.slots import Slots
from profiler.serving import listening

S = 1_000_000_000
INSTANT = float("inf")


async def metrics(url: str) -> dict[str, float]:
    """Return every sample by its name and labels, as they are written."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).raise_for_status().text
    samples = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in samples}


async def ask(url: str, text: str = "Where is my order?", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"{url}/chat", json={"message": text}, headers=headers)


async def test_what_the_agent_did_is_what_it_exports():
    agent, llm = AgentOptions(speed=INSTANT), LlmOptions(speed=INSTANT)
    async with running_mocks(agent=agent, llm=llm) as urls:
        answers = [(await ask(urls.agent, f"Question {n}")).json() for n in range(5)]
        found = await metrics(urls.agent)
    calls = [call for answer in answers for call in answer["trace"]["llm_calls"]]
    tools = [tool for answer in answers for tool in answer["trace"]["tool_calls"]]
    writes = sum(op["count"] for a in answers for op in a["trace"]["state_ops"][1:])
    model = 'gen_ai_request_model="gpt-4o"'
    assert found['agent_interactions_total{outcome="ok"}'] == 5
    assert found["agent_active_sessions"] == 5
    assert found["agent_interaction_llm_calls_sum"] == len(calls)
    assert found[f'agent_llm_attempts_total{{{model},outcome="ok"}}'] == len(calls)
    assert found[f"agent_llm_rate_limited_total{{{model}}}"] == 0
    assert found['agent_interaction_tokens_sum{part="input"}'] == sum(
        answer["usage"]["input_tokens"] for answer in answers
    )
    ran = sum(v for k, v in found.items() if k.startswith("agent_tool_duration_seconds_count"))
    assert ran == len(tools)
    assert found['agent_state_operations_total{operation="write",store="memory"}'] == writes
    assert found[f"agent_cost_usd_total{{{model}}}"] > 0


async def test_an_agent_without_a_line_says_nothing_of_one():
    async with running_mocks(agent=AgentOptions(speed=INSTANT)) as urls:
        found = await metrics(urls.agent)
    assert not [name for name in found if "queue" in name or "worker" in name]


async def test_refusals_are_counted_by_the_agent_and_by_its_llm():
    llm = LlmOptions(speed=INSTANT, rpm=1, tool_call_probability=0)
    async with running_mocks(agent=AgentOptions(speed=INSTANT), llm=llm) as urls:
        statuses = [(await ask(urls.agent, f"Question {n}")).status_code for n in range(4)]
        agents, llms = await metrics(urls.agent), await metrics(urls.llm.removesuffix("/v1"))
    assert statuses == [200, 429, 429, 429]
    limited = 'agent_llm_rate_limited_total{gen_ai_request_model="gpt-4o"}'
    assert agents[limited] == llms[limited] == 3
    assert agents['agent_interactions_total{outcome="ok"}'] == 1
    assert agents['agent_interactions_total{outcome="http_429"}'] == 3


async def test_a_call_that_was_repeated_shows_every_refusal():
    # One call a second, and two that come at once.
    llm = LlmOptions(speed=INSTANT, rpm=60, limit_window_s=1, tool_call_probability=0)
    agent = AgentOptions(speed=INSTANT, llm_retries=5)
    async with running_mocks(agent=agent, llm=llm) as urls:
        both = await asyncio.gather(ask(urls.agent, "One"), ask(urls.agent, "Two"))
        assert [answer.status_code for answer in both] == [200, 200]
        agents, llms = await metrics(urls.agent), await metrics(urls.llm.removesuffix("/v1"))
    limited = 'agent_llm_rate_limited_total{gen_ai_request_model="gpt-4o"}'
    assert agents[limited] == llms[limited] >= 1
    assert agents['agent_interactions_total{outcome="ok"}'] == 2


async def test_an_error_inside_a_200_is_no_success():
    async with running_mocks(agent=AgentOptions(speed=INSTANT)) as urls:
        await ask(urls.agent, **{"x-mock-fault": "agent-error"})
        found = await metrics(urls.agent)
    assert found['agent_interactions_total{outcome="agent_error"}'] == 1
    assert found['agent_interactions_total{outcome="ok"}'] == 0


class Gate:
    """An LLM that answers one request for each release of its gate."""

    def __init__(self) -> None:
        self.gate = anyio.Semaphore(0)
        self.asked = 0

    async def __call__(self, scope, receive, send) -> None:
        while (await receive())["more_body"]:
            pass
        self.asked += 1
        await self.gate.acquire()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b'{"choices":[{"message":{"content":"x"}}]}'
        await send({"type": "http.response.body", "body": body})


async def test_messages_beyond_the_slots_wait_in_line_and_are_all_answered():
    llm, statuses, in_line = Gate(), list[int](), list[tuple[float, float]]()

    async def one(number: int) -> None:
        statuses.append((await ask(urls.agent, f"Question {number}")).status_code)

    async with (
        listening(llm, "127.0.0.1", 0) as url,
        running_mocks(agent=AgentOptions(workers=2), llm_url=f"{url}/v1") as urls,
    ):
        waited_s = 0.0
        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(one, number)
            for asked in (2, 4, 6):  # the line is all there before anyone is answered
                found = await metrics(urls.agent)
                while llm.asked < asked or found["agent_queue_depth"] != 6 - asked:
                    found = await metrics(urls.agent)
                in_line.append((found["agent_queue_depth"], found["agent_worker_slots_busy"]))
                assert found["agent_workers"] == 2
                assert (found["agent_queue_oldest_age_seconds"] > 0) is (asked < 6)
                begun_ns = monotonic_ns()
                await anyio.sleep(0.1)
                waited_s += (8 - asked) * (monotonic_ns() - begun_ns) / S  # all that are not done
                for _ in range(2):
                    llm.gate.release()
        after = await metrics(urls.agent)
    assert in_line == [(4, 2), (2, 2), (0, 2)]
    assert statuses == [200] * 6
    assert (after["agent_queue_depth"], after["agent_worker_slots_busy"]) == (0, 0)
    assert after["agent_queue_oldest_age_seconds"] == 0
    # What waits in line takes as long as what is worked on.
    assert after["agent_interaction_duration_seconds_sum"] >= waited_s


async def test_the_line_is_first_come_first_served():
    slots, order = Slots(1), list[int]()

    async def work(number: int) -> None:
        async with slots.slot():
            order.append(number)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group, slots.slot():
        for number in range(5):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        assert (slots.depth, slots.busy) == (5, 1)
    assert order == [0, 1, 2, 3, 4]


async def test_who_leaves_the_line_takes_no_slot_along():
    now_ns = 0
    slots = Slots(1, clock=lambda: now_ns)
    async with anyio.create_task_group() as leaving, slots.slot():
        leaving.start_soon(slots._take)
        await anyio.wait_all_tasks_blocked()
        now_ns = 3 * S
        assert (slots.depth, slots.oldest_age_s) == (1, 3.0)
        leaving.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.wait_all_tasks_blocked()
        assert slots.depth == 0
    assert slots.busy == 0


def test_no_slots_at_all_are_an_error():
    with pytest.raises(UsageError, match="2 workers with 0 slots each can do nothing"):
        Slots(2, 0)


async def test_a_worker_may_hold_several():
    slots = Slots(2, 3)
    async with AsyncExitStack() as held:
        for _ in range(6):
            await held.enter_async_context(slots.slot())
        assert (slots.workers, slots.busy, slots.depth) == (2, 6, 0)
