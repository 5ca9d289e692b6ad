"""One interaction with an agent, to see what it shows. The bytes of its answer are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.endpoints.body import Body
from profiler.endpoints.http import Message, caller_for, transport_for
from profiler.endpoints.select import endpoint_for

if TYPE_CHECKING:
    from profiler.endpoints.exchange import Dialogue, Endpoint, Exchange, Outgoing, Reader, Reply
    from profiler.workload.target import Target


class Answer:
    """The answer to the last request, as it came: content type in lower case, pieces and times."""

    def __init__(self) -> None:
        self.content_type = ""
        self.body = Body()

    def read_by(self, endpoint: Endpoint, session_id: str) -> Reply:
        """Read the same bytes with another description of the protocol."""
        dialogue = endpoint.begin(session_id)
        reader = dialogue.reader(status=200, content_type=self.content_type)
        for piece, at_ns in zip(self.body.pieces, self.body.times_ns, strict=True):
            reader.feed(piece, at_ns)
        return reader.finish()


async def interact(
    target: Target, url: str, message: str, session_id: str
) -> tuple[Exchange, Answer]:
    """Send one message to the agent and read the whole answer. Never sends it again.

    A protocol that opens a session before its first message does. Raises `WorkloadError` and
    `UsageError` for a target that cannot be spoken to, and nothing for what the agent does.
    """
    caller = caller_for(
        transport_for(url, http2=target.http2),
        timeout_s=target.timeout_s,
        secrets=target.secrets(),
        http2=target.http2,
        max_body_bytes=target.max_answer_bytes,
        run="init",
    )
    answer = Answer()
    try:
        dialogue = _Keeping(endpoint_for(target, url).begin(session_id), answer)
        return await caller.call(Message.of(dialogue, message, {})), answer
    finally:
        await caller.aclose()


class _Keeping:
    """A dialogue whose answers are kept beside being read."""

    def __init__(self, dialogue: Dialogue, answer: Answer) -> None:
        self._dialogue = dialogue
        self._answer = answer

    def request(self, user: str) -> Outgoing:
        return self._dialogue.request(user)

    def reader(self, *, status: int, content_type: str) -> Reader:
        reader = self._dialogue.reader(status=status, content_type=content_type)
        self._answer.content_type = content_type
        self._answer.body = Body()
        return _KeepingReader(reader, self._answer.body)

    def accept(self, user: str, reply: Reply) -> None:
        self._dialogue.accept(user, reply)


class _KeepingReader:
    def __init__(self, reader: Reader, body: Body) -> None:
        self._reader = reader
        self._body = body

    @property
    def received_bytes(self) -> int:
        return self._reader.received_bytes

    def feed(self, chunk: bytes, at_ns: int) -> None:
        self._reader.feed(chunk, at_ns)
        self._body.feed(chunk, at_ns)

    def finish(self) -> Reply:
        return self._reader.finish()
