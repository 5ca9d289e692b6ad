"""What a request asks of a provider and what an answer brought, in the same form for every API.

Everything here was read from bodies of others: what has a wrong shape is left out, never an error.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from profiler.values import value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profiler.measure.records import Usage


@value
class CallRequest:
    """What is read from a request when it comes, before it is passed on.

    `user` is the text of the last user message. `brings` are the ids of the tool calls whose
    results are new: those after the last user message or after the last answer.
    `ends_in_results`: a result is the last thing in it.
    """

    model: str | None = None
    is_stream: bool = False
    user: str | None = None
    brings: tuple[str, ...] = ()
    ends_in_results: bool = False


@value
class Countable:
    """The input of a call in OpenAI's chat form, for `TokenCounter.count_parts`.

    `unseen` names the parts of which not everything is in the request. `texts` and `ready_tokens`
    are an input without chat form: texts, and tokens that came as numbers.
    """

    messages: Sequence[dict[str, Any]] = ()
    tools: Sequence[dict[str, Any]] = ()
    unseen: frozenset[str] = frozenset()
    texts: tuple[str, ...] | None = None
    ready_tokens: int = 0


@value
class ToolAsked:
    """One tool call that an answer asks the agent for."""

    id: str
    name: str


class AnswerFault(StrEnum):
    """What is wrong with an answer whose status was a success.

    The provider's words about it are not kept: they may quote a key.
    """

    ERROR = "error"
    CUT = "cut"
    UNREADABLE = "unreadable"
    TOO_LONG = "too_long"  # for us: nothing is wrong with it


@value
class CallAnswer:
    """What an answer brought. `texts` is the output to count: texts, tool names and arguments.

    `first_token_ns` and `last_token_ns` are of streams: arrival of the first and last piece of
    output of any kind, reasoning too where it is sent.
    """

    model: str | None = None
    usage: Usage | None = None
    texts: tuple[str, ...] = ()
    asked: tuple[ToolAsked, ...] = field(default=())
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    fault: AnswerFault | None = None


class StreamReader(Protocol):
    """Reads one streamed answer as it comes. Never raises."""

    @property
    def asked(self) -> Sequence[ToolAsked]:
        """Return the tool calls asked for so far."""
        ...

    def feed(self, piece: bytes, at_ns: int) -> None:
        """Take the next piece, decoded, and when it came."""
        ...

    def finish(self) -> CallAnswer:
        """Say what the stream meant, as far as it came."""
        ...


class Api(Protocol):
    """One interface of a provider. Pure, without state; nothing in it raises."""

    @property
    def name(self) -> str:
        """Return its name in records."""
        ...

    def matches(self, path: str) -> bool:
        """Say whether a `POST` to this path is a call of this API."""
        ...

    def read_request(self, body: dict[str, Any]) -> CallRequest:
        """Read what is needed at once."""
        ...

    def countable(self, body: dict[str, Any]) -> Countable:
        """Read the input for counting; takes longer."""
        ...

    def read_answer(self, data: bytes) -> CallAnswer:
        """Read an answer that came in one piece."""
        ...

    def stream(self) -> StreamReader:
        """Return a reader for an event stream."""
        ...
