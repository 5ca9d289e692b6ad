"""What a run comes to: its LLM calls, its tools and its reply, read from messages."""

from __future__ import annotations

from profiler.measure.records import LlmCall, Observer, Outcome, Timeline, ToolCall, Usage
from tests.endpoints.langgraph_events import (
    ASKS,
    METADATA,
    SAYS,
    SECOND,
    USAGE,
    WEATHER,
    ai,
    answer,
    begin,
    chunk,
    names,
    tool,
    update,
)


def test_each_message_of_a_model_is_an_llm_call_with_its_usage():
    usage = Usage(input_tokens=94, output_tokens=9, cached_input_tokens=64, reasoning_tokens=3)
    calls = names(answer(begin(), WEATHER), LlmCall)
    assert calls == [
        LlmCall(
            trace_id="t",
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            model="gpt-4o",
            outcome=Outcome.OK,
            usage=usage,
            tool_calls=asked,
        )
        for asked in (("get_weather",), ())
    ]


def test_a_tool_lasts_from_its_call_being_whole_to_its_message():
    assert names(answer(begin(), WEATHER), ToolCall) == [
        ToolCall(
            trace_id="t",
            observer=Observer.RESPONSE,
            clock=Timeline.AGENT,
            name="get_weather",
            start_ns=3 * SECOND,
            end_ns=4 * SECOND,
            outcome=Outcome.OK,
        )
    ]


def test_the_first_token_is_the_first_text_of_the_reply():
    reply = answer(begin(), WEATHER)
    assert (reply.text, reply.error_kind) == ("It is sunny.", None)
    assert (reply.first_token_ns, reply.last_token_ns) == (7 * SECOND, 8 * SECOND)
    assert reply.usage is None  # it is told by call


def test_a_call_that_leaves_no_message_is_counted_and_is_no_reply():
    routed = [chunk("lc_run--0", '{"to": "x"}', usage_metadata=USAGE), ("updates", {"route": None})]
    reply = answer(begin(), [METADATA, *routed, *WEATHER[1:]])
    assert reply.text == "It is sunny."
    assert reply.first_token_ns == 9 * SECOND
    assert [c.usage.input_tokens for c in names(reply, LlmCall)] == [94, 94, 94]
    alone = answer(begin(), [METADATA, *routed])
    assert (alone.text, alone.first_token_ns) == ('{"to": "x"}', SECOND)


def test_a_message_that_a_node_wrote_itself_is_a_reply_and_no_llm_call():
    own = {"type": "ai", "id": "x", "content": "Hello.", "response_metadata": {}, "tool_calls": []}
    reply = answer(begin(), [METADATA, update(own)])
    assert (reply.text, reply.trace) == ("Hello.", None)


def test_usage_in_pieces_is_added_up_where_no_message_has_it():
    first = {"input_tokens": 10, "output_tokens": 0}
    pieces = [
        chunk("m", "a", usage_metadata=first),
        chunk("m", usage_metadata={"output_tokens": 4}),
    ]
    reply = answer(begin(), [METADATA, *pieces, ("updates", {"n": None})])
    assert [c.usage for c in names(reply, LlmCall)] == [Usage(input_tokens=10, output_tokens=4)]


def test_without_usage_tokens_are_not_known():
    said = ai("lc_run--1", "Hi.", usage_metadata=None)
    assert [c.usage for c in names(answer(begin(), [METADATA, update(said)]), LlmCall)] == [None]


def test_subgraphs_are_read_once_where_they_happen():
    inner = [
        ("messages|sub:1", chunk("lc_run--1")[1]),
        ("updates|sub:1", update(ASKS)[1]),
        ("messages|sub:1", [tool("c-1"), {}]),
        ("updates|sub:1", update(tool("c-1"))[1]),
        ("updates|sub:1", update(SAYS)[1]),
    ]
    outer = ("updates", {"sub": {"messages": [ASKS, tool("c-1"), SAYS]}})
    reply = answer(begin(), [METADATA, *inner, outer])
    assert reply.text == "It is sunny."
    assert len(names(reply, LlmCall)) == 2
    assert [(c.start_ns, c.end_ns) for c in names(reply, ToolCall)] == [(2 * SECOND, 3 * SECOND)]


def test_a_failed_tool_says_so_and_needs_no_name():
    failed = update(tool("c-1", name=None, status="error"), "tools")
    calls = names(answer(begin(), [*WEATHER[:4], failed, update(SAYS)]), ToolCall)
    assert [(c.name, c.outcome) for c in calls] == [("get_weather", Outcome.AGENT_ERROR)]


def test_a_call_that_no_message_answers_was_not_run():
    assert names(answer(begin(), WEATHER[:4]), ToolCall) == []


def test_messages_of_earlier_turns_are_no_news():
    dialogue = begin()
    dialogue.request("Hi")
    dialogue.accept("Hi", answer(dialogue, WEATHER))
    dialogue.request("More")
    restated = {"n": {"messages": [ASKS, tool("c-1"), SAYS, ai("lc_run--3", "More.")]}}
    reply = answer(dialogue, [METADATA, ("updates", restated)])
    assert reply.text == "More."
    assert len(names(reply, LlmCall)) == 1
    assert names(reply, ToolCall) == []


def test_an_updates_messages_may_be_one_or_in_any_key_or_a_list_of_updates():
    for given_ in ({"messages": SAYS}, {"chat": [SAYS]}, [{"x": 1}, {"messages": [SAYS]}]):
        reply = answer(begin(), [METADATA, ("updates", {"n": given_})])
        assert (reply.text, len(names(reply, LlmCall))) == ("It is sunny.", 1)


def test_content_in_blocks_is_its_text():
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}, " you"]
    assert answer(begin(), [METADATA, update(ai("a", blocks))]).text == "Hi you"
