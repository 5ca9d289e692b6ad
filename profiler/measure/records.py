"""What a run writes down: one frozen record for each journal line.

Times are integer nanoseconds. Those of an `Interaction` are on the harness's monotonic clock; those
of a call or a tool are on the clock that `clock` names: `harness`, or `agent`, whose zero is the
moment at which the agent received the interaction. `None` means *not observed*, zero means zero.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Any

from profiler.values import value

SCHEMA_VERSION = 1


class Outcome(StrEnum):
    """How an interaction, a call or a tool ended. Closed: a reader may match on all of it."""

    OK = "ok"
    TIMEOUT = "timeout"
    CONNECT_ERROR = "connect_error"
    PROTOCOL_ERROR = "protocol_error"
    HTTP_4XX = "http_4xx"
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    AGENT_ERROR = "agent_error"
    CHECK_FAILED = "check_failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """Warm-up interactions are journaled and left out of every statistic.

    So are those of sessions that an interruption cut off and a resumed run began anew: the journal
    has them as they were sent, a reader as `superseded`.
    """

    WARMUP = "warmup"
    MEASURE = "measure"
    SUPERSEDED = "superseded"


PHASES = (Phase.WARMUP, Phase.MEASURE)
"""What a run does, in this order."""


class Observer(StrEnum):
    """Who saw it."""

    CLIENT = "client"
    RESPONSE = "response"
    GATEWAY = "gateway"
    OTEL = "otel"
    STATE_STORE = "state_store"


class Timeline(StrEnum):
    """Whose zero a time counts from."""

    HARNESS = "harness"
    AGENT = "agent"


class Attribution(StrEnum):
    """How a call was assigned to its interaction, surest first."""

    TRACE = "trace"
    MARKER = "marker"
    TOOL_CHAIN = "tool_chain"
    USER_TEXT = "user_text"
    AMBIGUOUS = "ambiguous"


class StateKind(StrEnum):
    """What a state operation does to the store."""

    READ = "read"
    WRITE = "write"
    OTHER = "other"


@value
class Usage:
    """Tokens as the provider or agent *reported* them; never mixed with what we counted.

    `input_tokens` is the whole input, cached part included; `output_tokens` the whole output,
    reasoning included.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@value
class TokenParts:
    """Input tokens of one LLM call by part, *counted*. The parts add up to the whole input.

    `user` is the last user message; `tool_results` the tool messages after it; `history` all else
    that is neither system nor tool schemas; `overhead` the tokens that prime the reply.
    """

    system: int | None = None
    tool_schemas: int | None = None
    history: int | None = None
    user: int | None = None
    tool_results: int | None = None
    overhead: int | None = None


@value
class ClientTokens:
    """What the client sees of an interaction, *counted* by us with the run's encoding, in tokens.

    `user` is the user's text, `history` the visible conversation before it, `output` the reply's
    text. Chat overhead is not in it: these are texts, not requests to a provider.
    """

    user: int | None = None
    history: int | None = None
    output: int | None = None


@value
class RateLimit:
    """Rate-limit headers of one LLM call; durations in nanoseconds."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_ns: int | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_ns: int | None = None
    retry_after_ns: int | None = None


@value
class Interaction:
    """One user message to the agent and everything until its final answer.

    `reconnects` is 1 where an idle connection turned out to be closed and the request was sent
    again on a new one: the only request that is ever sent twice.
    """

    trace_id: str
    session: str
    session_index: int
    scenario: str
    conversation: str | None = None
    turn: int
    last_turn: bool = False
    phase: Phase
    think_time_ns: int | None = None
    intended_start_ns: int | None = None
    send_ns: int
    first_byte_ns: int | None = None
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    end_ns: int
    outcome: Outcome
    error_kind: str | None = None
    error_detail: str | None = None
    http_status: int | None = None
    response_bytes: int | None = None
    reconnects: int | None = None
    counted: ClientTokens | None = None
    usage: Usage | None = None


NO_TRACE = ""
"""The `trace_id` of what was seen and could not be assigned to an interaction."""


@value
class LlmCall:
    """One inference that the agent obtained from a provider, as one observer saw it.

    From the start of its first attempt to the end of its last. `last_start_ns` is the start of the
    last one where there were several; `http_status` is the last one's. `counted_output` is what
    *we* counted of the output, in tokens. `api` is the provider's interface that was spoken.
    `attribution` is how the call was assigned to `trace_id`: for an ambiguous one that is
    `NO_TRACE`.
    """

    trace_id: str
    observer: Observer
    clock: Timeline
    model: str | None = None
    start_ns: int | None = None
    first_token_ns: int | None = None
    end_ns: int | None = None
    outcome: Outcome
    attempts: int | None = None
    usage: Usage | None = None
    tokens: TokenParts | None = None
    rate_limit: RateLimit | None = None
    tool_calls: tuple[str, ...] | None = None
    last_start_ns: int | None = None
    http_status: int | None = None
    counted_output: int | None = None
    api: str | None = None
    attribution: Attribution | None = None


@value
class LlmAttempt:
    """One HTTP request for an LLM call. `retry` counts from 0; None is *not known which*."""

    trace_id: str
    observer: Observer
    clock: Timeline
    model: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    outcome: Outcome
    http_status: int | None = None
    retry: int | None = None
    rate_limit: RateLimit | None = None


@value
class ToolRoundTrip:
    """From an LLM's answer that asked for tools to the request that brought their results.

    What a gateway sees: the tools' time and whatever the agent did beside. Never a tool's own time.
    `tools` are the names that were asked for.
    """

    trace_id: str
    observer: Observer
    clock: Timeline
    tools: tuple[str, ...]
    start_ns: int
    end_ns: int


@value
class Watched:
    """An interaction of which an observer would have seen every call, and saw none: zero is known.

    Written only where an observer has nothing else to say of an interaction. `llm_calls=False`: of
    one that sees tool calls and no LLM calls. `tool_calls=False` goes with LLM calls that it saw:
    of tool calls it sees none.
    """

    trace_id: str
    observer: Observer
    llm_calls: bool = True
    tool_calls: bool = True


@value
class ObserverNote:
    """Something that limits what an observer saw: what kind of thing, how often, and one example.

    `kind` is a fixed word, `detail` a sentence for people.
    """

    observer: Observer
    kind: str
    count: int = 1
    detail: str | None = None


@value
class ToolCall:
    """One execution of a tool by the agent."""

    trace_id: str
    observer: Observer
    clock: Timeline
    name: str
    start_ns: int | None = None
    end_ns: int | None = None
    outcome: Outcome


@value
class StateOp:
    """`count` operations of one kind on one state store within one interaction.

    An observer that watches a store and saw none of a kind writes `count=0`: zero is not "not
    observed".
    """

    trace_id: str
    observer: Observer
    store: str
    kind: StateKind
    count: int


@value
class StateDelta:
    """Operations on one state store over the whole run, from the store's own statistics."""

    store: str
    reads: int | None = None
    writes: int | None = None
    other: int | None = None
    void_reason: str | None = None


@value
class DriverSample:
    """The harness watching itself over the last second or so; `at_ns` on the harness clock."""

    at_ns: int
    in_flight: int
    sent: int
    ended: int
    dropped: int
    loop_lag_max_ns: int
    cpu_share: float
    gc_pause_max_ns: int | None = None


@value
class Backoff:
    """The driver starts nothing until `until_ns`, for the last `answers` all were 429 or 503.

    `is_asked`: the target said how long, by `retry-after`.
    """

    at_ns: int
    until_ns: int
    answers: int
    is_asked: bool = False


@value
class Run:
    """The first line of a journal."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    tool_version: str
    argv: tuple[str, ...]
    started_wall_ns: int
    started_monotonic_ns: int
    workload: str
    digests: dict[str, str]
    seeds: dict[str, int]
    host: dict[str, Any]
    target: dict[str, Any]
    load: dict[str, Any]
    encoding: str
    observers: tuple[str, ...]
    manifest: dict[str, Any] = field(default_factory=dict)


@value
class Began:
    """A phase of the load began: `at_ns` on the harness clock is where its schedule has zero.

    In a resumed run `elapsed_ns` of the schedule had passed before.
    """

    phase: Phase
    at_ns: int
    elapsed_ns: int = 0


@value
class Resumed:
    """A run that had ended early goes on from here, in a new process with clocks of its own.

    `number` counts from 1. The sessions `superseded` (ids) are begun anew under other ids: what was
    journaled of them before is in no statistic. The limits are those from here on; None: as before.
    """

    number: int
    tool_version: str
    resumed_wall_ns: int
    resumed_monotonic_ns: int
    superseded: tuple[str, ...] = ()
    max_cost_usd: str | None = None
    max_tokens: int | None = None


class EndReason(StrEnum):
    """Why a run ended."""

    COMPLETED = "completed"
    DURATION = "duration"
    MAX_REQUESTS = "max_requests"
    ERROR_LIMIT = "error_limit"
    INTERRUPTED = "interrupted"
    MAX_COST = "max_cost"
    MAX_TOKENS = "max_tokens"
    UNMETERED = "unmetered"
    JOURNAL_FAILED = "journal_failed"


IN_ORDER = frozenset({EndReason.COMPLETED, EndReason.DURATION, EndReason.MAX_REQUESTS})
"""Ends that were intended: nothing of the run is left to do."""


@value
class End:
    """The last line of a journal that was closed in order."""

    at_ns: int
    reason: EndReason
    detail: str | None = None


Record = (
    Run
    | Interaction
    | LlmCall
    | LlmAttempt
    | ToolCall
    | ToolRoundTrip
    | StateOp
    | StateDelta
    | Watched
    | ObserverNote
    | DriverSample
    | Began
    | Resumed
    | Backoff
    | End
)
