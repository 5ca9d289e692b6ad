"""The recordings are followed exactly, on real sockets."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote

import pytest

from profiler.mock.serve import running_mocks

AIRLINE_TOOLS = {
    "get_reservation_details": 93,
    "search_direct_flight": 34,
    "get_user_details": 30,
    "update_reservation_flights": 29,
    "think": 24,
    "calculate": 19,
    "cancel_reservation": 14,
    "book_reservation": 10,
    "search_onestop_flight": 9,
    "list_all_airports": 2,
    "send_certificate": 2,
    "update_reservation_baggages": 2,
    "update_reservation_passengers": 1,
}


async def test_all_airline_sessions_are_followed_without_a_hint(  # noqa: PLR0917 - fixtures
    airline, fast_agent, fast_llm, tmp_path, replay, read_lines, expected
):
    conversations = read_lines(airline)
    truth = tmp_path / "truth.jsonl"
    async with running_mocks(
        conversations=[airline], agent=fast_agent, llm=fast_llm, truth=truth
    ) as urls:
        sessions = await replay(urls.chat_completions, conversations)

    lines = read_lines(truth)
    served = [line for line in lines if line["kind"] == "llm_request"]
    interactions = [line for line in lines if line["kind"] == "interaction"]
    assert len(interactions) == 360
    assert len(served) == 629
    asked = Counter(name for line in served for name in line["tool_calls"])
    ran = sum((Counter(line["tool_calls"]) for line in interactions), Counter())
    assert asked == ran == sessions.total_tools() == AIRLINE_TOOLS
    assert sessions.total_llm_calls() == 629
    assert sum(line["llm_calls"] for line in interactions) == 629
    assert sum(line["state_reads"] for line in interactions) == 360
    assert sum(line["state_writes"] for line in interactions) == 629
    assert max(line["llm_calls"] for line in interactions) == 13
    for conversation in conversations:
        calls, tools = expected(conversation)
        name = conversation["id"]
        assert sessions.llm_calls(name) == calls
        assert Counter(sessions.tools(name)) == tools
        own = [line for line in interactions if line["session"] == name]
        assert {line["conversation"] for line in own} == {name}
        assert [line["turn"] for line in own] == list(range(len(own)))


@pytest.mark.parametrize("stream", [False, True])
async def test_truth_log_and_trace_block_agree_on_every_interaction(  # noqa: PLR0917 - fixtures
    airline, fast_agent, fast_llm, tmp_path, replay, read_lines, stream
):
    conversations = read_lines(airline)[:6]
    truth = tmp_path / "truth.jsonl"
    async with running_mocks(
        conversations=[airline], agent=fast_agent, llm=fast_llm, truth=truth
    ) as urls:
        sessions = await replay(urls.chat_completions, conversations, stream=stream)
    lines = read_lines(truth)
    by_trace: dict[str, list] = {}
    for line in lines:
        by_trace.setdefault(line["trace_id"], []).append(line)
    for name, bodies in sessions.bodies.items():
        own = [line for line in lines if line.get("session") == name]
        for body, interaction in zip(bodies, own, strict=True):
            trace, usage = body["trace"], body["usage"]
            served = [s for s in by_trace[interaction["trace_id"]] if s["kind"] == "llm_request"]
            assert len(trace["llm_calls"]) == interaction["llm_calls"] == len(served)
            for call, line in zip(trace["llm_calls"], served, strict=True):
                assert call["input_tokens_by_part"] == line["parts"]
                assert sum(line["parts"].values()) == line["prompt_tokens"]
                assert call["usage"] == {
                    "input_tokens": line["prompt_tokens"],
                    "output_tokens": line["completion_tokens"],
                    "cached_input_tokens": line["cached_tokens"],
                    "reasoning_tokens": 0,
                }
                assert call["tool_calls"] == line["tool_calls"]
                assert call["outcome"] == "ok"
                assert call["attempts"] == 1
                assert 0 <= call["start_s"] <= call["first_token_s"] <= call["end_s"]
            assert usage["prompt_tokens"] == sum(s["prompt_tokens"] for s in served)
            assert usage["completion_tokens"] == sum(s["completion_tokens"] for s in served)
            ops = {op["kind"]: op["count"] for op in trace["state_ops"]}
            assert ops["read"] == interaction["state_reads"]
            assert ops["write"] == interaction["state_writes"]
            ran = Counter(call["name"] for call in trace["tool_calls"])
            assert ran == interaction["tool_calls"]


async def test_difficult_recordings_are_followed_per_session_with_the_hint(  # noqa: PLR0917 - fixtures
    nasty, write_lines, fast_agent, fast_llm, replay, expected
):
    async with running_mocks(
        conversations=[write_lines(nasty)], agent=fast_agent, llm=fast_llm
    ) as urls:
        sessions = await replay(urls.chat_completions, nasty, hint=True)
    for conversation in nasty:
        calls, tools = expected(conversation)
        assert sessions.llm_calls(conversation["id"]) == calls, conversation["id"]
        assert Counter(sessions.tools(conversation["id"])) == tools, conversation["id"]
    assert sessions.replies("same-1") == ["x", "y"]
    assert sessions.replies("parallel") == ["done", "end"]
    assert sessions.replies("yes") == ["1", "2", "3", "1"]
    assert sessions.replies("spelling") == ["Let me look.\n\nspelled"]
    assert sessions.replies("goes-on") == ["first\n\nsecond\n\nthird"]
    assert sessions.replies("prompt-2") == ["p2"]
    assert sessions.replies("parts") == ["in parts too"]


async def test_difficult_recordings_add_up_without_the_hint(  # noqa: PLR0917 - fixtures
    nasty, write_lines, fast_agent, fast_llm, replay, expected
):
    async with running_mocks(
        conversations=[write_lines(nasty)], agent=fast_agent, llm=fast_llm
    ) as urls:
        for users, copies in ((1, 1), (3, 1), (16, 1), (3, 2), (16, 2)):
            replayed = [
                {**c, "id": f"{c['id']}/{users}/{copies}/{copy}"}
                for copy in range(copies)
                for c in nasty
            ]
            sessions = await replay(urls.chat_completions, replayed, users=users)
            calls = sum(expected(conversation)[0] for conversation in replayed)
            tools = sum((expected(conversation)[1] for conversation in replayed), Counter())
            assert sessions.total_llm_calls() == calls
            assert sessions.total_tools() == tools


async def test_a_hint_for_a_conversation_that_does_not_fit_is_ignored(
    nasty, write_lines, fast_agent, fast_llm, replay
):
    stranger = {"id": "yes", "messages": [{"role": "user", "content": "both"}]}
    async with running_mocks(
        conversations=[write_lines(nasty)], agent=fast_agent, llm=fast_llm
    ) as urls:
        sessions = await replay(urls.chat_completions, [stranger], hint=True)
    assert sessions.replies("yes") == ["done"]
    assert sorted(sessions.tools("yes")) == ["book", "find"]


async def test_ids_that_headers_cannot_carry_plainly_still_name_a_recording(
    write_lines, fast_agent, fast_llm, tmp_path, read_lines
):
    import httpx

    name = "Gespräch 1, ünd; mehr=viel"
    twins = [
        {
            "id": n,
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": t}],
        }
        for n, t in (("first", "a"), (name, "b"))
    ]
    truth = tmp_path / "truth.jsonl"
    async with (
        running_mocks(
            conversations=[write_lines(twins)], agent=fast_agent, llm=fast_llm, truth=truth
        ) as urls,
        httpx.AsyncClient(verify=False) as client,
    ):
        for _ in range(2):
            response = await client.post(
                urls.chat,
                json={"message": "hi"},
                headers={"baggage": f"agent_profiler.conversation={quote(name)}"},
            )
            assert response.json()["reply"] == "b"
    lines = read_lines(truth)
    assert {line["conversation"] for line in lines} == {name}
