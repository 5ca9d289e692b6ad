"""What one trace shows: nothing counts twice, and what was not seen is not there."""

from __future__ import annotations

import random

import pytest

from profiler.measure.records import (
    Attribution,
    LlmAttempt,
    LlmCall,
    Observer,
    Outcome,
    StateKind,
    StateOp,
    Timeline,
    ToolCall,
    Usage,
)
from profiler.observers.otlp.assemble import assemble
from profiler.observers.otlp.dialects import sighting
from profiler.observers.otlp.spans import SpanKind, Status
from profiler.observers.otlp.tree import Tree, complete_root
from tests.observers.otlp.making import (
    MS,
    OURS,
    TRACE,
    chat,
    error,
    failed_chat,
    post,
    redis,
    server,
    sid,
    span,
    tool,
    tree,
)


def records(*spans):
    return assemble(TRACE, tree(*spans)).records


def of(kind, *spans):
    return [record for record in records(*spans) if isinstance(record, kind)]


def calls(*spans):
    return of(LlmCall, *spans)


def agent(number, parent, *, at):
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.usage.input_tokens": 9999,
        "gen_ai.usage.output_tokens": 9999,
    }
    return span(number, parent, at=at, attributes=attributes)


USAGE = Usage(input_tokens=100, output_tokens=20)


def test_one_call_with_its_attempt():
    made = records(
        server(), agent(2, 1, at=(1, 99)), chat(3, 2, at=(5, 50)), post(4, 3, 200, at=(6, 20))
    )
    assert made == (
        LlmCall(
            trace_id=TRACE,
            observer=Observer.OTEL,
            clock=Timeline.AGENT,
            model="m",
            start_ns=5 * MS,
            end_ns=50 * MS,
            outcome=Outcome.OK,
            attempts=1,
            usage=USAGE,
            http_status=200,
            attribution=Attribution.TRACE,
        ),
        LlmAttempt(
            trace_id=TRACE,
            observer=Observer.OTEL,
            clock=Timeline.AGENT,
            model="m",
            start_ns=6 * MS,
            end_ns=50 * MS,  # not 20: that is when the headers came
            outcome=Outcome.OK,
            http_status=200,
            retry=0,
        ),
    )


def test_agents_repeat_usage_and_count_for_nothing():
    # OpenLLMetry's LangChain variant has two agent spans a run.
    found = calls(
        server(),
        agent(2, 1, at=(1, 99)),
        agent(3, 2, at=(2, 98)),
        chat(4, 3, at=(5, 50)),
        chat(5, 3, at=(60, 90)),
    )
    assert [call.usage for call in found] == [USAGE, USAGE]


def test_without_http_spans_attempts_are_not_known():
    assert calls(server(), chat(2, 1, at=(5, 50)))[0].attempts is None


def test_retries_are_attempts_and_the_last_start_is_kept():
    spans = (
        server(),
        chat(2, 1, at=(5, 90)),
        post(3, 2, 429, at=(6, 10)),
        post(4, 2, None, at=(20, 30), events=(error("httpx.ReadTimeout"),)),
        post(5, 2, 200, at=(50, 60)),
    )
    (call,) = calls(*spans)
    assert (call.attempts, call.last_start_ns, call.http_status) == (3, 50 * MS, 200)
    attempts = of(LlmAttempt, *spans)
    assert [(a.retry, a.outcome) for a in attempts] == [
        (0, Outcome.HTTP_429),
        (1, Outcome.TIMEOUT),
        (2, Outcome.OK),
    ]
    assert [a.end_ns for a in attempts] == [10 * MS, 30 * MS, 90 * MS]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(429, Outcome.HTTP_429), (401, Outcome.HTTP_4XX), (503, Outcome.HTTP_5XX)],
)
def test_a_failure_without_a_name_is_that_of_its_last_request(status, outcome):
    (call,) = calls(server(), failed_chat(2, 1, at=(5, 50)), post(3, 2, status, at=(6, 20)))
    assert (call.outcome, call.http_status, call.usage) == (outcome, status, None)


def test_a_failure_of_the_agent_itself_stays_one():
    (call,) = calls(server(), failed_chat(2, 1, at=(5, 50)), post(3, 2, 200, at=(6, 20)))
    assert call.outcome is Outcome.AGENT_ERROR


def test_a_span_that_tells_nothing_is_judged_by_its_request():
    silent = span(2, 1, at=(5, 50), attributes={"gen_ai.operation.name": "chat"})
    (call,) = calls(server(), silent, post(3, 2, 500, at=(6, 20)))
    assert call.outcome is Outcome.HTTP_5XX


def test_framework_and_sdk_see_one_call():
    outer = span(
        2,
        1,
        at=(5, 60),
        scope="langchain",
        attributes={
            "llm.request.type": "chat",
            "gen_ai.usage.prompt_tokens": 100,
            "gen_ai.usage.completion_tokens": 20,
        },
    )
    inner = chat(
        3,
        2,
        at=(6, 59),
        scope="openai",
        attributes={"gen_ai.usage.reasoning.output_tokens": 7},
    )
    (call,) = calls(server(), outer, inner, post(4, 3, 200, at=(7, 30)))
    assert (call.start_ns, call.end_ns, call.attempts) == (5 * MS, 60 * MS, 1)
    # OpenLLMetry's LangChain variant drops reasoning tokens: the SDK's span has them.
    assert call.usage == Usage(input_tokens=100, output_tokens=20, reasoning_tokens=7)
    assert call.model == "m"


def test_a_frameworks_retries_are_one_call():
    found = calls(
        server(),
        chat(2, 1, at=(5, 90)),
        failed_chat(3, 2, at=(6, 20), scope="openai"),
        post(4, 3, 500, at=(7, 19)),
        chat(5, 2, at=(30, 80), scope="openai"),
        post(6, 5, 200, at=(31, 60)),
    )
    assert [(call.attempts, call.outcome, call.usage) for call in found] == [(2, Outcome.OK, USAGE)]


def test_a_wrapper_of_several_calls_is_none():
    found = calls(
        server(),
        chat(2, 1, at=(5, 90)),
        chat(3, 2, at=(6, 20), scope="openai"),
        chat(4, 2, at=(30, 80), scope="openai"),
    )
    assert [call.start_ns for call in found] == [6 * MS, 30 * MS]


def test_three_layers_are_one_call():
    found = calls(
        server(),
        chat(2, 1, at=(5, 90), scope="langchain"),
        chat(3, 2, at=(6, 80), scope="litellm"),
        chat(4, 3, at=(7, 70), scope="openai"),
    )
    assert [call.start_ns for call in found] == [5 * MS]


def test_a_call_within_a_tool_within_a_call_is_its_own():
    found = calls(
        server(),
        chat(2, 1, at=(5, 90)),
        tool(3, 2, "ask_expert", at=(20, 80)),
        chat(4, 3, at=(30, 60)),
    )
    assert [(call.start_ns, call.end_ns) for call in found] == [
        (5 * MS, 20 * MS),  # ADK's span goes on through the tools: the answer was there at 20
        (30 * MS, 60 * MS),
    ]


def test_spans_that_lost_their_parent_are_placed_by_time():
    # OpenInference with LangGraph: the SDK, its requests and the database hang from the server.
    outer = span(
        2,
        1,
        at=(10, 50),
        scope="openinference.langchain",
        attributes={
            "openinference.span.kind": "LLM",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 20,
        },
    )
    spans = (
        server(),
        outer,
        chat(3, 1, at=(11, 49), scope="openai"),
        post(4, 1, 200, at=(12, 20)),
        tool(5, 1, "get_weather", at=(55, 70)),
        redis(6, 1, "GET ?", at=(60, 61)),
        chat(7, 1, at=(75, 90), scope="openai"),
    )
    assert [(c.start_ns, c.attempts) for c in calls(*spans)] == [(10 * MS, 1), (75 * MS, None)]
    assert {r.kind: r.count for r in of(StateOp, *spans)}[StateKind.READ] == 1


def test_calls_at_the_same_time_are_not_joined():
    other = {"gen_ai.usage.input_tokens": 55}
    found = calls(
        server(),
        chat(2, 1, at=(10, 50), scope="framework"),
        chat(3, 1, at=(11, 49), scope="sdk", attributes=other),
        chat(4, 1, at=(12, 48), scope="framework"),
    )
    assert len(found) == 3


def test_parallel_calls_keep_their_own_attempts():
    found = calls(
        server(),
        chat(2, 1, at=(10, 50)),
        chat(3, 1, at=(10, 52)),
        post(4, 1, 200, at=(11, 20)),
        post(5, 1, 200, at=(11, 21)),
    )
    assert [call.attempts for call in found] == [1, 1]


def test_requests_for_tokens_redirects_and_doubles_are_no_attempts():
    (call,) = calls(
        server(),
        chat(2, 1, at=(5, 50)),
        post(3, 2, 200, at=(6, 8), url="https://login.microsoftonline.com/t/oauth2/token"),
        post(4, 2, 307, at=(9, 10)),
        post(5, 2, 200, at=(11, 30)),
        post(6, 5, 200, at=(12, 29)),
    )
    assert call.attempts == 1


def test_a_gateway_of_the_agents_own_counts_as_attempts():
    (call,) = calls(
        server(), chat(2, 1, at=(5, 50)), post(3, 2, 200, at=(6, 30), url="http://gw/ask")
    )
    assert call.attempts == 1


def test_requests_to_llms_without_a_call_are_attempts_alone():
    made = assemble(TRACE, tree(server(), post(2, 1, 429, at=(6, 30))))
    assert made.requests_without_call == 1
    (attempt,) = made.records
    assert isinstance(attempt, LlmAttempt)
    assert (attempt.retry, attempt.outcome, attempt.end_ns) == (None, Outcome.HTTP_429, 30 * MS)


def test_tools_seen_twice_count_once():
    found = of(
        ToolCall,
        server(),
        tool(2, 1, "search", at=(10, 40)),
        tool(3, 2, "search", at=(11, 39), scope="mcp"),  # within
        tool(4, 1, "save", at=(50, 60)),
        tool(5, 1, "save", at=(51, 59), scope="mcp"),  # beside, by time
        tool(6, 1, "save", at=(70, 80)),
        tool(7, 6, "audit", at=(71, 79)),  # a tool that runs another
    )
    assert [(t.name, t.start_ns) for t in found] == [
        ("search", 10 * MS),
        ("save", 50 * MS),
        ("save", 70 * MS),
        ("audit", 71 * MS),
    ]


def test_ids_of_tool_calls_tell_more_than_time():
    def run(number, call_id, scope, at):
        attributes = {"gen_ai.tool.name": "search", "gen_ai.tool.call.id": call_id}
        return span(number, 1, at=at, attributes=attributes, scope=scope)

    found = of(
        ToolCall,
        server(),
        run(2, "c1", "framework", (10, 40)),
        run(3, "c2", "framework", (10, 40)),
        run(4, "c1", "sdk", (9, 41)),
        run(5, "c2", "sdk", (11, 42)),
        run(6, "c3", "sdk", (12, 39)),
    )
    assert len(found) == 3


def test_a_request_that_got_no_answer_is_a_failure_to_connect():
    made = of(LlmAttempt, server(), chat(2, 1, at=(5, 50)), post(3, 2, None, at=(6, 20)))
    assert [(a.outcome, a.http_status) for a in made] == [(Outcome.CONNECT_ERROR, None)]


def test_the_same_tool_twice_at_once_counts_twice():
    found = of(
        ToolCall,
        server(),
        tool(2, 1, "search", at=(10, 40)),
        tool(3, 1, "search", at=(11, 39)),
    )
    assert len(found) == 2


def test_a_tool_that_fails_is_a_failure():
    bad = span(
        2,
        1,
        at=(10, 40),
        attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"},
        status=Status.ERROR,
        events=(error("ValueError", "no"),),
    )
    assert [t.outcome for t in of(ToolCall, server(), bad)] == [Outcome.AGENT_ERROR]


def test_two_libraries_on_one_statement_count_it_once():
    statement = {"db.system": "postgresql", "db.statement": "INSERT INTO t VALUES (1)"}
    orm = span(2, 1, at=(10, 20), attributes=statement, scope="sqlalchemy")
    driver = span(3, 2, at=(11, 19), attributes=statement, scope="psycopg")
    found = {r.kind: r.count for r in of(StateOp, server(), orm, driver)}
    assert found == {StateKind.READ: 0, StateKind.WRITE: 1, StateKind.OTHER: 0}


def test_stores_are_kept_apart():
    sql = {"db.system": "postgresql", "db.statement": "SELECT 1"}
    found = of(
        StateOp, server(), redis(2, 1, "SET ? ?", at=(1, 2)), span(3, 1, at=(3, 4), attributes=sql)
    )
    counted = {(r.store, r.kind): r.count for r in found if r.count}
    assert counted == {("redis", StateKind.WRITE): 1, ("postgresql", StateKind.READ): 1}


def test_embeddings_are_counted_apart():
    vector = span(2, 1, at=(1, 2), attributes={"gen_ai.operation.name": "embeddings"})
    made = assemble(TRACE, tree(server(), vector))
    assert (made.records, made.embeddings) == ((), 1)


# The shape.


def complete(*spans):
    return complete_root({s.span_id: sighting(s) for s in spans}, 100 * MS) is not None


def test_a_trace_is_complete_when_its_root_and_all_parents_are_there():
    assert complete(server(), chat(2, 1, at=(5, 50)))
    assert not complete(chat(2, 1, at=(5, 50)))
    assert not complete(server(), post(3, 2, 200, at=(6, 30)))
    assert not complete()


def test_a_service_behind_the_agent_is_not_complete_without_the_span_between():
    behind = span(9, 8, at=(20, 30), kind=SpanKind.SERVER)
    assert not complete(server(), behind)
    assert complete(server(), behind, post(8, 1, 200, at=(19, 31)))


def test_without_a_server_the_span_that_covers_all_is_the_root():
    outer = agent(2, OURS, at=(0, 80))
    assert complete(outer, chat(3, 2, at=(5, 50)))
    assert not complete(outer, chat(3, OURS, at=(5, 90)))
    (call,) = calls(outer, chat(3, 2, at=(5, 50)))
    assert call.start_ns == 5 * MS


def test_spans_in_a_circle_do_no_harm():
    found = calls(server(), chat(2, 3, at=(5, 50)), chat(3, 2, at=(6, 40)))
    assert len(found) >= 1
    assert not complete(chat(2, 3, at=(5, 50)), chat(3, 2, at=(6, 40)))
    assert calls(chat(2, 2, at=(5, 50)))


def test_a_long_chain_takes_no_time():
    chain = [server(), *(span(n, n - 1, at=(1, 99)) for n in range(2, 20_001))]
    made = assemble(TRACE, Tree(sighting(s) for s in [*chain, chat(20_001, 20_000, at=(5, 50))]))
    assert made.calls == 1


def test_the_order_of_arrival_does_not_matter():
    spans = [
        server(),
        agent(2, 1, at=(1, 99)),
        chat(3, 2, at=(5, 40)),
        chat(4, 3, at=(6, 39), scope="openai"),
        post(5, 4, 429, at=(7, 9)),
        post(6, 4, 200, at=(20, 30)),
        tool(7, 2, "t", at=(41, 60)),
        redis(8, 7, "GET ?\nSET ? ?", at=(42, 43)),
        chat(9, 2, at=(61, 90)),
    ]
    wanted = records(*spans)
    for seed in range(20):
        shuffled = list(spans)
        random.Random(seed).shuffle(shuffled)
        assert records(*shuffled) == wanted
    assert sid(1) == spans[0].span_id
